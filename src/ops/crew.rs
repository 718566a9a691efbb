//! The crew: several lanes of this process that take from one queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::Retryable;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::commands::Commands;
use super::delivery;
use super::gather::Gather;
use super::worker::Bell;
use super::workflow::{self, Pace};
use super::{Lab, News, OpsError, Result, Stop, Watcher};
use crate::domain::batch::{Batch, BatchId, Counts};
use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::store::StoreError;
use crate::store::queue::Claimant;

/// Between two readings of how far a batch is. What this crew does itself is counted at once.
const RECOUNT: Duration = Duration::from_millis(500);
/// How long a claim is tried again; a run that has ended may be worth more than that.
const PATIENCE: Duration = Duration::from_secs(30);
/// A lane that waits looks at the queue that often though nobody told of a change: news may get lost.
const SELDOM: Duration = Duration::from_secs(60);
/// A lane that was woken for nothing rests before it looks again: changes that follow each other closely are mostly runs
/// that go on elsewhere.
const SHORTEST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Pause after the queue could not be asked for so long.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Crew<'a> {
    lab: &'a Lab,
    watcher: &'a dyn Watcher,
    stop: &'a Stop,
    commands: Arc<Commands>,
    /// Lanes that are free at the same time claim together.
    claims: Gather<(), Option<Experiment>>,
    batches: Mutex<HashMap<BatchId, Known>>,
    ended: Mutex<u64>,
    /// Trials that were broken off since this process goes away.
    left: Mutex<Vec<ExperimentId>>,
    /// The queue could not be reached lately, which was told.
    away: Mutex<bool>,
    /// The first error that kept a lane from going on; the others end their runs and stop as well.
    broken: Mutex<Option<OpsError>>,
}

/// A batch and its counts, as of some time ago and with what this crew did since.
struct Known {
    batch: Batch,
    read: Instant,
}

impl<'a> Crew<'a> {
    /// Takes from the queue of one batch, or of all.
    pub(super) fn new(
        lab: &'a Lab,
        from: Option<BatchId>,
        claimant: Claimant,
        commands: Commands,
        watcher: &'a dyn Watcher,
        stop: &'a Stop,
    ) -> Self {
        let (queue, commands) = (lab.queue.clone(), Arc::new(commands));
        let judge = commands.clone();
        let claims = Gather::new(Box::new(move |lanes: Vec<()>| {
            let (queue, claimant, judge) = (queue.clone(), claimant.clone(), judge.clone());
            async move {
                let limit = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
                let mut claimed = judge.claim(queue.as_ref(), from, &claimant, limit).await?.into_iter();
                Ok(lanes.iter().map(|()| Ok(claimed.next())).collect())
            }
            .boxed()
        }));
        Crew {
            lab,
            watcher,
            stop,
            commands,
            claims,
            batches: Mutex::default(),
            ended: Mutex::default(),
            left: Mutex::default(),
            away: Mutex::default(),
            broken: Mutex::new(None),
        }
    }

    /// Works until the queue is empty or somebody stops it.
    pub(super) async fn work(&self, parallel: u32) -> Result<()> {
        self.run(parallel, None).await
    }

    /// Works until somebody stops it: lanes that find nothing wait for the bell, and a queue that cannot be reached is
    /// tried again.
    pub(super) async fn serve(&self, parallel: u32, bell: &Bell) -> Result<()> {
        self.run(parallel, Some(bell)).await
    }

    /// How many runs ended so far.
    pub(super) fn ended(&self) -> u64 {
        *lock(&self.ended)
    }

    /// Trials that were broken off since this process goes away.
    pub(super) fn left(&self) -> Vec<ExperimentId> {
        lock(&self.left).clone()
    }

    async fn run(&self, parallel: u32, bell: Option<&Bell>) -> Result<()> {
        let lanes = join_all((0..parallel.max(1)).map(|_| self.lane(bell)));
        delivery::beside(self.lab, self.watcher, self.stop, lanes).await;
        lock(&self.broken).take().map_or(Ok(()), Err)
    }

    async fn lane(&self, bell: Option<&Bell>) {
        let mut rest = Duration::ZERO;
        while !self.stop.is_stopped() && lock(&self.broken).is_none() {
            // Before the queue is asked, so that nothing that is queued meanwhile is missed.
            let heard = bell.map(Bell::listen);
            match (self.next().await, heard) {
                (Ok(true), _) => rest = Duration::ZERO,
                // Told to end, with a store that is away: whoever looks next finds what is left.
                (Ok(false), None) | (Err(OpsError::Cancelled), _) => break,
                (Ok(false), Some(heard)) => tokio::select! {
                    () = woken(heard, &mut rest) => {}
                    () = self.stop.stopped() => {}
                },
                (Err(error), heard) => {
                    let worth_waiting = heard.is_some() && error.is_transient();
                    if worth_waiting {
                        self.tell_once(&error);
                    } else {
                        lock(&self.broken).get_or_insert(error);
                    }
                    // Who watches over the runs looks for what was lost; lanes that wait see that all is over.
                    bell.into_iter().for_each(Bell::ring);
                    if worth_waiting {
                        self.pause().await;
                    }
                }
            }
        }
    }

    /// Once until the store is back.
    fn tell_once(&self, error: &OpsError) {
        if !std::mem::replace(&mut *lock(&self.away), true) {
            let text = format!("The worker waits for its store. {error}");
            self.watcher.saw(News::Warning { id: None, text });
        }
    }

    async fn pause(&self) {
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = self.stop.stopped() => {}
        }
    }

    /// Claims and runs one; false when the queue is empty.
    async fn next(&self) -> Result<bool> {
        let claim = || self.claims.put(());
        let worth_it = |error: &StoreError| error.is_transient() && !self.stop.is_stopped();
        let patient = claim.retry(workflow::back_off(self.lab.patience.min(PATIENCE))).when(worth_it);
        let claimed = patient.await;
        for text in self.commands.to_tell() {
            self.watcher.saw(News::Warning { id: None, text });
        }
        let claimed = claimed?;
        *lock(&self.away) = false;
        let Some(experiment) = claimed else {
            return Ok(false);
        };
        let (model, dataset) = (experiment.model_type.clone(), experiment.dataset.clone());
        self.watcher.saw(News::Starting { model, dataset });
        let Some(id) = experiment.batch_id else {
            return Err(OpsError::Invalid(format!("experiment {} is queued in no batch", experiment.id)));
        };
        let pace = self.pace(id).await?;
        self.count(id, Status::Queued, Status::Running).await;
        let finished = workflow::execute(self.lab, experiment, &pace, self.watcher, self.stop).await?;
        *lock(&self.ended) += 1;
        if finished.status == Status::Interrupted && self.stop.is_stopped() {
            lock(&self.left).push(finished.id);
        }
        let status = if self.again(&finished, &pace).await? { Status::Queued } else { finished.status };
        self.count(id, Status::Running, status).await;
        Ok(true)
    }

    /// Queues a run again that failed, as often as its command is to be tried.
    async fn again(&self, finished: &Experiment, pace: &Pace) -> Result<bool> {
        let Some(process) = &pace.process else { return Ok(false) };
        let tries = i64::from(process.retries) + 1;
        let attempt = finished.attempt;
        if finished.status != Status::Failed || i64::from(attempt) >= tries || self.stop.is_stopped() {
            return Ok(false);
        }
        let ids = [finished.id];
        let again = || self.lab.queue.requeue(&ids);
        let patient = again.retry(workflow::back_off(self.lab.patience)).when(StoreError::is_transient);
        let queued = !patient.await?.is_empty();
        if queued {
            let text = format!("attempt {attempt} of {tries} failed: it is queued again");
            self.watcher.saw(News::Warning { id: Some(finished.id), text });
        }
        Ok(queued)
    }

    /// What the batch says, and the settings where it is silent.
    async fn pace(&self, id: BatchId) -> Result<Pace> {
        let known = lock(&self.batches).get(&id).map(|known| pace(self.lab, &known.batch));
        let pace = match known {
            Some(pace) => pace,
            None => pace(self.lab, &self.know(self.lab.queue.batch(id).await?)),
        };
        // Not what the store says by now, but what was looked at.
        Ok(Pace { process: self.commands.of(id), ..pace })
    }

    pub(super) fn know(&self, batch: Batch) -> Batch {
        lock(&self.batches).insert(batch.id, Known { batch: batch.clone(), read: Instant::now() });
        batch
    }

    /// A trial of a batch moved: tells the counts, as they are here, or read anew where that is long ago.
    async fn count(&self, id: BatchId, from: Status, to: Status) {
        let recount = {
            let mut batches = lock(&self.batches);
            let Some(known) = batches.get_mut(&id) else { return };
            moved(&mut known.batch.counts, from, to);
            let recount = known.read.elapsed() >= RECOUNT;
            if recount {
                // Set before reading: of several lanes one reads.
                known.read = Instant::now();
            } else {
                self.watcher.saw(News::Batch(known.batch.clone()));
            }
            recount
        };
        if !recount {
            return;
        }
        match self.lab.queue.batch(id).await {
            Ok(batch) => self.watcher.saw(News::Batch(self.know(batch))),
            Err(error) => {
                let text = format!("How far batch {id} is could not be read. {error}");
                self.watcher.saw(News::Warning { id: None, text });
            }
        }
    }
}

/// Returns when the queue should be looked at again.
async fn woken(mut heard: watch::Receiver<()>, rest: &mut Duration) {
    let begun = Instant::now();
    // Nothing heard for long, or the bell is gone: both are a reason to look.
    let _ = timeout(SELDOM, heard.changed()).await;
    *rest = if begun.elapsed() > LONGEST_REST {
        Duration::ZERO
    } else {
        (*rest * 2).clamp(SHORTEST_REST, LONGEST_REST)
    };
    sleep(*rest).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn moved(counts: &mut Counts, from: Status, to: Status) {
    // A recount may have seen the move already.
    counts.take(from, 1);
    counts.add(to, 1);
}

fn pace(lab: &Lab, batch: &Batch) -> Pace {
    let said = |key: &str| batch.spec.get(key).and_then(Value::as_u64);
    Pace {
        steps: said("steps")
            .and_then(|steps| u32::try_from(steps).ok())
            .unwrap_or(lab.settings.simulate.steps),
        delay_ms: said("delay_ms").unwrap_or(lab.settings.simulate.delay_ms),
        process: None,
        alone: false,
    }
}
