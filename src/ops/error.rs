//! Why an operation failed; the kind decides the exit code.

use crate::domain::filter::FilterError;
use crate::embed::EmbedError;
use crate::runner::RunError;
use crate::store::{ErrorKind, StoreError};

pub type Result<T, E = OpsError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Run(#[from] RunError),
    /// The user's input is wrong: names the place and the remedy.
    #[error("{0}")]
    Invalid(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    /// It broke off after a part of it was done; `told` says which, and how to go on.
    #[error("{error}\n{told}")]
    Partly { error: Box<OpsError>, told: String },
    #[error("cancelled")]
    Cancelled,
}

impl OpsError {
    /// Trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            OpsError::Store(error) => error.is_transient(),
            OpsError::Embed(error) => matches!(error, EmbedError::Unavailable { .. }),
            OpsError::Partly { error, .. } => error.is_transient(),
            _ => false,
        }
    }

    /// Exit code of the command line: 1 failed, 2 bad input, 3 a backend is unavailable, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            OpsError::Store(error) => store_exit_code(error),
            OpsError::Embed(EmbedError::Unavailable { .. }) => 3,
            OpsError::Embed(EmbedError::Failed { .. }) => 1,
            OpsError::Partly { error, .. } => error.exit_code(),
            OpsError::Filter(_) | OpsError::Invalid(_) | OpsError::Embed(_) => 2,
            OpsError::Run(RunError::Cancelled) | OpsError::Cancelled => 130,
            OpsError::Run(RunError::Failed(_)) | OpsError::File { .. } => 1,
        }
    }
}

/// See [`OpsError::exit_code`].
pub fn store_exit_code(error: &StoreError) -> u8 {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Timeout => 3,
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict => 2,
        ErrorKind::Cancelled => 130,
        ErrorKind::Backend => 1,
    }
}
