//! Batches and their queue, kept beside the experiments.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::experiment::{Experiment, ExperimentId, NewExperiment};

use super::Result;

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

    /// Takes the queued experiment with the lowest trial for `worker`: status `running`, started now. None when the
    /// queue of that batch is empty. Two workers never get the same one.
    async fn claim(&self, id: BatchId, worker: &str) -> Result<Option<Experiment>>;

    /// Cancels what is still queued in a batch; says how many.
    async fn withdraw(&self, id: BatchId) -> Result<u64>;

    /// Puts failed, cancelled and interrupted experiments back into the queue with the next attempt, their results and
    /// error cleared. Others of the ids are left alone. Gives back those that were queued.
    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>>;
}
