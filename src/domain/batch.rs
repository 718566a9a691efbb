//! Batches: many experiments from one description.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::experiment::Status;

/// Small integer a person can type; unique within one store.
pub type BatchId = i64;

/// What a client asks a store to create, together with its trials.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBatch {
    /// Made by the client, so that asking twice makes no twin.
    pub key: Uuid,
    pub name: String,
    /// The batch file as JSON, whole, so that a batch can be understood without its file.
    pub spec: Map<String, Value>,
    /// Experiments running at once.
    pub parallel: u32,
}

/// One row of `batches` with the state of its trials counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub id: BatchId,
    pub key: Uuid,
    pub name: String,
    pub spec: Map<String, Value>,
    pub parallel: u32,
    pub created_at: Timestamp,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Trials by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub queued: u64,
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub interrupted: u64,
}

impl Counts {
    pub fn add(&mut self, status: Status, count: u64) {
        let slot = self.slot(status);
        *slot = slot.saturating_add(count);
    }

    /// Takes away as many as there are, at most.
    pub fn take(&mut self, status: Status, count: u64) {
        let slot = self.slot(status);
        *slot = slot.saturating_sub(count);
    }

    fn slot(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Queued => &mut self.queued,
            Status::Running => &mut self.running,
            Status::Completed => &mut self.completed,
            Status::Failed => &mut self.failed,
            Status::Cancelled => &mut self.cancelled,
            Status::Interrupted => &mut self.interrupted,
        }
    }

    pub fn total(&self) -> u64 {
        self.queued + self.running + self.finished()
    }

    /// Trials that will not move any more by themselves.
    pub fn finished(&self) -> u64 {
        self.completed + self.failed + self.cancelled + self.interrupted
    }
}
