//! Collections in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::Fault;
use crate::domain::collection::{
    Collection, CollectionEdit, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage,
    StoredRecord,
};
use crate::store::collections::CollectionStore;
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

#[derive(Debug)]
struct Kept {
    collection: Collection,
    records: BTreeMap<String, Record>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FakeCollections {
    kept: Mutex<BTreeMap<String, Kept>>,
    pub down: Fault,
    /// Ids of every upsert, in their order.
    pub upserts: Mutex<Vec<(String, Vec<String>)>>,
}

fn error(kind: ErrorKind, message: impl Into<String>) -> StoreError {
    StoreError::new(kind, Backend::Chroma, "testing", message)
}

impl FakeCollections {
    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Kept) -> Result<T>) -> Result<T> {
        self.down.check(Backend::Chroma, "asking a collection")?;
        let mut kept = self.kept.lock().unwrap();
        let kept =
            kept.get_mut(name).ok_or_else(|| error(ErrorKind::NotFound, format!("no collection {name}")))?;
        work(kept)
    }

    pub fn ids(&self, name: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.get(name).map(|kept| kept.records.keys().cloned().collect()).unwrap_or_default()
    }

    pub fn vector(&self, name: &str, id: &str) -> Vec<f32> {
        self.kept.lock().unwrap()[name].records[id].embedding.clone()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let records = kept.get(name).map(|kept| kept.records.values().cloned().collect::<Vec<_>>());
        records.unwrap_or_default().into_iter().filter_map(|record| record.document).collect()
    }
}

#[async_trait]
impl CollectionStore for FakeCollections {
    async fn health(&self) -> Result<Health> {
        self.down.check(Backend::Chroma, "asking for health")?;
        let (place, version) = ("memory".to_owned(), "1".to_owned());
        Ok(Health { backend: Backend::Chroma, place, version, latency: Duration::ZERO })
    }

    async fn list(&self) -> Result<Vec<Collection>> {
        self.down.check(Backend::Chroma, "listing collections")?;
        Ok(self.kept.lock().unwrap().values().map(|kept| kept.collection.clone()).collect())
    }

    async fn create(&self, new: &NewCollection) -> Result<Collection> {
        self.down.check(Backend::Chroma, "creating a collection")?;
        let mut kept = self.kept.lock().unwrap();
        let NewCollection { name, metadata, space, hnsw } = new.clone();
        if kept.contains_key(&name) {
            return Err(error(ErrorKind::Conflict, format!("collection {name} exists")));
        }
        let collection = Collection {
            name: name.clone(),
            metadata,
            space,
            hnsw,
            dimension: None,
            records: 0,
            problem: None,
        };
        kept.insert(name, Kept { collection: collection.clone(), records: BTreeMap::new() });
        Ok(collection)
    }

    async fn edit(&self, name: &str, edit: &CollectionEdit) -> Result<Collection> {
        let changed = self.with(name, |kept| {
            let collection = &mut kept.collection;
            collection.name = edit.name.clone().unwrap_or_else(|| collection.name.clone());
            collection.metadata = edit.metadata.clone().unwrap_or_else(|| collection.metadata.clone());
            Ok(collection.clone())
        })?;
        let mut kept = self.kept.lock().unwrap();
        let one = kept.remove(name).unwrap();
        kept.insert(changed.name.clone(), one);
        Ok(changed)
    }

    async fn get(&self, name: &str) -> Result<Collection> {
        self.with(name, |kept| Ok(kept.collection.clone()))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.with(name, |_| Ok(()))?;
        self.kept.lock().unwrap().remove(name);
        Ok(())
    }

    async fn add(&self, name: &str, records: &[Record]) -> Result<()> {
        let there = self.ids(name);
        let new: Vec<Record> = records.iter().filter(|record| !there.contains(&record.id)).cloned().collect();
        self.upsert(name, &new).await.map(drop)
    }

    async fn update(&self, name: &str, edits: &[RecordEdit]) -> Result<()> {
        self.with(name, |kept| {
            for edit in edits {
                let Some(record) = kept.records.get_mut(&edit.id) else { continue };
                let RecordEdit { document, embedding, metadata, .. } = edit.clone();
                record.document = document.or_else(|| record.document.take());
                record.embedding = embedding.unwrap_or_else(|| std::mem::take(&mut record.embedding));
                record.metadata.extend(metadata);
                record.metadata.retain(|_, value| !value.is_null());
            }
            Ok(())
        })
    }

    async fn upsert(&self, name: &str, records: &[Record]) -> Result<u64> {
        self.with(name, |kept| {
            let dimension = records.first().map(|record| record.embedding.len());
            let dimension = kept.collection.dimension.or(dimension);
            if records.iter().any(|record| Some(record.embedding.len()) != dimension) {
                return Err(error(ErrorKind::Invalid, "another dimension"));
            }
            kept.collection.dimension = dimension;
            for record in records {
                kept.records.insert(record.id.clone(), record.clone());
            }
            kept.collection.records = kept.records.len() as u64;
            let ids = records.iter().map(|record| record.id.clone()).collect();
            self.upserts.lock().unwrap().push((name.to_owned(), ids));
            Ok(records.len() as u64)
        })
    }

    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>> {
        self.with(name, |kept| Ok(ids.iter().filter(|id| kept.records.contains_key(*id)).cloned().collect()))
    }

    async fn records(&self, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>> {
        let wanted: BTreeSet<&String> = page.ids.iter().collect();
        self.with(name, |kept| {
            let records =
                kept.records.values().filter(|record| wanted.is_empty() || wanted.contains(&record.id));
            let records = records.skip(page.offset).take(page.limit).cloned();
            Ok(records
                .map(|Record { id, document, metadata, .. }| StoredRecord {
                    id,
                    document,
                    metadata,
                    embedding: None,
                })
                .collect())
        })
    }

    async fn count(&self, name: &str, _: &RecordFilter, most: u64) -> Result<u64> {
        self.with(name, |kept| Ok((kept.records.len() as u64).min(most)))
    }

    async fn query(
        &self,
        name: &str,
        embedding: &[f32],
        n_results: usize,
        _: &RecordFilter,
    ) -> Result<Vec<RecordHit>> {
        self.with(name, |kept| {
            let hit = |record: &Record| {
                let dot: f32 = record.embedding.iter().zip(embedding).map(|(a, b)| a * b).sum();
                let Record { id, document, metadata, .. } = record.clone();
                let record = StoredRecord { id, document, metadata, embedding: None };
                RecordHit { record, distance: 1.0 - f64::from(dot) }
            };
            let mut hits: Vec<RecordHit> = kept.records.values().map(hit).collect();
            hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
            hits.truncate(n_results);
            Ok(hits)
        })
    }

    async fn remove_records(&self, name: &str, ids: &[String]) -> Result<u64> {
        self.with(name, |kept| Ok(ids.iter().filter(|id| kept.records.remove(*id).is_some()).count() as u64))
    }
}
