//! What is said of documents: how they are searched, and where they come from.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::domain::document::Distance;
use crate::domain::metadata_filter::MetadataFilter;

/// How it is searched, whatever by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchTerms {
    pub limit: usize,
    pub distance: Distance,
    /// Whatever indexes there are.
    pub exact: bool,
    /// The one that new documents are embedded by when none.
    pub model: Option<String>,
    pub filter: MetadataFilter,
    /// Candidates kept while going along an index; those of the settings when none.
    pub ef_search: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SearchRead {
    pub query: SearchQuery,
    pub terms: SearchTerms,
}

/// Documents on a map, with a question and what it found lit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapRead {
    /// The one that new documents are embedded by when none.
    pub model: Option<String>,
    pub query: Option<SearchQuery>,
    /// Ids.
    pub hits: Vec<String>,
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
    pub terms: SearchTerms,
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
    /// What they are embedded by; the one in the settings when none.
    pub model: Option<String>,
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
