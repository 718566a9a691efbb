//! What the collections tab asks before it changes something.

use std::path::Path;

use serde_json::Value;

use crate::domain::collection::{
    Collection, CollectionEdit, Hnsw, NewCollection, RecordEdit, RecordFilter, Space, StoredRecord,
    check_metadata, check_name,
};
use crate::domain::document::Metadata;
use crate::tui::popups::confirm::Confirm;
use crate::tui::popups::form::{Field, Form, Problem};
use crate::tui::widgets::number::counted;
use crate::worker::protocol::{CollectionChange, ExportForm, Write};

/// Longest text that is put into the line of a form, bytes; every key walks through it.
const LONGEST: usize = 16 * 1024;

/// A new collection.
pub(super) fn create() -> Form {
    let fields = vec![
        Field::new("name").hint(NAMES),
        Field::new("description").hint("optional"),
        Field::new("metadata").hint(r#"optional JSON: {"source": "shop"}"#),
        Field::new("space").with(Space::default().as_str()).hint("cosine, l2 or ip"),
        Field::new("ef_construction").hint("Chroma: candidates while a vector is put in; its own if empty"),
        Field::new("max_neighbors").hint("Chroma: neighbours of each vector; its own if empty"),
        Field::new("ef_search").hint("Chroma: candidates while searching; its own if empty"),
    ];
    Form::new("Create a collection", fields, "create", |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        check_name(text(0)).map_err(|problem| Problem::new(0, problem))?;
        let mut metadata = metadata(text(2)).map_err(|problem| Problem::new(2, problem))?;
        if !text(1).is_empty() {
            metadata.insert("description".to_owned(), Value::String(text(1).to_owned()));
        }
        let space = match text(3) {
            "" | "cosine" => Space::Cosine,
            "l2" => Space::L2,
            "ip" => Space::Ip,
            other => return Err(Problem::new(3, format!("unknown space '{other}' (known: cosine, l2, ip)"))),
        };
        let hnsw = Hnsw {
            ef_construction: setting(texts, 4, "ef_construction")?,
            max_neighbors: setting(texts, 5, "max_neighbors")?,
            ef_search: setting(texts, 6, "ef_search")?,
            ..Hnsw::default()
        };
        Ok(vec![Write::CreateCollection(NewCollection { name: text(0).to_owned(), metadata, space, hnsw })])
    })
}

/// Rules of names, as a hint.
const NAMES: &str = "3 to 512 of letters, digits, . _ -";

/// A whole number of at least 1; none where nothing was typed.
fn setting(texts: &[&str], index: usize, label: &str) -> Result<Option<u32>, Problem> {
    let text = texts.get(index).copied().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number: &u32| *number > 0);
    number.map(Some).ok_or_else(|| Problem::new(index, format!("{label} must be a whole number from 1")))
}

pub(super) fn rename(collection: &Collection) -> Form {
    let name = collection.name.clone();
    let fields = vec![Field::new("name").with(name.as_str()).hint(NAMES)];
    Form::new(format!("Rename {name}"), fields, "rename", move |texts| {
        let new = new_name(texts.first().copied().unwrap_or_default(), &name, "it is called so already")?;
        let edit = CollectionEdit { name: Some(new), metadata: None };
        Ok(vec![Write::Collection(CollectionChange::Edit { name: name.clone(), edit })])
    })
}

pub(super) fn duplicate(collection: &Collection) -> Form {
    let from = collection.name.clone();
    let fields = vec![Field::new("new name").with(format!("{from}_copy")).hint(NAMES)];
    let title = format!("Copy {from} with its {}", counted(collection.records, "record"));
    Form::new(title, fields, "copy", move |texts| {
        let to = new_name(texts.first().copied().unwrap_or_default(), &from, "a copy needs another name")?;
        Ok(vec![Write::Collection(CollectionChange::Copy { from: from.clone(), to })])
    })
}

fn new_name(text: &str, old: &str, same: &str) -> Result<String, Problem> {
    check_name(text).map_err(|problem| Problem::new(0, problem))?;
    if text == old { Err(Problem::new(0, same)) } else { Ok(text.to_owned()) }
}

/// The metadata of a collection.
pub(super) fn edit_collection(collection: &Collection) -> Form {
    let name = collection.name.clone();
    let fields = vec![Field::new("metadata").with(json(&collection.metadata)).hint("JSON; empty for none")];
    Form::new(format!("Metadata of {name}"), fields, "change", move |texts| {
        let metadata = metadata(texts.first().copied().unwrap_or_default());
        let metadata = metadata.map_err(|problem| Problem::new(0, problem))?;
        let edit = CollectionEdit { name: None, metadata: Some(metadata) };
        Ok(vec![Write::Collection(CollectionChange::Edit { name: name.clone(), edit })])
    })
}

/// The records that are shown go to a file.
pub(super) fn export(collection: &Collection, filter: RecordFilter) -> Form {
    let which = if filter == RecordFilter::default() {
        format!("all {}", counted(collection.records, "record"))
    } else {
        "the records that fit the conditions".to_owned()
    };
    let fields = vec![
        Field::new("file")
            .with(format!("{}.jsonl", collection.name))
            .hint(".jsonl or .parquet; a file of that name makes way"),
        Field::new("vectors").with("yes").hint("yes or no"),
    ];
    let name = collection.name.clone();
    Form::new(format!("Write {which} of {name}"), fields, "write", move |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        let path = Path::new(text(0));
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        if !matches!(ending.as_deref(), Some("jsonl" | "ndjson" | "parquet")) {
            return Err(Problem::new(0, "end the file's name in .jsonl or .parquet"));
        }
        let form = ExportForm {
            collection: name.clone(),
            path: path.to_owned(),
            filter: filter.clone(),
            with_vectors: yes(texts, 1, "vectors")?,
        };
        Ok(vec![Write::Collection(CollectionChange::Export(form))])
    })
}

fn yes(texts: &[&str], index: usize, label: &str) -> Result<bool, Problem> {
    match texts.get(index).copied().unwrap_or_default() {
        "yes" | "y" => Ok(true),
        "no" | "n" | "" => Ok(false),
        other => Err(Problem::new(index, format!("{label}: yes or no, not '{other}'"))),
    }
}

/// A new record of `collection`.
pub(super) fn add_record(collection: &str) -> Form {
    let fields = vec![
        Field::new("id").hint("a name of its own"),
        Field::new("text").hint("what is embedded and found again"),
        Field::new("metadata").hint(r#"optional JSON: {"rating": 5}"#),
        Field::new("replace").with("no").hint("yes: a record of the same id makes way"),
    ];
    let collection = collection.to_owned();
    Form::new(format!("Add a record to {collection}"), fields, "add", move |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        if text(0).is_empty() {
            return Err(Problem::new(0, "a record needs an id"));
        }
        if text(1).is_empty() {
            return Err(Problem::new(1, "a record needs a text"));
        }
        let metadata = metadata(text(2)).map_err(|problem| Problem::new(2, problem))?;
        Ok(vec![Write::AddRecord {
            collection: collection.clone(),
            id: text(0).to_owned(),
            text: text(1).to_owned(),
            metadata,
            replace: yes(texts, 3, "replace")?,
        }])
    })
}

/// Text and metadata of a record. What is as it was is not sent, and a text that stays keeps its vector.
pub(super) fn edit_record(collection: &str, record: &StoredRecord) -> Form {
    let (collection, before) = (collection.to_owned(), record.clone());
    let text = record.document.clone().unwrap_or_default();
    let long = text.len() > LONGEST;
    let line = if long {
        let hint =
            format!("{} KiB, left as they are; a text typed here takes their place", text.len() / 1024);
        Field::new("text").hint(hint)
    } else {
        Field::new("text").with(text).hint("none, only a vector")
    };
    let fields = vec![line, Field::new("metadata").with(json(&record.metadata)).hint("JSON; empty for none")];
    Form::new(format!("Edit {} of {collection}", record.id), fields, "change", move |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        let old = before.document.as_deref().unwrap_or_default();
        let document = Some(text(0)).filter(|new| *new != old.trim() && !(long && new.is_empty()));
        if document == Some("") {
            return Err(Problem::new(0, "a text can be changed, not taken away: delete the record instead"));
        }
        let metadata = metadata(text(1)).map_err(|problem| Problem::new(1, problem))?;
        let metadata = changes(&before.metadata, metadata);
        if document.is_none() && metadata.is_empty() {
            return Ok(Vec::new());
        }
        let (id, document) = (before.id.clone(), document.map(str::to_owned));
        let edit = RecordEdit { id, document, embedding: None, metadata };
        Ok(vec![Write::Collection(CollectionChange::UpdateRecord { collection: collection.clone(), edit })])
    })
}

/// What makes `new` of `old` when it is laid over it: null takes a key away.
fn changes(old: &Metadata, new: Metadata) -> Metadata {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let mut changes: Metadata = gone.collect();
    changes.extend(new.into_iter().filter(|(key, value)| old.get(key) != Some(value)));
    changes
}

pub(super) fn remove_collection(collection: &Collection) -> Confirm {
    let records = counted(collection.records, "record");
    let question = format!("Delete the collection with its {records}? This cannot be undone.");
    let write = Write::RemoveCollection(collection.name.clone());
    Confirm::new("Delete a collection", question, vec![collection.name.clone()], "delete", write)
        .by_typing(collection.name.as_str())
}

pub(super) fn remove_records(collection: &str, ids: Vec<String>) -> Confirm {
    let records = counted(ids.len() as u64, "record");
    let question = format!("Delete {records} of {collection}? This cannot be undone.");
    let write = Write::RemoveRecords { collection: collection.to_owned(), ids: ids.clone() };
    let word = ids.len().to_string();
    Confirm::new("Delete records", question, ids, "delete", write).by_typing(word)
}

/// As it is typed; nothing for none.
fn json(metadata: &Metadata) -> String {
    if metadata.is_empty() { String::new() } else { Value::Object(metadata.clone()).to_string() }
}

/// A JSON object that stores take; empty for no text.
fn metadata(text: &str) -> Result<Metadata, String> {
    if text.is_empty() {
        return Ok(Metadata::new());
    }
    let metadata: Metadata =
        serde_json::from_str(text).map_err(|error| format!("metadata: {error} (as in {{\"rating\": 5}})"))?;
    check_metadata(&metadata)?;
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Metadata {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn metadata_is_what_stores_take() {
        assert_eq!(metadata("").unwrap(), Metadata::new());
        assert_eq!(metadata(r#"{"rating": 5, "of": ["a", "b"]}"#).unwrap().len(), 2);
        assert!(metadata(r#"{"a": {"b": 1}}"#).unwrap_err().contains("`a` must be"));
        assert!(metadata("{rating: 5}").unwrap_err().starts_with("metadata: key must be a string"));
    }

    #[test]
    fn keys_that_are_taken_out_are_sent_as_null() {
        let old = object(json!({"a": 1, "b": "x", "c": true}));
        let new = object(json!({"a": 1, "b": "y", "d": 2}));
        assert_eq!(changes(&old, new), object(json!({"b": "y", "c": null, "d": 2})));
        assert_eq!(changes(&old, old.clone()), Metadata::new());
    }
}
