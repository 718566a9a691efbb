//! Moving whole stores: what one gives away, and another takes in, runs and batches matched by their keys.

use std::fmt::Debug;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::document::Document;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;

use super::Result;
use super::outbox::Delivery;

/// An experiment with the points of its newest attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeRun {
    pub experiment: Experiment,
    pub points: Vec<MetricPoint>,
}

/// Which experiments are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with ids above one, so many at most.
    After(ExperimentId, u64),
    Ids(Vec<ExperimentId>),
    Keys(Vec<Uuid>),
}

/// The id of an experiment in one store, and the key by which every store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: ExperimentId,
    pub key: Uuid,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub batches: u64,
    pub runs: u64,
    pub deliveries: u64,
    /// The highest ids; 0 where there are none.
    pub last_batch: BatchId,
    pub last_run: ExperimentId,
}

/// What a store of experiments gives away. Each answer shows one state of the store.
#[async_trait]
pub trait Look: Send + Sync + Debug {
    async fn sizes(&self) -> Result<Sizes>;

    /// Batches with ids above `after`, by id.
    async fn batches(&self, after: BatchId, limit: u64) -> Result<Vec<Batch>>;

    /// Ids and keys, by id.
    async fn identities(&self, which: &Which) -> Result<Vec<Identity>>;

    /// Whole runs, by id. Of a window [`Which::After`] come as many as have `points` points in all, but one at least.
    async fn runs(&self, which: &Which, points: u64) -> Result<Vec<WholeRun>>;

    /// Deliveries that wait, with ids above `after`, by id.
    async fn deliveries(&self, after: i64, limit: u64) -> Result<Vec<Delivery>>;
}

/// A store of experiments that can be moved: looked at as it is at each asking, looked at in one state throughout, and
/// filled from another.
#[async_trait]
pub trait Transfer: Look {
    /// The same for two ways to one store, and for no other store.
    async fn identity(&self) -> Result<String>;

    /// A look that stays the same as long as it is held, where the engine has such; else each answer of it is one state.
    async fn hold(&self) -> Result<Box<dyn Look>>;

    /// Sees to it that ids made from now on are above these. False where that cannot be, since they are too high.
    async fn reserve(&self, batch: BatchId, run: ExperimentId) -> Result<bool>;

    /// Inserts batches whose keys are not there yet, in one transaction, with their ids where `keep_ids` and as far as
    /// these are free; says how many.
    async fn take_batches(&self, batches: &[Batch], keep_ids: bool) -> Result<u64>;

    /// Inserts runs with their points, in one transaction, ids as in [`Transfer::take_batches`]; says how many. One whose
    /// key is there already takes the place of the old one under its id, unless that one has a later attempt or a worker
    /// runs it. `batch_id` is that of this store.
    async fn take_runs(&self, runs: &[WholeRun], keep_ids: bool) -> Result<u64>;
}

/// Documents, whole and many at a time.
#[async_trait]
pub trait DocumentLook: Send + Sync + Debug {
    /// As [`Transfer::identity`].
    async fn identity(&self) -> Result<String>;

    /// Documents of one model behind the one of that id, in the store's own order of ids; from the first when empty.
    async fn window(&self, model_name: &str, after: &str, limit: u64) -> Result<Vec<Document>>;

    /// Those of these ids that there are.
    async fn these(&self, model_name: &str, ids: &[String]) -> Result<Vec<Document>>;
}

/// Whether a run in the way may be replaced by one of that attempt.
pub fn may_replace(attempt: i32, status: &str, has_worker: bool, by: &Experiment) -> bool {
    attempt <= by.attempt && !(status == "running" && has_worker)
}
