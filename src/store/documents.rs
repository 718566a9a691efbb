//! The document store: texts with their embeddings, and similarity search.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::domain::document::{Document, DocumentHit, DocumentQuery, EmbeddingModel};
use crate::domain::index::{BuildProgress, Index, Nearest, NewIndex};

use super::catalogue::DocumentCatalogue;
use super::{Health, Result};

/// Keeps document embeddings. Each embedding model has its own dimension, fixed by its first document.
#[async_trait]
pub trait DocumentStore: DocumentCatalogue {
    async fn health(&self) -> Result<Health>;

    /// Known models, by name.
    async fn models(&self) -> Result<Vec<EmbeddingModel>>;

    /// Stores documents in one transaction; one with the same id and model replaces the old. `Invalid` when a vector has
    /// another dimension than its model (naming the document, both dimensions and the model), or holds NaN or infinity:
    /// nothing is stored then. An unknown model is registered with the dimension of its first vector.
    async fn put(&self, documents: &[Document]) -> Result<u64>;

    /// Whole documents with vectors, by id then model; of every model when `model_name` is none.
    async fn get(&self, document_id: &str, model_name: Option<&str>) -> Result<Vec<Document>>;

    /// Documents by id, without a query: `distance` is NaN-free zero. `offset` and `limit` page through them.
    async fn list(&self, model_name: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>>;

    /// The nearest documents of one model that fit the filter, nearest first, ties by id, distances that are NaN last.
    /// Exact, unless an index serves the metric and the query does not ask for exactness; as many as there are up to
    /// `limit` either way. `NotFound` for an unknown model, `Invalid` for a query of another dimension.
    async fn search(&self, query: &DocumentQuery) -> Result<Nearest>;

    /// Deletes documents of every model by id; says how many rows went.
    async fn remove(&self, document_ids: &[String]) -> Result<u64>;

    /// The indexes that searches go along; none where every search is exact and fast enough without.
    fn indexes(&self) -> Option<&dyn DocumentIndexes>;
}

/// What the searches of a document store go along. No index is ever made but by [`DocumentIndexes::build`].
#[async_trait]
pub trait DocumentIndexes: Send + Sync {
    /// Every index over documents' vectors or metadata, whoever made it, by model and name.
    async fn list(&self) -> Result<Vec<Index>>;

    /// Builds an index while others read and write; `told` hears how far it is. What an earlier build left half-done is
    /// replaced. `Conflict` when there is one for the same already, or it is being built; `Invalid` when the store cannot
    /// make such a one, saying why. After `stop`, or when the future is dropped, the build ends in the database too and
    /// leaves nothing behind: `Cancelled`.
    async fn build(
        &self,
        new: &NewIndex,
        told: &(dyn Fn(BuildProgress) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Index>;

    /// Drops one by its name in [`DocumentIndexes::list`]; `NotFound` for another.
    async fn remove(&self, name: &str) -> Result<()>;
}
