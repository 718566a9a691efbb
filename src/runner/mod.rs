//! Runners: what turns a model, a data set and parameters into metrics.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::document::Metadata;
use crate::domain::experiment::{ExperimentId, Parameters};
use crate::domain::process::ProcessSpec;

pub mod process;
pub mod simulate;

/// What a runner is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub experiment_id: ExperimentId,
    pub key: Uuid,
    pub model: String,
    pub dataset: String,
    pub parameters: Parameters,
    /// Equal seeds give equal curves and results.
    pub seed: u64,
    /// Points on the learning curve.
    pub steps: u32,
    /// Pause after each step, milliseconds.
    pub delay_ms: u64,
    /// What the runner `process` runs.
    pub process: Option<Arc<ProcessSpec>>,
}

/// What a runner tells while it works.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Metrics of one step.
    Step { step: i64, metrics: Vec<(String, f64)> },
    /// A line of the log.
    Log(String),
    /// Records for the run's collection.
    Embeddings(Vec<Embedding>),
}

/// A record that a run adds to its collection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Embedding {
    /// Unique within the run.
    pub id: String,
    #[serde(default)]
    pub document: Option<String>,
    /// Made of the document when none.
    #[serde(default)]
    pub embedding: Option<Vec<f32>>,
    #[serde(default)]
    pub metadata: Metadata,
}

/// Where reports go. Bounded: a runner waits for storage, never for a screen.
pub type Sink = mpsc::Sender<Report>;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cancelled")]
    Cancelled,
    /// In words a person can act on.
    #[error("{0}")]
    Failed(String),
}

/// Something that runs experiments.
#[async_trait]
pub trait Runner: Send + Sync {
    fn name(&self) -> &'static str;

    /// Runs one job to its end and gives back the final results. Returns `Cancelled` soon after `cancel` fires.
    async fn run(
        &self,
        job: &Job,
        sink: &Sink,
        cancel: &CancellationToken,
    ) -> Result<Map<String, Value>, RunError>;
}

/// Every runner there is; adding one is a file and a line.
pub static RUNNERS: &[&dyn Runner] = &[&simulate::Simulate, &process::Process];

/// The runner of that name, or which names are known.
pub fn by_name(name: &str) -> Result<&'static dyn Runner, RunError> {
    RUNNERS.iter().copied().find(|runner| runner.name() == name).ok_or_else(|| {
        let known: Vec<_> = RUNNERS.iter().map(|runner| runner.name()).collect();
        RunError::Failed(format!("unknown runner '{name}' (known: {})", known.join(", ")))
    })
}
