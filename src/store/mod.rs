//! The roles a database plays, as traits whose doc comments are the contract, and the backends that play them.

pub mod catalogue;
pub mod changes;
pub mod collections;
pub mod databases;
pub mod documents;
pub mod duckdb;
pub mod error;
pub mod experiments;
pub mod filter_sql;
pub mod follow;
pub mod inspect;
pub mod measured;
pub mod migrations;
pub mod order_sql;
pub mod outbox;
pub mod queue;
pub mod schema;
pub mod survey;
mod survey_sql;
pub mod transfer;
pub mod workers;

pub mod chroma;
pub mod postgres;

pub use error::{ErrorKind, Result, StoreError};

use std::fmt;
use std::time::Duration;

/// A part that a database plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Experiments,
    Documents,
    Collections,
    Analytics,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Experiments, Role::Documents, Role::Collections, Role::Analytics];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Experiments => "experiments",
            Role::Documents => "documents",
            Role::Collections => "collections",
            Role::Analytics => "analytics",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    DuckDb,
    Postgres,
    Chroma,
}

impl Backend {
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::DuckDb => "DuckDB",
            Backend::Postgres => "PostgreSQL",
            Backend::Chroma => "Chroma",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A backend that answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub backend: Backend,
    /// Where it is, without secrets: a file path, or host, port and database.
    pub place: String,
    /// Server and extension versions, for people.
    pub version: String,
    pub latency: Duration,
}
