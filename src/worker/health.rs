//! Health: asked once at the start, again and again what is down, and rarely what is up.
//!
//! What is up is known by what it answers: an operation that finds it gone says so at once. A backend that nobody asks
//! anything is asked once a minute, if it is a server; an idle screen leaves the DuckDB file alone.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::ops::health::{self as ops, Role};
use crate::store::{Backend, ErrorKind};

use super::Shared;
use super::protocol::{BackendState, Event, Failure, RoleHealth};
use super::reads::store_failure;

/// Pauses between tries while a backend is down: doubled up to the longest.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Between an operation that found a backend gone and the check of it: it may be back already, and a screen full of
/// failing reads must not turn into a stream of checks.
const BREATH: Duration = Duration::from_millis(250);
/// A server that nobody asked anything for so long is asked how it is.
const RARELY: Duration = Duration::from_secs(60);

/// One role, and when it is to be asked.
#[derive(Debug)]
struct Patient {
    role: Role,
    backend: Backend,
    state: BackendState,
    /// Until the next try if this one fails.
    pause: Duration,
    /// None where nothing calls for it.
    due: Option<Instant>,
    is_asked: bool,
    /// When it was checked last.
    known_at: Instant,
}

/// What became of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Nothing,
    Moved,
    /// It answers again: what is on screen may be old.
    Back,
}

/// Tells the state of every role as it changes.
pub async fn watch(shared: &Shared) {
    let now = Instant::now();
    let mut patients = Role::ALL.map(|role| Patient::new(role, shared.lab.backend(role), now));
    let mut checks = JoinSet::new();
    loop {
        for patient in patients.iter_mut().filter(|patient| patient.is_due()) {
            patient.begin(shared, &mut checks);
        }
        let due = patients.iter().filter(|patient| !patient.is_asked).filter_map(|patient| patient.due).min();
        let due = due.map(|due| due.saturating_duration_since(Instant::now()));
        let before = patients.each_ref().map(Patient::is_down);
        let news = tokio::select! {
            Some(checked) = checks.join_next() => match checked {
                Ok(checked) => hear(&mut patients, checked, shared),
                Err(error) => {
                    // Only a panic ends a check early. Nothing is lost but the watch over this role.
                    tracing::error!("asking for health: {error}");
                    News::Nothing
                }
            },
            () = shared.lab.meter.turned() => {
                patients.iter_mut().map(|patient| patient.turn(shared)).max().unwrap_or(News::Nothing)
            }
            () = shared.try_now.notified() => {
                patients.iter_mut().for_each(Patient::try_now);
                News::Nothing
            }
            () = tokio::time::sleep(due.unwrap_or(LONGEST)), if due.is_some() => News::Nothing,
        };
        ask_the_others(&mut patients, before);
        if news > News::Nothing {
            // Before the change, so that what is read again meets a screen that knows why.
            shared.tell(Event::Health(patients.iter().map(Patient::told).collect())).await;
        }
        if news == News::Back {
            crate::ops::delivery::look_again(&shared.lab);
            shared.tell(Event::Changed).await;
        }
    }
}

/// What happened to one role of a backend may have happened to its others.
fn ask_the_others(patients: &mut [Patient; Role::ALL.len()], before: [bool; Role::ALL.len()]) {
    for (index, was_down) in before.into_iter().enumerate() {
        let (backend, is_down) = (patients[index].backend, patients[index].is_down());
        if is_down != was_down {
            let others = patients.iter_mut().filter(|other| other.backend == backend);
            others.filter(|other| other.is_down() != is_down).for_each(Patient::ask);
        }
    }
}

fn hear(patients: &mut [Patient], checked: ops::RoleHealth, shared: &Shared) -> News {
    match patients.iter_mut().find(|patient| patient.role == checked.role) {
        Some(patient) => {
            let (is_up, news) = (checked.state.is_ok(), patient.hear(checked));
            // An operation may have failed right after the check.
            if is_up { news.max(patient.turn(shared)) } else { news }
        }
        None => News::Nothing,
    }
}

impl Patient {
    fn new(role: Role, backend: Backend, now: Instant) -> Self {
        let (state, pause, due) = (BackendState::Unknown, SHORTEST, Some(now));
        Patient { role, backend, state, pause, due, is_asked: false, known_at: now }
    }

    fn is_due(&self) -> bool {
        !self.is_asked && self.due.is_some_and(|due| due <= Instant::now())
    }

    fn begin(&mut self, shared: &Shared, checks: &mut JoinSet<ops::RoleHealth>) {
        if let Some(later) = self.was_heard(shared) {
            self.due = Some(later);
            return;
        }
        self.due = None;
        self.is_asked = true;
        let (lab, role) = (shared.lab.clone(), self.role);
        checks.spawn(async move { ops::check_one(&lab, role).await });
    }

    /// When to ask a role that is up and answered something lately.
    fn was_heard(&self, shared: &Shared) -> Option<Instant> {
        let BackendState::Up { .. } = self.state else { return None };
        let standing = shared.lab.meter.standing(self.role)?;
        let later = standing.at + RARELY;
        (standing.trouble.is_none() && standing.at > self.known_at && later > Instant::now()).then_some(later)
    }

    /// Takes in a check.
    fn hear(&mut self, checked: ops::RoleHealth) -> News {
        self.is_asked = false;
        self.known_at = Instant::now();
        let (role, backend) = (self.role, self.backend);
        match checked.state {
            Ok(health) => {
                let was_down = self.down_since();
                if let Some(since) = was_down {
                    let seconds = Timestamp::now().duration_since(since).as_secs();
                    tracing::info!("{role}: {backend} is back after {seconds} s");
                }
                let since = match self.state {
                    BackendState::Up { since, .. } => since,
                    BackendState::Unknown | BackendState::Down { .. } => Timestamp::now(),
                };
                let (place, version, latency) = (health.place, health.version, health.latency);
                self.state = BackendState::Up { since, place, version, latency };
                self.pause = SHORTEST;
                self.due = (backend != Backend::DuckDb).then(|| self.known_at + RARELY);
                if was_down.is_some() { News::Back } else { News::Moved }
            }
            Err(error) => {
                self.fall(store_failure(&error), self.pause);
                self.pause = (self.pause * 2).min(LONGEST);
                News::Moved
            }
        }
    }

    /// Takes in what the last operation said of it.
    fn turn(&mut self, shared: &Shared) -> News {
        let Some(standing) = shared.lab.meter.standing(self.role) else { return News::Nothing };
        match (&self.state, standing.trouble) {
            (BackendState::Up { .. }, Some(trouble)) if trouble.kind == ErrorKind::Unavailable => {
                let message = format!("Error {}: {}", trouble.doing, trouble.message);
                self.fall(Failure { message, remedy: trouble.remedy, unavailable: true }, BREATH);
                return News::Moved;
            }
            // Slow is not down: it is asked.
            (BackendState::Up { .. }, Some(_)) => self.ask(),
            (BackendState::Down { .. }, None) if standing.at > self.known_at => self.ask(),
            _ => {}
        }
        News::Nothing
    }

    fn ask(&mut self) {
        self.due = Some(Instant::now());
    }

    fn try_now(&mut self) {
        if self.is_down() {
            self.pause = SHORTEST;
            self.ask();
        }
    }

    /// It is down, and asked again after `pause`.
    fn fall(&mut self, why: Failure, pause: Duration) {
        let now = Timestamp::now();
        let since = self.down_since();
        if since.is_none() {
            tracing::warn!("{}: {} is down. {}", self.role, self.backend, why.message);
        }
        let next_try = now.checked_add(pause).unwrap_or(now);
        self.state = BackendState::Down { since: since.unwrap_or(now), why, next_try };
        self.due = Some(Instant::now() + pause);
    }

    fn is_down(&self) -> bool {
        self.down_since().is_some()
    }

    fn down_since(&self) -> Option<Timestamp> {
        match self.state {
            BackendState::Down { since, .. } => Some(since),
            BackendState::Up { .. } | BackendState::Unknown => None,
        }
    }

    fn told(&self) -> RoleHealth {
        let (role, backend) = (self.role.as_str(), self.backend.as_str());
        RoleHealth { role, backend, state: self.state.clone() }
    }
}
