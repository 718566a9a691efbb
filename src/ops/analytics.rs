//! Analytics: reports over every finished experiment.

use jiff::{SignedDuration, Timestamp};

use super::{Lab, OpsError, Result};
use crate::domain::experiment::{ExperimentId, Status};
use crate::domain::filter::{Comparison, Field, Filter, Literal, Operand};
use crate::domain::performance::{ModelSummary, PerformanceRow};
use crate::domain::table::Table;
use crate::domain::window::Window;
use crate::store::Backend;
use crate::store::experiments::{ExperimentQuery, Sort};

/// Experiments fetched at once.
const PAGE: u64 = 1000;
/// How far back is read again. An experiment shows up later than it finished: its clock may be wrong, and its result may
/// have waited for the store.
const OVERLAP: SignedDuration = SignedDuration::from_mins(60);

/// Averages by model, best accuracy first.
pub async fn models(lab: &Lab, with_simulated: bool) -> Result<Vec<ModelSummary>> {
    freshen(lab).await?;
    Ok(lab.analytics.models(with_simulated).await?)
}

/// Runs one query on the analytics database, read-only, and gives back at most `limit` rows.
pub async fn sql(lab: &Lab, query: &str, limit: usize) -> Result<Table> {
    freshen(lab).await?;
    Ok(lab.analytics.sql(query, limit).await?)
}

/// Catches up before a question is answered, except in read-only mode, where the answer is what is known already. While the experiment store is down the answer is what is known so far: the
/// log says so, and its health says since when.
async fn freshen(lab: &Lab) -> Result<()> {
    if lab.settings.read_only {
        return Ok(());
    }
    match catch_up(lab).await {
        Err(OpsError::Store(error)) if error.is_transient() && error.backend != Backend::DuckDb => {
            tracing::warn!("The analytics are as of the last contact with the experiment store. {error}");
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Pulls completed experiments that the analytics lack; says how many there were. Nothing to do where the experiment
/// store writes the analytics by itself.
pub async fn catch_up(lab: &Lab) -> Result<u64> {
    if lab.experiments.keeps_performance() {
        return Ok(0);
    }
    let followed = lab.analytics.followed_until().await?;
    let mut query = ExperimentQuery {
        filter: Some(completed_since(followed.map(|followed| followed - OVERLAP))),
        // What completes meanwhile comes at the end, so that no page moves.
        sort: Sort { field: Field::Finished, descending: false },
        window: Window::First,
        limit: PAGE,
        with_archived: true,
    };
    let mut until = followed;
    let mut pulled = 0;
    loop {
        let page = lab.experiments.list(&query).await?;
        let next = page.next().filter(|_| page.rows.len() as u64 == PAGE);
        let page = page.rows;
        let rows: Vec<PerformanceRow> = page.iter().filter_map(PerformanceRow::of).collect();
        let missing = missing(lab, rows).await?;
        // A clock that is ahead must not hide what others finish until then.
        let newest = page.iter().filter_map(|experiment| experiment.finished_at).max();
        let reached = until.max(newest.map(|newest| newest.min(Timestamp::now())));
        if let Some(reached) = reached.filter(|&reached| !missing.is_empty() || is_far(until, reached)) {
            pulled += lab.analytics.follow(&missing, reached).await?;
            until = Some(reached);
        }
        match next {
            Some(next) => query.window = next,
            None => return Ok(pulled),
        }
    }
}

/// Worth a write of its own: a mark that stays behind makes every later look longer.
fn is_far(until: Option<Timestamp>, reached: Timestamp) -> bool {
    until.is_none_or(|until| until + OVERLAP < reached)
}

/// The rows of experiments that the analytics know nothing of. What was completed once stays as it is.
async fn missing(lab: &Lab, rows: Vec<PerformanceRow>) -> Result<Vec<PerformanceRow>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let ids: Vec<ExperimentId> = rows.iter().map(|row| row.experiment_id).collect();
    let known = lab.analytics.known(&ids).await?;
    Ok(rows.into_iter().filter(|row| !known.contains(&row.experiment_id)).collect())
}

fn completed_since(since: Option<Timestamp>) -> Filter {
    let compare =
        |field, comparison, literal| Filter::Compare { field, comparison, with: Operand::Literal(literal) };
    let status = Literal::Text(Status::Completed.as_str().to_owned());
    let mut both = vec![compare(Field::Status, Comparison::Equal, status)];
    if let Some(since) = since {
        both.push(compare(Field::Finished, Comparison::GreaterOrEqual, Literal::Moment(since)));
    }
    Filter::And(both)
}
