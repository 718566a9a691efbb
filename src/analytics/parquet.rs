//! Tables as Parquet files, written and read by DuckDB in memory: the store's file is not touched.

use std::path::{Path, PathBuf};

use duckdb::types::Value as DuckValue;
use duckdb::{Connection, appender_params_from_iter, params};
use serde_json::Value;

use crate::domain::csv::plain;
use crate::domain::table::Table;
use crate::store::Result;
use crate::store::duckdb::error::from_duckdb;

/// Writes the table; a column of numbers is BIGINT or DOUBLE, of booleans BOOLEAN, any other text. Blocks.
pub fn write(table: &Table, path: &Path) -> Result<()> {
    try_write(table, path).map_err(|error| from_duckdb(error, "writing Parquet", path))
}

fn try_write(table: &Table, path: &Path) -> duckdb::Result<()> {
    let connection = Connection::open_in_memory()?;
    let kinds: Vec<Kind> = (0..table.columns.len())
        .map(|column| Kind::of(table.rows.iter().filter_map(|row| row.get(column))))
        .collect();
    let columns: Vec<String> = table
        .columns
        .iter()
        .zip(&kinds)
        .map(|(name, kind)| format!("\"{}\" {}", name.replace('"', "\"\""), kind.sql()))
        .collect();
    connection.execute_batch(&format!("CREATE TABLE rows ({})", columns.join(", ")))?;
    let mut appender = connection.appender("rows")?;
    for row in &table.rows {
        let values = row.iter().zip(&kinds).map(|(value, kind)| kind.value(value));
        appender.append_row(appender_params_from_iter(values))?;
    }
    appender.flush()?;
    drop(appender);
    let target = path.display().to_string().replace('\'', "''");
    connection.execute_batch(&format!("COPY rows TO '{target}' (FORMAT parquet)"))
}

/// Rows that are in memory at once.
const WINDOW: u64 = 2000;

/// The rows of a Parquet file, window by window. Everything here blocks.
pub struct Rows {
    connection: Connection,
    path: PathBuf,
    next: u64,
    total: u64,
}

impl Rows {
    pub fn open(path: &Path) -> Result<Self> {
        let opened = || {
            let connection = Connection::open_in_memory()?;
            let sql = "SELECT coalesce(sum(num_rows), 0)::UBIGINT FROM parquet_file_metadata(?)";
            let total = connection.query_row(sql, [path.display().to_string()], |row| row.get(0))?;
            Ok(Rows { connection, path: path.to_owned(), next: 0, total })
        };
        opened().map_err(|error| from_duckdb(error, "reading Parquet", path))
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next rows, each as a JSON object; none at the end.
    pub fn next_window(&mut self) -> Result<Vec<String>> {
        if self.next >= self.total {
            return Ok(Vec::new());
        }
        let until = self.next + WINDOW;
        let rows = self
            .window(self.next, until)
            .map_err(|error| from_duckdb(error, "reading Parquet", &self.path))?;
        self.next = until;
        Ok(rows)
    }

    fn window(&self, from: u64, until: u64) -> duckdb::Result<Vec<String>> {
        let mut statement = self.connection.prepare(
            "SELECT to_json(r)::VARCHAR FROM (
                 SELECT * EXCLUDE (file_row_number) FROM read_parquet(?, file_row_number = true)
                 WHERE file_row_number >= ? AND file_row_number < ? ORDER BY file_row_number
             ) r",
        )?;
        let path = self.path.display().to_string();
        statement.query_map(params![path, from, until], |row| row.get(0))?.collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Integer,
    Float,
    Bool,
    Text,
}

impl Kind {
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Kind {
        let mut kind = None;
        for value in values {
            let own = match value {
                Value::Null => continue,
                Value::Bool(_) => Kind::Bool,
                Value::Number(number) if number.is_i64() => Kind::Integer,
                Value::Number(_) => Kind::Float,
                _ => Kind::Text,
            };
            kind = match (kind, own) {
                (None, own) => Some(own),
                (Some(known), own) if known == own => Some(known),
                (Some(Kind::Integer | Kind::Float), Kind::Integer | Kind::Float) => Some(Kind::Float),
                _ => return Kind::Text,
            };
        }
        kind.unwrap_or(Kind::Text)
    }

    fn sql(self) -> &'static str {
        match self {
            Kind::Integer => "BIGINT",
            Kind::Float => "DOUBLE",
            Kind::Bool => "BOOLEAN",
            Kind::Text => "VARCHAR",
        }
    }

    fn value(self, value: &Value) -> DuckValue {
        match (self, value) {
            (_, Value::Null) => DuckValue::Null,
            (Kind::Integer, value) => value.as_i64().map_or(DuckValue::Null, DuckValue::BigInt),
            (Kind::Float, value) => value.as_f64().map_or(DuckValue::Null, DuckValue::Double),
            (Kind::Bool, value) => value.as_bool().map_or(DuckValue::Null, DuckValue::Boolean),
            (Kind::Text, value) => DuckValue::Text(plain(value)),
        }
    }
}
