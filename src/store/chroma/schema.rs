//! Chroma's part of `labtop init`: the tenant and the database of the settings.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use crate::config;
use crate::store::schema::{Schema, SchemaState};
use crate::store::{ErrorKind, Result};

use super::client::Call;
use super::{Chroma, error, segment};

/// The database as `init` and `migrate` see it: there is nothing to migrate in it, but it may be missing.
#[derive(Debug)]
pub struct ChromaSchema(Arc<Chroma>);

impl ChromaSchema {
    pub fn new(chroma: Arc<Chroma>) -> Self {
        ChromaSchema(chroma)
    }
}

#[async_trait]
impl Schema for ChromaSchema {
    fn place(&self) -> String {
        let config::Chroma { url, tenant, database, .. } = &*self.0.settings;
        format!("Chroma {} {tenant}/{database}", error::shown(url))
    }

    async fn state(&self) -> Result<SchemaState> {
        match self.0.call("looking for the database", Call::get(&self.0.database_path())).await {
            Ok(_) => Ok(SchemaState::Current),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(SchemaState::Empty),
            Err(error) => Err(error),
        }
    }

    async fn migrate(&self, adopt: bool) -> Result<Vec<String>> {
        let doing = "making the database";
        if self.state().await? == SchemaState::Current {
            return Ok(Vec::new());
        }
        // A wrong name must not become a database in passing.
        if !adopt {
            return Err(self.0.no_database(doing));
        }
        let config::Chroma { tenant, database, .. } = &*self.0.settings;
        let mut made = Vec::new();
        let tenant_path = format!("/api/v2/tenants/{}", segment(tenant));
        match self.0.call(doing, Call::get(&tenant_path)).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.make("/api/v2/tenants", tenant).await?;
                made.push(format!("tenant {tenant}"));
            }
            other => drop(other?),
        }
        self.make(&format!("{tenant_path}/databases"), database).await?;
        made.push(format!("database {database}"));
        Ok(made)
    }
}

impl ChromaSchema {
    /// Somebody else may be faster.
    async fn make(&self, path: &str, name: &str) -> Result<()> {
        match self.0.call("making the database", Call::post(path, &json!({ "name": name }))).await {
            Err(error) if error.kind == ErrorKind::Conflict => Ok(()),
            other => other.map(drop),
        }
    }
}
