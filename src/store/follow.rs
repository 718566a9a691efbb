//! Following a store: which finished runs changed since one looked last.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::experiment::ExperimentId;

use super::Result;

/// What changed, and up to where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// To be given the next time.
    pub mark: i64,
    /// Runs that were completed, changed or deleted; some of them may have been told before. None when it is not known, and
    /// everything has to be looked at.
    pub runs: Option<Vec<ExperimentId>>,
}

/// A store that remembers which of its runs changed, so that what is derived from them elsewhere can catch up.
#[async_trait]
pub trait Follow: Send + Sync + Debug {
    /// Every change that was committed after the look that gave `mark`; none for the first look.
    async fn changed_since(&self, mark: Option<i64>) -> Result<Changed>;
}
