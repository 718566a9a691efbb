//! Documents with an embedding, and what a similarity search gives back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::index::Index;
use super::metadata_filter::MetadataFilter;

/// JSON object of a document or a record.
pub type Metadata = Map<String, Value>;

/// A text with its vector. `(document_id, model_name)` is unique; storing again replaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub document_id: String,
    pub content: String,
    /// Length is the dimension of `model_name`; all values finite.
    pub embedding: Vec<f32>,
    pub model_name: String,
    pub metadata: Metadata,
}

impl Document {
    /// SHA-256 of the UTF-8 content in lower-case hex: the same in every process and language.
    pub fn content_hash(&self) -> String {
        content_hash(&self.content)
    }
}

/// See [`Document::content_hash`].
pub fn content_hash(content: &str) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    Sha256::digest(content.as_bytes()).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// One embedding model known to a document store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingModel {
    pub name: String,
    pub dimension: usize,
    pub distance: Distance,
    /// Documents stored under it.
    pub documents: u64,
}

/// How far two vectors lie apart; smaller is nearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// 1 - cos, 0..2; NaN for a zero vector.
    #[default]
    Cosine,
    /// Euclidean, not squared (Chroma's own `l2` is squared; see `CollectionSpace`).
    L2,
    /// Negative inner product, as pgvector's `<#>`.
    Ip,
    /// Sum of absolute differences.
    L1,
}

impl Distance {
    pub const ALL: [Distance; 4] = [Distance::Cosine, Distance::L2, Distance::Ip, Distance::L1];

    pub fn as_str(self) -> &'static str {
        match self {
            Distance::Cosine => "cosine",
            Distance::L2 => "l2",
            Distance::Ip => "ip",
            Distance::L1 => "l1",
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Distance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Distance::ALL
            .into_iter()
            .find(|distance| distance.as_str() == text)
            .ok_or_else(|| format!("unknown metric '{text}' (known: cosine, l2, ip, l1)"))
    }
}

/// A nearest-neighbour question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentQuery {
    pub model_name: String,
    pub embedding: Vec<f32>,
    pub limit: usize,
    pub distance: Distance,
    /// Only documents whose metadata fit.
    pub filter: MetadataFilter,
    /// Compare every vector, whatever indexes there are.
    pub exact: bool,
    /// How many candidates to keep while going along an index; the store's own number when none. More is slower, and
    /// misses fewer.
    pub ef_search: Option<u32>,
}

/// One answer to it, nearest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentHit {
    pub document_id: String,
    pub model_name: String,
    pub content: String,
    pub metadata: Metadata,
    /// May be NaN (a zero vector under cosine).
    pub distance: f64,
}

/// A document without its text and vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Stub {
    pub document_id: String,
    pub content_hash: String,
    pub metadata: Metadata,
}

/// A question by words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextQuery {
    pub model_name: String,
    pub text: String,
    pub limit: usize,
    pub filter: MetadataFilter,
}

/// One answer to it, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextHit {
    pub document_id: String,
    pub model_name: String,
    pub content: String,
    pub metadata: Metadata,
    /// Above zero; the larger the better.
    pub score: f64,
}

/// Some documents: those that fit everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub ids: Option<Vec<String>>,
    pub model: Option<String>,
    pub filter: MetadataFilter,
}

impl Selection {
    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        self.ids.is_none() && self.model.is_none() && self.filter.is_empty()
    }
}

/// What the documents of one model take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelSize {
    pub model_name: String,
    /// Of the rows with their vectors, without indexes.
    pub bytes: u64,
}

/// One model in sums.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelStats {
    pub model_name: String,
    pub dimension: usize,
    pub documents: u64,
    /// Of the rows with their vectors, without indexes.
    pub bytes: u64,
    /// Whether a text can be embedded by it here, to search by.
    pub here: bool,
    /// The indexes over it; none where the store needs none.
    pub indexes: Vec<Index>,
}

/// A document that one half of a hybrid search found, or both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HybridHit {
    pub document_id: String,
    pub model_name: String,
    pub content: String,
    pub metadata: Metadata,
    /// The sum of 1 / (60 + rank) over the halves.
    pub score: f64,
    /// Its rank by meaning and its distance; none where that half stopped before it.
    pub vector_rank: Option<usize>,
    pub distance: Option<f64>,
    /// Its rank by words; none where that half does not have it.
    pub text_rank: Option<usize>,
}

/// What a search refuses: a vector of another dimension than what it looks at, or with figures that are not finite.
pub fn check_query(embedding: &[f32], dimension: usize, of: &str) -> Result<(), String> {
    if embedding.len() != dimension {
        return Err(format!("the query has {} dimensions, {of} has {dimension}", embedding.len()));
    }
    match embedding.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(format!("the query has NaN or infinity at position {position}")),
        None => Ok(()),
    }
}

/// What a store refuses before it touches anything: an empty id or vector, and figures that are not finite.
pub fn check_documents(documents: &[Document]) -> Result<(), String> {
    for document in documents {
        let id = &document.document_id;
        if id.is_empty() {
            return Err("a document has an empty id".to_owned());
        }
        if document.model_name.is_empty() {
            return Err(format!("document '{id}' names no embedding model"));
        }
        if document.embedding.is_empty() {
            return Err(format!("document '{id}' has an empty embedding"));
        }
        if let Some(position) = document.embedding.iter().position(|value| !value.is_finite()) {
            return Err(format!(
                "document '{id}' has NaN or infinity at position {position} of its embedding"
            ));
        }
    }
    let mut seen = std::collections::HashSet::new();
    match documents.iter().find(|document| !seen.insert((&document.document_id, &document.model_name))) {
        Some(twice) => Err(format!("document '{}' is given twice", twice.document_id)),
        None => Ok(()),
    }
}
