//! What happens while an operation runs, told to whoever watches.

use crate::domain::batch::Batch;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;

/// One thing that happened. Said only after it was stored.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A run is about to be created or was claimed from the queue.
    Starting { model: String, dataset: String },
    /// The experiment exists and runs.
    Created(Box<Experiment>),
    /// Points were stored.
    Points { id: ExperimentId, points: Vec<MetricPoint> },
    /// The run's documents are in its collection.
    Documents { id: ExperimentId, collection: String, count: u64 },
    /// The collection store was down: they wait in the outbox.
    Postponed { id: ExperimentId, collection: String, count: u64, why: String },
    /// Something went wrong that did not stop the run.
    Warning { id: Option<ExperimentId>, text: String },
    /// A line of a run's log.
    Log { id: ExperimentId, line: String },
    /// The run has its final state.
    Finished(Box<Experiment>),
    /// A batch was created, or its counts moved.
    Batch(Batch),
    /// `done` of `total` of a longer job.
    Progress { what: String, done: u64, total: u64 },
}

/// Somebody who wants to know. Must return at once: a slow screen never slows training.
pub trait Watcher: Send + Sync {
    fn saw(&self, news: News);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Watcher for Nobody {
    fn saw(&self, _: News) {}
}
