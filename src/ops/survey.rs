//! Questions about many experiments at once.

use super::{Lab, Result};
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::survey::{CurveValues, Groups, Ids, Names, RunCurves};
use crate::store::ErrorKind;
use crate::store::experiments::ExperimentQuery;
use crate::store::survey::{CurveOf, GroupQuery};

/// Names of parameters and metrics that occur.
pub async fn names(lab: &Lab) -> Result<Names> {
    Ok(lab.experiments.names().await?)
}

/// Aggregates of the curves of some runs, in one reading.
pub async fn curve_values(lab: &Lab, ids: &[ExperimentId], curves: &[CurveOf]) -> Result<Vec<CurveValues>> {
    Ok(lab.experiments.curve_values(ids, curves).await?)
}

/// Ids in the order of a table, without the first `skip`.
pub async fn ids(lab: &Lab, query: &ExperimentQuery, skip: u64) -> Result<Ids> {
    Ok(lab.experiments.ids(query, skip).await?)
}

/// Several experiments with their curves, in the order in which they were asked for; those that are gone are left out.
pub async fn runs(lab: &Lab, ids: &[ExperimentId]) -> Result<(Vec<Experiment>, Vec<RunCurves>)> {
    let mut experiments = Vec::with_capacity(ids.len());
    for id in ids {
        match lab.experiments.get(*id).await {
            Ok(experiment) => experiments.push(experiment),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((experiments, lab.experiments.curves(ids).await?))
}

/// Runs by everything but their seed.
pub async fn groups(lab: &Lab, query: &GroupQuery) -> Result<Groups> {
    Ok(lab.experiments.groups(query).await?)
}
