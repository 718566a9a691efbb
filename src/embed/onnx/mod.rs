//! Sentence models of BERT's kind from a folder of the user's, run inside labtop: no server, no download.

mod engine;
mod folder;
#[cfg(test)]
mod tests;
mod tokens;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use self::engine::Engine;
use super::{EmbedError, Embedder};

/// Where a model is, and how it may be used.
#[derive(Clone, Debug)]
pub struct Place {
    /// What vectors of this model are stored under.
    pub name: String,
    /// Holds `model.onnx` and `tokenizer.json`; see [`folder`].
    pub folder: PathBuf,
    /// The dimension that is expected; whatever the model makes when none.
    pub dimension: Option<usize>,
    /// Texts that are run at once.
    pub batch: usize,
}

/// See the module. Making one reads nothing; the first text loads the model, which stays in memory from then on.
pub struct Onnx {
    place: Place,
    engine: OnceCell<Arc<Engine>>,
    dimension: OnceLock<usize>,
}

impl fmt::Debug for Onnx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onnx").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Onnx {
    pub fn new(place: Place) -> Self {
        let dimension = place.dimension.map_or_else(OnceLock::new, OnceLock::from);
        Onnx { place, engine: OnceCell::new(), dimension }
    }

    /// The loaded model. One that could not be loaded is tried again by the next who asks: its files may be there by then.
    async fn engine(&self) -> Result<Arc<Engine>, EmbedError> {
        let load = || async {
            let place = self.place.clone();
            let loaded = tokio::task::spawn_blocking(move || Engine::load(&place.name, &place.folder)).await;
            loaded.map_err(|broken| self.failed(format!("loading it broke off: {broken}")))?.map(Arc::new)
        };
        self.engine.get_or_try_init(load).await.cloned()
    }

    fn failed(&self, why: String) -> EmbedError {
        EmbedError::Failed { model: self.place.name.clone(), why }
    }

    fn check_dimension(&self, vectors: &[Vec<f32>]) -> Result<(), EmbedError> {
        let Some(got) = vectors.first().map(Vec::len) else { return Ok(()) };
        let expected = *self.dimension.get_or_init(|| got);
        if got == expected {
            return Ok(());
        }
        let (name, folder) = (&self.place.name, self.place.folder.display());
        Err(self.failed(format!(
            "the model in {folder} makes vectors of {got} dimensions, where {expected} are expected: correct \
             embed.models.{name}.dimension, or leave it out"
        )))
    }
}

#[async_trait]
impl Embedder for Onnx {
    fn model_name(&self) -> &str {
        &self.place.name
    }

    fn dimension(&self) -> Option<usize> {
        self.dimension.get().copied()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let engine = self.engine().await?;
        let (texts, batch, stop) = (texts.to_vec(), self.place.batch, CancellationToken::new());
        // Whoever asked may go away; the work then ends after the lot that is being run.
        let _guard = stop.clone().drop_guard();
        let made = tokio::task::spawn_blocking(move || engine.embed(&texts, batch, &stop)).await;
        let vectors = made.map_err(|broken| self.failed(format!("running it broke off: {broken}")))??;
        self.check_dimension(&vectors)?;
        Ok(vectors)
    }
}
