//! What other processes do: changes they make, and the run on screen when it is one of theirs.

use std::time::Duration;

use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::metric::MetricPoint;
use crate::ops::experiment;

use super::Shared;
use super::jobs::OwnRuns;
use super::protocol::{Answer, Event, Failure, Read};

/// How often a foreign run on screen is read again: metric points are never announced by the database, since that
/// would cost every run for the sake of the few that are watched.
const EVERY: Duration = Duration::from_millis(400);
/// Pause after the source of changes failed.
const PAUSE: Duration = Duration::from_secs(2);

/// Only the detail of an experiment is followed.
pub fn wanted(read: &Read) -> bool {
    matches!(read, Read::Detail(_))
}

/// What was seen of a run when it was read first.
pub struct Seen {
    experiment: Experiment,
    points: usize,
}

pub fn start_of(result: &Result<Answer, Failure>) -> Option<Seen> {
    match result {
        Ok(Answer::Detail { experiment, points }) => {
            Some(Seen { experiment: (**experiment).clone(), points: points.len() })
        }
        _ => None,
    }
}

/// Reads a running experiment of another process again and again, until it ends or the slot is filled anew.
pub async fn run(shared: &Shared, own: &OwnRuns, mut seen: Seen) {
    let id = seen.experiment.id;
    while matches!(seen.experiment.status, Status::Running | Status::Queued) {
        tokio::time::sleep(EVERY).await;
        if own.contains(id) {
            continue;
        }
        // Nothing to follow while the store is down; health has told so.
        let Ok(detail) = experiment::detail(&shared.lab, id).await else { continue };
        let new = fresh(id, detail.points, seen.points);
        if let Some(event) = new {
            if let Event::Points { points, .. } = &event {
                seen.points += points.len();
            }
            shared.tell(event).await;
        }
        if detail.experiment != seen.experiment {
            shared.tell(Event::Experiment(Box::new(detail.experiment.clone()))).await;
        }
        seen.experiment = detail.experiment;
    }
}

/// The points that came since, oldest first.
fn fresh(id: ExperimentId, mut points: Vec<MetricPoint>, known: usize) -> Option<Event> {
    if points.len() <= known {
        return None;
    }
    points.sort_by_key(|point| (point.recorded_at, point.step));
    let points = points.split_off(known);
    Some(Event::Points { id, points })
}

/// Tells when another process may have changed something.
pub async fn changes(shared: &Shared) {
    let mut source = shared.lab.changes();
    loop {
        match source.changed().await {
            Ok(()) => {
                shared.outside.notify_one();
                shared.tell(Event::Changed).await;
            }
            Err(error) => {
                tracing::debug!("no news of changes: {}", error.message);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
