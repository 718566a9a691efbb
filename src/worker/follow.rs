//! What other processes do: changes they make, and the run on screen when it is one of theirs.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::experiment::{Experiment, Status};
use crate::domain::metric::MetricPoint;

use crate::ops::delivery;

use super::Shared;
use super::jobs::OwnRuns;
use super::pace::Pace;
use super::protocol::{Answer, Event, Failure, Read};

/// How often a foreign run on screen is read again although nothing was told: points of plain SQL are never announced by the
/// database, since that would cost every run for the sake of the few that are watched. labtop's own come with a heartbeat,
/// which is.
const EVERY: Duration = Duration::from_millis(400);
/// The least time between two readings, however much is told.
const SELDOM: Duration = Duration::from_millis(60);
/// Pause after the source of changes failed.
const PAUSE: Duration = Duration::from_secs(2);

/// Only the detail of an experiment is followed.
pub fn wanted(read: &Read) -> bool {
    matches!(read, Read::Detail(_))
}

/// What was seen of a run when it was read first.
pub struct Seen {
    experiment: Experiment,
    recorded: u64,
    newest: Timestamp,
}

pub fn start_of(result: &Result<Answer, Failure>) -> Option<Seen> {
    match result {
        Ok(Answer::Detail { experiment, points, recorded }) => {
            let newest = points.iter().map(|point| point.recorded_at).max().unwrap_or_default();
            Some(Seen { experiment: (**experiment).clone(), recorded: *recorded, newest })
        }
        _ => None,
    }
}

/// Reads a running experiment of another process again and again, until it ends or the slot is filled anew.
pub async fn run(shared: &Shared, own: &OwnRuns, pace: &Pace, mut seen: Seen) {
    let id = seen.experiment.id;
    let mut news = shared.news.subscribe();
    while matches!(seen.experiment.status, Status::Running | Status::Queued) {
        tokio::time::sleep(SELDOM).await;
        // That its time is over is as good as that something was told; the sender lives as long as `shared`.
        let _ = tokio::time::timeout(EVERY - SELDOM, news.changed()).await;
        if own.contains(id) {
            continue;
        }
        // Nothing to follow while the store is down; health has told so.
        let answer = pace.answer(&shared.lab, Read::Detail(id)).await;
        let Ok(Answer::Detail { experiment, points, recorded }) = answer else { continue };
        if recorded > seen.recorded {
            seen.recorded = recorded;
            let points = fresh(points, &mut seen.newest);
            shared.tell(Event::Points { id, points }).await;
        }
        if *experiment != seen.experiment {
            shared.tell(Event::Experiment(experiment.clone())).await;
        }
        seen.experiment = *experiment;
    }
}

/// The points since `newest`, oldest first. Those of that very moment are told again, which changes nothing.
fn fresh(mut points: Vec<MetricPoint>, newest: &mut Timestamp) -> Vec<MetricPoint> {
    points.retain(|point| point.recorded_at >= *newest);
    points.sort_by_key(|point| (point.recorded_at, point.step));
    *newest = points.last().map_or(*newest, |point| point.recorded_at);
    points
}

/// Tells when another process may have changed something.
pub async fn changes(shared: &Shared) {
    let mut source = shared.lab.changes();
    loop {
        match source.changed().await {
            Ok(()) => {
                shared.outside.notify_one();
                shared.news.send_modify(|count| *count += 1);
                delivery::look_again(&shared.lab);
                shared.tell(Event::Changed).await;
            }
            Err(error) => {
                tracing::debug!("no news of changes: {}", error.message);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
