//! What is asked of collections and changed in them, beside the plain reads.

use std::path::PathBuf;

use crate::domain::collection::{CollectionEdit, RecordEdit, RecordFilter};
use crate::domain::database::Database;

use super::{Read, Write};

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

/// A change of the databases themselves.
#[derive(Clone, Debug, PartialEq)]
pub enum DatabaseChange {
    /// In a tenant that is there.
    Create(Database),
    /// With its collections.
    Remove(Database),
}

impl Read {
    /// The same about collections in a database; none for that of the settings.
    pub fn at(self, database: Option<&Database>) -> Read {
        match database {
            Some(database) => Read::At(database.clone(), Box::new(self)),
            None => self,
        }
    }
}

impl Write {
    /// Not one that read-only mode lets pass.
    pub fn changes_something(&self) -> bool {
        match self {
            Write::At(_, write) => write.changes_something(),
            write => !matches!(write, Write::Collection(CollectionChange::Export(_))),
        }
    }

    /// The same about collections in a database; none for that of the settings.
    pub fn at(self, database: Option<&Database>) -> Write {
        match database {
            Some(database) => Write::At(database.clone(), Box::new(self)),
            None => self,
        }
    }
}
