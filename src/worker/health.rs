//! Health: looked at once, again when something says that a backend is down, and until it is up again.

use std::time::Duration;

use jiff::Timestamp;

use crate::ops::health as ops;

use super::Shared;
use super::protocol::{BackendState, Event, RoleHealth};
use super::reads::store_failure;

/// Pauses between tries while a backend is down: doubled up to the longest.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Tells the state of every role. While all are up nothing is asked: an idle screen polls no database.
pub async fn watch(shared: &Shared) {
    let mut known: Vec<RoleHealth> = Vec::new();
    let mut pause = SHORTEST;
    loop {
        let was_down = known.iter().any(is_down);
        known = look(shared, &known, pause).await;
        let down = known.iter().any(is_down);
        shared.tell(Event::Health(known.clone())).await;
        if was_down && !down {
            crate::ops::delivery::look_again(&shared.lab);
            shared.tell(Event::Changed).await;
        }
        if down {
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST),
                () = shared.suspicion.notified() => {}
            }
            // A screen full of failing reads must not turn into a stream of checks.
            tokio::time::sleep(SHORTEST / 4).await;
        } else {
            pause = SHORTEST;
            shared.suspicion.notified().await;
        }
    }
}

async fn look(shared: &Shared, known: &[RoleHealth], pause: Duration) -> Vec<RoleHealth> {
    let checked = ops::check(&shared.lab).await;
    let now = Timestamp::now();
    checked
        .into_iter()
        .map(|role| {
            let name = role.role.as_str();
            let state = match role.state {
                Ok(health) => {
                    BackendState::Up { place: health.place, version: health.version, latency: health.latency }
                }
                Err(error) => {
                    tracing::warn!("{name}: {}", error.message);
                    let since = known.iter().find(|known| known.role == name).and_then(down_since);
                    let next_try = now.checked_add(pause).unwrap_or(now);
                    BackendState::Down { since: since.unwrap_or(now), why: store_failure(&error), next_try }
                }
            };
            RoleHealth { role: name, backend: role.backend.as_str(), state }
        })
        .collect()
}

fn is_down(role: &RoleHealth) -> bool {
    matches!(role.state, BackendState::Down { .. })
}

fn down_since(role: &RoleHealth) -> Option<Timestamp> {
    match role.state {
        BackendState::Down { since, .. } => Some(since),
        _ => None,
    }
}
