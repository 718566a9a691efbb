//! Collections and their records.

pub mod edit;
pub mod export;
mod pages;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::embedders::is_retired;
use super::search::{WITHOUT_DIRECTION, is_zero};
use super::{Lab, OpsError, Result, lines};
use crate::domain::collection::{
    Collection, NewCollection, Record, RecordFilter, RecordHit, RecordPage, Space, StoredRecord,
};
use crate::domain::document::Metadata;
use crate::domain::record_filter;
use crate::embed::Embedder;
use crate::store::{ErrorKind, Role, StoreError};

/// One record on its way in, as a person gives it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// Made up when none.
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default, alias = "text", alias = "content")]
    pub document: Option<String>,
    /// Embedded from the document when none.
    #[serde(default)]
    pub embedding: Option<Vec<f32>>,
    #[serde(default)]
    pub metadata: Metadata,
}

/// The key of a collection's metadata that names the model of its vectors.
const MODEL: &str = "model";

/// What to search a collection by.
#[derive(Clone, Debug, PartialEq)]
pub enum CollectionQuery {
    /// Embedded by the model of the collection.
    Text(String),
    Vector(Vec<f32>),
    /// "Like this one": the id of a record; it comes first.
    Record(String),
}

pub async fn list(lab: &Lab) -> Result<Vec<Collection>> {
    Ok(lab.collections.list().await?)
}

pub async fn create(lab: &Lab, new: &NewCollection) -> Result<Collection> {
    Ok(lab.collections.create(new).await?)
}

pub async fn get(lab: &Lab, name: &str) -> Result<Collection> {
    Ok(lab.collections.get(name).await?)
}

/// Deletes a collection with its records.
pub async fn remove(lab: &Lab, name: &str) -> Result<()> {
    Ok(lab.collections.remove(name).await?)
}

pub async fn records(lab: &Lab, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>> {
    check_filter(&page.filter)?;
    Ok(lab.collections.records(name, page).await?)
}

/// How many records fit a filter, as far as `most`.
pub async fn count(lab: &Lab, name: &str, filter: &RecordFilter, most: u64) -> Result<u64> {
    check_filter(filter)?;
    Ok(lab.collections.count(name, filter, most).await?)
}

/// Stores refuse a wrong filter too, but not every one of them says where it is wrong.
fn check_filter(filter: &RecordFilter) -> Result<()> {
    record_filter::check(filter).map_err(OpsError::Invalid)
}

/// Adds records, embedding the texts that bring no vector; says how many. Ids that are there already are a `Conflict`
/// that names them, and nothing is added.
pub async fn add(lab: &Lab, name: &str, records: Vec<NewRecord>) -> Result<u64> {
    let collection = lab.collections.get(name).await?;
    if records.is_empty() {
        return Ok(0);
    }
    let given: Vec<String> = records.iter().filter_map(|record| record.id.clone()).collect();
    if !given.is_empty() {
        refuse_existing(lab, name, &lab.collections.existing(name, &given).await?)?;
    }
    let records = embedded(lab, &collection, records).await?;
    // Not those that somebody has added since.
    lab.collections.add(name, &records).await?;
    Ok(records.len() as u64)
}

/// Adds records as [`add`] does, but those whose ids are there already take the place of the old ones.
pub async fn replace(lab: &Lab, name: &str, records: Vec<NewRecord>) -> Result<u64> {
    let collection = lab.collections.get(name).await?;
    let records = embedded(lab, &collection, records).await?;
    Ok(lab.collections.upsert(name, &records).await?)
}

fn refuse_existing(lab: &Lab, name: &str, taken: &[String]) -> Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    let message = format!("'{name}' holds these ids already: {}", some(taken));
    let backend = lab.settings.roles.collections.into();
    let error = StoreError::new(ErrorKind::Conflict, backend, "adding records", message);
    Err(error.remedy("Give the new records other ids, or remove the old ones first.").into())
}

/// Some ids by name, and how many more there are.
fn some(ids: &[String]) -> String {
    /// Those that are named before the rest is counted.
    const NAMED: usize = 5;
    let mut named = ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if ids.len() > NAMED {
        named.push_str(&format!(" and {} more", ids.len() - NAMED));
    }
    named
}

/// Gives an id and a vector to every record that brought none.
async fn embedded(lab: &Lab, collection: &Collection, records: Vec<NewRecord>) -> Result<Vec<Record>> {
    let mut texts = Vec::new();
    for (record, number) in records.iter().zip(1..) {
        let called = || record.id.as_ref().map_or_else(String::new, |id| format!(" ('{id}')"));
        match (&record.embedding, &record.document) {
            (Some(vector), _) => {
                check_direction(collection, vector, || {
                    format!("the embedding of record {number}{}", called())
                })?;
            }
            (None, Some(text)) => texts.push(text.clone()),
            (None, None) => {
                let called = called();
                return Err(OpsError::Invalid(format!(
                    "record {number}{called} has neither a document nor an embedding: give it one of them"
                )));
            }
        }
    }
    let mut vectors = vectors_of(lab, collection, &texts).await?.into_iter();
    Ok(records
        .into_iter()
        .map(|record| Record {
            id: record.id.unwrap_or_else(|| Uuid::now_v7().to_string()),
            embedding: record.embedding.or_else(|| vectors.next()).unwrap_or_default(),
            document: record.document,
            metadata: record.metadata,
        })
        .collect())
}

/// `Invalid` for a vector of zeros, named by `what`, where angles are measured.
fn check_direction(collection: &Collection, vector: &[f32], what: impl Fn() -> String) -> Result<()> {
    // One of no numbers is refused by what is wrong with it.
    if collection.space == Space::Cosine && !vector.is_empty() && is_zero(vector) {
        return Err(OpsError::Invalid(format!("{} {WITHOUT_DIRECTION}", what())));
    }
    Ok(())
}

/// Vectors of texts that are to lie in a collection.
async fn vectors_of(lab: &Lab, collection: &Collection, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(embedder_of(lab, collection)?.embed(texts).await?)
}

/// The model that a collection says its vectors were made by. Other programs may mean something else by that key: a name that is
/// not known here counts only where the vectors are none of the model that new documents are embedded by.
pub(super) fn model_of<'a>(lab: &Lab, collection: &'a Collection) -> Option<&'a str> {
    let named = collection.metadata.get(MODEL).and_then(|model| model.as_str());
    named.filter(|model| {
        // Those of a table of ours that is gone are as long as those of the present one, and yet not like them.
        lab.embedders.has(model)
            || is_retired(model)
            || collection.dimension != lab.embedders.chosen().dimension()
    })
}

/// The table of earlier versions that made the vectors in a collection, where new ones of `model` are to lie beside them: nothing
/// would tell them apart, and searches would find the wrong ones.
pub(super) fn outdated<'a>(collection: &'a Collection, model: &str) -> Option<&'a str> {
    let named = collection.metadata.get(MODEL).and_then(|model| model.as_str());
    named.filter(|theirs| *theirs != model && is_retired(theirs))
}

/// What embeds a text that is to lie among the vectors of a collection: the model that its metadata name, else the one that new
/// documents are embedded by. `Invalid` when that one cannot have made its vectors.
pub(super) fn embedder_of(lab: &Lab, collection: &Collection) -> Result<Arc<dyn Embedder>> {
    let embedder = lab.embedders.named_or_chosen(model_of(lab, collection))?;
    match (collection.dimension, embedder.dimension()) {
        (Some(theirs), Some(ours)) if theirs != ours => Err(OpsError::Invalid(format!(
            "the collection '{}' was made with another model: its vectors have {theirs} dimensions, those of {} have \
             {ours}. Give an embedding instead of a text",
            collection.name,
            embedder.model_name()
        ))),
        _ => Ok(embedder.clone()),
    }
}

/// The nearest records.
pub async fn query(
    lab: &Lab,
    name: &str,
    query: &CollectionQuery,
    n_results: usize,
    filter: &RecordFilter,
) -> Result<Vec<RecordHit>> {
    check_filter(filter)?;
    let embedding = match query {
        CollectionQuery::Vector(embedding) => embedding.clone(),
        CollectionQuery::Record(id) => vector_of(lab, name, id).await?,
        CollectionQuery::Text(text) => {
            let embedder = embedder_of(lab, &lab.collections.get(name).await?)?;
            embedder.embed(std::slice::from_ref(text)).await?.pop().unwrap_or_default()
        }
    };
    if is_zero(&embedding) {
        check_direction(&lab.collections.get(name).await?, &embedding, || {
            "the vector to search by".to_owned()
        })?;
    }
    Ok(lab.collections.query(name, &embedding, n_results, filter).await?)
}

async fn vector_of(lab: &Lab, name: &str, id: &str) -> Result<Vec<f32>> {
    let page =
        RecordPage { limit: 1, with_embeddings: true, ids: vec![id.to_owned()], ..RecordPage::default() };
    let record = lab.collections.records(name, &page).await?.pop();
    record.and_then(|record| record.embedding).ok_or_else(|| {
        let message = format!("there is no record '{id}' in the collection {name}");
        StoreError::new(
            ErrorKind::NotFound,
            lab.backend(Role::Collections),
            "searching a collection",
            message,
        )
        .into()
    })
}

/// Deletes records by id; says how many there were.
pub async fn remove_records(lab: &Lab, name: &str, ids: &[String]) -> Result<u64> {
    Ok(lab.collections.remove_records(name, ids).await?)
}

/// Reads records from JSON lines: `id`, `document` (or `text`, `content`), `embedding`, `metadata`, all optional, but
/// each record has a document or an embedding.
pub async fn parse_records(path: &Path) -> Result<Vec<NewRecord>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut records = Vec::new();
    for line in lines::read(path).await? {
        let record: NewRecord = lines::parse(path, &line)?;
        let invalid = |why: &str| Err(lines::invalid(path, line.number, why));
        if record.document.is_none() && record.embedding.is_none() {
            return invalid("neither `document` nor `embedding`: give one of them");
        }
        if let Some(first) = record.id.as_ref().and_then(|id| seen.insert(id.clone(), line.number)) {
            return invalid(&format!("the id is taken by line {first}"));
        }
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::Bench;

    async fn bench(records: &str) -> (Bench, Result<u64>) {
        let bench = Bench::embedded();
        create(&bench.lab, &NewCollection::new("notes", &Metadata::new(), Space::Cosine)).await.unwrap();
        let path = bench.folder.path().join("records.jsonl");
        std::fs::write(&path, records).unwrap();
        let added = match parse_records(&path).await {
            Ok(records) => add(&bench.lab, "notes", records).await,
            Err(error) => Err(error),
        };
        (bench, added)
    }

    #[tokio::test]
    async fn texts_are_embedded_and_found_by_meaning() {
        let (bench, added) = bench(
            "{\"id\": \"a\", \"document\": \"a cat sat on the mat\"}\n{\"text\": \"stock prices fell\", \"metadata\": {\"n\": 1}}",
        )
        .await;
        assert_eq!(added.unwrap(), 2);
        let text = CollectionQuery::Text("kitten".to_owned());
        let hits = query(&bench.lab, "notes", &text, 1, &RecordFilter::default()).await.unwrap();
        assert_eq!(hits[0].record.id, "a");
        assert_eq!(get(&bench.lab, "notes").await.unwrap().dimension, Some(256));
    }

    #[tokio::test]
    async fn ids_that_are_there_are_named_and_nothing_is_added() {
        let (bench, _) = bench("{\"id\": \"a\", \"text\": \"one\"}").await;
        let record = |id: &str| NewRecord {
            id: Some(id.to_owned()),
            document: Some("two".to_owned()),
            ..NewRecord::default()
        };
        let error = add(&bench.lab, "notes", vec![record("b"), record("a")]).await.unwrap_err();
        assert!(error.to_string().contains("'notes' holds these ids already: a\n"), "{error}");
        assert!(matches!(error, OpsError::Store(error) if error.kind == ErrorKind::Conflict));
        assert_eq!(get(&bench.lab, "notes").await.unwrap().records, 1);
    }

    #[tokio::test]
    async fn a_collection_of_a_table_that_is_gone_takes_no_texts() {
        let bench = Bench::embedded();
        let metadata = Metadata::from_iter([("model".to_owned(), "labtop-static-256".into())]);
        create(&bench.lab, &NewCollection::new("notes", &metadata, Space::Cosine)).await.unwrap();
        let own = NewRecord { embedding: Some(vec![0.1; 256]), ..NewRecord::default() };
        assert_eq!(add(&bench.lab, "notes", vec![own]).await.unwrap(), 1);
        let record = NewRecord { document: Some("word".to_owned()), ..NewRecord::default() };
        let text = CollectionQuery::Text("kitten".to_owned());
        let asked = query(&bench.lab, "notes", &text, 1, &RecordFilter::default()).await.map(|_| 0);
        for told in [add(&bench.lab, "notes", vec![record]).await, asked] {
            let error = told.unwrap_err().to_string();
            assert!(error.contains("'labtop-static-256' is the table of an earlier labtop"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_collection_of_another_model_wants_vectors() {
        let (bench, added) = bench("{\"id\": \"a\", \"embedding\": [1, 0]}").await;
        assert_eq!(added.unwrap(), 1);
        let text = CollectionQuery::Text("kitten".to_owned());
        let error = query(&bench.lab, "notes", &text, 1, &RecordFilter::default()).await.unwrap_err();
        assert!(
            error.to_string().contains("made with another model: its vectors have 2 dimensions"),
            "{error}"
        );
        let record = NewRecord { document: Some("word".to_owned()), ..NewRecord::default() };
        let error = add(&bench.lab, "notes", vec![record]).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let vector = CollectionQuery::Vector(vec![1.0, 0.0]);
        let hits = query(&bench.lab, "notes", &vector, 5, &RecordFilter::default()).await.unwrap();
        assert_eq!(hits.len(), 1);
    }

    #[tokio::test]
    async fn bad_records_name_their_line() {
        for (text, message) in [
            ("{\"id\": \"a\"}", ":1: neither `document` nor `embedding`"),
            (
                "{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"a\", \"text\": \"y\"}",
                ":2: the id is taken by line 1",
            ),
            ("{\"id\": 7, \"text\": \"x\"}", ":1:8: invalid type"),
        ] {
            let error = bench(text).await.1.unwrap_err();
            assert!(error.to_string().contains(&format!("records.jsonl{message}")), "{error}");
        }
    }

    #[tokio::test]
    async fn wrong_filters_are_told_before_a_store_is_asked() {
        let (bench, _) = bench("{\"id\": \"a\", \"text\": \"one\"}").await;
        let condition = serde_json::json!({ "n": { "$in": [1, "x"] } });
        let filter = RecordFilter { r#where: condition.as_object().cloned(), where_document: None };
        let page = RecordPage { limit: 1, filter: filter.clone(), ..RecordPage::default() };
        let by = CollectionQuery::Record("a".to_owned());
        for problem in [
            records(&bench.lab, "notes", &page).await.unwrap_err(),
            query(&bench.lab, "notes", &by, 1, &filter).await.unwrap_err(),
            count(&bench.lab, "notes", &filter, 9).await.unwrap_err(),
        ] {
            assert!(problem.to_string().contains("where: $in of 'n': the list mixes kinds"), "{problem}");
            assert_eq!(problem.exit_code(), 2);
        }
        assert_eq!(count(&bench.lab, "notes", &RecordFilter::default(), 9).await.unwrap(), 1);
    }
}
