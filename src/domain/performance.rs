//! Performance rows, derived from finished experiments, and what is averaged over them.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::experiment::{Experiment, ExperimentId, Status};

/// One row of `experiments_performance`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformanceRow {
    pub experiment_id: ExperimentId,
    /// UTC day on which the experiment finished.
    pub date: Date,
    pub model_name: String,
    pub dataset: String,
    pub accuracy: Option<f64>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    /// Seconds.
    pub training_time_sec: Option<f64>,
    pub inference_time_ms: Option<f64>,
    pub f1_score: Option<f64>,
    pub memory_usage_mb: Option<f64>,
    pub runner: String,
}

impl PerformanceRow {
    /// Whether it says the same as another, NaN being NaN.
    pub fn says_as(&self, other: &PerformanceRow) -> bool {
        let figures = |row: &PerformanceRow| {
            let times = [row.training_time_sec, row.inference_time_ms, row.memory_usage_mb];
            let scores = [row.accuracy, row.precision, row.recall, row.f1_score];
            (scores.map(|figure| figure.map(f64::to_bits)), times.map(|figure| figure.map(f64::to_bits)))
        };
        let names = |row: &PerformanceRow| {
            (row.experiment_id, row.date, row.model_name.clone(), row.dataset.clone(), row.runner.clone())
        };
        names(self) == names(other) && figures(self) == figures(other)
    }

    /// The row of a completed experiment; none for any other, or where no published figure was measured.
    pub fn of(experiment: &Experiment) -> Option<Self> {
        let finished = experiment.finished_at?;
        let figures = experiment.figures;
        let measured = figures.named().iter().any(|(_, value)| value.is_some());
        (experiment.status == Status::Completed && measured).then(|| PerformanceRow {
            experiment_id: experiment.id,
            date: finished.to_zoned(jiff::tz::TimeZone::UTC).date(),
            model_name: experiment.model_type.clone(),
            dataset: experiment.dataset.clone(),
            accuracy: figures.accuracy,
            precision: figures.precision,
            recall: figures.recall,
            training_time_sec: figures.training_time_seconds,
            inference_time_ms: figures.inference_time_ms,
            f1_score: figures.f1_score,
            memory_usage_mb: figures.memory_usage_mb,
            runner: experiment.runner.clone(),
        })
    }
}

/// Averages of one model, as the published analysis computes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    pub model_name: String,
    pub avg_accuracy: Option<f64>,
    /// Seconds.
    pub avg_training_time: Option<f64>,
    /// Milliseconds.
    pub avg_inference_time: Option<f64>,
    pub experiment_count: u64,
}

/// Runner of the published example's own rows: neither simulated nor run by us.
pub const PUBLISHED: &str = "published";
