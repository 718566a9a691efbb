//! SQL typed by a person: one statement that reads, answered as JSON values.

use std::path::Path;

use duckdb::Connection;
use serde_json::{Map, Value};

use crate::domain::table::Table;
use crate::store::duckdb::error::from_duckdb;
use crate::store::{Backend, ErrorKind, Result, StoreError};

const DOING: &str = "asking in SQL";
/// Name of a row of the answer. Not a word that a query would give a column, since the column would be meant then.
const ROW: &str = "\"a row of the answer\"";

/// Runs `query` and takes at most `limit` rows.
///
/// Two fences keep it from changing anything: DuckDB's own parser must find exactly one SELECT (with the query wrapped as
/// a subquery, so that DESCRIBE, SHOW and SUMMARIZE pass as well), and it runs in a read-only transaction.
pub fn ask(connection: &Connection, path: &Path, query: &str, limit: usize) -> Result<Table> {
    let query = query.trim().trim_end_matches(';').trim();
    if query.is_empty() {
        return Err(invalid("the query is empty"));
    }
    // On a line of its own, so that a comment at its end hides nothing.
    let source = format!("(\n{query}\n)");
    let failed = |error| from_duckdb(error, DOING, path);
    reads_only(connection, &format!("SELECT * FROM {source} AS {ROW}")).map_err(|error| match error {
        Refusal::Duck(error) => failed(error),
        Refusal::Text(message) => invalid(&message),
    })?;
    connection.execute_batch("BEGIN TRANSACTION READ ONLY").map_err(failed)?;
    let table = fetch(connection, &source, limit);
    connection.execute_batch("ROLLBACK").map_err(failed)?;
    table.map_err(failed)
}

enum Refusal {
    Duck(duckdb::Error),
    Text(String),
}

/// DuckDB serialises SELECT statements only; it says how many there are, and what is wrong with anything else.
fn reads_only(connection: &Connection, wrapped: &str) -> Result<(), Refusal> {
    let parsed: String = connection
        .query_row("SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", [wrapped], |row| row.get(0))
        .map_err(Refusal::Duck)?;
    let parsed: Value = serde_json::from_str(&parsed).map_err(|error| Refusal::Text(error.to_string()))?;
    if parsed["error"].as_bool() == Some(true) {
        let message = parsed["error_message"].as_str().unwrap_or("it cannot be read");
        return Err(Refusal::Text(format!(
            "{message} (one statement that reads: SELECT, FROM, WITH, DESCRIBE, SHOW, SUMMARIZE)"
        )));
    }
    match parsed["statements"].as_array().map(Vec::len) {
        Some(1) => Ok(()),
        _ => Err(Refusal::Text("one statement at a time".to_owned())),
    }
}

fn fetch(connection: &Connection, source: &str, limit: usize) -> duckdb::Result<Table> {
    let mut table = Table::default();
    {
        let mut statement = connection.prepare(&format!("SELECT * FROM {source} AS {ROW} LIMIT 0"))?;
        drop(statement.query([])?);
        table.columns = statement.column_names();
    }
    let sql =
        format!("SELECT to_json({ROW})::VARCHAR FROM {source} AS {ROW} LIMIT {}", limit.saturating_add(1));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if table.rows.len() == limit {
            table.truncated = true;
            break;
        }
        let text: String = row.get(0)?;
        let mut object = parsed(&text)?;
        table.rows.push(table.columns.iter().map(|name| object.remove(name).unwrap_or_default()).collect());
    }
    Ok(table)
}

/// DuckDB writes NaN and the infinities bare, which JSON has no word for: they become texts.
fn parsed(text: &str) -> duckdb::Result<Map<String, Value>> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&figures_quoted(text))).map_err(|error| {
        duckdb::Error::FromSqlConversionFailure(0, duckdb::types::Type::Text, Box::new(error))
    })
}

/// Quotes the bare words; what stands inside a JSON string is left alone.
fn figures_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word));
        let length = match word {
            Some(word) => {
                quoted.extend(["\"", word, "\""]);
                word.len()
            }
            None => {
                let length = if first == '"' { string_length(rest) } else { first.len_utf8() };
                quoted.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    quoted
}

/// Bytes of the JSON string that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn invalid(message: &str) -> StoreError {
    StoreError::new(ErrorKind::Invalid, Backend::DuckDb, DOING, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_that_json_lacks_become_texts_and_texts_stay() {
        let row =
            parsed(r#"{"a":NaN,"b":[-Infinity,1.5,{"c":Infinity}],"d":"say \"NaN, é\\","NaN":2}"#).unwrap();
        let expected = json!({
            "a": "NaN", "b": ["-Infinity", 1.5, { "c": "Infinity" }], "d": "say \"NaN, é\\", "NaN": 2
        });
        assert_eq!(Value::Object(row), expected);
        parsed(r#"{"a":nothing}"#).unwrap_err();
    }
}
