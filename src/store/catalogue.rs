//! What a document store tells and does beside similarity search: by words, by selection, in sums.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::document::{ModelSize, Selection, Stub, TextHit, TextQuery};
use crate::domain::embedding_map::{DocumentPoint, Points};

use super::Result;

/// Every document store has one.
#[async_trait]
pub trait DocumentCatalogue: Send + Sync + Debug {
    /// Hash and metadata of those of these documents that are stored under that model, in no order; none of an unknown model.
    async fn stubs(&self, model_name: &str, ids: &[String]) -> Result<Vec<Stub>>;

    /// Documents of one model that hold any word of the query and fit the filter, the best first, ties by id; the score is above
    /// zero and means something within one answer only. No index is built for it. `NotFound` for an unknown model; an answer
    /// without hits where the query has no word.
    async fn text_search(&self, query: &TextQuery) -> Result<Vec<TextHit>>;

    /// How many documents fit.
    async fn count(&self, which: &Selection) -> Result<u64>;

    /// Deletes the documents that fit, in one transaction; says how many there were. `Invalid` for a selection that selects
    /// everything: nobody means that by leaving all of it out.
    async fn remove_selected(&self, which: &Selection) -> Result<u64>;

    /// What the documents of each model take, by name; indexes count apart.
    async fn sizes(&self) -> Result<Vec<ModelSize>>;

    /// Documents of one model with their vectors and the beginnings of their texts: a sample in its order, those of a list
    /// in none. None of an unknown model.
    async fn points(&self, model_name: &str, which: &Points) -> Result<Vec<DocumentPoint>>;
}
