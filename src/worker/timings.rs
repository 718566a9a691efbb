//! How fast the backends answer, told while they are asked.

use std::time::Duration;

use super::Shared;
use super::protocol::{Event, Timings};

/// Pause between two pictures: a person reads figures no faster.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells figures once something was measured; while nothing is, nothing is told.
pub async fn watch(shared: &Shared) {
    let meter = &shared.lab.meter;
    loop {
        meter.moved().await;
        let timings = meter.timings().into_iter().map(|timings| Timings {
            role: timings.role.as_str(),
            answered: timings.answered,
            failed: timings.failed,
            took: timings.took,
        });
        shared.tell(Event::Timings(timings.collect())).await;
        tokio::time::sleep(PAUSE).await;
    }
}
