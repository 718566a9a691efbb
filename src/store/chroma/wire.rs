//! Chroma's JSON, read and written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::domain::collection::{
    CollectionEdit, Hnsw, NewCollection, RecordFilter, RecordHit, Space, StoredRecord,
};
use crate::domain::document::Metadata;

use super::filter;

/// What the server says of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) metadata: Metadata,
    pub(super) space: Space,
    pub(super) hnsw: Hnsw,
    pub(super) dimension: Option<usize>,
}

impl Known {
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let metadata = answer.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        let dimension = answer.get("dimension").and_then(Value::as_u64);
        Some(Known {
            id: text("id")?,
            name: text("name")?,
            space: space(answer, &metadata),
            hnsw: hnsw(answer),
            dimension: dimension.and_then(|dimension| usize::try_from(dimension).ok()),
            metadata,
        })
    }
}

/// From the configuration, or from the metadata as older versions kept it; `l2` is Chroma's default.
fn space(answer: &Value, metadata: &Metadata) -> Space {
    let configured = ["/configuration_json/hnsw/space", "/configuration_json/spann/space"]
        .iter()
        .find_map(|path| answer.pointer(path).and_then(Value::as_str));
    let named = configured.or_else(|| metadata.get("hnsw:space").and_then(Value::as_str));
    [Space::Cosine, Space::Ip].into_iter().find(|space| named == Some(space.as_str())).unwrap_or(Space::L2)
}

/// None of it where the index is of another kind, or the server too old to tell.
fn hnsw(answer: &Value) -> Hnsw {
    let Some(told) = answer.pointer("/configuration_json/hnsw") else {
        return Hnsw::default();
    };
    let whole =
        |name: &str| told.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    Hnsw {
        ef_construction: whole("ef_construction"),
        max_neighbors: whole("max_neighbors"),
        ef_search: whole("ef_search"),
        resize_factor: told.get("resize_factor").and_then(Value::as_f64),
        sync_threshold: whole("sync_threshold"),
    }
}

/// A vector in base64 of little-endian floats: a quarter of the bytes of JSON numbers.
pub(super) fn base64(embedding: &[f32]) -> String {
    let bytes: Vec<u8> = embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Adds the filters that there are: Chroma refuses empty ones.
pub(super) fn with_filter(mut body: Value, filter: &RecordFilter) -> Value {
    let given = |condition: &Option<Map<String, Value>>| condition.clone().filter(|given| !given.is_empty());
    if let Some(condition) = given(&filter.r#where) {
        body["where"] = Value::Object(filter::exact(&condition));
    }
    if let Some(condition) = given(&filter.where_document) {
        body["where_document"] = Value::Object(condition);
    }
    body
}

/// The rows of one list of an answer that is made of columns; a column that was not asked for is null.
struct Columns<'a> {
    ids: &'a [Value],
    documents: Option<&'a Vec<Value>>,
    metadatas: Option<&'a Vec<Value>>,
    embeddings: Option<&'a Vec<Value>>,
}

impl<'a> Columns<'a> {
    /// `pick` finds a column by its name.
    fn of(pick: impl Fn(&str) -> Option<&'a Value>) -> Option<Self> {
        let column = |name| pick(name).and_then(Value::as_array);
        Some(Columns {
            ids: column("ids")?,
            documents: column("documents"),
            metadatas: column("metadatas"),
            embeddings: column("embeddings"),
        })
    }

    fn record(&self, row: usize) -> Option<StoredRecord> {
        let cell = |column: Option<&'a Vec<Value>>| column.and_then(|values| values.get(row));
        // A document cannot be taken away, only emptied; see `upsert`.
        let document = cell(self.documents).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(StoredRecord {
            id: self.ids.get(row)?.as_str()?.to_owned(),
            document: document.map(ToOwned::to_owned),
            metadata: cell(self.metadatas).and_then(Value::as_object).cloned().unwrap_or_default(),
            embedding: cell(self.embeddings).and_then(Value::as_array).map(|values| floats(values)),
        })
    }
}

fn floats(values: &[Value]) -> Vec<f32> {
    // They were f32 before Chroma wrote them as decimals, and are so again.
    values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN) as f32).collect()
}

/// The records of a `get`.
pub(super) fn records(answer: &Value) -> Option<Vec<StoredRecord>> {
    let columns = Columns::of(|name| answer.get(name))?;
    (0..columns.ids.len()).map(|row| columns.record(row)).collect()
}

/// The hits of the one query of a `query`.
pub(super) fn hits(answer: &Value) -> Option<Vec<RecordHit>> {
    let first = |name: &str| answer.get(name).and_then(|lists| lists.get(0));
    let columns = Columns::of(first)?;
    let distances = first("distances").and_then(Value::as_array)?;
    let hit = |row: usize| {
        let distance = distances.get(row).and_then(Value::as_f64).unwrap_or(f64::NAN);
        Some(RecordHit { record: columns.record(row)?, distance })
    };
    (0..columns.ids.len()).map(hit).collect()
}

/// The body that makes a collection; Chroma refuses empty metadata.
pub(super) fn creation(new: &NewCollection) -> Value {
    let Hnsw { ef_construction, max_neighbors, ef_search, resize_factor, sync_threshold } = new.hnsw;
    let mut hnsw = json!({ "space": new.space.as_str() });
    let settings = [
        ("ef_construction", ef_construction),
        ("max_neighbors", max_neighbors),
        ("ef_search", ef_search),
        ("sync_threshold", sync_threshold),
    ];
    for (name, number) in settings {
        if let Some(number) = number {
            hnsw[name] = json!(number);
        }
    }
    if let Some(factor) = resize_factor {
        hnsw["resize_factor"] = json!(factor);
    }
    let mut body = json!({ "name": new.name, "configuration": { "hnsw": hnsw } });
    if !new.metadata.is_empty() {
        body["metadata"] = Value::Object(new.metadata.clone());
    }
    body
}

/// The body that changes one.
pub(super) fn alteration(edit: &CollectionEdit) -> Value {
    let metadata = edit.metadata.as_ref().filter(|metadata| !metadata.is_empty());
    json!({ "new_name": edit.name, "new_metadata": metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_of_every_version_are_read() {
        let plain = json!({"id": "i", "name": "n", "metadata": null, "dimension": 3,
            "configuration_json": {"hnsw": {"space": "ip", "ef_search": 7, "resize_factor": 1.5}, "spann": null}});
        let known = Known::read(&plain).unwrap();
        assert_eq!((known.space, known.dimension, known.metadata.len()), (Space::Ip, Some(3), 0));
        let told = Hnsw { ef_search: Some(7), resize_factor: Some(1.5), ..Hnsw::default() };
        assert_eq!(known.hnsw, told);
        let again =
            creation(&NewCollection { hnsw: told, ..NewCollection::new("n", &Metadata::new(), Space::Ip) });
        assert_eq!(
            again["configuration"],
            json!({"hnsw": {"space": "ip", "ef_search": 7, "resize_factor": 1.5}})
        );
        let legacy = json!({"id": "i", "name": "n", "metadata": {"hnsw:space": "cosine"}, "dimension": null});
        let known = Known::read(&legacy).unwrap();
        assert_eq!((known.space, known.dimension), (Space::Cosine, None));
        assert_eq!(Known::read(&json!({"name": "n"})), None);
        assert_eq!(Known::read(&json!([])), None);
    }

    #[test]
    fn base64_is_little_endian() {
        assert_eq!(base64(&[1.0, 2.0, 3.0]), "AACAPwAAAEAAAEBA");
    }

    #[test]
    fn empty_filters_are_left_out() {
        let filter = RecordFilter { r#where: Some(Map::new()), where_document: None };
        assert_eq!(with_filter(json!({}), &filter), json!({}));
    }

    #[test]
    fn columns_that_were_not_asked_for_are_empty() {
        let found = records(&json!({"ids": ["a"], "documents": null, "metadatas": [null]})).unwrap();
        assert_eq!((found[0].document.as_deref(), found[0].metadata.len()), (None, 0));
        let found = hits(&json!({"ids": [["a"]], "documents": [["d"]], "distances": [[0.5]]})).unwrap();
        assert_eq!((found[0].record.document.as_deref(), found[0].distance), (Some("d"), 0.5));
        assert_eq!(hits(&json!({"ids": [[]], "distances": [[]]})), Some(Vec::new()));
        assert_eq!(records(&json!({"error": "x"})), None);
    }
}
