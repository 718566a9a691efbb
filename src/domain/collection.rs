//! Named collections of records, as Chroma knows them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::document::Metadata;

/// What is known of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    pub name: String,
    /// Empty when none was given.
    pub metadata: Metadata,
    pub space: Space,
    /// How its index is built, where the store has one and tells.
    #[serde(default, skip_serializing_if = "Hnsw::is_default")]
    pub hnsw: Hnsw,
    /// None until the first record.
    pub dimension: Option<usize>,
    /// Records in it.
    pub records: u64,
    /// Why it cannot be read; then its records are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How a collection measures distance, with Chroma's formulas: `l2` is squared, `cosine` and `ip` are one minus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    #[default]
    Cosine,
    L2,
    Ip,
}

impl Space {
    pub fn as_str(self) -> &'static str {
        match self {
            Space::Cosine => "cosine",
            Space::L2 => "l2",
            Space::Ip => "ip",
        }
    }
}

/// A collection that is to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewCollection {
    pub name: String,
    pub metadata: Metadata,
    pub space: Space,
    pub hnsw: Hnsw,
}

impl NewCollection {
    pub fn new(name: &str, metadata: &Metadata, space: Space) -> Self {
        NewCollection { name: name.to_owned(), metadata: metadata.clone(), space, hnsw: Hnsw::default() }
    }

    /// An empty one that is as another is.
    pub fn like(other: &Collection, name: &str) -> Self {
        NewCollection { hnsw: other.hnsw, ..NewCollection::new(name, &other.metadata, other.space) }
    }
}

/// How Chroma builds and searches the index of a collection; its own numbers where none are given. A store that compares
/// every vector has no use for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hnsw {
    /// Candidates kept while a vector is put in.
    pub ef_construction: Option<u32>,
    /// Neighbours of each vector.
    pub max_neighbors: Option<u32>,
    /// Candidates kept while searching.
    pub ef_search: Option<u32>,
    /// By how much the index grows when it is full.
    #[serde(default)]
    pub resize_factor: Option<f64>,
    /// Vectors after which it is written to disk.
    #[serde(default)]
    pub sync_threshold: Option<u32>,
}

impl Hnsw {
    pub fn is_default(&self) -> bool {
        *self == Hnsw::default()
    }
}

/// What is to be changed of a collection; what is none stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionEdit {
    pub name: Option<String>,
    /// In the place of all there is.
    pub metadata: Option<Metadata>,
}

/// What is to be changed of a record; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordEdit {
    pub id: String,
    #[serde(default)]
    pub document: Option<String>,
    #[serde(default)]
    pub embedding: Option<Vec<f32>>,
    /// Laid over what is there; null takes a key away.
    #[serde(default)]
    pub metadata: Metadata,
}

/// One record on its way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    #[serde(default)]
    pub document: Option<String>,
    /// All records of a collection have one dimension.
    pub embedding: Vec<f32>,
    /// Flat: string, integer, float or bool values.
    #[serde(default)]
    pub metadata: Metadata,
}

/// One record as it is shown; the embedding stays behind unless asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRecord {
    pub id: String,
    pub document: Option<String>,
    pub metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
}

/// One record with its distance from the query, nearest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordHit {
    #[serde(flatten)]
    pub record: StoredRecord,
    pub distance: f64,
}

/// Which records, in Chroma's filter language; `None` is all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordFilter {
    pub r#where: Option<Map<String, Value>>,
    pub where_document: Option<Map<String, Value>>,
}

impl RecordFilter {
    /// Whether every record fits. A condition that says nothing is none.
    pub fn is_empty(&self) -> bool {
        let says_nothing =
            |condition: &Option<Map<String, Value>>| condition.as_ref().is_none_or(Map::is_empty);
        says_nothing(&self.r#where) && says_nothing(&self.where_document)
    }
}

/// A page of records, in order of insertion where the backend knows it, else by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordPage {
    pub offset: usize,
    pub limit: usize,
    pub with_embeddings: bool,
    pub filter: RecordFilter,
    /// Only these ids when not empty.
    pub ids: Vec<String>,
}

/// Makes a collection name that Chroma accepts: 3 to 512 of `[a-zA-Z0-9._-]`, alphanumeric at both ends, no `..`.
///
/// `model` and `dataset` are joined by `_` in lower case, as the published example does.
pub fn collection_name(model: &str, dataset: &str) -> String {
    let joined = format!("{}_{}", model.trim(), dataset.trim()).to_lowercase();
    let mut name = String::with_capacity(joined.len());
    for character in joined.chars() {
        let valid = character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
        let character = if valid { character } else { '-' };
        let doubled = matches!(character, '.' | '-') && name.ends_with(character);
        if !doubled && name.len() < 512 {
            name.push(character);
        }
    }
    let mut name = name.trim_matches(|edge: char| !edge.is_ascii_alphanumeric()).to_owned();
    while name.len() < 3 {
        name.push('x');
    }
    name
}

/// The key of a record's metadata that names the experiment it is about.
pub const RUN: &str = "experiment_id";

/// The key of its metadata that says which of the run's documents it is.
pub const KIND: &str = "kind";

/// The id of one of a run's documents, by the run's key: the same whenever and wherever it is made.
pub fn run_document(key: &Uuid, kind: &str) -> String {
    format!("{key}/{kind}")
}

/// Chroma's rules for names.
pub fn check_name(name: &str) -> Result<(), String> {
    check_name_of("a collection", name)
}

/// The same rules for the name of `what` ("a database").
pub fn check_name_of(what: &str, name: &str) -> Result<(), String> {
    let alphanumeric = |edge: Option<char>| edge.is_some_and(|edge| edge.is_ascii_alphanumeric());
    let rule = if !(3..=512).contains(&name.len()) {
        "it must have 3 to 512 characters"
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        "only letters, digits, '.', '_' and '-' are allowed"
    } else if !alphanumeric(name.chars().next()) || !alphanumeric(name.chars().next_back()) {
        "it must begin and end with a letter or a digit"
    } else if name.contains("..") {
        "two dots must not follow each other"
    } else if name.parse::<std::net::Ipv4Addr>().is_ok() {
        "it must not be an IPv4 address"
    } else {
        return Ok(());
    };
    Err(format!("'{}' cannot name {what}: {rule}", super::text::one_line(name, 100)))
}

/// What a store refuses before it touches anything: ids empty or given twice, vectors empty, of mixed dimensions or not
/// finite, metadata that is nested or null. `dimension` is the collection's, if it has one.
pub fn check_records(records: &[Record], dimension: Option<usize>) -> Result<(), String> {
    let wanted = dimension.or_else(|| records.first().map(|record| record.embedding.len()));
    let mut seen = std::collections::HashSet::new();
    for record in records {
        let id = &record.id;
        if id.is_empty() {
            return Err("a record has an empty id".to_owned());
        }
        if !seen.insert(id) {
            return Err(format!("record '{id}' is given twice"));
        }
        if record.embedding.is_empty() {
            return Err(format!("record '{id}' has an empty embedding"));
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != record.embedding.len()) {
            return Err(format!(
                "record '{id}' has {} dimensions, the collection has {wanted}",
                record.embedding.len()
            ));
        }
        if let Some(position) = record.embedding.iter().position(|value| !value.is_finite()) {
            return Err(format!("record '{id}' has NaN or infinity at position {position} of its embedding"));
        }
        check_metadata(&record.metadata).map_err(|message| format!("record '{id}': {message}"))?;
    }
    Ok(())
}

/// The same for changes: a vector may be missing, and null takes a key of the metadata away.
pub fn check_edits(edits: &[RecordEdit], dimension: Option<usize>) -> Result<(), String> {
    let stand_in = vec![0.0; dimension.unwrap_or(1)];
    let records: Vec<Record> = edits
        .iter()
        .map(|edit| Record {
            id: edit.id.clone(),
            document: None,
            embedding: edit.embedding.clone().unwrap_or_else(|| stand_in.clone()),
            metadata: edit
                .metadata
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
        .collect();
    check_records(&records, dimension)
}

/// Values are texts, numbers, booleans, or lists of one kind of these.
pub fn check_metadata(metadata: &Metadata) -> Result<(), String> {
    for (key, value) in metadata {
        // Chroma keeps its own things there; a wrong one stops every later write until it is restarted.
        if key.starts_with("chroma:") {
            return Err(format!("metadata `{key}`: names that begin with chroma: belong to Chroma"));
        }
        let fits = match value {
            Value::Null | Value::Object(_) => false,
            Value::Array(items) => items.iter().all(|item| {
                !item.is_array()
                    && std::mem::discriminant(item) == std::mem::discriminant(&items[0])
                    && !item.is_null()
                    && !item.is_object()
            }),
            _ => true,
        };
        if !fits {
            return Err(format!(
                "metadata `{key}` must be a text, a number, a boolean, or a list of one kind of these"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_stay_as_published() {
        assert_eq!(
            collection_name("RandomForest", "sentiment_analysis_v3"),
            "randomforest_sentiment_analysis_v3"
        );
    }

    #[test]
    fn odd_names_become_valid() {
        assert_eq!(collection_name("Größe/β", "../etc"), "gr-e-_.-etc");
        assert_eq!(collection_name("", ""), "xxx");
        assert!(collection_name(&"a".repeat(600), "b").len() <= 512);
    }
}
