//! Batches and their queue, kept beside the experiments.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::experiment::{Experiment, ExperimentId, NewExperiment};
use crate::domain::worker::Doing;

use super::Result;
use super::workers::WorkerRegistry;

/// A running experiment and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    pub doing: Doing,
    pub worker: String,
    pub host: Option<String>,
    /// Since its last heartbeat, or since it started where there was none; by the store's clock. Where the store itself
    /// was away nobody could be heard: silence begins anew when it is back.
    pub silent: Duration,
}

/// Who claims experiments, and which it can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub worker: String,
    /// Noted with what it claims.
    pub host: Option<String>,
    /// Names of the runners it has.
    pub runners: Vec<String>,
    /// What its machine has. Batches that ask for other labels (`labels` of their specification) are passed over. None
    /// for one that was told by hand what to run: it takes whatever a batch asks for.
    pub labels: Option<Vec<String>>,
    /// The batches whose commands it may run: of the runner `process` it takes no others. None where that was decided by
    /// hand, and for whoever runs no commands.
    pub commands: Option<Vec<BatchId>>,
}

/// A batch of commands with trials in the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedCommand {
    pub batch: BatchId,
    /// The batch file, as it is kept with the batch.
    pub spec: Map<String, Value>,
    /// Trials in the queue.
    pub queued: u64,
}

/// Keeps batches; their trials are experiments with a `batch_id`.
#[async_trait]
pub trait BatchQueue: WorkerRegistry + Send + Sync + Debug {
    /// Inserts the batch and all its trials (status `queued`, `trial` set by the caller) in one transaction. A key that
    /// is already there returns that batch unchanged. The trials' `batch_id` is filled in by the store.
    async fn create_batch(&self, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch>;

    /// `NotFound` if there is none of that id.
    async fn batch(&self, id: BatchId) -> Result<Batch>;

    /// Newest first.
    async fn batches(&self, limit: u64) -> Result<Vec<Batch>>;

    /// Takes queued experiments for a worker that can run them, `limit` at most: status `running`, started now, with
    /// worker and host. The lowest trials of a batch first; of several batches the older first. Empty when nothing is
    /// queued that it can run. Two workers never get the same one.
    async fn claim(&self, from: Option<BatchId>, claimant: &Claimant, limit: u32) -> Result<Vec<Experiment>>;

    /// The batches that have trials of the runner `process` in the queue, oldest first, but for those named.
    async fn queued_commands(&self, except: &[BatchId]) -> Result<Vec<QueuedCommand>>;

    /// Cancels what is still queued in a batch; says how many.
    async fn withdraw(&self, id: BatchId) -> Result<u64>;

    /// Puts failed, cancelled and interrupted experiments back into the queue with the next attempt, their results and
    /// error cleared. Others of the ids are left alone. Gives back those that were queued.
    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>>;

    /// Queues again, as [`BatchQueue::requeue`] does, the interrupted trials of one batch or of all that were tried less
    /// than `tries` times, and no other. When there are none, nothing is written.
    async fn take_up(&self, of: Option<BatchId>, tries: i32) -> Result<Vec<ExperimentId>>;

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
