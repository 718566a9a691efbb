//! A place in the model that an answer fills.

use crate::worker::protocol::{Failure, Ticket};

/// What is known of something that was asked for. Old data stays visible while new data is on its way.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Remote<T> {
    #[default]
    Idle,
    Loading {
        ticket: Ticket,
        old: Option<T>,
    },
    Ready(T),
    Failed {
        failure: Failure,
        old: Option<T>,
    },
}

impl<T> Remote<T> {
    /// The data there is, fresh or old.
    pub fn data(&self) -> Option<&T> {
        match self {
            Remote::Idle => None,
            Remote::Ready(data) => Some(data),
            Remote::Loading { old, .. } | Remote::Failed { old, .. } => old.as_ref(),
        }
    }

    pub fn data_mut(&mut self) -> Option<&mut T> {
        match self {
            Remote::Idle => None,
            Remote::Ready(data) => Some(data),
            Remote::Loading { old, .. } | Remote::Failed { old, .. } => old.as_mut(),
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Remote::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }

    pub fn is_loading(&self) -> bool {
        matches!(self, Remote::Loading { .. })
    }

    /// Asked anew under `ticket`.
    pub fn load(&mut self, ticket: Ticket) {
        let old = self.take();
        *self = Remote::Loading { ticket, old };
    }

    /// Takes an answer if it is the one waited for; a stale one is dropped here and nowhere else.
    pub fn fill(&mut self, ticket: Ticket, answer: Result<T, Failure>) -> bool {
        match self {
            Remote::Loading { ticket: awaited, .. } if *awaited == ticket => {
                *self = match answer {
                    Ok(data) => Remote::Ready(data),
                    Err(failure) => Remote::Failed { failure, old: self.take() },
                };
                true
            }
            _ => false,
        }
    }

    /// Forgets everything, as when the thing it was about changed.
    pub fn clear(&mut self) {
        *self = Remote::Idle;
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Remote::Idle => None,
            Remote::Ready(data) => Some(data),
            Remote::Loading { old, .. } | Remote::Failed { old, .. } => old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_answer_is_dropped_and_old_data_stays() {
        let mut remote = Remote::Ready(1);
        remote.load(Ticket(2));
        assert!(!remote.fill(Ticket(1), Ok(9)));
        assert_eq!(remote.data(), Some(&1));
        assert!(remote.fill(Ticket(2), Ok(2)));
        assert_eq!(remote, Remote::Ready(2));
    }

    #[test]
    fn a_failure_keeps_what_was_there() {
        let failure = Failure { message: "down".to_owned(), remedy: None, unavailable: true };
        let mut remote = Remote::Ready(1);
        remote.load(Ticket(1));
        remote.fill(Ticket(1), Err(failure.clone()));
        assert_eq!((remote.data(), remote.failure()), (Some(&1), Some(&failure)));
    }
}
