//! The experiment store: the truth about what was run and what came of it.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Outcome};
use crate::domain::filter::{Field, Filter};
use crate::domain::metric::MetricPoint;

use super::survey::ExperimentSurvey;
use super::{Health, Result};

/// Which experiments, in which order, and how many of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentQuery {
    pub filter: Option<Filter>,
    /// Ties are broken by id, newest first. Empty values come last whichever the direction.
    pub sort: Sort,
    pub offset: u64,
    pub limit: u64,
    /// Archived ones are left out unless asked for.
    pub with_archived: bool,
}

impl Default for ExperimentQuery {
    /// The newest hundred.
    fn default() -> Self {
        ExperimentQuery { filter: None, sort: Sort::default(), offset: 0, limit: 100, with_archived: false }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    pub field: Field,
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Sort { field: Field::Id, descending: true }
    }
}

/// The rows asked for, and how many there are in all under the same filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExperimentPage {
    pub rows: Vec<Experiment>,
    pub total: u64,
}

/// Keeps experiments and their metric points.
///
/// Every method may fail with `Unavailable` or `Timeout`, after which nothing was half-written. Dropping the future of
/// a read cancels it in the database; a write that has begun is carried out.
#[async_trait]
pub trait ExperimentStore: ExperimentSurvey + Send + Sync + Debug {
    /// Connects if need be and says who answers.
    async fn health(&self) -> Result<Health>;

    /// Inserts an experiment and gives it the next id. A key that is already there returns that experiment unchanged.
    /// `started_at` is set when it is created `running`.
    async fn create(&self, new: &NewExperiment) -> Result<Experiment>;

    /// `NotFound` if there is none of that id.
    async fn get(&self, id: ExperimentId) -> Result<Experiment>;

    /// A page of experiments. `Invalid` for a filter that compares what cannot be compared.
    async fn list(&self, query: &ExperimentQuery) -> Result<ExperimentPage>;

    /// Appends points of one attempt. `Conflict` when the experiment has moved on to a later attempt or is final:
    /// nothing is written then.
    async fn record(&self, id: ExperimentId, attempt: i32, points: &[MetricPoint]) -> Result<()>;

    /// All points of the newest attempt, by name and step.
    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>>;

    /// Commits the one result of an attempt: status, results with their typed figures, error, time.
    /// `Conflict` when the attempt is not the current one or the experiment is final already. Where the store and
    /// the analytics share a file, the performance row is written in the same transaction
    /// (see [`ExperimentStore::keeps_performance`]).
    async fn finish(&self, id: ExperimentId, attempt: i32, outcome: &Outcome) -> Result<Experiment>;

    /// Changes tags, note or archive mark.
    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment>;

    /// Deletes experiments with their points (and performance rows, where they share a file); says how many there were.
    /// `Conflict` if one of them is running; none is deleted then.
    async fn remove(&self, ids: &[ExperimentId]) -> Result<u64>;

    /// True where `finish` and `remove` keep `experiments_performance` in step by themselves.
    fn keeps_performance(&self) -> bool;
}
