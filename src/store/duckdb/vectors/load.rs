//! Reading vectors out of the file, and asking which rows fit a filter.

use duckdb::Connection;
use duckdb::arrow::array::{Array, FixedSizeListArray, Float32Array, Int64Array, StringArray, StructArray};
use duckdb::types::Value;

use super::super::chunks::{chunks, column, unexpected};
use super::matrix::{KeyOf, Keys, Matrix};

/// Where the vectors of a matrix are.
#[derive(Clone, Debug)]
pub struct Source {
    pub dimension: usize,
    /// The key of a row: `document_id`, or `position`.
    pub key: &'static str,
    /// The vector as `FLOAT[dimension]`.
    pub vector: String,
    /// Table and condition.
    pub rows: String,
    /// Keys are texts.
    pub ids: bool,
}

/// How many rows there are, and the bytes of their keys' texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    rows: usize,
    text: usize,
}

impl Source {
    pub fn size(&self, connection: &Connection) -> duckdb::Result<Size> {
        let text =
            if self.ids { format!("coalesce(sum(strlen({})), 0)::BIGINT", self.key) } else { "0".to_owned() };
        let sql = format!("SELECT count(*), {text} FROM {}", self.rows);
        connection.query_row(&sql, [], |row| {
            let (rows, text): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Size { rows: usize::try_from(rows).unwrap_or(0), text: usize::try_from(text).unwrap_or(0) })
        })
    }

    /// What the matrix of so many rows takes; none when it cannot be one.
    pub fn bytes(&self, size: Size) -> Option<u64> {
        let key = if self.ids { size_of::<u32>() } else { size_of::<i64>() };
        let row = (self.dimension + 1) * size_of::<f32>() + key;
        // Ends of texts, and rows, are counted in 32 bits.
        (size.text <= u32::MAX as usize && size.rows <= u32::MAX as usize)
            .then_some((size.rows * row + size.text) as u64)
    }

    /// Reads them all. They must be as many as `size` says: the caller looks at one state of the file.
    pub fn load(&self, connection: &Connection, size: Size) -> duckdb::Result<Matrix> {
        let mut values = Vec::with_capacity(size.rows * self.dimension);
        let mut keys = match self.ids {
            true => Keys::Ids { text: String::with_capacity(size.text), ends: Vec::with_capacity(size.rows) },
            false => Keys::Positions(Vec::with_capacity(size.rows)),
        };
        let sql = format!("SELECT {}, {} FROM {}", self.key, self.vector, self.rows);
        let mut statement = connection.prepare(&sql)?;
        chunks(&mut statement, Vec::new(), |chunk| {
            keys_into(&mut keys, chunk)?;
            let vectors = column::<FixedSizeListArray>(chunk, 1)?;
            let floats = vectors.values().as_any().downcast_ref::<Float32Array>().ok_or_else(unexpected)?;
            let start = vectors.value_offset(0) as usize;
            let end = start + vectors.len() * self.dimension;
            values.extend_from_slice(floats.values().get(start..end).ok_or_else(unexpected)?);
            Ok(())
        })?;
        if values.len() != size.rows * self.dimension {
            return Err(unexpected());
        }
        Ok(Matrix::new(self.dimension, values, keys))
    }
}

/// Rows of the matrix whose keys a statement gives.
pub fn lookup(
    connection: &Connection,
    matrix: &Matrix,
    sql: &str,
    values: Vec<Value>,
) -> duckdb::Result<Vec<u32>> {
    let mut keys = match matrix.rows() > 0 && matches!(matrix.key(0), KeyOf::Id(_)) {
        true => Keys::Ids { text: String::new(), ends: Vec::new() },
        false => Keys::Positions(Vec::new()),
    };
    let mut statement = connection.prepare(sql)?;
    chunks(&mut statement, values, |chunk| keys_into(&mut keys, chunk))?;
    Ok(matrix.rows_of((0..keys.count()).map(|row| keys.get(row))))
}

/// Adds the first column to the keys.
fn keys_into(keys: &mut Keys, chunk: &StructArray) -> duckdb::Result<()> {
    match keys {
        Keys::Ids { text, ends } => {
            for id in column::<StringArray>(chunk, 0)?.iter() {
                text.push_str(id.ok_or_else(unexpected)?);
                ends.push(u32::try_from(text.len()).map_err(|_| unexpected())?);
            }
        }
        Keys::Positions(positions) => {
            positions.extend_from_slice(column::<Int64Array>(chunk, 0)?.values());
        }
    }
    Ok(())
}
