//! The recorder: stores what a runner reports, in batches, and tells it once it is stored.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::course::Course;
use super::{End, papers};
use crate::domain::collection::collection_name;
use crate::domain::experiment::{Experiment, Outcome};
use crate::domain::metric::MetricPoint;
use crate::domain::text::first_characters;
use crate::ops::delivery;
use crate::ops::hands::Held;
use crate::ops::reaper::BEAT;
use crate::ops::{Lab, News, Stop, Watcher};
use crate::runner::{Embedding, Report};
use crate::store::ErrorKind;
use crate::store::experiments::Entry;
use crate::store::outbox::NewDelivery;

/// Points that are stored in one go.
const BATCH: usize = 256;
/// The longest a point waits for its batch: what a person takes for "at once".
const LINGER: Duration = Duration::from_millis(100);
/// Pause before a store that was down is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Points held in memory while the store is down (about 5 MB); a runner that makes more waits.
const HELD: usize = 65_536;

/// Somebody else ended this attempt, or began a later one.
#[derive(Debug)]
pub(super) struct Overtaken;

/// Points of one attempt on their way to the store.
pub(super) struct Recorder<'a> {
    lab: &'a Lab,
    experiment: &'a Experiment,
    watcher: &'a dyn Watcher,
    waiting: Vec<MetricPoint>,
    /// When what waits is stored, at the latest.
    due: Instant,
    /// The last try failed: wait until `due`, however many there are.
    down: bool,
    warned: bool,
    course: Course,
    /// When the store said last that this attempt is the current one.
    heard: Instant,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(lab: &'a Lab, experiment: &'a Experiment, watcher: &'a dyn Watcher) -> Self {
        Recorder {
            lab,
            experiment,
            watcher,
            waiting: Vec::new(),
            due: Instant::now(),
            down: false,
            warned: false,
            course: Course::default(),
            heard: Instant::now(),
        }
    }

    /// The course of the run, and the points that are not stored yet: they go with its end.
    pub(super) fn into_end(self, outcome: Outcome) -> End {
        End { outcome, course: self.course, rest: self.waiting, heard: self.heard }
    }

    /// Stores what comes until the runner hangs up, and says now and then that the run lives. A store that is down is
    /// tried again and again.
    pub(super) async fn record(
        &mut self,
        mut reports: mpsc::Receiver<Report>,
        held: &Held<'_>,
        stop: &Stop,
    ) -> Result<(), Overtaken> {
        let mut cancelled = false;
        let mut beat = beats();
        loop {
            // A cancelled runner must get rid of what it has in hand before it can stop.
            let room = self.waiting.len() < HELD || cancelled;
            tokio::select! {
                report = reports.recv(), if room => match report {
                    None => break,
                    Some(Report::Log(line)) => {
                        self.watcher.saw(News::Log { id: self.experiment.id, line });
                    }
                    Some(Report::Step { step, metrics }) => self.take(step, metrics).await?,
                    Some(Report::Embeddings(embeddings)) => self.add(embeddings).await,
                },
                () = sleep_until(self.due), if !self.waiting.is_empty() => self.store().await?,
                () = held.rung() => if self::beat(self.lab, self.experiment).await? {
                    self.heard = Instant::now();
                },
                _ = beat.tick() => if self::beat(self.lab, self.experiment).await? {
                    self.heard = Instant::now();
                },
                () = stop.stopped(), if !cancelled => cancelled = true,
            }
        }
        Ok(())
    }

    /// Records of the run's own, beside its documents: not lost is what the log says of them.
    async fn add(&self, embeddings: Vec<Embedding>) {
        let id = self.experiment.id;
        // The first vectors of a collection decide on all: the run's documents must find room beside these.
        let wanted = self.lab.embedder.dimension().unwrap_or(crate::embed::BuiltIn::DIMENSION);
        let (embeddings, odd): (Vec<_>, Vec<_>) = embeddings
            .into_iter()
            .partition(|own| own.embedding.as_ref().is_none_or(|vector| vector.len() == wanted));
        if let Some(first) = odd.first() {
            let (name, size) =
                (first_characters(&first.id, 100), first.embedding.as_ref().map_or(0, Vec::len));
            let line = format!(
                "{} embeddings were left out: '{name}' has {size} dimensions, the run's documents have {wanted}",
                odd.len()
            );
            self.watcher.saw(News::Log { id, line });
        }
        if embeddings.is_empty() {
            return;
        }
        let count = embeddings.len();
        let collection = collection_name(&self.experiment.model_type, &self.experiment.dataset);
        let told = match papers::own_records(self.lab.embedder.as_ref(), self.experiment, embeddings).await {
            Ok(records) => {
                // Not in the run's name: what waits for its documents would take these for them.
                let delivery = NewDelivery { collection: collection.clone(), records, experiment: None };
                delivery::send(self.lab, delivery).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let line = match told {
            Ok(None) => format!("{count} embeddings added to {collection}"),
            Ok(Some(why)) => format!("{count} embeddings wait for {collection}: {why}"),
            Err(error) => format!("{count} embeddings were not added to {collection}: {error}"),
        };
        self.watcher.saw(News::Log { id, line });
    }

    async fn take(&mut self, step: i64, metrics: Vec<(String, f64)>) -> Result<(), Overtaken> {
        if self.waiting.is_empty() {
            self.due = Instant::now() + LINGER;
        }
        let recorded_at = super::now();
        for (name, value) in metrics {
            self.course.add(&name, step, value);
            self.waiting.push(MetricPoint { name, step, value, recorded_at });
        }
        if self.waiting.len() >= BATCH && !self.down { self.store().await } else { Ok(()) }
    }

    /// One try. What could not be stored waits on.
    async fn store(&mut self) -> Result<(), Overtaken> {
        let (id, attempt) = (self.experiment.id, self.experiment.attempt);
        let entry = Entry { id, attempt, points: self.waiting.clone(), outcome: None, documents: None };
        match self.lab.entries.put(entry).await {
            Ok(_) => {
                self.down = false;
                self.heard = Instant::now();
                self.watcher.saw(News::Points { id, points: std::mem::take(&mut self.waiting) });
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Conflict => Err(Overtaken),
            Err(error) => {
                self.down = true;
                self.due = Instant::now() + PAUSE;
                if !self.warned {
                    self.warned = true;
                    let text = format!("Points of experiment {id} wait for their store. {error}");
                    self.watcher.saw(News::Warning { id: Some(id), text });
                }
                Ok(())
            }
        }
    }
}

fn beats() -> Interval {
    let mut beats = interval_at(Instant::now() + BEAT, BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// Says that a run lives; false when nobody heard it. A beat that is missed is made up for by the next.
pub(super) async fn beat(lab: &Lab, experiment: &Experiment) -> Result<bool, Overtaken> {
    let (id, worker) = (experiment.id, &lab.place().worker);
    match lab.queue.beat(&[id], worker).await {
        Ok(alive) if alive.contains(&id) => Ok(true),
        Ok(_) => Err(Overtaken),
        Err(error) => {
            tracing::debug!("experiment {id}: {}", error.message);
            Ok(false)
        }
    }
}

/// Says now and then that a run lives while its end is stored: stores that are slow or away may take longer than a lease.
pub(super) async fn keep_alive(lab: &Lab, experiment: &Experiment) -> Infallible {
    let mut beats = beats();
    loop {
        beats.tick().await;
        // Storing the end will show that it was overtaken.
        if let Err(Overtaken) = beat(lab, experiment).await {
            return std::future::pending().await;
        }
    }
}
