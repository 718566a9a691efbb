//! What is asked of collections and changed in them, beside the plain reads.

use std::path::PathBuf;

use crate::domain::collection::{CollectionEdit, RecordEdit, RecordFilter};

use super::Write;

/// What records are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Likeness {
    /// Embedded by the model of the collection.
    Text(String),
    Vector(Vec<f32>),
    /// "Like this one": the id of a record.
    Record(String),
}

/// The nearest records of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordQuestion {
    pub collection: String,
    pub by: Likeness,
    pub n_results: usize,
    pub filter: RecordFilter,
}

/// A change of a collection that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum CollectionChange {
    Edit {
        name: String,
        edit: CollectionEdit,
    },
    UpdateRecord {
        collection: String,
        edit: RecordEdit,
    },
    /// A job.
    Copy {
        from: String,
        to: String,
    },
    /// A job; only a file changes.
    Export(ExportForm),
}

/// What the form for writing a collection to a file asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportForm {
    pub collection: String,
    /// Its ending says the format: `.jsonl` or `.parquet`.
    pub path: PathBuf,
    pub filter: RecordFilter,
    pub with_vectors: bool,
}

impl Write {
    /// Not one that read-only mode lets pass.
    pub fn changes_something(&self) -> bool {
        !matches!(self, Write::Collection(CollectionChange::Export(_)))
    }
}
