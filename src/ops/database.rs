//! The databases that collections are kept in, where the collection store has several.

use std::sync::Arc;

use super::{Lab, OpsError, Result};
use crate::config::CollectionBackend;
use crate::domain::database::{Database, KnownDatabase};
use crate::store::databases::Databases;

/// Where this lab looks for collections; none where there is only one place.
pub fn here(lab: &Lab) -> Option<Database> {
    let chroma = &lab.settings.chroma;
    match lab.settings.roles.collections {
        CollectionBackend::Chroma => Some(Database::new(&chroma.tenant, &chroma.database)),
        CollectionBackend::DuckDb => None,
    }
}

/// Those of a tenant, with how many collections each has.
pub async fn list(lab: &Lab, tenant: &str) -> Result<Vec<KnownDatabase>> {
    Ok(several(lab)?.list(tenant).await?)
}

pub async fn get(lab: &Lab, database: &Database) -> Result<KnownDatabase> {
    Ok(several(lab)?.get(database).await?)
}

/// Makes a database, and on demand the tenant too.
pub async fn create(lab: &Lab, database: &Database, with_tenant: bool) -> Result<()> {
    Ok(several(lab)?.create(database, with_tenant).await?)
}

/// Deletes a database with its collections.
pub async fn remove(lab: &Lab, database: &Database) -> Result<()> {
    Ok(several(lab)?.remove(database).await?)
}

fn several(lab: &Lab) -> Result<&Arc<dyn Databases>> {
    lab.databases.as_ref().ok_or_else(only_one)
}

/// What whoever asks for another database of the embedded store is told.
pub(super) fn only_one() -> OpsError {
    OpsError::Invalid(
        "the collections are in the embedded DuckDB file, which is one database and has no tenants: tenants and databases \
         are Chroma's (--profile servers)"
            .to_owned(),
    )
}
