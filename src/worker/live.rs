//! What runs tell while they go on, merged until the screen takes it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::ops::{News, Watcher};

use super::Shared;
use super::protocol::{Event, JobUpdate, LogLevel, LogLine, Ticket};

/// Pause between two deliveries, in which more is merged; a tenth of what a person calls immediate.
const PAUSE: Duration = Duration::from_millis(25);
/// Points kept for a screen that does not take them. Beyond, the oldest go and the screen is told to read again.
const MOST_POINTS: usize = 10_000;
/// Log lines kept likewise.
const MOST_LINES: usize = 1_000;

/// Collects without ever waiting.
#[derive(Debug, Default)]
pub struct Live {
    pending: Mutex<Pending>,
    filled: Notify,
}

/// The newest of everything since the last delivery; its size is bounded by the runs of this process.
#[derive(Debug, Default)]
struct Pending {
    experiments: BTreeMap<ExperimentId, Experiment>,
    points: BTreeMap<ExperimentId, Vec<MetricPoint>>,
    batches: BTreeMap<BatchId, Batch>,
    jobs: BTreeMap<Ticket, JobUpdate>,
    lines: Vec<LogLine>,
    lost_points: bool,
}

impl Live {
    pub fn job(&self, update: JobUpdate) {
        self.change(|pending| {
            pending.jobs.insert(update.ticket, update);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.pending());
        self.filled.notify_one();
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Held for moments and never across an await; a panic elsewhere leaves plain data behind.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything since the last call, as events: a run's start before its points, its points before its end.
    fn take(&self) -> Vec<Event> {
        let pending = std::mem::take(&mut *self.pending());
        let mut events = Vec::new();
        let (ended, moving): (Vec<_>, Vec<_>) =
            pending.experiments.into_values().partition(|experiment| experiment.status.is_final());
        events.extend(moving.into_iter().map(|experiment| Event::Experiment(Box::new(experiment))));
        events.extend(pending.points.into_iter().map(|(id, points)| Event::Points { id, points }));
        events.extend(ended.into_iter().map(|experiment| Event::Experiment(Box::new(experiment))));
        events.extend(pending.batches.into_values().map(Event::Batch));
        events.extend(pending.jobs.into_values().map(Event::Job));
        events.extend(pending.lines.into_iter().map(Event::Log));
        if pending.lost_points {
            events.push(Event::Changed);
        }
        events
    }
}

impl Watcher for Live {
    fn saw(&self, news: News) {
        self.change(|pending| match news {
            News::Created(experiment) | News::Finished(experiment) => {
                pending.experiments.insert(experiment.id, *experiment);
            }
            News::Points { id, mut points } => {
                let waiting = pending.points.entry(id).or_default();
                waiting.append(&mut points);
                if waiting.len() > MOST_POINTS {
                    waiting.drain(..waiting.len() - MOST_POINTS);
                    pending.lost_points = true;
                }
            }
            News::Batch(batch) => {
                pending.batches.insert(batch.id, batch);
            }
            News::Documents { id, collection, count } => {
                pending.line(
                    LogLevel::Info,
                    format!("experiment {id}: added {count} documents to {collection}"),
                );
            }
            News::Postponed { id, collection, count, why } => pending.line(
                LogLevel::Warn,
                format!("experiment {id}: {count} documents wait for {collection}: {why}"),
            ),
            News::Warning { id, text } => {
                let whose = id.map(|id| format!("experiment {id}: ")).unwrap_or_default();
                pending.line(LogLevel::Warn, format!("{whose}{text}"));
            }
            News::Log { id, line } => pending.line(LogLevel::Info, format!("experiment {id}: {line}")),
            News::Starting { .. } | News::Progress { .. } => {}
        });
    }
}

impl Pending {
    fn line(&mut self, level: LogLevel, text: String) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(LogLine { at: Timestamp::now(), level, source: "run".to_owned(), text });
        }
    }
}

/// Delivers what was collected, as fast as the screen takes it and no faster than [`PAUSE`].
pub async fn pump(shared: &Shared) {
    loop {
        shared.live.filled.notified().await;
        for event in shared.live.take() {
            shared.tell(event).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: i64) -> MetricPoint {
        MetricPoint { name: "loss".to_owned(), step, value: 0.5, recorded_at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn points_are_merged_until_they_are_taken() {
        let live = Live::default();
        live.saw(News::Points { id: 1, points: vec![point(1)] });
        live.saw(News::Points { id: 1, points: vec![point(2)] });
        assert_eq!(live.take(), [Event::Points { id: 1, points: vec![point(1), point(2)] }]);
        assert_eq!(live.take(), []);
    }

    #[test]
    fn a_screen_that_does_not_look_costs_no_memory() {
        let live = Live::default();
        for step in 0..2 * MOST_POINTS as i64 {
            live.saw(News::Points { id: 1, points: vec![point(step)] });
        }
        let events = live.take();
        let Event::Points { points, .. } = &events[0] else { panic!("{events:?}") };
        assert_eq!((points.len(), points[0].step), (MOST_POINTS, MOST_POINTS as i64));
        assert_eq!(events[1], Event::Changed);
    }
}
