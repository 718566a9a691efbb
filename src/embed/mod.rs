//! Text → vector: the trait every embedder fulfils, and the one that needs no server.

mod builtin;
pub mod http;
#[cfg(feature = "embed-onnx")]
pub mod onnx;
mod table;
#[cfg(test)]
mod tests;
mod wordpiece;

use std::fmt::Debug;

use async_trait::async_trait;

pub use builtin::BuiltIn;

/// Turns texts into vectors that lie close together where the texts mean alike.
#[async_trait]
pub trait Embedder: Send + Sync + Debug {
    /// The name that vectors of this embedder are stored under. Vectors of different names are never compared: they
    /// live in different spaces even where their dimensions agree.
    fn model_name(&self) -> &str;

    /// The number of components of every vector this embedder makes; none until a server has said it.
    fn dimension(&self) -> Option<usize>;

    /// Embeds each text; the answer has one vector per text, in the order of the texts.
    ///
    /// Every vector has the same number of finite components ([`dimension`](Self::dimension)) and Euclidean length 1, so that cosine
    /// similarity is the inner product. The same text gives the same vector whatever else is in the call. No text,
    /// no vector: an empty slice is answered with an empty list.
    ///
    /// # Errors
    /// The call fails as a whole. [`EmbedError::Empty`] names the first text that has no vector because nothing in
    /// it is known to the model; the caller may leave it out and ask again.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why texts could not be embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The text at `index` (from 0) of those asked for is empty, or has no word that the model knows.
    #[error(
        "text {} has no word that the embedding model {model} knows: add some words to it, or leave it out",
        .index + 1
    )]
    Empty { index: usize, model: String },
    /// The text at `index` is not what the model takes, as one that is too long.
    #[error("text {} is refused by the embedding model {model}: {why}", .index + 1)]
    Text { index: usize, model: String, why: String },
    /// Nobody answers there, or nobody has time for us; later somebody may.
    #[error("the embedding model {model} is not to be had: {why}")]
    Unavailable { model: String, why: String },
    /// Asking again would bring the same.
    #[error("the embedding model {model} cannot be used: {why}")]
    Failed { model: String, why: String },
}
