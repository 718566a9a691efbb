//! Batches and their queue, kept beside the experiments.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::experiment::{Experiment, ExperimentId, NewExperiment};

use super::Result;

/// A running experiment and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    pub id: ExperimentId,
    pub attempt: i32,
    pub worker: String,
    /// Since its last heartbeat, or since it started where there was none; by the store's clock.
    pub silent: Duration,
}

/// Keeps batches; their trials are experiments with a `batch_id`.
#[async_trait]
pub trait BatchQueue: Send + Sync + Debug {
    /// Inserts the batch and all its trials (status `queued`, `trial` set by the caller) in one transaction. A key that
    /// is already there returns that batch unchanged. The trials' `batch_id` is filled in by the store.
    async fn create_batch(&self, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch>;

    /// `NotFound` if there is none of that id.
    async fn batch(&self, id: BatchId) -> Result<Batch>;

    /// Newest first.
    async fn batches(&self, limit: u64) -> Result<Vec<Batch>>;

    /// Takes queued experiments for `worker`, `limit` at most: status `running`, started now. Of one batch those with
    /// the lowest trials; of any batch the oldest. Empty when nothing is queued. Two workers never get the same one.
    async fn claim(&self, from: Option<BatchId>, worker: &str, limit: u32) -> Result<Vec<Experiment>>;

    /// Cancels what is still queued in a batch; says how many.
    async fn withdraw(&self, id: BatchId) -> Result<u64>;

    /// Puts failed, cancelled and interrupted experiments back into the queue with the next attempt, their results and
    /// error cleared. Others of the ids are left alone. Gives back those that were queued.
    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>>;

    /// Says that `worker` is alive and still works on these: their `heartbeat_at` is the store's now. Those that are
    /// not running under its name any more are left alone; gives back the others.
    async fn beat(&self, ids: &[ExperimentId], worker: &str) -> Result<Vec<ExperimentId>>;

    /// Every running experiment that a worker has, oldest first. Rows that no worker has (foreign SQL) are not among
    /// them.
    async fn under_way(&self) -> Result<Vec<UnderWay>>;

    /// Marks experiments `interrupted` whose workers are dead, with the reason as their error, as far as they still run
    /// in that attempt under that worker; gives back those that were.
    async fn interrupt(&self, dead: &[UnderWay], why: &str) -> Result<Vec<Experiment>>;
}
