//! One running read per slot: a newer one ends the older, down to the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::domain::window::Window;

use super::jobs::Jobs;
use super::protocol::{Event, Read, Slot, Ticket};
use super::{Shared, follow, reads};

/// The reads under way. Dropping it ends them all.
#[derive(Default)]
pub struct Slots {
    running: HashMap<Slot, JoinHandle<()>>,
    pace: Pace,
}

/// When the experiments were read last, and how long it took. Each change has them read again, and an order of a million
/// runs made anew after each of a batch would leave no time for the batch.
#[derive(Clone, Debug, Default)]
struct Pace(Arc<Mutex<Option<(Instant, Duration)>>>);

impl Pace {
    /// What is there already is read again after a rest of twice what it took; everything else at once.
    async fn wait(&self, read: &Read) {
        let Read::Experiments(read) = read else { return };
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Window::Around(_), Some((ended, took))) = (&read.window, last) {
            tokio::time::sleep_until(ended + took * 2).await;
        }
    }

    fn note(&self, read: &Read, begun: Instant) {
        if let Read::Experiments(_) = read {
            let now = Instant::now();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, now - begun));
        }
    }
}

impl Slots {
    pub fn read(&mut self, shared: &Shared, jobs: &Jobs, ticket: Ticket, slot: Slot, read: Read) {
        let (shared, own, pace) = (shared.clone(), jobs.own_runs(), self.pace.clone());
        let task = tokio::spawn(async move {
            let followed = follow::wanted(&read);
            pace.wait(&read).await;
            let begun = Instant::now();
            let result = reads::answer(&shared.lab, read.clone()).await;
            pace.note(&read, begun);
            if result.as_ref().is_err_and(|failure| failure.unavailable) {
                shared.suspicion.notify_one();
            }
            let seen = follow::start_of(&result);
            shared.tell(Event::Answer { ticket, slot, result }).await;
            if let (true, Some(seen)) = (followed, seen) {
                follow::run(&shared, &own, seen).await;
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

#[cfg(test)]
mod tests {
    use crate::domain::filter::Field;
    use crate::domain::window::Key;
    use crate::worker::protocol::ExperimentsRead;

    use super::*;

    fn read(window: Window) -> Read {
        Read::Experiments(ExperimentsRead {
            filter: String::new(),
            sort: Field::Id,
            descending: true,
            window,
            limit: 10,
            with_archived: false,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_again_rests_twice_as_long_as_it_took() {
        let pace = Pace::default();
        let again = read(Window::Around(Key::of_id(1)));
        let begun = Instant::now();
        pace.wait(&again).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_millis(300)).await;
        pace.note(&again, begun);
        let ended = Instant::now();
        for at_once in [read(Window::First), read(Window::After(Key::of_id(1))), Read::Names] {
            pace.wait(&at_once).await;
            assert_eq!(ended.elapsed(), Duration::ZERO);
        }
        pace.wait(&again).await;
        assert_eq!(ended.elapsed(), Duration::from_millis(600));
    }
}
