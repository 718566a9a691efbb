//! The watch over runs of other processes: one that died shows it within two seconds.

use std::time::{Duration, Instant};

use crate::ops::reaper::{self, Others, Reaped};

use super::Shared;
use super::protocol::Event;

/// How often the locks of workers are looked at while they run something. No database is asked for that.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after the store could not be asked.
const PAUSE: Duration = Duration::from_secs(5);

/// Marks what dies, and tells it. While nothing runs elsewhere and no worker is there it waits for news of changes and does nothing.
pub async fn watch(shared: &Shared) {
    if shared.lab.settings.read_only {
        return std::future::pending().await;
    }
    let mut known = Vec::new();
    loop {
        match reaper::reap(&shared.lab).await {
            Ok(Reaped { interrupted, lost, others }) => {
                for run in interrupted {
                    shared.tell(Event::Experiment(Box::new(run))).await;
                }
                // That a worker which ran nothing is lost changes no database, so nobody else tells of it.
                if lost != known {
                    shared.tell(Event::Changed).await;
                    known = lost;
                }
                wait(shared, &others).await;
            }
            Err(error) => {
                // Health tells what is down.
                tracing::debug!("runs of other processes: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Returns when there may be something to reap.
async fn wait(shared: &Shared, others: &Others) {
    let read = Instant::now();
    loop {
        if others.is_empty() {
            return shared.outside.notified().await;
        }
        if tokio::time::timeout(LOOK, shared.outside.notified()).await.is_ok()
            || others.need_a_look(&shared.lab, read.elapsed())
        {
            return;
        }
    }
}
