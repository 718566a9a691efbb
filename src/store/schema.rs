//! The schema of a database: what is there, what labtop would apply, and who may apply it.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Result;

/// How a database stands to our migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Nothing of ours and nothing under our names: migrations run by themselves on first use.
    Empty,
    /// Ours, all applied.
    Current,
    /// Ours, these are still to be applied; they run by themselves on first use.
    Behind(Vec<String>),
    /// Tables under our names that labtop did not make: only `labtop init` touches them.
    Foreign(Vec<String>),
    /// Made by a newer labtop (names of unknown migrations): refused.
    Newer(Vec<String>),
}

/// A database that migrations run on.
#[async_trait]
pub trait Schema: Send + Sync + Debug {
    /// For people: "PostgreSQL localhost:5432/ml_examples", "DuckDB ./data/…".
    fn place(&self) -> String;

    async fn state(&self) -> Result<SchemaState>;

    /// Applies what is missing, in one transaction where the engine can, and gives back the names of what was applied.
    /// With `adopt`, tables under our names that labtop did not make are migrated in place, keeping their rows;
    /// without it they are a `Conflict` whose remedy is `labtop init`.
    async fn migrate(&self, adopt: bool) -> Result<Vec<String>>;
}
