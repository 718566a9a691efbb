//! The outbox as people see it: how much waits for the collection store, for how long, and why.

use jiff::Timestamp;
use serde::Serialize;

use super::experiment::ExperimentId;

/// How the outbox stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutboxState {
    /// Deliveries that wait for their turn.
    pub waiting: u64,
    /// Deliveries that were refused for good: they are kept, and hold up no other.
    pub refused: u64,
    /// When the oldest of all these came.
    pub oldest: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl OutboxState {
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && self.refused == 0
    }
}

/// A delivery in a list, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parcel {
    pub id: i64,
    pub collection: String,
    /// Whose documents they are, when they are a run's.
    pub experiment_id: Option<ExperimentId>,
    pub records: u64,
    pub tries: i32,
    pub refused: bool,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}
