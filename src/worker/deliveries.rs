//! Deliveries: what waits in the outbox is delivered while the dashboard is open, and the screen hears how much waits.

use std::time::Duration;

use crate::domain::outbox::OutboxState;
use crate::ops::delivery;

use super::Shared;
use super::protocol::Event;

/// Between two looks at an outbox that is not empty; one that is empty is looked at when something changed.
const LOOK: Duration = Duration::from_secs(2);

/// Delivers, and tells.
pub async fn keep_going(shared: &Shared) {
    tokio::join!(delivery::keep_delivering(&shared.lab, &*shared.live), tell(shared));
}

async fn tell(shared: &Shared) {
    let mut told = OutboxState::default();
    let mut changes = delivery::changes(&shared.lab);
    loop {
        changes.borrow_and_update();
        // An experiment store that is down has its own place on the screen.
        let state = delivery::state(&shared.lab).await.unwrap_or_else(|_| told.clone());
        if state != told {
            told = state;
            shared.tell(Event::Outbox(told.clone())).await;
        }
        if told.waiting > 0 {
            tokio::time::sleep(LOOK).await;
        } else {
            // An error would say that the lab is gone, and it is ours.
            let _ = changes.changed().await;
            tokio::time::sleep(LOOK / 4).await;
        }
    }
}
