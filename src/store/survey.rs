//! Questions about many experiments at once: names that occur, values of curves, ids, groups.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::experiment::{ExperimentId, Status};
use crate::domain::filter::{Aggregate, Field};
use crate::domain::survey::{CurveValues, Groups, Ids, Names, RunCurves};

use super::Result;
use super::experiments::ExperimentQuery;

/// One aggregate of one metric's curve.
pub type CurveOf = (Aggregate, String);

/// Which groups of runs, in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupQuery {
    /// Which runs are grouped; its sort and window have no meaning here.
    pub runs: ExperimentQuery,
    /// Figures, metrics and aggregates of curves, whose spread is wanted.
    pub figures: Vec<Field>,
    /// An index into `figures`, by whose mean groups are sorted, or none for the newest first.
    pub sort: Option<usize>,
    pub descending: bool,
    pub skip: u64,
    pub limit: u64,
}

/// What is asked of many experiments at once. Part of the experiment store.
#[async_trait]
pub trait ExperimentSurvey: Send + Sync + Debug {
    /// Names that occur. In a large store the newest runs are looked at and a sample of the others, see
    /// [`Names::complete`].
    async fn names(&self) -> Result<Names>;

    /// Aggregates of the curves of these runs, in one reading; runs without any of the curves are left out.
    async fn curve_values(&self, ids: &[ExperimentId], curves: &[CurveOf]) -> Result<Vec<CurveValues>>;

    /// The points of these runs, in one reading; runs without points are left out.
    async fn curves(&self, ids: &[ExperimentId]) -> Result<Vec<RunCurves>>;

    /// Ids of the rows that a query lists, in its order, without the first `skip`.
    async fn ids(&self, query: &ExperimentQuery, skip: u64) -> Result<Ids>;

    /// Runs by everything but their seed. Only completed runs count into figures; values that are no finite number do
    /// not. Groups without a mean come last whichever the direction.
    async fn groups(&self, query: &GroupQuery) -> Result<Groups>;

    /// How many runs there are of each status, archived ones too; a status that none has is left out.
    async fn statuses(&self) -> Result<Vec<(Status, u64)>>;
}
