//! Errors of the command line, in the user's words, each with its exit code.

use std::io;

use crate::config::ConfigError;
use crate::ops::OpsError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A store's own words begin with "Error doing ..." already.
    #[error("{0}")]
    Store(StoreError),
    #[error("Error: {0}")]
    Ops(OpsError),
    #[error("Error in the settings:\n{0}")]
    Config(#[from] ConfigError),
    #[error("Error: {0}")]
    Usage(String),
    #[error("Error: {0}")]
    Io(#[from] io::Error),
    #[error("Error: {0}")]
    Dashboard(color_eyre::Report),
    /// It was done, and what came of it is not what it should be.
    #[error("Error: {0}")]
    Failed(String),
    #[error("interrupted")]
    Interrupted,
}

impl From<OpsError> for CliError {
    fn from(error: OpsError) -> Self {
        match error {
            OpsError::Store(error) => CliError::Store(error),
            OpsError::Cancelled => CliError::Interrupted,
            other => CliError::Ops(other),
        }
    }
}

impl CliError {
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Store(error) => crate::ops::error::store_exit_code(error),
            CliError::Ops(error) => error.exit_code(),
            CliError::Config(_) | CliError::Usage(_) => 2,
            CliError::Io(_) | CliError::Dashboard(_) | CliError::Failed(_) => 1,
            CliError::Interrupted => 130,
        }
    }

    /// The reader of our output went away, as `head` does.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, CliError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
