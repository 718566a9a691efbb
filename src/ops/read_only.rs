//! Read-only mode for Chroma, which cannot be told to refuse writes itself; the other backends can.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::collection::{
    Collection, CollectionEdit, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage,
    StoredRecord,
};
use crate::domain::database::{Database, KnownDatabase};
use crate::store::collections::CollectionStore;
use crate::store::databases::Databases;
use crate::store::{Backend, Health, Result, StoreError};

/// Passes reads on and refuses writes.
#[derive(Debug)]
pub(super) struct ReadOnlyCollections {
    store: Arc<dyn CollectionStore>,
}

impl ReadOnlyCollections {
    pub fn new(store: Arc<dyn CollectionStore>) -> Self {
        ReadOnlyCollections { store }
    }
}

fn refuse<T>(doing: &str) -> Result<T> {
    Err(StoreError::read_only(Backend::Chroma, doing))
}

#[async_trait]
impl CollectionStore for ReadOnlyCollections {
    async fn health(&self) -> Result<Health> {
        self.store.health().await
    }

    async fn list(&self) -> Result<Vec<Collection>> {
        self.store.list().await
    }

    async fn create(&self, _new: &NewCollection) -> Result<Collection> {
        refuse("creating collection")
    }

    async fn edit(&self, _name: &str, _edit: &CollectionEdit) -> Result<Collection> {
        refuse("changing collection")
    }

    async fn get(&self, name: &str) -> Result<Collection> {
        self.store.get(name).await
    }

    async fn remove(&self, _name: &str) -> Result<()> {
        refuse("deleting collection")
    }

    async fn add(&self, _name: &str, _records: &[Record]) -> Result<()> {
        refuse("adding records")
    }

    async fn update(&self, _name: &str, _edits: &[RecordEdit]) -> Result<()> {
        refuse("changing records")
    }

    async fn upsert(&self, _name: &str, _records: &[Record]) -> Result<u64> {
        refuse("adding records")
    }

    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>> {
        self.store.existing(name, ids).await
    }

    async fn count(&self, name: &str, filter: &RecordFilter, most: u64) -> Result<u64> {
        self.store.count(name, filter, most).await
    }

    async fn records(&self, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>> {
        self.store.records(name, page).await
    }

    async fn query(
        &self,
        name: &str,
        embedding: &[f32],
        n_results: usize,
        filter: &RecordFilter,
    ) -> Result<Vec<RecordHit>> {
        self.store.query(name, embedding, n_results, filter).await
    }

    async fn remove_records(&self, _name: &str, _ids: &[String]) -> Result<u64> {
        refuse("deleting records")
    }
}

/// The same for its databases.
#[derive(Debug)]
pub(super) struct ReadOnlyDatabases {
    store: Arc<dyn Databases>,
}

impl ReadOnlyDatabases {
    pub fn new(store: Arc<dyn Databases>) -> Self {
        ReadOnlyDatabases { store }
    }
}

#[async_trait]
impl Databases for ReadOnlyDatabases {
    async fn list(&self, tenant: &str) -> Result<Vec<KnownDatabase>> {
        self.store.list(tenant).await
    }

    async fn get(&self, database: &Database) -> Result<KnownDatabase> {
        self.store.get(database).await
    }

    async fn create(&self, _database: &Database, _with_tenant: bool) -> Result<()> {
        refuse("creating database")
    }

    async fn remove(&self, _database: &Database) -> Result<()> {
        refuse("deleting database")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::collection::Space;
    use crate::domain::document::Metadata;
    use crate::ops::tests::Bench;
    use crate::store::ErrorKind;

    #[tokio::test]
    async fn writes_are_refused_and_reads_pass() {
        let bench = Bench::embedded();
        bench.collections.create(&NewCollection::new("abc", &Metadata::new(), Space::Cosine)).await.unwrap();
        let looks = ReadOnlyCollections::new(bench.collections.clone());
        assert_eq!(looks.list().await.unwrap().len(), 1);
        let refused = [
            looks.create(&NewCollection::new("def", &Metadata::new(), Space::Cosine)).await.map(drop),
            looks.remove("abc").await,
            looks.upsert("abc", &[]).await.map(drop),
            looks.remove_records("abc", &["a".to_owned()]).await.map(drop),
        ];
        for result in refused {
            assert_eq!(result.unwrap_err().kind, ErrorKind::Invalid);
        }
        assert_eq!(bench.collections.list().await.unwrap().len(), 1);
    }
}
