//! What can go wrong with a database, in the domain's words and not a driver's.

use std::error::Error;
use std::fmt;

use super::Backend;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The kind decides the exit code and whether trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The thing asked for is not there.
    NotFound,
    /// It exists already, or somebody else was faster (a fenced attempt).
    Conflict,
    /// The request itself is wrong; repeating it cannot help.
    Invalid,
    /// The backend cannot be reached, refuses us, or is held by another program.
    Unavailable,
    Timeout,
    Cancelled,
    /// Anything the backend said that we have no better word for.
    Backend,
}

/// A failed store operation: which backend, doing what, why, and what the user can do about it.
#[derive(Debug)]
pub struct StoreError {
    pub kind: ErrorKind,
    pub backend: Backend,
    /// A gerund phrase, as in "Error creating collection: ...".
    pub doing: String,
    /// Why, in plain words.
    pub message: String,
    /// What the user can do, as a sentence.
    pub remedy: Option<String>,
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    pub fn new(
        kind: ErrorKind,
        backend: Backend,
        doing: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        StoreError { kind, backend, doing: doing.into(), message: message.into(), remedy: None, source: None }
    }

    /// A write that read-only mode refuses.
    pub fn read_only(backend: Backend, doing: impl Into<String>) -> Self {
        StoreError::new(ErrorKind::Invalid, backend, doing, "read-only: nothing was changed")
            .remedy("Leave out --read-only (`read_only` in the settings) to change things.")
    }

    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what was being done when a deeper layer did not know.
    #[must_use]
    pub fn doing(mut self, doing: impl Into<String>) -> Self {
        self.doing = doing.into();
        self
    }

    /// Trying the same again later may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error {}: {}", self.doing, self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n{remedy}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
