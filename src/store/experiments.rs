//! The experiment store: the truth about what was run and what came of it.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Outcome};
use crate::domain::filter::{Field, Filter};
use crate::domain::metric::{MetricPoint, Outline};
use crate::domain::window::{Key, Window};

use super::outbox::NewDelivery;
use super::survey::ExperimentSurvey;
use super::{Backend, ErrorKind, Health, Result, StoreError};

/// Which experiments, in which order, and how many of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentQuery {
    pub filter: Option<Filter>,
    pub sort: Sort,
    pub window: Window,
    pub limit: u64,
    /// Archived ones are left out unless asked for.
    pub with_archived: bool,
    /// Orders that may be asked for next: a store that is slow with them may read their first windows ahead.
    pub next: Vec<Sort>,
}

impl Default for ExperimentQuery {
    /// The newest hundred.
    fn default() -> Self {
        ExperimentQuery {
            filter: None,
            sort: Sort::default(),
            window: Window::First,
            limit: 100,
            with_archived: false,
            next: Vec::new(),
        }
    }
}

/// Equal values are ordered by id, the newest first. Empty values come last whichever the direction, and after them
/// the runs that failed, were cancelled or interrupted; only in the order by id every run stands in its place.
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

/// The rows asked for, where they stand, and how many there are in all under the same filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExperimentPage {
    pub rows: Vec<Experiment>,
    /// The key of each row.
    pub keys: Vec<Key>,
    /// Rows before the first of these.
    pub position: u64,
    pub total: u64,
}

impl ExperimentPage {
    /// The window behind this one; none behind an empty one.
    pub fn next(&self) -> Option<Window> {
        self.keys.last().cloned().map(Window::After)
    }
}

/// What one attempt adds: points, and at its end the one result.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: ExperimentId,
    pub attempt: i32,
    pub points: Vec<MetricPoint>,
    /// With a final status.
    pub outcome: Option<Outcome>,
    /// Documents that go into the outbox of this store with the end: in the same transaction, so that an attempt that
    /// is not the current one leaves none, and one that has ended has left them.
    pub documents: Option<NewDelivery>,
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

    /// A window of experiments. Walking from window to window by their keys meets each row once, whatever is inserted
    /// or removed meanwhile. `Invalid` for a filter that compares what cannot be compared.
    async fn list(&self, query: &ExperimentQuery) -> Result<ExperimentPage>;

    /// Commits entries of several attempts in one transaction, and answers each: the experiment as it is stored when
    /// its entry has an outcome, else nothing. `Conflict` when an attempt is not the current one, or is final already;
    /// `NotFound` when there is no such experiment: nothing of that entry is written, and the others are not kept back.
    /// An error of the whole call means that no entry was written. Where the store and the analytics share a file, the
    /// performance rows are written in the same transaction (see [`ExperimentStore::keeps_performance`]).
    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<Option<Experiment>>>>;

    /// Commits points of one attempt.
    async fn record(&self, id: ExperimentId, attempt: i32, points: &[MetricPoint]) -> Result<()> {
        let entry = Entry { id, attempt, points: points.to_vec(), outcome: None, documents: None };
        only(self.commit(&[entry]).await?, id)?.map(drop)
    }

    /// All points of the newest attempt, by name and step.
    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>>;

    /// The curves of the newest attempt in about `most` points, by name and step, however long they are: the database
    /// thins, and no more than that travels. Curves share `most` evenly ([`outline_share`]). One that has no more than
    /// its share comes whole. A longer one is cut into equal parts of its steps, and of each part come the first, the
    /// last, the smallest, the largest, and one that is not finite if there is any.
    async fn outline(&self, id: ExperimentId, most: usize) -> Result<Outline>;

    /// Commits the one result of an attempt: status, results with their typed figures, error, time.
    async fn finish(&self, id: ExperimentId, attempt: i32, outcome: &Outcome) -> Result<Experiment> {
        let outcome = Some(outcome.clone());
        let entry = Entry { id, attempt, points: Vec::new(), outcome, documents: None };
        only(self.commit(&[entry]).await?, id)??.ok_or_else(|| unanswered(id))
    }

    /// Changes tags, note or archive mark.
    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment>;

    /// Deletes experiments with their points (and performance rows, where they share a file); says how many there were.
    /// `Conflict` if one of them is running; none is deleted then.
    async fn remove(&self, ids: &[ExperimentId]) -> Result<u64>;

    /// True where `finish` and `remove` keep `experiments_performance` in step by themselves.
    fn keeps_performance(&self) -> bool;
}

/// Points that come of one part of a thinned curve, at most.
const OF_A_PART: usize = 5;

/// Points that each of `curves` curves may have of an outline of `most`, and the parts a longer one is cut into.
pub fn outline_share(most: usize, curves: usize) -> (i64, i64) {
    let share = (most / curves.max(1)).clamp(20 * OF_A_PART, 2_000 * OF_A_PART);
    (share as i64, (share / OF_A_PART) as i64)
}

fn only<T>(answers: Vec<T>, id: ExperimentId) -> Result<T> {
    answers.into_iter().next().ok_or_else(|| unanswered(id))
}

fn unanswered(id: ExperimentId) -> StoreError {
    let message = format!("the store did not say what became of experiment {id}");
    StoreError::new(ErrorKind::Backend, Backend::DuckDb, "writing experiment", message)
}
