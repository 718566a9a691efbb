//! The courier: what the deliveries of one process have in common.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Arrival;
use crate::domain::experiment::ExperimentId;
use crate::store::StoreError;
use crate::store::outbox::Outbox;

/// For how long an outbox that was found empty is taken for empty. Runs that end by the hundred in a second need not
/// ask each; what another process leaves meanwhile belongs to other runs.
const LATELY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(in crate::ops) struct Courier {
    /// Held for a round: two of one process would only take from each other.
    pub(super) driving: tokio::sync::Mutex<()>,
    /// Counts what was put into the outbox, as far as this process knows.
    more: watch::Sender<u64>,
    /// Runs that wait for their documents to arrive.
    expected: Mutex<HashMap<ExperimentId, oneshot::Sender<Arrival>>>,
    /// The last round found the collection store down.
    down: AtomicBool,
    found_empty: Mutex<Option<Instant>>,
    claims: AtomicU64,
    /// Collections that this process is delivering to, whichever round began it.
    under_way: Arc<Mutex<BTreeSet<String>>>,
}

impl Default for Courier {
    fn default() -> Self {
        Courier {
            driving: tokio::sync::Mutex::default(),
            more: watch::Sender::new(0),
            expected: Mutex::default(),
            down: AtomicBool::new(false),
            found_empty: Mutex::default(),
            claims: AtomicU64::new(0),
            under_way: Arc::default(),
        }
    }
}

/// Stands for a collection that is being delivered to, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    all: Arc<Mutex<BTreeSet<String>>>,
    collection: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.collection);
    }
}

/// A run waits for its documents.
#[derive(Debug)]
pub(in crate::ops) struct Expected(Option<oneshot::Receiver<Arrival>>);

impl Expected {
    /// None where nobody will tell.
    pub(super) async fn wait(self) -> Option<Arrival> {
        self.0?.await.ok()
    }
}

impl Courier {
    pub(super) fn nudge(&self) {
        self.more.send_modify(|count| *count += 1);
    }

    pub(super) fn more(&self) -> watch::Receiver<u64> {
        self.more.subscribe()
    }

    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Release);
    }

    /// Who delivers, for others to tell whether the process lives: the worker's name, and a number of the claim.
    pub(super) fn holder(&self, worker: &str) -> String {
        format!("{worker}#{}", self.claims.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes note that a delivery to the collection begins; it ends with the value.
    pub(super) fn sets_out(&self, collection: &str) -> UnderWay {
        let all = self.under_way.clone();
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(collection.to_owned());
        UnderWay { all, collection: collection.to_owned() }
    }

    pub(super) fn under_way(&self) -> Vec<String> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// While the collection store is down nobody waits for it.
    pub(super) fn expect(&self, id: ExperimentId) -> Expected {
        if self.down.load(Ordering::Acquire) {
            return Expected(None);
        }
        let (tell, told) = oneshot::channel();
        self.expected().insert(id, tell);
        Expected(Some(told))
    }

    pub(super) fn expect_no_more(&self, id: ExperimentId) {
        self.expected().remove(&id);
    }

    /// Tells a run that waits what became of its documents; false when none does.
    pub(super) fn tell(&self, id: ExperimentId, arrival: Arrival) -> bool {
        let waiting = self.expected().remove(&id);
        waiting.is_some_and(|tell| tell.send(arrival).is_ok())
    }

    /// Tells all who wait that it will take a while.
    pub(super) fn tell_all(&self, why: &str) {
        for (_, tell) in self.expected().drain() {
            // Whoever went away needs no answer.
            let _ = tell.send(Arrival::Postponed(why.to_owned()));
        }
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<ExperimentId, oneshot::Sender<Arrival>>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing waits, as far as this process knows.
    pub(super) async fn is_empty(&self, outbox: &dyn Outbox) -> Result<bool, StoreError> {
        if self.found_empty().is_some_and(|at| at.elapsed() < LATELY) {
            return Ok(true);
        }
        let empty = outbox.waiting().await? == 0;
        *self.found_empty() = empty.then(Instant::now);
        Ok(empty)
    }

    pub(super) fn forget_empty(&self) {
        *self.found_empty() = None;
    }

    fn found_empty(&self) -> MutexGuard<'_, Option<Instant>> {
        self.found_empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
