//! What is said of documents: how they are searched, and where they come from.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::domain::document::{Distance, Metadata};
use crate::domain::index::Index;
use crate::domain::metadata_filter::MetadataFilter;

#[derive(Clone, Debug, PartialEq)]
pub struct SearchRead {
    pub query: SearchQuery,
    pub limit: usize,
    pub distance: Distance,
    /// Whatever indexes there are.
    pub exact: bool,
    /// The one that new documents are embedded by when none.
    pub model: Option<String>,
    pub filter: MetadataFilter,
}

/// What one engine answered.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSide {
    /// "PostgreSQL", "the collection notes in Chroma"
    pub place: String,
    /// Along an index, or by comparing every vector.
    pub how: String,
    /// Nothing nearer can have been missed.
    pub exact: bool,
    pub took: Duration,
    /// Ids with their distances, nearest first.
    pub hits: Result<Vec<(String, f64)>, Failure>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HybridRead {
    pub text: String,
    pub limit: usize,
    pub distance: Distance,
    pub exact: bool,
    /// The one that new documents are embedded by when none.
    pub model: Option<String>,
    pub filter: MetadataFilter,
}

/// A document that either half of a hybrid search found.
#[derive(Clone, Debug, PartialEq)]
pub struct FusedHit {
    pub document_id: String,
    pub model_name: String,
    pub content: String,
    pub metadata: Metadata,
    pub score: f64,
    /// By meaning, and how far it is; none where that half stopped before it.
    pub vector_rank: Option<usize>,
    pub distance: Option<f64>,
    /// By words; none where it holds none of them.
    pub text_rank: Option<usize>,
}

/// One embedding model in sums.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSums {
    pub model_name: String,
    pub dimension: usize,
    pub documents: u64,
    pub bytes: u64,
    /// A text can be embedded by it here.
    pub here: bool,
    pub indexes: Vec<Index>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SearchQuery {
    /// Embedded by the built-in model and searched among its documents.
    Text(String),
    /// "Like this one", under its own model.
    Document { id: String, model: String },
}

/// What the form for adding a file asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngestForm {
    pub path: PathBuf,
    pub place: IngestPlace,
    /// One named after the file when none.
    pub collection: Option<String>,
    /// Fields by name; guessed when none.
    pub id: Option<String>,
    pub text: Option<String>,
    pub metadata: Option<Vec<String>>,
    /// Of a text file.
    pub split: IngestSplit,
    /// Bad rows are passed over and counted; else the first one ends the job.
    pub skip_bad: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IngestPlace {
    #[default]
    Documents,
    Collection,
    Both,
}

/// What becomes one document of a text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IngestSplit {
    #[default]
    Line,
    Paragraph,
    File,
}
