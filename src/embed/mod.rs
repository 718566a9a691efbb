//! From text to vector.

use std::fmt::Debug;

use async_trait::async_trait;

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The text holds nothing the model knows.
    #[error("text {index} holds no word that {model} knows: write at least one word")]
    Empty { index: usize, model: String },
}

/// Turns texts into vectors of one model.
#[async_trait]
pub trait Embedder: Send + Sync + Debug {
    fn model_name(&self) -> &str;

    fn dimension(&self) -> usize;

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError>;
}
