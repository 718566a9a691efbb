//! The traits that are measured: each method passed on under its own name.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::collection::{
    Collection, CollectionEdit, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage,
    StoredRecord,
};
use crate::domain::document::{
    Document, DocumentHit, DocumentQuery, EmbeddingModel, ModelSize, Selection, Stub, TextHit, TextQuery,
};
use crate::domain::embedding_map::{DocumentPoint, Points};
use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Status};
use crate::domain::index::Nearest;
use crate::domain::metric::{MetricPoint, Outline};
use crate::domain::outbox::{OutboxState, Parcel};
use crate::domain::survey::{CurveValues, Groups, Ids, Names, RunCurves};
use crate::domain::worker::{Entered, NewWorker};
use crate::store::catalogue::DocumentCatalogue;
use crate::store::collections::CollectionStore;
use crate::store::documents::{DocumentIndexes, DocumentStore};
use crate::store::experiments::{Entry, ExperimentPage, ExperimentQuery, ExperimentStore};
use crate::store::outbox::{Claims, Delivery, NewDelivery, Outbox};
use crate::store::queue::{BatchQueue, Claimant, QueuedCommand, UnderWay};
use crate::store::survey::{CurveOf, ExperimentSurvey, GroupQuery};
use crate::store::workers::WorkerRegistry;
use crate::store::{Health, Result};

use super::Measured;

/// Passes every method on to the store behind and times it. A new method of a trait is one line below: its signature.
macro_rules! measured {
    ($role:ident of $store:ty {
        $(async fn $name:ident(&self $(, $argument:ident: $kind:ty)* $(,)?) -> $answer:ty;)*
        $(fn $plain:ident(&self) -> $value:ty;)*
    }) => {
        #[async_trait]
        impl $role for Measured<$store> {
            $(async fn $name(&self $(, $argument: $kind)*) -> $answer {
                self.gauge.time(stringify!($name), self.inner.$name($($argument),*)).await
            })*

            $(fn $plain(&self) -> $value {
                self.inner.$plain()
            })*
        }
    };
}

measured!(ExperimentStore of dyn ExperimentStore {
    async fn health(&self) -> Result<Health>;
    async fn create(&self, new: &NewExperiment) -> Result<Experiment>;
    async fn get(&self, id: ExperimentId) -> Result<Experiment>;
    async fn list(&self, query: &ExperimentQuery) -> Result<ExperimentPage>;
    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<Option<Experiment>>>>;
    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>>;
    async fn outline(&self, id: ExperimentId, most: usize) -> Result<Outline>;
    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment>;
    async fn remove(&self, ids: &[ExperimentId]) -> Result<u64>;
    fn keeps_performance(&self) -> bool;
});

measured!(ExperimentSurvey of dyn ExperimentStore {
    async fn names(&self) -> Result<Names>;
    async fn curve_values(&self, ids: &[ExperimentId], curves: &[CurveOf]) -> Result<Vec<CurveValues>>;
    async fn curves(&self, ids: &[ExperimentId]) -> Result<Vec<RunCurves>>;
    async fn ids(&self, query: &ExperimentQuery, skip: u64) -> Result<Ids>;
    async fn groups(&self, query: &GroupQuery) -> Result<Groups>;
    async fn statuses(&self) -> Result<Vec<(Status, u64)>>;
});

measured!(BatchQueue of dyn BatchQueue {
    async fn create_batch(&self, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch>;
    async fn batch(&self, id: BatchId) -> Result<Batch>;
    async fn batches(&self, limit: u64) -> Result<Vec<Batch>>;
    async fn claim(&self, from: Option<BatchId>, claimant: &Claimant, limit: u32) -> Result<Vec<Experiment>>;
    async fn queued_commands(&self, except: &[BatchId]) -> Result<Vec<QueuedCommand>>;
    async fn withdraw(&self, id: BatchId) -> Result<u64>;
    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>>;
    async fn take_up(&self, of: Option<BatchId>, tries: i32) -> Result<Vec<ExperimentId>>;
    async fn beat(&self, ids: &[ExperimentId], worker: &str) -> Result<Vec<ExperimentId>>;
    async fn under_way(&self) -> Result<Vec<UnderWay>>;
    async fn interrupt(&self, dead: &[UnderWay], why: &str) -> Result<Vec<Experiment>>;
});

measured!(WorkerRegistry of dyn BatchQueue {
    async fn enter(&self, worker: &NewWorker) -> Result<()>;
    async fn strike(&self, names: &[String]) -> Result<()>;
    async fn workers(&self) -> Result<Vec<Entered>>;
    fn pulse(&self) -> Duration;
});

measured!(Outbox of dyn Outbox {
    async fn put(&self, delivery: &NewDelivery) -> Result<()>;
    async fn state(&self) -> Result<OutboxState>;
    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>>;
    async fn list(&self, limit: u64) -> Result<Vec<Parcel>>;
    async fn claim(&self, holder: &str, lease: Duration, most: usize, except: &[String]) -> Result<Claims>;
    async fn renew(&self, collection: &str, holder: &str, lease: Duration) -> Result<bool>;
    async fn take(
        &self, collection: &str, holder: &str, lease: Duration, most: u64,
    ) -> Result<Vec<Delivery>>;
    async fn release(&self, collection: &str, holder: &str) -> Result<()>;
    async fn delivered(&self, ids: &[i64]) -> Result<()>;
    async fn failed(&self, id: i64, error: &str, for_good: bool) -> Result<()>;
    async fn retry(&self, ids: &[i64]) -> Result<u64>;
    async fn remove(&self, ids: &[i64]) -> Result<u64>;
});

measured!(DocumentStore of dyn DocumentStore {
    async fn health(&self) -> Result<Health>;
    async fn models(&self) -> Result<Vec<EmbeddingModel>>;
    async fn put(&self, documents: &[Document]) -> Result<u64>;
    async fn get(&self, document_id: &str, model_name: Option<&str>) -> Result<Vec<Document>>;
    async fn list(&self, model_name: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>>;
    async fn search(&self, query: &DocumentQuery) -> Result<Nearest>;
    async fn remove(&self, document_ids: &[String]) -> Result<u64>;
    fn indexes(&self) -> Option<&dyn DocumentIndexes>;
});

measured!(DocumentCatalogue of dyn DocumentStore {
    async fn stubs(&self, model_name: &str, ids: &[String]) -> Result<Vec<Stub>>;
    async fn text_search(&self, query: &TextQuery) -> Result<Vec<TextHit>>;
    async fn count(&self, which: &Selection) -> Result<u64>;
    async fn remove_selected(&self, which: &Selection) -> Result<u64>;
    async fn sizes(&self) -> Result<Vec<ModelSize>>;
    async fn points(&self, model_name: &str, which: &Points) -> Result<Vec<DocumentPoint>>;
});

measured!(CollectionStore of dyn CollectionStore {
    async fn health(&self) -> Result<Health>;
    async fn list(&self) -> Result<Vec<Collection>>;
    async fn create(&self, new: &NewCollection) -> Result<Collection>;
    async fn edit(&self, name: &str, edit: &CollectionEdit) -> Result<Collection>;
    async fn get(&self, name: &str) -> Result<Collection>;
    async fn remove(&self, name: &str) -> Result<()>;
    async fn add(&self, name: &str, records: &[Record]) -> Result<()>;
    async fn update(&self, name: &str, edits: &[RecordEdit]) -> Result<()>;
    async fn upsert(&self, name: &str, records: &[Record]) -> Result<u64>;
    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>>;
    async fn records(&self, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>>;
    async fn count(&self, name: &str, filter: &RecordFilter, most: u64) -> Result<u64>;
    async fn query(
        &self, name: &str, embedding: &[f32], n_results: usize, filter: &RecordFilter,
    ) -> Result<Vec<RecordHit>>;
    async fn remove_records(&self, name: &str, ids: &[String]) -> Result<u64>;
});
