//! Schema: applying migrations to every database of the lab.

use super::{Lab, Result};

/// What was applied to one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// For people: "PostgreSQL localhost:5432/ml_examples".
    pub place: String,
    /// Names of migrations; empty when it was current.
    pub applied: Vec<String>,
}

/// Applies what is missing, adopting tables under our names that labtop did not make.
pub async fn init(lab: &Lab) -> Result<Vec<Migrated>> {
    apply(lab, true).await
}

/// Applies what is missing; foreign tables under our names are a `Conflict` whose remedy is [`init`].
pub async fn migrate(lab: &Lab) -> Result<Vec<Migrated>> {
    apply(lab, false).await
}

/// Every database is tried; the first error comes after the others are done.
async fn apply(lab: &Lab, adopt: bool) -> Result<Vec<Migrated>> {
    let mut migrated = Vec::new();
    let mut failed = None;
    for schema in &lab.schemas {
        match schema.migrate(adopt).await {
            Ok(applied) => migrated.push(Migrated { place: schema.place(), applied }),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(migrated),
    }
}
