//! Records of a collection as a Parquet file, put in lot by lot; written by DuckDB in memory.

use std::path::{Path, PathBuf};

use duckdb::Connection;

use crate::domain::collection::StoredRecord;
use crate::store::Result;
use crate::store::duckdb::error::from_duckdb;
use crate::store::duckdb::vectors;

const DOING: &str = "writing Parquet";

/// A file that is being made. Its methods block.
#[derive(Debug)]
pub struct RecordFile {
    connection: Connection,
    path: PathBuf,
    /// Of the vectors; none without.
    dimension: Option<usize>,
}

impl RecordFile {
    pub fn create(path: &Path, dimension: Option<usize>) -> Result<Self> {
        let create = || {
            let connection = Connection::open_in_memory()?;
            let embedding =
                dimension.map_or(String::new(), |dimension| format!(", embedding FLOAT[{dimension}]"));
            connection.execute_batch(&format!(
                "CREATE TABLE records (id VARCHAR, document VARCHAR, metadata VARCHAR{embedding})"
            ))?;
            Ok(RecordFile { connection, path: path.to_owned(), dimension })
        };
        create().map_err(|error| from_duckdb(error, DOING, path))
    }

    pub fn put(&mut self, records: &[StoredRecord]) -> Result<()> {
        let metadata: Vec<String> = records
            .iter()
            .map(|record| serde_json::Value::Object(record.metadata.clone()).to_string())
            .collect();
        let ids = vectors::texts(records.iter().map(|record| Some(record.id.as_str())));
        let documents = vectors::texts(records.iter().map(|record| record.document.as_deref()));
        let metadata = vectors::texts(metadata.iter().map(|text| Some(text.as_str())));
        let put = || match self.dimension {
            Some(dimension) => {
                let rows = records.iter().map(|record| record.embedding.as_deref().unwrap_or_default());
                let columns = [ids, documents, metadata, vectors::vectors(dimension, rows)?];
                vectors::append(&self.connection, "main", "records", columns)
            }
            None => vectors::append(&self.connection, "main", "records", [ids, documents, metadata]),
        };
        put().map_err(|error| from_duckdb(error, DOING, &self.path))
    }

    /// Writes the file.
    pub fn finish(self) -> Result<()> {
        let target = self.path.display().to_string().replace('\'', "''");
        self.connection
            .execute_batch(&format!("COPY records TO '{target}' (FORMAT parquet)"))
            .map_err(|error| from_duckdb(error, DOING, &self.path))
    }
}
