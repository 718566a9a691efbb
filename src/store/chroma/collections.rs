//! The collection store on Chroma.

use std::time::Instant;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::config;
use crate::domain::collection::{
    Collection, CollectionEdit, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage,
    StoredRecord, check_metadata, check_name,
};
use crate::domain::document::Metadata;
use crate::store::collections::CollectionStore;
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::client::Call;
use super::upsert::Old;
use super::wire::{self, Known};
use super::{Chroma, Effort, error, nothing, segment};

/// Records in one answer, and ids in one question, at most.
const PAGE: usize = 1000;

/// Ids in one answer, where nothing but their number is wanted: most of the time goes into finding them, anew each time.
const COUNTED: u64 = 20_000;

/// Collections counted at once.
const COUNTED_AT_ONCE: usize = 8;

#[async_trait]
impl CollectionStore for Chroma {
    async fn health(&self) -> Result<Health> {
        let doing = "asking Chroma for its version";
        let asked = Instant::now();
        self.call(doing, Call::get("/api/v2/heartbeat")).await?;
        let latency = asked.elapsed();
        let version = self.call(doing, Call::get("/api/v2/version")).await?;
        self.check_database(doing).await?;
        let config::Chroma { tenant, database, .. } = &*self.settings;
        let version = match version.as_str() {
            // Every 1.x says so.
            Some("1.0.0") => "Chroma 1.x".to_owned(),
            Some(version) => format!("Chroma {version}"),
            None => "Chroma".to_owned(),
        };
        let place = format!("{} {tenant}/{database}", error::shown(&self.settings.url));
        Ok(Health { backend: Backend::Chroma, place, version, latency })
    }

    async fn list(&self) -> Result<Vec<Collection>> {
        let doing = "listing collections";
        let answer = self.call(doing, Call::get(&self.collections_path())).await?;
        let known = answer.as_array().and_then(|all| all.iter().map(Known::read).collect::<Option<Vec<_>>>());
        let known = known.ok_or_else(|| self.unreadable(doing))?;
        if known.is_empty() {
            self.check_database(doing).await?;
        }
        let counting = stream::iter(known).map(|known| async move {
            let counted = self.with_count(doing, &known).await;
            (known, counted)
        });
        let counted: Vec<(Known, Result<Collection>)> =
            counting.buffer_unordered(COUNTED_AT_ONCE).collect().await;
        // The server's order is that of its ids, which are random.
        let mut collections = whole(counted)?;
        collections.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(collections)
    }

    async fn create(&self, new: &NewCollection) -> Result<Collection> {
        let doing = "creating collection";
        check_name(&new.name)
            .and_then(|()| check_own(&new.metadata))
            .map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        let body = wire::creation(new);
        let (chroma, name) = (self.clone(), new.name.clone());
        self.carried_out(doing, async move { chroma.make(doing, &name, &body).await }).await
    }

    async fn edit(&self, name: &str, edit: &CollectionEdit) -> Result<Collection> {
        let doing = "changing collection";
        let CollectionEdit { name: new, metadata } = edit;
        let known = self.known(doing, name).await?;
        new.as_deref()
            .map_or(Ok(()), check_name)
            .and_then(|()| metadata.as_ref().map_or(Ok(()), check_own))
            .and_then(|()| match metadata {
                Some(metadata) if metadata.is_empty() && !known.metadata.is_empty() => {
                    Err("Chroma keeps at least one entry of a collection's metadata once there is one"
                        .to_owned())
                }
                _ => Ok(()),
            })
            .map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        // The server would answer with an error of its database.
        if let Some(new) = new.as_deref().filter(|new| *new != name) {
            match self.known(doing, new).await {
                Ok(_) => return Err(self.taken(doing, new)),
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let body = wire::alteration(edit);
        let (chroma, old, new) = (self.clone(), name.to_owned(), new.as_deref().unwrap_or(name).to_owned());
        let changing = async move {
            let path = format!("{}/{}", chroma.collections_path(), known.id);
            chroma.call(doing, Call::put(&path, &body)).await?;
            chroma.ids().remove(&old);
            let known = chroma.known(doing, &new).await?;
            chroma.with_count(doing, &known).await
        };
        self.carried_out(doing, changing).await
    }

    async fn get(&self, name: &str) -> Result<Collection> {
        let doing = "reading collection";
        let known = self.known(doing, name).await?;
        self.with_count(doing, &known).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let doing = "deleting collection";
        // Looked up first: a name that could be taken for another part of the address is refused there.
        self.known(doing, name).await?;
        let (chroma, name) = (self.clone(), name.to_owned());
        let deleting = async move {
            let path = format!("{}/{}", chroma.collections_path(), segment(&name));
            let deleted = chroma.call(doing, Call::delete(&path).repeatable()).await;
            chroma.ids().remove(&name);
            match deleted {
                // It was there a moment ago: an answer was lost, or somebody else was faster.
                Err(gone) if gone.kind == ErrorKind::NotFound => Ok(()),
                other => other.map(|_| ()),
            }
        };
        self.carried_out("deleting collection", deleting).await
    }

    async fn add(&self, name: &str, records: &[Record]) -> Result<()> {
        let doing = "adding records";
        let (chroma, name, records) = (self.clone(), name.to_owned(), records.to_vec());
        self.carried_out(doing, async move { chroma.store(doing, &name, &records, Old::Stays).await }).await
    }

    async fn update(&self, name: &str, edits: &[RecordEdit]) -> Result<()> {
        let doing = "changing records";
        let (chroma, name, edits) = (self.clone(), name.to_owned(), edits.to_vec());
        self.carried_out(doing, async move { chroma.change(doing, &name, &edits).await }).await
    }

    async fn upsert(&self, name: &str, records: &[Record]) -> Result<u64> {
        let doing = "storing records";
        let (chroma, name, records) = (self.clone(), name.to_owned(), records.to_vec());
        let storing = async move {
            chroma.store(doing, &name, &records, Old::Goes).await?;
            Ok(records.len() as u64)
        };
        self.carried_out(doing, storing).await
    }

    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>> {
        let doing = "looking for records";
        let mut found = Vec::new();
        for some in ids.chunks(self.page()) {
            let body = json!({ "ids": some, "include": [] });
            let answer = self.on(doing, name, "get", &body, Effort::Light).await?;
            let records = wire::records(&answer).ok_or_else(|| self.unreadable(doing))?;
            found.extend(records.into_iter().map(|record| record.id));
        }
        Ok(found)
    }

    async fn records(&self, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>> {
        let doing = "reading records";
        if page.ids.is_empty() {
            return self.pages(doing, name, page).await;
        }
        let mut found = Vec::new();
        for some in page.ids.chunks(self.page()) {
            let mut body = wire::with_filter(inclusion(page), &page.filter);
            body["ids"] = json!(some);
            found.extend(self.get_records(doing, name, &body).await?);
        }
        Ok(found.into_iter().skip(page.offset).take(page.limit).collect())
    }

    /// The server counts only all: those that fit are listed by their ids.
    async fn count(&self, name: &str, filter: &RecordFilter, most: u64) -> Result<u64> {
        let doing = "counting records";
        if filter.is_empty() {
            let answer = self.on(doing, name, "count", &nothing(), Effort::Light).await?;
            let records = answer.as_u64().ok_or_else(|| self.unreadable(doing))?;
            return Ok(records.min(most));
        }
        // Whoever made pages smaller has a server that allows no more.
        let page = if self.page() < PAGE { self.page() as u64 } else { COUNTED };
        let mut found = 0;
        while found < most {
            let wanted = (most - found).min(page);
            let body = json!({ "include": [], "limit": wanted, "offset": found });
            let some = self.get_records(doing, name, &wire::with_filter(body, filter)).await?.len() as u64;
            found += some;
            if some < wanted {
                break;
            }
        }
        Ok(found)
    }

    async fn query(
        &self,
        name: &str,
        embedding: &[f32],
        n_results: usize,
        filter: &RecordFilter,
    ) -> Result<Vec<RecordHit>> {
        let doing = "querying collection";
        if embedding.iter().any(|value| !value.is_finite()) {
            return Err(self.error(ErrorKind::Invalid, doing, "the query vector holds NaN or infinity"));
        }
        let body = json!({
            "query_embeddings": [embedding],
            "n_results": n_results,
            "include": ["documents", "metadatas", "distances"],
        });
        let body = wire::with_filter(body, filter);
        let answer = self.on(doing, name, "query", &body, Effort::Light).await?;
        wire::hits(&answer).ok_or_else(|| self.unreadable(doing))
    }

    async fn remove_records(&self, name: &str, ids: &[String]) -> Result<u64> {
        let doing = "deleting records";
        // The server's own count is of the ids that were asked for.
        let there = self.existing(name, ids).await.map_err(|error| error.doing(doing))?;
        let count = there.len() as u64;
        let (chroma, name) = (self.clone(), name.to_owned());
        let deleting = async move {
            for some in there.chunks(chroma.page()) {
                chroma.on(doing, &name, "delete", &json!({ "ids": some }), Effort::Heavy).await?;
            }
            Ok(count)
        };
        self.carried_out(doing, deleting).await
    }
}

fn counted(known: Known, records: u64) -> Collection {
    let Known { name, metadata, space, hnsw, dimension, .. } = known;
    Collection { name, metadata, space, hnsw, dimension, records, problem: None }
}

/// The collections that could be counted, and those that could not with what is wrong with them: one that is broken hides
/// no other. An error when none answers.
fn whole(all: Vec<(Known, Result<Collection>)>) -> Result<Vec<Collection>> {
    let any = all.iter().any(|(_, count)| count.is_ok());
    let mut collections = Vec::with_capacity(all.len());
    for (known, count) in all {
        match count {
            Ok(collection) => collections.push(collection),
            // Deleted since the list was made.
            Err(gone) if gone.kind == ErrorKind::NotFound => {}
            Err(error) if any => {
                collections.push(Collection { problem: Some(error.message), ..counted(known, 0) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(collections)
}

/// What the server takes as a collection's own metadata.
fn check_own(metadata: &Metadata) -> Result<(), String> {
    check_metadata(metadata).and_then(|()| no_lists(metadata))
}

/// A list among a collection's own metadata makes the server close the connection (seen on 1.5.9).
fn no_lists(metadata: &Metadata) -> Result<(), String> {
    match metadata.iter().find(|(_, value)| value.is_array()) {
        Some((key, _)) => Err(format!("metadata `{key}`: Chroma keeps no lists with a collection")),
        None => Ok(()),
    }
}

fn inclusion(page: &RecordPage) -> Value {
    if page.with_embeddings {
        json!({ "include": ["documents", "metadatas", "embeddings"] })
    } else {
        json!({ "include": ["documents", "metadatas"] })
    }
}

impl Chroma {
    /// Records in one answer, and ids in one question.
    pub(super) fn page(&self) -> usize {
        self.settings.page_records.clamp(1, PAGE)
    }

    async fn make(&self, doing: &str, name: &str, body: &Value) -> Result<Collection> {
        let answer = match self.call(doing, Call::post(&self.collections_path(), body)).await {
            // A database that is missing is an invalid argument here, and an error like any other.
            Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) => {
                self.check_database(doing).await?;
                Err(error)
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| match error.kind {
            ErrorKind::Conflict => self.taken(doing, name).source(error),
            _ => error,
        })?;
        let known = Known::read(&answer).ok_or_else(|| self.unreadable(doing))?;
        self.ids().insert(name.to_owned(), known.id.clone());
        Ok(counted(known, 0))
    }

    fn taken(&self, doing: &str, name: &str) -> StoreError {
        self.error(ErrorKind::Conflict, doing, format!("collection {name} exists already"))
            .remedy("Choose another name, or delete it first.")
    }

    async fn with_count(&self, doing: &str, known: &Known) -> Result<Collection> {
        let answer = self.on_id(doing, &known.id, "count", &nothing(), Effort::Light).await?;
        let records = answer.as_u64().ok_or_else(|| self.unreadable(doing))?;
        Ok(counted(known.clone(), records))
    }

    async fn get_records(&self, doing: &str, name: &str, body: &Value) -> Result<Vec<StoredRecord>> {
        let answer = self.on(doing, name, "get", body, Effort::Light).await?;
        wire::records(&answer).ok_or_else(|| self.unreadable(doing))
    }

    /// A page of any size in the server's order, which is that of insertion.
    async fn pages(&self, doing: &str, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>> {
        let mut found = Vec::new();
        while found.len() < page.limit {
            let wanted = (page.limit - found.len()).min(self.page());
            let mut body = wire::with_filter(inclusion(page), &page.filter);
            body["limit"] = json!(wanted);
            body["offset"] = json!(page.offset + found.len());
            let some = self.get_records(doing, name, &body).await?;
            let last = some.len() < wanted;
            found.extend(some);
            if last {
                break;
            }
        }
        Ok(found)
    }
}
