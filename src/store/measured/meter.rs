//! What was measured: a histogram for each operation, the last answers of each role, and how each role stands by them.
//!
//! By hand and not by a metrics crate: the dashboard wants percentiles and answers one by one, which exporters do not give
//! back, and what is left of such a crate beside that is the page of text in `page.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::store::{ErrorKind, Role, StoreError};

use super::{ENDINGS, Place, ending};

/// Upper bounds of the buckets in seconds: from an answer out of memory to the longest statement.
pub(super) const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Answers that are remembered for each role: enough for a 99th percentile, and soon renewed.
const REMEMBERED: usize = 240;

/// Counts and times what is asked of the stores of one lab.
#[derive(Debug, Default)]
pub struct Meter {
    measured: Mutex<BTreeMap<(Place, &'static str), Series>>,
    roles: Mutex<BTreeMap<Role, Recent>>,
    /// Something was measured.
    moved: Notify,
    /// A role answers that did not, or does not that did.
    turned: Notify,
}

/// All calls of one operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// By ending, see [`ENDINGS`].
    pub(super) ended: [u64; ENDINGS.len()],
    /// Calls that ended by themselves, by the bucket they fell in; the last one has no upper bound.
    pub(super) buckets: [u64; BUCKETS.len() + 1],
    pub(super) seconds: f64,
}

#[derive(Debug, Default)]
struct Recent {
    took: VecDeque<Duration>,
    answered: u64,
    failed: u64,
    standing: Option<Standing>,
}

/// What the last telling answer says of a role. An answer that could come of the question tells nothing.
#[derive(Clone, Debug)]
pub struct Standing {
    pub at: Instant,
    /// None when it answered.
    pub trouble: Option<Trouble>,
}

/// Why a role did not answer.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// `Unavailable` says that it is down; `Timeout` is a reason to ask.
    pub kind: ErrorKind,
    pub doing: String,
    pub message: String,
    pub remedy: Option<String>,
}

impl Trouble {
    fn of(error: &StoreError) -> Self {
        Trouble {
            kind: error.kind,
            doing: error.doing.clone(),
            message: error.message.clone(),
            remedy: error.remedy.clone(),
        }
    }
}

impl Recent {
    fn answer(&mut self, took: Duration, error: Option<&StoreError>) -> bool {
        if self.took.len() >= REMEMBERED {
            self.took.pop_front();
        }
        self.took.push_back(took);
        self.answered += 1;
        self.failed += u64::from(error.is_some());
        self.stand(error)
    }

    /// True when it answers and did not, or the other way about.
    fn stand(&mut self, error: Option<&StoreError>) -> bool {
        let trouble = match error {
            None => None,
            Some(error) => match error.kind {
                ErrorKind::NotFound | ErrorKind::Conflict => None,
                ErrorKind::Unavailable | ErrorKind::Timeout => Some(Trouble::of(error)),
                // Of the question, of the answer or of who asked: it tells nothing of the backend.
                ErrorKind::Invalid | ErrorKind::Cancelled | ErrorKind::Backend => return false,
            },
        };
        let was_well = self.standing.as_ref().map(|standing| standing.trouble.is_none());
        let turned = was_well != Some(trouble.is_none());
        self.standing = Some(Standing { at: Instant::now(), trouble });
        turned
    }
}

/// How fast one role answered lately.
#[derive(Clone, Debug, PartialEq)]
pub struct Timings {
    pub role: Role,
    pub answered: u64,
    pub failed: u64,
    /// The last answers, oldest first.
    pub took: Vec<Duration>,
}

impl Meter {
    pub(super) fn note(
        &self,
        place: Place,
        operation: &'static str,
        took: Duration,
        error: Option<&StoreError>,
    ) {
        let kind = error.map(|error| error.kind);
        self.count(place, operation, |series| {
            let seconds = took.as_secs_f64();
            series.ended[ending(kind)] += 1;
            series.seconds += seconds;
            series.buckets[BUCKETS.partition_point(|bound| *bound < seconds)] += 1;
        });
        self.change(place.role, |recent| recent.answer(took, error));
        self.moved.notify_one();
    }

    /// One that has no duration worth telling.
    pub(super) fn note_failure(&self, place: Place, operation: &'static str, error: &StoreError) {
        self.count(place, operation, |series| series.ended[ending(Some(error.kind))] += 1);
        self.change(place.role, |recent| recent.stand(Some(error)));
    }

    /// Its time says nothing: somebody did not want to wait.
    pub(super) fn note_dropped(&self, place: Place, operation: &'static str) {
        self.count(place, operation, |series| series.ended[ending(Some(ErrorKind::Cancelled))] += 1);
    }

    fn count(&self, place: Place, operation: &'static str, change: impl FnOnce(&mut Series)) {
        change(locked(&self.measured).entry((place, operation)).or_default());
    }

    /// `change` says whether the role turned.
    fn change(&self, role: Role, change: impl FnOnce(&mut Recent) -> bool) {
        if change(locked(&self.roles).entry(role).or_default()) {
            self.turned.notify_one();
        }
    }

    /// How a role stands by its last answer; none before the first.
    pub fn standing(&self, role: Role) -> Option<Standing> {
        locked(&self.roles).get(&role)?.standing.clone()
    }

    /// Returns once a role answers that did not, or does not that did. For one who waits.
    pub async fn turned(&self) {
        self.turned.notified().await;
    }

    /// Returns once something was measured since the last call. For one who waits.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    /// In the order of [`Role::ALL`]; roles that were not asked are left out.
    pub fn timings(&self) -> Vec<Timings> {
        let roles = locked(&self.roles);
        let timings = |(role, recent): (&Role, &Recent)| Timings {
            role: *role,
            answered: recent.answered,
            failed: recent.failed,
            took: recent.took.iter().copied().collect(),
        };
        roles.iter().map(timings).collect()
    }

    pub(super) fn series(&self) -> Vec<((Place, &'static str), Series)> {
        locked(&self.measured).iter().map(|(key, series)| (*key, series.clone())).collect()
    }
}

/// Held for moments and never across an await; a panic elsewhere leaves plain data behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
