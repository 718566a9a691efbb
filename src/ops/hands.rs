//! What this process has in hand: the experiments that it runs.
//!
//! The store may say that it runs others as well: a claim whose answer was lost on the way, or a run whose end could not be
//! stored. Nobody works on those.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::experiment::ExperimentId;

/// Each with a bell that says that the store knows something new of it.
#[derive(Debug, Default)]
pub(super) struct Hands(Mutex<HashMap<ExperimentId, Arc<Notify>>>);

/// Put down when it is dropped.
pub(super) struct Held<'a> {
    hands: &'a Hands,
    id: ExperimentId,
    bell: Arc<Notify>,
}

impl Hands {
    pub fn hold(&self, id: ExperimentId) -> Held<'_> {
        let bell = Arc::new(Notify::new());
        self.lock().insert(id, bell.clone());
        Held { hands: self, id, bell }
    }

    pub fn has(&self, id: ExperimentId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Has whoever runs it look at the store now, if that is this process; who runs it elsewhere looks before long.
    pub fn ring(&self, id: ExperimentId) {
        if let Some(bell) = self.lock().get(&id) {
            bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExperimentId, Arc<Notify>>> {
        // Held for moments and never across an await.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// Returns when there is a reason to look at the store.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.hands.lock().remove(&self.id);
    }
}
