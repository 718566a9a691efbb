//! DuckDB's errors in our words.

use std::path::Path;

use crate::store::{Backend, ErrorKind, StoreError};

/// What DuckDB said, classified by the name it puts before its message.
pub fn from_duckdb(error: duckdb::Error, doing: &str, path: &Path) -> StoreError {
    let text = text_of(&error);
    let place = path.display();
    let made = |kind, message: String| StoreError::new(kind, Backend::DuckDb, doing, message);
    let made = if let Some(holder) = holder(&text) {
        made(ErrorKind::Unavailable, format!("{place} is held by {holder}"))
            .remedy("Close it there, or use another file with --store FILE.")
    } else if text.contains("not a valid DuckDB database file") {
        made(ErrorKind::Invalid, format!("{place} is not a DuckDB file; it was left as it is"))
            .remedy("Name another file with --store FILE.")
    } else if text.contains("newer version") || text.contains("newer storage version") {
        made(ErrorKind::Invalid, format!("{place} was made by a newer DuckDB; it was left as it is"))
            .remedy("Update labtop, or name another file with --store FILE.")
    } else if is_damaged(&text) {
        made(ErrorKind::Invalid, format!("{place} is damaged ({}); it was left as it is", brief(&text)))
            .remedy("Put a copy in its place, or name another file with --store FILE.")
    } else if text.contains("No space left on device") {
        made(ErrorKind::Unavailable, format!("{place}: the disk is full; what was stored before is safe"))
            .remedy("Make room on it and try again.")
    } else if text.contains("Is a directory") {
        made(ErrorKind::Invalid, format!("{place} is a folder")).remedy("Name a file with --store FILE.")
    } else if is_interrupt(&error) {
        made(ErrorKind::Cancelled, "cancelled".to_owned())
    } else if text.starts_with("IO Error") {
        made(ErrorKind::Unavailable, format!("{place}: {}", without_kind(&text)))
            .remedy("Check the disk and the rights of the folder, or name another file with --store FILE.")
    } else if is_users_mistake(&text) {
        made(ErrorKind::Invalid, text)
    } else {
        made(ErrorKind::Backend, text)
    };
    made.source(error)
}

/// Another process has the file open.
pub fn is_held_elsewhere(error: &StoreError) -> bool {
    error.kind == ErrorKind::Unavailable && error.message.contains(" is held by ")
}

/// Somebody interrupted the statement.
pub fn is_interrupt(error: &duckdb::Error) -> bool {
    let text = text_of(error);
    text.contains("Interrupted") || text.starts_with("INTERRUPT")
}

/// DuckDB needed more memory than its limit lets it have.
pub fn is_out_of_memory(error: &StoreError) -> bool {
    error.kind == ErrorKind::Backend && error.message.starts_with("Out of Memory Error")
}

fn text_of(error: &duckdb::Error) -> String {
    match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

/// "python3.11 (PID 123)" of "Conflicting lock is held in /usr/bin/python3.11 (PID 123). ...".
fn holder(text: &str) -> Option<String> {
    if !text.contains("Could not set lock") {
        return None;
    }
    let held = text.split_once("lock is held in ").map(|(_, rest)| rest);
    let named = held.and_then(|rest| rest.split_once(')')).map(|(name, _)| format!("{name})"));
    Some(named.unwrap_or_else(|| "another program".to_owned()))
}

/// The file cannot be read as DuckDB wrote it.
fn is_damaged(text: &str) -> bool {
    [
        "Corrupt database file",
        "Could not read enough bytes",
        "Serialization Error",
        "does not match stored checksum",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// The first clause, without the kind.
fn brief(text: &str) -> &str {
    let text = without_kind(text);
    text.split([':', '\n']).next().unwrap_or(text).trim()
}

fn without_kind(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, rest)| rest)
}

/// Errors in a query that a person wrote, or in a value that does not fit.
fn is_users_mistake(text: &str) -> bool {
    text.contains("in read-only mode")
        || [
            "Parser",
            "Binder",
            "Catalog",
            "Conversion",
            "Invalid Input",
            "Out of Range",
            "Constraint",
            "Syntax",
        ]
        .iter()
        .any(|kind| text.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_named() {
        let text = "IO Error: Could not set lock on file \"/x/a.duckdb\": Conflicting lock is held in \
                    /usr/bin/python3.11 (PID 4711). See also https://duckdb.org";
        assert_eq!(holder(text).as_deref(), Some("/usr/bin/python3.11 (PID 4711)"));
        assert_eq!(holder("IO Error: No space left"), None);
    }
}
