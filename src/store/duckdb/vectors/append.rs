//! Columns for DuckDB's appender, which takes vectors in this form only.

use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, StringArray};
use duckdb::arrow::datatypes::{DataType, Field, Schema};
use duckdb::arrow::error::ArrowError;
use duckdb::arrow::record_batch::RecordBatch;

/// Vectors of one dimension, one after another.
pub fn vectors<'a>(
    dimension: usize,
    rows: impl Iterator<Item = &'a [f32]>,
) -> duckdb::Result<(Field, ArrayRef)> {
    let mut values = Vec::with_capacity(rows.size_hint().0 * dimension);
    rows.for_each(|row| values.extend_from_slice(row));
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let size = i32::try_from(dimension).unwrap_or(i32::MAX);
    let list = FixedSizeListArray::try_new(item.clone(), size, Arc::new(Float32Array::from(values)), None)
        .map_err(failed)?;
    Ok((Field::new("vectors", DataType::FixedSizeList(item, size), false), Arc::new(list)))
}

/// Texts, some of which may be missing.
pub fn texts<'a>(rows: impl Iterator<Item = Option<&'a str>>) -> (Field, ArrayRef) {
    (Field::new("texts", DataType::Utf8, true), Arc::new(rows.collect::<StringArray>()))
}

pub fn numbers(rows: impl Iterator<Item = i64>) -> (Field, ArrayRef) {
    (Field::new("numbers", DataType::Int64, false), Arc::new(rows.collect::<Int64Array>()))
}

/// Appends columns of one length to a table that has just these.
pub fn append<const N: usize>(
    connection: &Connection,
    schema: &str,
    table: &str,
    columns: [(Field, ArrayRef); N],
) -> duckdb::Result<()> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(failed)?;
    let mut appender = connection.appender_to_db(table, schema)?;
    appender.append_record_batch(rows)?;
    appender.flush()
}

fn failed(error: ArrowError) -> duckdb::Error {
    duckdb::Error::ToSqlConversionFailure(Box::new(error))
}
