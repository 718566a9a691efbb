//! One running read per slot: a newer one ends the older, down to the database.

use std::collections::HashMap;

use tokio::task::JoinHandle;

use super::jobs::Jobs;
use super::pace::Pace;
use super::protocol::{Event, Read, Slot, Ticket};
use super::{Shared, follow};

/// The reads under way. Dropping it ends them all.
#[derive(Default)]
pub struct Slots {
    running: HashMap<Slot, JoinHandle<()>>,
    pace: Pace,
}

impl Slots {
    pub fn read(&mut self, shared: &Shared, jobs: &Jobs, ticket: Ticket, slot: Slot, read: Read) {
        let (shared, own, pace) = (shared.clone(), jobs.own_runs(), self.pace.clone());
        let task = tokio::spawn(async move {
            let followed = follow::wanted(&read);
            let result = pace.answer(&shared.lab, read).await;
            let seen = follow::start_of(&result);
            shared.tell(Event::Answer { ticket, slot, result }).await;
            if let (true, Some(seen)) = (followed, seen) {
                follow::run(&shared, &own, &pace, seen).await;
            }
        });
        if let Some(older) = self.running.insert(slot, task) {
            // Dropping the future of a read interrupts it in the database.
            older.abort();
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.running.values().for_each(JoinHandle::abort);
    }
}
