//! The crew: several lanes of this process that take from one queue.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::Retryable;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::Value;

use crate::domain::batch::{Batch, BatchId, Counts};
use crate::domain::experiment::{Experiment, Status};
use crate::ops::delivery;
use crate::ops::gather::Gather;
use crate::ops::workflow::{self, Pace};
use crate::ops::{Lab, News, OpsError, Result, Stop, Watcher};
use crate::store::StoreError;

/// Between two readings of how far a batch is. What this crew does itself is counted at once.
const RECOUNT: Duration = Duration::from_millis(500);

pub(super) struct Crew<'a> {
    lab: &'a Lab,
    watcher: &'a dyn Watcher,
    stop: &'a Stop,
    /// Lanes that are free at the same time claim together.
    claims: Gather<(), Option<Experiment>>,
    batches: Mutex<HashMap<BatchId, Known>>,
    ended: Mutex<u64>,
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
    pub(super) fn new(lab: &'a Lab, from: Option<BatchId>, watcher: &'a dyn Watcher, stop: &'a Stop) -> Self {
        let (queue, worker) = (lab.queue.clone(), lab.place_of_work().worker.clone());
        let claims = Gather::new(Box::new(move |lanes: Vec<()>| {
            let (queue, worker) = (queue.clone(), worker.clone());
            async move {
                let limit = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
                let mut claimed = queue.claim(from, &worker, limit).await?.into_iter();
                Ok(lanes.iter().map(|()| Ok(claimed.next())).collect())
            }
            .boxed()
        }));
        Crew {
            lab,
            watcher,
            stop,
            claims,
            batches: Mutex::default(),
            ended: Mutex::default(),
            broken: Mutex::new(None),
        }
    }

    /// Works until the queue is empty or somebody stops it; says how many runs ended.
    pub(super) async fn work(self, parallel: u32) -> Result<u64> {
        let lanes = join_all((0..parallel.max(1)).map(|_| self.lane()));
        delivery::beside(self.lab, self.watcher, self.stop, lanes).await;
        match self.broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(self.ended.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    async fn lane(&self) {
        while !self.stop.is_stopped() && lock(&self.broken).is_none() {
            match self.next().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    lock(&self.broken).get_or_insert(error);
                }
            }
        }
    }

    /// Claims and runs one; false when the queue is empty.
    async fn next(&self) -> Result<bool> {
        let claim = || self.claims.put(());
        let patient = claim.retry(workflow::back_off(self.lab.patience)).when(StoreError::is_transient);
        let Some(experiment) = patient.await? else {
            return Ok(false);
        };
        let (model, dataset) = (experiment.model_type.clone(), experiment.dataset.clone());
        self.watcher.saw(News::Starting { model, dataset });
        let Some(id) = experiment.batch_id else {
            return Err(OpsError::Invalid(format!("experiment {} is queued in no batch", experiment.id)));
        };
        let pace = self.pace(id).await?;
        self.count(id, Status::Queued, Status::Running).await;
        let finished = workflow::execute(self.lab, experiment, pace, self.watcher, self.stop).await?;
        *lock(&self.ended) += 1;
        self.count(id, Status::Running, finished.status).await;
        Ok(true)
    }

    /// What the batch says, and the settings where it is silent.
    async fn pace(&self, id: BatchId) -> Result<Pace> {
        let known = lock(&self.batches).get(&id).map(|known| pace(self.lab, &known.batch));
        match known {
            Some(pace) => Ok(pace),
            None => Ok(pace(self.lab, &self.know(self.lab.queue.batch(id).await?))),
        }
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
        alone: false,
    }
}
