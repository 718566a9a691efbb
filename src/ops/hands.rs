//! What this process has in hand: the experiments that it runs.
//!
//! The store may say that it runs others as well: a claim whose answer was lost on the way, or a run whose end could not be
//! stored. Nobody works on those.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::experiment::ExperimentId;

#[derive(Debug, Default)]
pub(super) struct Hands(Mutex<HashSet<ExperimentId>>);

/// Put down when it is dropped.
pub(super) struct Held<'a> {
    hands: &'a Hands,
    id: ExperimentId,
}

impl Hands {
    pub fn hold(&self, id: ExperimentId) -> Held<'_> {
        self.lock().insert(id);
        Held { hands: self, id }
    }

    pub fn has(&self, id: ExperimentId) -> bool {
        self.lock().contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ExperimentId>> {
        // Held for moments and never across an await.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.hands.lock().remove(&self.id);
    }
}
