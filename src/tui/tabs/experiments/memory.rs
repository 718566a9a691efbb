//! What the tab remembers between sessions: its section of the view file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::domain::filter::{Field, Filter};
use crate::tui::charts::view::CurveSettings;

use super::Experiments;
use super::columns::Shown;

/// The section as it stands in the file. Names are those of the filter language. Whoever adds a key gives it a default,
/// so that files without it can be read.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// None while they are those of the settings.
    columns: Option<Vec<Column>>,
    sort: Option<String>,
    descending: bool,
    filter: String,
    hide_simulated: bool,
    with_archived: bool,
    baseline: Option<Baseline>,
    curves: CurveSettings,
}

#[derive(Debug, Serialize, Deserialize)]
struct Column {
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u16>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    id: i64,
    key: String,
}

impl Experiments {
    pub(super) fn memory(&self) -> Table {
        let opened = self.groups.as_ref().and_then(|groups| groups.opened.as_ref());
        let filter = opened.unwrap_or(&self.list.filter);
        let column = |shown: &Shown| Column { field: shown.field.to_string(), width: shown.width };
        let columns = self.columns.all().iter().map(column).collect();
        let memory = Memory {
            columns: Some(columns).filter(|_| !self.columns.is_usual()),
            sort: Some(self.list.sort.to_string()),
            descending: self.list.descending,
            // One with a mistake would keep every run out of sight the next time.
            filter: if mistake(filter).is_none() { filter.clone() } else { String::new() },
            hide_simulated: self.list.without_simulated,
            with_archived: self.list.with_archived,
            baseline: self.pinned.remembered().map(|(id, key)| Baseline { id, key }),
            curves: self.view.settings,
        };
        // Texts, numbers and lists of them are always TOML.
        Table::try_from(memory).unwrap_or_default()
    }

    /// Takes over what was remembered; what it does not understand is told and left as it is.
    pub(super) fn recall_memory(&mut self, section: &Table) -> Vec<String> {
        let memory: Memory = match section.clone().try_into() {
            Ok(memory) => memory,
            Err(error) => return vec![format!("[experiments] of the remembered view: {}", error.message())],
        };
        let mut problems = Vec::new();
        let mut parse = |name: &str| match Field::parse(name) {
            Ok(field) => Some(field),
            Err(error) => {
                problems.push(format!("remembered column '{name}': {}", error.message));
                None
            }
        };
        if let Some(columns) = memory.columns {
            let shown = columns.into_iter().filter_map(|column| {
                Some(Shown {
                    field: parse(&column.field)?,
                    width: column.width.map(|width| width.clamp(3, 80)),
                })
            });
            let mut shown: Vec<Shown> = shown.collect();
            let mut seen = Vec::new();
            shown.retain(|shown| {
                let new = !seen.contains(&shown.field);
                seen.push(shown.field.clone());
                new
            });
            self.columns.set(shown);
        }
        if let Some(sort) = memory.sort.as_deref().and_then(parse) {
            self.list.sort = sort;
            self.list.descending = memory.descending;
        }
        match mistake(&memory.filter) {
            None => self.list.filter = memory.filter,
            Some(mistake) => problems.push(format!("remembered filter '{}': {mistake}", memory.filter)),
        }
        self.list.without_simulated = memory.hide_simulated;
        self.list.with_archived = memory.with_archived;
        if let Some(Baseline { id, key }) = memory.baseline {
            self.pinned.recall(id, key);
        }
        self.view.settings = memory.curves;
        // A strength of 1 would never move, and one that is no number would draw nothing.
        if !(0.0..1.0).contains(&memory.curves.smoothing) {
            self.view.settings.smoothing = 0.0;
        }
        problems
    }
}

/// What is wrong with a filter, if anything; none at all is right.
fn mistake(filter: &str) -> Option<String> {
    let text = Some(filter.trim()).filter(|text| !text.is_empty())?;
    // Whether it can be read does not depend on the moment.
    Filter::parse(text, Timestamp::UNIX_EPOCH).err().map(|error| error.message)
}
