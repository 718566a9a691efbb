//! Files of JSON lines, with errors that name file, line and column.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{OpsError, Result};

/// One line that is not blank, with its number from 1.
pub(super) struct Line {
    pub number: usize,
    pub text: String,
}

/// Reads a text file, UTF-8.
pub(super) async fn read(path: &Path) -> Result<Vec<Line>> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| OpsError::File { path: path.display().to_string(), source })?;
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    Ok(lines
        .filter(|(line, _)| !line.trim().is_empty())
        .map(|(line, number)| Line { number, text: line.to_owned() })
        .collect())
}

/// Reads one line as JSON.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, line: &Line) -> Result<T> {
    serde_json::from_str(&line.text).map_err(|error| {
        let text = error.to_string();
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
        OpsError::Invalid(format!("{}:{}:{}: {why}", path.display(), line.number, error.column().max(1)))
    })
}

/// An error at a line.
pub(super) fn invalid(path: &Path, line: usize, why: &str) -> OpsError {
    OpsError::Invalid(format!("{}:{line}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_line_and_column() {
        let line = Line { number: 3, text: "{\"a\": oops}".to_owned() };
        let error = parse::<serde_json::Value>(Path::new("d/x.jsonl"), &line).unwrap_err();
        assert_eq!(error.to_string(), "d/x.jsonl:3:7: expected value");
    }

    #[tokio::test]
    async fn blank_lines_count_but_do_not_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.txt");
        std::fs::write(&path, "\u{feff}a\r\n\n  \nb").unwrap();
        let lines = read(&path).await.unwrap();
        let lines: Vec<_> = lines.iter().map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(lines, [(1, "a"), (4, "b")]);

        let error = read(&folder.path().join("none")).await.err().unwrap();
        assert!(error.to_string().contains("none: "), "{error}");
    }
}
