//! The databases of a collection store that has several.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::database::{Database, KnownDatabase};

use super::Result;

/// A server that keeps collections in databases, and databases in tenants. It tells of no tenant that it is not asked for by
/// name.
#[async_trait]
pub trait Databases: Send + Sync + Debug {
    /// Those of a tenant with how many collections each has, by name. `NotFound` if there is no such tenant.
    async fn list(&self, tenant: &str) -> Result<Vec<KnownDatabase>>;

    /// `NotFound` if there is no such database or tenant.
    async fn get(&self, database: &Database) -> Result<KnownDatabase>;

    /// `Conflict` if it is there, `Invalid` if its name breaks the rules of collections' names. `NotFound` if there is no
    /// such tenant, unless that is to be made too; nobody can delete one.
    async fn create(&self, database: &Database, with_tenant: bool) -> Result<()>;

    /// Deletes the database with its collections. `NotFound` if there is none.
    async fn remove(&self, database: &Database) -> Result<()>;
}
