//! The collection store: named collections of records, as Chroma has them.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::collection::{
    Collection, CollectionEdit, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage,
    StoredRecord,
};

use super::{Health, Result};

/// Keeps collections. The embedded backend answers as Chroma does, filters included.
#[async_trait]
pub trait CollectionStore: Send + Sync + Debug {
    async fn health(&self) -> Result<Health>;

    /// All collections with their counts, by name.
    async fn list(&self) -> Result<Vec<Collection>>;

    /// `Conflict` if the name is taken, `Invalid` if it breaks Chroma's rules (3 to 512 of `[a-zA-Z0-9._-]`, alphanumeric
    /// at both ends, no `..`, no IPv4 address).
    async fn create(&self, new: &NewCollection) -> Result<Collection>;

    /// `NotFound` if there is none of that name; `Conflict` if the new name is taken, `Invalid` if it breaks the rules.
    async fn edit(&self, name: &str, edit: &CollectionEdit) -> Result<Collection>;

    /// `NotFound` if there is none of that name.
    async fn get(&self, name: &str) -> Result<Collection>;

    /// Deletes the collection with its records. `NotFound` if there is none.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Adds records; those whose ids are there already are passed over. Otherwise as [`CollectionStore::upsert`].
    async fn add(&self, name: &str, records: &[Record]) -> Result<()>;

    /// Changes records; those that are not there are passed over. `Invalid` as for [`CollectionStore::upsert`], and nothing
    /// is changed then.
    async fn update(&self, name: &str, edits: &[RecordEdit]) -> Result<()>;

    /// Adds records, replacing those of the same id whole. All or nothing per call, as far as the backend can.
    /// `Invalid` names the record: wrong dimension, NaN, a nested metadata value, an id twice in one call.
    async fn upsert(&self, name: &str, records: &[Record]) -> Result<u64>;

    /// Which of these ids the collection holds already.
    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>>;

    /// A page of records.
    async fn records(&self, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>>;

    /// How many records fit the filter; once there are `most` of them, counting ends.
    async fn count(&self, name: &str, filter: &RecordFilter, most: u64) -> Result<u64>;

    /// The nearest records with their distances in the collection's space.
    async fn query(
        &self,
        name: &str,
        embedding: &[f32],
        n_results: usize,
        filter: &RecordFilter,
    ) -> Result<Vec<RecordHit>>;

    /// Deletes records by id; says how many of them there were.
    async fn remove_records(&self, name: &str, ids: &[String]) -> Result<u64>;
}
