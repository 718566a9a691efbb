//! Tenants and databases in Chroma.
//!
//! It answers for a tenant that is not there as if it were empty, and makes databases in it that nobody finds (seen on 1.5.9):
//! the tenant is looked for first.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::domain::collection::check_name_of;
use crate::domain::database::{Database, KnownDatabase};
use crate::domain::text::one_line;
use crate::store::databases::Databases;
use crate::store::{ErrorKind, Result, StoreError};

use super::client::Call;
use super::{Chroma, segment};

/// Databases whose collections are counted at once.
const COUNTED_AT_ONCE: usize = 8;

const TENANTS: &str = "/api/v2/tenants";

#[async_trait]
impl Databases for Chroma {
    async fn list(&self, tenant: &str) -> Result<Vec<KnownDatabase>> {
        let doing = "listing databases";
        self.find_tenant(doing, tenant).await?;
        let answer = self.call(doing, Call::get(&databases_path(tenant))).await?;
        let name = |known: &Value| known.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
        let names = answer.as_array().and_then(|all| all.iter().map(name).collect::<Option<Vec<_>>>());
        let names = names.ok_or_else(|| self.unreadable(doing))?;
        let counting = stream::iter(names)
            .map(|name| async move { self.counted_in(doing, Database::new(tenant, name)).await });
        let mut known: Vec<KnownDatabase> = counting.buffer_unordered(COUNTED_AT_ONCE).try_collect().await?;
        known.sort_by(|one, other| one.database.name.cmp(&other.database.name));
        Ok(known)
    }

    async fn get(&self, database: &Database) -> Result<KnownDatabase> {
        let doing = "reading database";
        self.find_tenant(doing, &database.tenant).await?;
        self.call(doing, Call::get(&path(database)))
            .await
            .map_err(|error| self.or_missing(error, database))?;
        self.counted_in(doing, database.clone()).await
    }

    async fn create(&self, database: &Database, with_tenant: bool) -> Result<()> {
        let doing = "creating database";
        check_name_of("a database", &database.name)
            .map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        match self.find_tenant(doing, &database.tenant).await {
            Err(missing) if missing.kind == ErrorKind::NotFound && with_tenant => {
                // Chroma itself takes any three characters.
                check_name_of("a tenant", &database.tenant)
                    .map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
                self.make_named(doing, TENANTS, &database.tenant).await.or_else(|error| {
                    match error.kind {
                        // Somebody else was faster.
                        ErrorKind::Conflict => Ok(()),
                        _ => Err(error),
                    }
                })?;
            }
            found => found?,
        }
        self.make_named(doing, &databases_path(&database.tenant), &database.name).await.map_err(|error| {
            match error.kind {
                ErrorKind::Conflict => self
                    .error(ErrorKind::Conflict, doing, format!("the database {database} exists already"))
                    .source(error),
                _ => error,
            }
        })
    }

    async fn remove(&self, database: &Database) -> Result<()> {
        let doing = "deleting database";
        self.find_tenant(doing, &database.tenant).await?;
        let (chroma, database) = (self.clone(), database.clone());
        let deleting = async move {
            let deleted = chroma.call(doing, Call::delete(&path(&database))).await;
            chroma.ids().clear();
            deleted.map(drop).map_err(|error| chroma.or_missing(error, &database))
        };
        self.carried_out(doing, deleting).await
    }
}

fn databases_path(tenant: &str) -> String {
    format!("{TENANTS}/{}/databases", segment(tenant))
}

fn path(database: &Database) -> String {
    format!("{}/{}", databases_path(&database.tenant), segment(&database.name))
}

impl Chroma {
    async fn find_tenant(&self, doing: &str, tenant: &str) -> Result<()> {
        let path = format!("{TENANTS}/{}", segment(tenant));
        self.call(doing, Call::get(&path)).await.map(drop).map_err(|error| match error.kind {
            ErrorKind::NotFound => {
                let message = format!("Chroma has no tenant '{}'", one_line(tenant, 100));
                let remedy = "Chroma tells of no other tenants: ask whoever made them, or make one with \
                              `labtop collections databases create NAME --tenant TENANT --new-tenant`.";
                self.error(ErrorKind::NotFound, doing, message).remedy(remedy).source(error)
            }
            _ => error,
        })
    }

    async fn make_named(&self, doing: &'static str, path: &str, name: &str) -> Result<()> {
        let (chroma, path, body) = (self.clone(), path.to_owned(), json!({ "name": name }));
        self.carried_out(doing, async move { chroma.call(doing, Call::post(&path, &body)).await.map(drop) })
            .await
    }

    /// A token may allow less than to count everywhere.
    async fn counted_in(&self, doing: &str, database: Database) -> Result<KnownDatabase> {
        let path = format!("{}/collections_count", path(&database));
        match self.call(doing, Call::get(&path)).await {
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                tracing::debug!(%error, %database, "its collections are not counted");
                Ok(KnownDatabase { database, collections: None })
            }
            Ok(count) => Ok(KnownDatabase { database, collections: count.as_u64() }),
        }
    }

    fn or_missing(&self, error: StoreError, database: &Database) -> StoreError {
        if error.kind != ErrorKind::NotFound {
            return error;
        }
        let message = format!("Chroma has no database '{}'", one_line(&database.name, 100));
        self.error(
            ErrorKind::NotFound,
            &error.doing,
            format!("{message} in tenant '{}'", one_line(&database.tenant, 100)),
        )
        .remedy("`labtop collections databases ls` lists those there are.")
        .source(error)
    }
}
