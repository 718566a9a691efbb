//! The workers that take from the queue: who they are, what they offer, and when they were heard of last.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::worker::{Entered, NewWorker};

use super::Result;

/// Keeps the list of workers. What each of them runs is told by the experiments.
#[async_trait]
pub trait WorkerRegistry: Send + Sync + Debug {
    /// How often a worker says that it lives, whether or not it runs anything.
    fn pulse(&self) -> Duration;

    /// Enters a worker, or says of one that is entered that it lives: its heartbeat is the store's now, and what it
    /// offers is what it says. Only the first time is told to those who wait for changes.
    async fn enter(&self, worker: &NewWorker) -> Result<()>;

    /// Strikes workers out; those that are not entered are left alone.
    async fn strike(&self, names: &[String]) -> Result<()>;

    /// Every worker that is entered, by the time it began.
    async fn workers(&self) -> Result<Vec<Entered>>;
}
