//! Collections in Chroma, by its REST interface (version 2, as Chroma 0.5.16 and later speak it).

mod client;
mod collections;
mod databases;
mod error;
mod filter;
mod inspect;
pub mod schema;
#[cfg(test)]
mod tests;
mod upsert;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::config;

use super::{Backend, ErrorKind, Result, StoreError};

use client::{Call, Client};
use wire::Known;

/// A Chroma server; cheap to clone. Making one does no I/O.
///
/// Dropping the future of a read drops its request. Writes are tasks of their own, so that one that has begun is carried
/// out.
#[derive(Clone)]
pub struct Chroma {
    settings: Arc<config::Chroma>,
    client: Arc<OnceCell<Client>>,
    limits: Arc<OnceCell<Limits>>,
    /// Name to id: all but a few routes want the id. An entry may be stale; see [`Chroma::on`].
    ids: Arc<Mutex<HashMap<String, String>>>,
}

/// What the server takes in one request.
#[derive(Clone, Copy, Debug)]
struct Limits {
    records: usize,
    /// Vectors in base64.
    base64: bool,
}

impl fmt::Debug for Chroma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chroma").field("url", &error::shown(&self.settings.url)).finish_non_exhaustive()
    }
}

impl Chroma {
    pub fn new(settings: &config::Chroma) -> Arc<Self> {
        Arc::new(Chroma {
            settings: Arc::new(settings.clone()),
            client: Arc::default(),
            limits: Arc::default(),
            ids: Arc::default(),
        })
    }

    async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| async { Client::new(&self.settings) }).await
    }

    async fn call(&self, doing: &str, call: Call<'_>) -> Result<Value> {
        self.client().await?.call(doing, call).await
    }

    /// Runs a write in a task of its own: dropping the caller's future does not stop it half-way.
    async fn carried_out<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(stopped) if stopped.is_cancelled() => {
                Err(self.error(ErrorKind::Cancelled, doing, "the program is ending").source(stopped))
            }
            Err(panicked) => Err(self
                .error(ErrorKind::Backend, doing, "a bug in labtop stopped it half-way")
                .source(panicked)),
        }
    }

    /// What the server takes in one request, asked once. One that does not say takes what the settings say.
    async fn limits(&self, doing: &str) -> Result<Limits> {
        let limits = self.limits.get_or_try_init(|| async {
            let said = match self.call(doing, Call::get("/api/v2/pre-flight-checks")).await {
                Err(error) if error.is_transient() => return Err(error),
                said => said.unwrap_or_default(),
            };
            let records = said.get("max_batch_size").and_then(Value::as_u64).filter(|records| *records > 0);
            let records = records.and_then(|records| usize::try_from(records).ok());
            let base64 = said.get("supports_base64_encoding").and_then(Value::as_bool);
            Ok(Limits {
                records: records.unwrap_or(usize::MAX).min(self.settings.batch_records),
                base64: base64.unwrap_or(true),
            })
        });
        limits.await.copied()
    }

    /// The path of our database.
    fn database_path(&self) -> String {
        let config::Chroma { tenant, database, .. } = &*self.settings;
        format!("/api/v2/tenants/{}/databases/{}", segment(tenant), segment(database))
    }

    /// The path of our database's collections.
    fn collections_path(&self) -> String {
        format!("{}/collections", self.database_path())
    }

    /// `Unavailable` where there is no such database: the server lists its collections as if it were empty.
    async fn check_database(&self, doing: &str) -> Result<()> {
        match self.call(doing, Call::get(&self.database_path())).await {
            Err(error) if error.kind == ErrorKind::NotFound => Err(self.no_database(doing).source(error)),
            other => other.map(drop),
        }
    }

    fn no_database(&self, doing: &str) -> StoreError {
        let config::Chroma { tenant, database, .. } = &*self.settings;
        let message = format!("Chroma has no database '{database}' in tenant '{tenant}'");
        self.error(ErrorKind::Unavailable, doing, message)
            .remedy(
                "`labtop collections databases ls` lists those there are, `labtop init` makes the one of the settings; \
                 CHROMA_TENANT and CHROMA_DATABASE name another.",
            )
    }

    /// What the server knows of a collection; its id is remembered.
    async fn known(&self, doing: &str, name: &str) -> Result<Known> {
        // A name that Chroma would not take may not even be a path.
        if crate::domain::collection::check_name(name).is_err() {
            return Err(self.no_collection(doing, name));
        }
        let path = format!("{}/{}", self.collections_path(), segment(name));
        let answer = self.call(doing, Call::get(&path)).await.map_err(|error| match error.kind {
            ErrorKind::NotFound => self.no_collection(doing, name).source(error),
            _ => error,
        })?;
        let known = Known::read(&answer).ok_or_else(|| self.unreadable(doing))?;
        self.ids().insert(name.to_owned(), known.id.clone());
        Ok(known)
    }

    /// Asks something of a collection by its id. One that was deleted and made again has another: if the remembered id is not
    /// there any more, the name is looked up again, once.
    async fn on(&self, doing: &str, name: &str, action: &str, body: &Value, effort: Effort) -> Result<Value> {
        let remembered = self.ids().get(name).cloned();
        if let Some(id) = remembered {
            match self.on_id(doing, &id, action, body, effort).await {
                Err(gone) if gone.kind == ErrorKind::NotFound => {
                    self.ids().remove(name);
                }
                other => return other,
            }
        }
        let id = self.known(doing, name).await?.id;
        self.on_id(doing, &id, action, body, effort).await
    }

    async fn on_id(
        &self,
        doing: &str,
        id: &str,
        action: &str,
        body: &Value,
        effort: Effort,
    ) -> Result<Value> {
        let path = format!("{}/{id}/{action}", self.collections_path());
        let call = if action == "count" { Call::get(&path) } else { Call::post(&path, body) };
        let call = match effort {
            Effort::Light => call,
            Effort::Heavy => call.patient(),
        };
        self.call(doing, call.repeatable()).await
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        // The map is whole after every operation on it, even if its thread panicked later.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, doing: &str, message: impl Into<String>) -> StoreError {
        StoreError::new(kind, Backend::Chroma, doing, message)
    }

    fn no_collection(&self, doing: &str, name: &str) -> StoreError {
        let name = crate::domain::text::one_line(name, 100);
        self.error(ErrorKind::NotFound, doing, format!("there is no collection '{name}'"))
            .remedy("`labtop collections ls` shows those there are.")
    }

    /// The answer is JSON of another shape than Chroma's.
    fn unreadable(&self, doing: &str) -> StoreError {
        let message =
            format!("the answer of {} is not what Chroma answers", error::shown(&self.settings.url));
        self.error(ErrorKind::Backend, doing, message)
            .remedy("Check that CHROMA_URL names a Chroma server of a version that labtop knows.")
    }
}

/// How long a request may take.
#[derive(Clone, Copy)]
enum Effort {
    Light,
    /// Writes that the server indexes before it answers.
    Heavy,
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The body of a request that says nothing: some routes insist on one.
fn nothing() -> Value {
    json!({})
}
