//! Storing records whole: Chroma's own upsert merges them into what is there.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::domain::collection::{Record, RecordEdit, StoredRecord, check_edits, check_records};
use crate::domain::document::Metadata;
use crate::store::{ErrorKind, Result};

use super::{Chroma, Effort, error, wire};

/// Bytes in one request; the server takes 40 MiB unless told otherwise.
const BYTES: usize = 30 * 1024 * 1024;

/// What becomes of a record that is there already under the id of a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    Stays,
    Goes,
}

impl Chroma {
    /// Checks all records, then sends them in lots. A lot that fails leaves those before it stored; sending all of them
    /// again is safe.
    pub(super) async fn store(&self, doing: &str, name: &str, records: &[Record], old: Old) -> Result<()> {
        // Afresh, so that a collection made again with another dimension is noticed before anything is sent.
        let known = self.known(doing, name).await?;
        check_records(records, known.dimension)
            .and_then(|()| records.iter().try_for_each(kept_as_it_is))
            .map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        if records.is_empty() {
            return Ok(());
        }
        let limits = self.limits(doing).await?;
        let mut lots = lots(records, limits.records);
        // The last is the next.
        lots.reverse();
        while let Some(lot) = lots.pop() {
            let (action, there) = match old {
                Old::Stays => ("add", HashMap::new()),
                Old::Goes => ("upsert", self.by_id(doing, name, lot).await?),
            };
            let body = body(lot, &there, limits.base64);
            let answer = self.on(doing, name, action, &body, Effort::Heavy).await;
            taken(answer, lot, &mut lots)?;
        }
        Ok(())
    }

    /// Checks all changes, then sends them in lots: the server lays metadata over what is there, as we do.
    pub(super) async fn change(&self, doing: &str, name: &str, edits: &[RecordEdit]) -> Result<()> {
        let known = self.known(doing, name).await?;
        check_edits(edits, known.dimension)
            .and_then(|()| edits.iter().try_for_each(kept_as_it_is))
            .map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        let limits = self.limits(doing).await?;
        let mut lots = lots(edits, limits.records);
        lots.reverse();
        while let Some(lot) = lots.pop() {
            let body = changes(lot, limits.base64);
            let answer = self.on(doing, name, "update", &body, Effort::Heavy).await;
            taken(answer, lot, &mut lots)?;
        }
        Ok(())
    }

    /// Documents and metadata of those of these records that are there already.
    async fn by_id(
        &self,
        doing: &str,
        name: &str,
        records: &[Record],
    ) -> Result<HashMap<String, StoredRecord>> {
        let mut found = HashMap::new();
        for some in records.chunks(self.page()) {
            let ids: Vec<&str> = some.iter().map(|record| record.id.as_str()).collect();
            let body = json!({ "ids": ids, "include": ["documents", "metadatas"] });
            let answer = self.on(doing, name, "get", &body, Effort::Light).await?;
            let records = wire::records(&answer).ok_or_else(|| self.unreadable(doing))?;
            found.extend(records.into_iter().map(|record| (record.id.clone(), record)));
        }
        Ok(found)
    }
}

/// What came of sending a lot: one that is too large in one piece is to be sent in two. A proxy may take much less than
/// the server.
fn taken<'a, P>(answer: Result<Value>, lot: &'a [P], lots: &mut Vec<&'a [P]>) -> Result<()> {
    match answer {
        Err(error) if error::is_too_large(&error) && lot.len() > 1 => {
            let (first, second) = lot.split_at(lot.len() / 2);
            lots.extend([second, first]);
            Ok(())
        }
        other => other.map(drop),
    }
}

/// What Chroma would keep as something else, and say nothing.
fn kept_as_it_is(record: &impl Part) -> Result<(), String> {
    let (id, _, _, metadata) = record.parts();
    reserved(metadata)?;
    exact(metadata).map_err(|message| format!("record '{id}': {message}"))
}

/// Chroma turns whole numbers beyond 64 bits with a sign into floats.
pub(super) fn exact(metadata: &Metadata) -> Result<(), String> {
    let beyond = |value: &Value| value.is_u64() && !value.is_i64();
    let found = metadata.iter().find(|(_, value)| match value {
        Value::Array(items) => items.iter().any(beyond),
        value => beyond(value),
    });
    match found {
        Some((key, _)) => {
            Err(format!("metadata `{key}`: Chroma keeps no whole number above {} exactly", i64::MAX))
        }
        None => Ok(()),
    }
}

/// Chroma keeps the document under such a key among the metadata. A value there that is no text stops the whole server
/// from taking writes until it is restarted (seen on 1.5.9).
fn reserved(metadata: &Metadata) -> Result<(), String> {
    match metadata.keys().find(|key| key.starts_with("chroma:")) {
        Some(key) => Err(format!("metadata `{key}`: names that begin with chroma: are Chroma's own")),
        None => Ok(()),
    }
}

/// One of a lot.
trait Part {
    /// Id, text, how long the vector is, metadata.
    fn parts(&self) -> (&str, Option<&str>, usize, &Metadata);
}

impl Part for Record {
    fn parts(&self) -> (&str, Option<&str>, usize, &Metadata) {
        (&self.id, self.document.as_deref(), self.embedding.len(), &self.metadata)
    }
}

impl Part for RecordEdit {
    fn parts(&self) -> (&str, Option<&str>, usize, &Metadata) {
        let dimension = self.embedding.as_ref().map_or(0, Vec::len);
        (&self.id, self.document.as_deref(), dimension, &self.metadata)
    }
}

/// Cuts records into lots that fit one request; a record that fits none goes alone.
fn lots<P: Part>(records: &[P], most: usize) -> Vec<&[P]> {
    let mut lots = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (place, record) in records.iter().enumerate() {
        let size = size(record);
        if place > start && (place - start == most || bytes + size > BYTES) {
            lots.push(&records[start..place]);
            (start, bytes) = (place, 0);
        }
        bytes += size;
    }
    if start < records.len() {
        lots.push(&records[start..]);
    }
    lots
}

/// At most so many bytes of JSON, roughly: base64 takes 16 for 3 floats, a control character of a text 6.
fn size(record: &impl Part) -> usize {
    let (id, document, dimension, metadata) = record.parts();
    let text = |text: &str| {
        text.len() + 5 * text.bytes().filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')).count()
    };
    let value = |value: &Value| match value {
        Value::String(content) => text(content),
        other => other.to_string().len(),
    };
    let metadata: usize = metadata.iter().map(|(key, item)| text(key) + value(item) + 8).sum();
    dimension * 16 / 3 + text(id) + document.map_or(4, text) + metadata + 32
}

/// One lot, with what has to go from the old records: a key is taken away by null, a document by an empty text.
fn body(lot: &[Record], old: &HashMap<String, StoredRecord>, base64: bool) -> Value {
    let embedding = |record: &Record| {
        if base64 { json!(wire::base64(&record.embedding)) } else { json!(record.embedding) }
    };
    let metadata = |record: &Record| {
        let mut metadata = record.metadata.clone();
        if let Some(old) = old.get(&record.id) {
            let gone = old.metadata.keys().filter(|key| !record.metadata.contains_key(*key));
            metadata.extend(gone.map(|key| (key.clone(), Value::Null)));
        }
        if metadata.is_empty() { Value::Null } else { Value::Object(metadata) }
    };
    let document = |record: &Record| match &record.document {
        Some(document) => json!(document),
        None if old.get(&record.id).is_some_and(|old| old.document.is_some()) => json!(""),
        None => Value::Null,
    };
    json!({
        "ids": lot.iter().map(|record| &record.id).collect::<Vec<_>>(),
        "embeddings": lot.iter().map(embedding).collect::<Vec<_>>(),
        "documents": lot.iter().map(document).collect::<Vec<_>>(),
        "metadatas": lot.iter().map(metadata).collect::<Vec<_>>(),
    })
}

/// One lot of changes; what is null stays.
fn changes(lot: &[RecordEdit], base64: bool) -> Value {
    let embedding = |edit: &RecordEdit| match &edit.embedding {
        Some(embedding) if base64 => json!(wire::base64(embedding)),
        embedding => json!(embedding),
    };
    let metadata = |edit: &RecordEdit| {
        if edit.metadata.is_empty() { Value::Null } else { Value::Object(edit.metadata.clone()) }
    };
    let mut body = json!({
        "ids": lot.iter().map(|edit| &edit.id).collect::<Vec<_>>(),
        "documents": lot.iter().map(|edit| &edit.document).collect::<Vec<_>>(),
        "metadatas": lot.iter().map(metadata).collect::<Vec<_>>(),
    });
    // A list of nulls alone is none of the two kinds of vectors that the server takes.
    if lot.iter().any(|edit| edit.embedding.is_some()) {
        body["embeddings"] = lot.iter().map(embedding).collect();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: usize, dimension: usize, document: Option<String>) -> Record {
        Record { id: id.to_string(), document, embedding: vec![0.5; dimension], metadata: Metadata::new() }
    }

    #[test]
    fn lots_are_bounded_by_count_and_by_bytes() {
        let many: Vec<Record> = (0..1201).map(|id| record(id, 2, None)).collect();
        assert_eq!(lots(&many, 500).iter().map(|lot| lot.len()).collect::<Vec<_>>(), [500, 500, 201]);
        let long = "\n".repeat(BYTES / 12);
        let heavy: Vec<Record> = (0..3).map(|id| record(id, 2, Some(long.clone()))).collect();
        assert_eq!(lots(&heavy, 500).iter().map(|lot| lot.len()).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(lots::<Record>(&[], 500).is_empty());
    }

    #[test]
    fn what_an_old_record_had_and_the_new_one_has_not_goes() {
        let old = StoredRecord {
            id: "0".to_owned(),
            document: Some("old".to_owned()),
            metadata: Metadata::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]),
            embedding: None,
        };
        let mut new = record(0, 1, None);
        new.metadata.insert("a".to_owned(), json!(3));
        let body = body(&[new, record(1, 1, None)], &HashMap::from([("0".to_owned(), old)]), false);
        assert_eq!(body["embeddings"], json!([[0.5], [0.5]]));
        assert_eq!(body["metadatas"], json!([{"a": 3, "b": null}, null]));
        assert_eq!(body["documents"], json!(["", null]));
    }

    #[test]
    fn chromas_own_keys_are_refused() {
        let metadata = Metadata::from_iter([("chroma:document".to_owned(), json!(5))]);
        assert!(reserved(&metadata).unwrap_err().contains("chroma:document"));
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused() {
        let mut large = record(0, 1, None);
        large.metadata.insert("n".to_owned(), json!(i64::MAX));
        assert_eq!(kept_as_it_is(&large), Ok(()));
        large.metadata.insert("ns".to_owned(), json!([1, u64::MAX]));
        assert!(kept_as_it_is(&large).unwrap_err().starts_with("record '0': metadata `ns`"));
    }
}
