//! A small result table of any shape: what SQL gives back and what the command line prints.

use serde_json::Value;

/// Named columns and rows of JSON values; every row has one value per column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    /// There were more rows than the caller asked for.
    pub truncated: bool,
}

impl Table {
    pub fn new(columns: &[&str]) -> Self {
        Table { columns: columns.iter().map(|&name| name.to_owned()).collect(), ..Table::default() }
    }
}
