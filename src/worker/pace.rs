//! Rests between readings of what is long: an order of a million runs made anew after each change, or the outline of a
//! million points after each new one, would leave no time for the work that is watched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::domain::experiment::ExperimentId;
use crate::domain::window::Window;
use crate::ops::Lab;

use super::protocol::{Answer, Failure, Read};
use super::reads;

/// Runs of a list, or points of a run, from which on reading takes a while.
const LONG: u64 = 100_000;

/// Until when what was read last is let alone.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<Mutex<Rests>>);

#[derive(Clone, Copy, Debug, Default)]
struct Rests {
    list: Option<Instant>,
    run: Option<(ExperimentId, Instant)>,
}

impl Pace {
    /// Asks and answers, after a rest if that is due.
    pub async fn answer(&self, lab: &Lab, read: Read) -> Result<Answer, Failure> {
        self.wait(&read).await;
        let begun = Instant::now();
        let result = reads::answer(lab, read).await;
        self.note(&result, begun.elapsed());
        result
    }

    /// What is there already rests; everything else is read at once.
    async fn wait(&self, read: &Read) {
        let rests = *self.rests();
        let until = match read {
            Read::Experiments(read) if matches!(read.window, Window::Around(_)) => rests.list,
            Read::Detail(id) => rests.run.filter(|(run, _)| run == id).map(|(_, until)| until),
            _ => None,
        };
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    /// A list rests twice as long as it `took`, a run four times.
    fn note(&self, result: &Result<Answer, Failure>, took: Duration) {
        let now = Instant::now();
        match result {
            Ok(Answer::Experiments(rows)) => {
                self.rests().list = (rows.total >= LONG).then(|| now + took * 2);
            }
            Ok(Answer::Detail { experiment, recorded, .. }) => {
                self.rests().run = (*recorded >= LONG).then(|| (experiment.id, now + took * 4));
            }
            _ => {}
        }
    }

    fn rests(&self) -> MutexGuard<'_, Rests> {
        // Held for moments and never across an await.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::filter::Field;
    use crate::domain::window::Key;
    use crate::tui::testing::data;
    use crate::worker::protocol::{ExperimentRows, ExperimentsRead};

    use super::*;

    const TOOK: Duration = Duration::from_millis(300);

    fn read(window: Window) -> Read {
        Read::Experiments(ExperimentsRead {
            filter: String::new(),
            sort: Field::Id,
            descending: true,
            window,
            limit: 10,
            with_archived: false,
            next: Vec::new(),
        })
    }

    fn rows(total: u64) -> Answer {
        Answer::Experiments(ExperimentRows { rows: Vec::new(), keys: Vec::new(), position: 0, total })
    }

    fn run(recorded: u64) -> Answer {
        Answer::Detail { experiment: Box::new(data::run(1)), points: Vec::new(), recorded }
    }

    /// Until each of these is read, after a reading that took as long as it took.
    async fn must_wait(answer: Answer, reads: &[(Read, u64)]) {
        for (read, wanted) in reads {
            let pace = Pace::default();
            pace.note(&Ok(answer.clone()), TOOK);
            let ended = Instant::now();
            pace.wait(read).await;
            assert_eq!(ended.elapsed(), Duration::from_millis(*wanted), "{read:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_list_is_read_again_after_twice_as_long_as_it_took() {
        let again = read(Window::Around(Key::of_id(1)));
        must_wait(rows(10), &[(again.clone(), 0)]).await;
        let after = read(Window::After(Key::of_id(1)));
        let at_once = [(read(Window::First), 0), (after, 0), (Read::Names, 0), (Read::Detail(1), 0)];
        must_wait(rows(LONG), &at_once).await;
        must_wait(rows(LONG), &[(again, 600)]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_run_is_read_again_after_four_times_as_long_as_it_took() {
        must_wait(run(10), &[(Read::Detail(1), 0)]).await;
        let list = read(Window::Around(Key::of_id(1)));
        must_wait(run(LONG), &[(Read::Detail(1), 1200), (Read::Detail(2), 0), (list, 0)]).await;
    }
}
