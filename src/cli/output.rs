//! Printing: results on stdout, progress and messages on stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::domain::table::Table;
use crate::domain::{csv, text};

/// Widest text in a printed table, in terminal columns; JSON and CSV hold the whole of it.
const WIDEST: usize = 60;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Csv,
}

/// Where a command's results and messages go.
#[derive(Debug)]
pub struct Output {
    pub format: Format,
    quiet: bool,
    /// Whole blocks are written under it, so that lines of parallel runs do not mix.
    stdout: Mutex<io::Stdout>,
}

impl Output {
    pub fn new(format: Format, quiet: bool) -> Self {
        Output { format, quiet, stdout: Mutex::new(io::stdout()) }
    }

    /// Writes text as it is; it ends with its own line feed.
    pub fn write(&self, text: &str) -> io::Result<()> {
        // A poisoned lock only means that another thread panicked while printing.
        let mut stdout = self.stdout.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// One line of a result.
    pub fn line(&self, line: &str) -> io::Result<()> {
        self.write(&format!("{line}\n"))
    }

    /// A message beside the result. Nothing can be done when stderr is closed.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{message}");
        }
    }

    /// Progress that overwrites itself, on a terminal only.
    pub fn progress(&self, message: &str) {
        if !self.quiet && io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[2K{message}");
        }
    }

    /// What is done now, where no line can change: in a file or a pipe.
    pub fn phase(&self, message: &str) {
        if !io::stderr().is_terminal() {
            self.note(message);
        }
    }

    /// One JSON document.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.write(&format!("{text}\n"))
    }

    /// A result in the chosen format: `json` whole, `table` for people and as CSV.
    pub fn result(&self, json: &impl Serialize, table: &Table) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(json),
            Format::Csv => self.write(&to_csv(table)),
            Format::Table => self.write(&to_text(table)),
        }
    }
}

/// A header line and the rows.
pub fn to_csv(table: &Table) -> String {
    let names: Vec<Value> = table.columns.iter().map(|name| name.clone().into()).collect();
    let rows = table.rows.iter().map(csv::record);
    std::iter::once(csv::record(&names)).chain(rows).collect()
}

/// Aligned columns: numbers to the right, texts to the left; safe whatever the data holds.
pub fn to_text(table: &Table) -> String {
    let cells: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let columns: Vec<(usize, bool)> = (0..table.columns.len())
        .map(|column| {
            let widths = cells.iter().filter_map(|row| row.get(column)).map(|cell| text::width(cell));
            let width = widths.chain([text::width(&table.columns[column])]).max().unwrap_or(0);
            let mut values = table.rows.iter().filter_map(|row| row.get(column));
            let numeric = table.rows.iter().any(|row| row.get(column).is_some_and(Value::is_number))
                && values.all(|value| value.is_number() || value.is_null());
            (width, numeric)
        })
        .collect();
    let mut lines = aligned(table.columns.iter().map(String::as_str), &columns);
    for row in &cells {
        lines.push_str(&aligned(row.iter().map(String::as_str), &columns));
    }
    lines
}

fn aligned<'a>(cells: impl Iterator<Item = &'a str>, columns: &[(usize, bool)]) -> String {
    let padded: Vec<String> = cells
        .zip(columns)
        .map(|(cell, (width, numeric))| {
            let gap = " ".repeat(width.saturating_sub(text::width(cell)));
            if *numeric { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        })
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}

fn cell(value: &Value) -> String {
    if let Some(number) = value.as_f64().filter(|_| value.is_f64()) {
        return rounded(number);
    }
    text::fit(&text::one_line(&csv::plain(value), 4 * WIDEST), WIDEST)
}

/// A figure with as many digits as a person reads; JSON and CSV hold all of them.
fn rounded(number: f64) -> String {
    let whole = number.to_string();
    if whole.len() <= 8 {
        whole
    } else if (1e-3..1e9).contains(&number.abs()) {
        format!("{number:.4}")
    } else {
        format!("{number:.4e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_short() {
        let shown = [0.8949295767810991, 0.001, 459.0, 2.5e-7, 1.0 / 3e12, 12345678.9].map(rounded);
        assert_eq!(shown, ["0.8949", "0.001", "459", "2.5000e-7", "3.3333e-13", "12345678.9000"]);
    }

    #[test]
    fn numbers_right_texts_left_and_nothing_moves_the_cursor() {
        let table = Table {
            columns: vec!["name".to_owned(), "acc".to_owned()],
            rows: vec![vec![json!("日本\u{1b}[2J"), json!(0.5)], vec![json!("a"), json!(null)]],
            truncated: false,
        };
        assert_eq!(to_text(&table), "name      acc\n日本·[2J  0.5\na\n");
    }
}
