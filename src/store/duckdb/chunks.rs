//! Rows of a statement by columns, a chunk at a time.

use duckdb::arrow::array::{Array, StructArray};
use duckdb::types::Value;
use duckdb::{Statement, params_from_iter};

/// Runs a statement and hands over its rows as they are read.
pub fn chunks(
    statement: &mut Statement<'_>,
    values: impl IntoIterator<Item = Value>,
    mut take: impl FnMut(&StructArray) -> duckdb::Result<()>,
) -> duckdb::Result<()> {
    chunks_while(statement, values, |chunk| take(chunk).map(|()| true))
}

/// The same until `take` answers false.
pub fn chunks_while(
    statement: &mut Statement<'_>,
    values: impl IntoIterator<Item = Value>,
    mut take: impl FnMut(&StructArray) -> duckdb::Result<bool>,
) -> duckdb::Result<()> {
    // Its own iterator would panic where a read is interrupted.
    let _ = statement.stream_arrow(params_from_iter(values))?;
    while let Some(chunk) = statement.step()? {
        if !chunk.is_empty() && !take(&chunk)? {
            break;
        }
    }
    Ok(())
}

/// A column of a chunk; an error when it is not of that type.
pub fn column<T: 'static>(chunk: &StructArray, place: usize) -> duckdb::Result<&T> {
    chunk.columns().get(place).and_then(|column| column.as_any().downcast_ref()).ok_or_else(unexpected)
}

/// What is read is of another type or shape than labtop stores it in.
pub fn unexpected() -> duckdb::Error {
    duckdb::Error::DuckDBFailure(
        duckdb::ffi::Error::new(1),
        Some("what was read is not stored as it should be".to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;
    use duckdb::arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn all_rows_come_and_of_another_type_none() {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare("SELECT range FROM range(?)").unwrap();
        let mut sum = 0;
        chunks(&mut statement, [Value::BigInt(10_000)], |chunk| {
            sum += column::<Int64Array>(chunk, 0)?.values().iter().sum::<i64>();
            Ok(())
        })
        .unwrap();
        assert_eq!(sum, 49_995_000);
        let read =
            chunks(&mut statement, [Value::BigInt(1)], |chunk| column::<StringArray>(chunk, 0).map(|_| ()));
        assert!(read.unwrap_err().to_string().contains("not stored as it should be"));
    }

    #[test]
    fn an_interrupt_between_chunks_is_an_error() {
        let connection = Connection::open_in_memory().unwrap();
        let interrupt = connection.interrupt_handle();
        let mut statement = connection.prepare("SELECT range FROM range(100000000)").unwrap();
        let mut rows = 0;
        let read = chunks(&mut statement, [], |chunk| {
            rows += chunk.len();
            interrupt.interrupt();
            Ok(())
        });
        assert!(read.unwrap_err().to_string().contains("INTERRUPT"));
        assert!(rows < 100_000_000);
        let answer = connection.query_row("SELECT 42", [], |row| row.get::<_, i64>(0));
        assert_eq!(answer, Ok(42));
    }
}
