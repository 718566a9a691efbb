//! The document store: texts with their embeddings, and similarity search.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::document::{Document, DocumentHit, DocumentQuery, EmbeddingModel};

use super::{Health, Result};

/// Keeps document embeddings. Each embedding model has its own dimension, fixed by its first document.
#[async_trait]
pub trait DocumentStore: Send + Sync + Debug {
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

    /// The nearest documents of one model, nearest first, ties by id; exact. `NotFound` for an unknown model,
    /// `Invalid` for a query of another dimension.
    async fn search(&self, query: &DocumentQuery) -> Result<Vec<DocumentHit>>;

    /// Deletes documents of every model by id; says how many rows went.
    async fn remove(&self, document_ids: &[String]) -> Result<u64>;
}
