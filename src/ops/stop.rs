//! Stopping: how work that goes on is ended from outside, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use crate::domain::experiment::Status;

/// The switch of a piece of work. Cheap to clone; every clone is the same switch.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    leaving: Arc<AtomicBool>,
}

impl Stop {
    /// Somebody does not want it any more: what runs becomes `cancelled`.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// This process goes away, and somebody may want the rest later: what runs becomes `interrupted`.
    pub fn leave(&self) {
        if !self.is_stopped() {
            self.leaving.store(true, Ordering::Release);
        }
        self.token.cancel();
    }

    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once it is stopped.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// What a run that was stopped becomes.
    pub fn status(&self) -> Status {
        if self.leaving.load(Ordering::Acquire) { Status::Interrupted } else { Status::Cancelled }
    }

    /// Fires with this one.
    pub(super) fn child(&self) -> CancellationToken {
        self.token.child_token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        let stop = Stop::default();
        assert!(!stop.is_stopped());
        stop.leave();
        stop.cancel();
        assert_eq!((stop.is_stopped(), stop.status()), (true, Status::Interrupted));

        let stop = Stop::default();
        stop.clone().cancel();
        stop.leave();
        assert_eq!(stop.status(), Status::Cancelled);
    }
}
