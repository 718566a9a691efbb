//! Changes of collections and of their records.

use std::collections::HashSet;

use super::export::RecordExport;
use super::pages::{LOT, Pages};
use super::{check_direction, check_filter, vectors_of};
use crate::domain::collection::{
    Collection, CollectionEdit, NewCollection, Record, RecordEdit, RecordFilter, RecordPage, StoredRecord,
};
use crate::ops::{Lab, News, OpsError, Result, Stop, Watcher};
use crate::store::{ErrorKind, StoreError};

/// Gives a collection another name, other metadata, or both.
pub async fn edit(lab: &Lab, name: &str, edit: &CollectionEdit) -> Result<Collection> {
    Ok(lab.collections.edit(name, edit).await?)
}

/// Changes records and gives those a new vector whose text changes without one. `NotFound` names what is not there, and
/// nothing is changed then.
pub async fn update(lab: &Lab, name: &str, mut edits: Vec<RecordEdit>) -> Result<u64> {
    let ids: Vec<String> = edits.iter().map(|edit| edit.id.clone()).collect();
    let there: HashSet<String> = lab.collections.existing(name, &ids).await?.into_iter().collect();
    let missing: Vec<String> = ids.into_iter().filter(|id| !there.contains(id)).collect();
    if !missing.is_empty() {
        let message = format!("'{name}' has no record {}", super::some(&missing));
        let backend = lab.settings.roles.collections.into();
        let error = StoreError::new(ErrorKind::NotFound, backend, "changing records", message);
        return Err(error
            .remedy("`labtop collections get` shows those there are; `add` makes new ones.")
            .into());
    }
    let wanting = |edit: &&mut RecordEdit| edit.document.is_some() && edit.embedding.is_none();
    let texts: Vec<String> =
        edits.iter_mut().filter(wanting).filter_map(|edit| edit.document.clone()).collect();
    let collection = lab.collections.get(name).await?;
    for edit in &edits {
        let vector = edit.embedding.as_deref().unwrap_or_default();
        check_direction(&collection, vector, || format!("the new embedding of record '{}'", edit.id))?;
    }
    let mut vectors = vectors_of(lab, &collection, &texts).await?.into_iter();
    edits.iter_mut().filter(wanting).for_each(|edit| edit.embedding = vectors.next());
    lab.collections.update(name, &edits).await?;
    Ok(edits.len() as u64)
}

/// Deletes the records that fit a filter, which must not be empty; says how many. What is stopped half-way has deleted
/// some, and says `Cancelled`.
pub async fn remove_matching(
    lab: &Lab,
    name: &str,
    filter: &RecordFilter,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<u64> {
    if filter.is_empty() {
        return Err(OpsError::Invalid("an empty condition would delete every record: say which".to_owned()));
    }
    check_filter(filter)?;
    let mut removed = 0;
    loop {
        // The first page of what is left, each time.
        let page = RecordPage { limit: LOT, filter: filter.clone(), ..RecordPage::default() };
        let lot = lab.collections.records(name, &page).await?;
        if lot.is_empty() {
            return Ok(removed);
        }
        let ids: Vec<String> = lot.into_iter().map(|record| record.id).collect();
        removed += lab.collections.remove_records(name, &ids).await?;
        watcher.saw(News::Progress { what: "records deleted".to_owned(), done: removed, total: removed });
        if stop.is_stopped() {
            return Err(OpsError::Cancelled);
        }
    }
}

/// Makes a new collection with the metadata, the space, the index settings and the records of another; says how many. One that could not be
/// finished is taken away again.
pub async fn copy(lab: &Lab, from: &str, to: &str, watcher: &dyn Watcher, stop: &Stop) -> Result<u64> {
    let source = lab.collections.get(from).await?;
    lab.collections.create(&NewCollection::like(&source, to)).await?;
    let copied = fill(lab, &source, to, watcher, stop).await;
    if copied.is_err()
        && let Err(error) = lab.collections.remove(to).await
    {
        let text = format!("The unfinished copy {to} could not be taken away. {error}");
        watcher.saw(News::Warning { id: None, text });
    }
    copied
}

async fn fill(lab: &Lab, source: &Collection, to: &str, watcher: &dyn Watcher, stop: &Stop) -> Result<u64> {
    let whole_records = RecordExport { with_embeddings: true, ..RecordExport::default() };
    let mut pages = Pages::new(lab, source, &whole_records, watcher, stop);
    while let Some(lot) = pages.next().await? {
        let lot: Vec<Record> = lot.into_iter().map(whole).collect();
        lab.collections.upsert(to, &lot).await?;
    }
    let copied = lab.collections.get(to).await?.records;
    let left = lab.collections.get(&source.name).await?.records;
    if copied == left {
        return Ok(copied);
    }
    Err(OpsError::Invalid(format!(
        "{} was changed while it was copied ({left} records, of which {copied} were found): try again",
        source.name
    )))
}

fn whole(record: StoredRecord) -> Record {
    let StoredRecord { id, document, metadata, embedding } = record;
    Record { id, document, metadata, embedding: embedding.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::collection::Space;
    use crate::domain::document::Metadata;
    use crate::ops::collection::{CollectionQuery, NewRecord, add, create, get, query, records};
    use crate::ops::news::Nobody;
    use crate::ops::tests::settings;

    struct Bench {
        lab: Lab,
        _folder: tempfile::TempDir,
    }

    async fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::open(settings(&folder.path().join("lab.duckdb"))).unwrap();
        let bench = Bench { lab, _folder: folder };
        let metadata = Metadata::from_iter([("of".to_owned(), json!("customers"))]);
        create(&bench.lab, &NewCollection::new("notes", &metadata, Space::L2)).await.unwrap();
        let record = |number: usize| NewRecord {
            id: Some(format!("r{number}")),
            document: Some(format!("stock prices fell by {number} percent")),
            metadata: Metadata::from_iter([("n".to_owned(), json!(number))]),
            ..NewRecord::default()
        };
        add(&bench.lab, "notes", (0..LOT + 7).map(record).collect()).await.unwrap();
        bench
    }

    #[tokio::test]
    async fn a_vector_without_direction_is_refused_where_angles_are_measured() {
        let bench = bench().await;
        create(&bench.lab, &NewCollection::new("angles", &Metadata::new(), Space::Cosine)).await.unwrap();
        let record = |id: &str| NewRecord {
            id: Some(id.to_owned()),
            embedding: Some(vec![1.0, 0.0]),
            ..NewRecord::default()
        };
        add(&bench.lab, "angles", vec![record("a"), record("b")]).await.unwrap();
        let edit = |id: &str, embedding: Vec<f32>| RecordEdit {
            id: id.to_owned(),
            embedding: Some(embedding),
            ..RecordEdit::default()
        };
        let edits = vec![edit("a", vec![0.0, 1.0]), edit("b", vec![0.0, 0.0])];
        let error = update(&bench.lab, "angles", edits).await.unwrap_err();
        assert!(error.to_string().contains("of record 'b' is all zeros"), "{error}");
        let page = RecordPage { limit: 9, with_embeddings: true, ..RecordPage::default() };
        let all = records(&bench.lab, "angles", &page).await.unwrap();
        assert!(all.iter().all(|record| record.embedding.as_deref() == Some(&[1.0, 0.0])), "{all:?}");
        update(&bench.lab, "notes", vec![edit("r1", vec![0.0; 256])]).await.unwrap();
    }

    #[tokio::test]
    async fn a_filter_that_says_nothing_deletes_nothing() {
        let bench = bench().await;
        let filter = RecordFilter { r#where: Some(Metadata::new()), where_document: None };
        let refused = remove_matching(&bench.lab, "notes", &filter, &Nobody, &Stop::default()).await;
        assert!(refused.unwrap_err().to_string().contains("would delete every record"));
        assert_eq!(get(&bench.lab, "notes").await.unwrap().records, LOT as u64 + 7);
    }

    #[tokio::test]
    async fn a_text_that_changes_is_embedded_anew() {
        let bench = bench().await;
        let edit = RecordEdit {
            id: "r3".to_owned(),
            document: Some("a cat sat on the mat".to_owned()),
            metadata: Metadata::from_iter([("n".to_owned(), json!(null)), ("m".to_owned(), json!(1))]),
            ..RecordEdit::default()
        };
        assert_eq!(update(&bench.lab, "notes", vec![edit.clone()]).await.unwrap(), 1);
        let text = CollectionQuery::Text("kitten".to_owned());
        let hits = query(&bench.lab, "notes", &text, 1, &RecordFilter::default()).await.unwrap();
        assert_eq!(hits[0].record.id, "r3");
        assert_eq!(hits[0].record.metadata, Metadata::from_iter([("m".to_owned(), json!(1))]));

        let other = RecordEdit { id: "nobody".to_owned(), ..edit.clone() };
        let gone = RecordEdit { document: Some("none".to_owned()), ..edit };
        let error = update(&bench.lab, "notes", vec![gone, other]).await.unwrap_err();
        assert!(error.to_string().contains("'notes' has no record nobody"), "{error}");
        let page = RecordPage { limit: 1, ids: vec!["r3".to_owned()], ..RecordPage::default() };
        let found = records(&bench.lab, "notes", &page).await.unwrap();
        assert_eq!(found[0].document.as_deref(), Some("a cat sat on the mat"));
    }

    #[tokio::test]
    async fn a_copy_is_whole_and_one_that_is_stopped_goes() {
        let bench = bench().await;
        let count = LOT as u64 + 7;
        let stop = Stop::default();
        assert_eq!(copy(&bench.lab, "notes", "again", &Nobody, &stop).await.unwrap(), count);
        let (one, other) = (get(&bench.lab, "notes").await.unwrap(), get(&bench.lab, "again").await.unwrap());
        assert_eq!((one.metadata, one.space, one.records), (other.metadata, other.space, other.records));
        let page = RecordPage { offset: LOT, limit: 9, with_embeddings: true, ..RecordPage::default() };
        let last = records(&bench.lab, "again", &page).await.unwrap();
        assert_eq!(last, records(&bench.lab, "notes", &page).await.unwrap());

        let error = copy(&bench.lab, "notes", "again", &Nobody, &stop).await.unwrap_err();
        assert!(error.to_string().contains("again exists already"), "{error}");
        stop.cancel();
        let stopped = copy(&bench.lab, "notes", "third", &Nobody, &stop).await;
        assert!(matches!(stopped, Err(OpsError::Cancelled)));
        assert!(get(&bench.lab, "third").await.is_err(), "nothing half-copied is left");
        assert_eq!(get(&bench.lab, "again").await.unwrap().records, count, "what was there stays");
    }

    #[tokio::test]
    async fn what_fits_is_deleted() {
        let bench = bench().await;
        let condition = json!({ "n": { "$gte": 5 } });
        let filter = RecordFilter { r#where: condition.as_object().cloned(), where_document: None };
        let removed = remove_matching(&bench.lab, "notes", &filter, &Nobody, &Stop::default()).await;
        assert_eq!(removed.unwrap(), LOT as u64 + 2);
        assert_eq!(get(&bench.lab, "notes").await.unwrap().records, 5);
    }
}
