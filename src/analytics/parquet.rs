//! Tables as Parquet files, written by DuckDB in memory: the store's file is not touched.

use std::path::Path;

use duckdb::types::Value as DuckValue;
use duckdb::{Connection, appender_params_from_iter};
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
