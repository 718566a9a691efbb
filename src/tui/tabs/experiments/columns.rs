//! The columns of the table: what each shows, how wide it is, and by what it sorts.

use jiff::Timestamp;
use ratatui::style::Style;

use crate::domain::experiment::{Experiment, Status};
use crate::domain::filter::{Field, Figure};
use crate::tui::theme::Theme;
use crate::tui::widgets::number::{accuracy, age, milliseconds, seconds};
use crate::tui::widgets::table::{Cell, Column, Row};

/// A column and its order; one without a title is not sorted by.
pub struct Shown {
    pub title: &'static str,
    pub field: Field,
    /// Largest first when it is sorted by for the first time.
    pub descending: bool,
    cell: fn(&Experiment, &Theme, Timestamp) -> Cell,
    column: fn(Column) -> Column,
}

/// All columns, in order; `s` sorts by one after the other.
pub static COLUMNS: [Shown; 10] = [
    Shown {
        title: "id",
        field: Field::Id,
        descending: true,
        cell: |run, _, _| Cell::new(run.id.to_string()),
        column: |column| column.width(5, 5).right(),
    },
    Shown {
        title: "model",
        field: Field::Model,
        descending: false,
        cell: |run, _, _| Cell::new(clip(&run.model_type)),
        column: |column| column.width(10, 14).flex(2),
    },
    Shown {
        title: "dataset",
        field: Field::Dataset,
        descending: false,
        cell: |run, _, _| Cell::new(clip(&run.dataset)),
        column: |column| column.width(10, 16).flex(3).priority(1),
    },
    Shown {
        title: "acc",
        field: Field::Figure(Figure::Accuracy),
        descending: true,
        cell: |run, theme, _| figure(run, accuracy(run.figures.accuracy), theme),
        column: |column| column.width(5, 6).right(),
    },
    Shown {
        title: "lat ms",
        field: Field::Figure(Figure::InferenceTimeMs),
        descending: false,
        cell: |run, theme, _| figure(run, milliseconds(run.figures.inference_time_ms), theme),
        column: |column| column.width(6, 8).right().priority(2),
    },
    Shown {
        title: "train",
        field: Field::Figure(Figure::TrainingTimeSeconds),
        descending: false,
        cell: |run, theme, _| figure(run, seconds(run.figures.training_time_seconds), theme),
        column: |column| column.width(6, 7).right().priority(3),
    },
    Shown {
        title: "status",
        field: Field::Status,
        descending: false,
        cell: |run, theme, _| status_cell(run, theme),
        column: |column| column.width(13, 13),
    },
    Shown {
        title: "",
        field: Field::Runner,
        descending: false,
        cell: |run, theme, _| Cell::styled(if run.is_simulated() { "sim" } else { "" }, theme.badge),
        column: |column| column.width(3, 3),
    },
    Shown {
        title: "name",
        field: Field::Name,
        descending: false,
        cell: |run, _, _| Cell::new(clip(&run.name)),
        // Only where model and data set keep their room beside it.
        column: |column| column.width(28, 28).flex(4).priority(5),
    },
    Shown {
        title: "age",
        field: Field::Created,
        descending: true,
        cell: |run, theme, now| Cell::styled(age(run.created_at, now), theme.dim),
        column: |column| column.width(5, 5).right().priority(6),
    },
];

/// For the table.
pub fn columns() -> Vec<Column> {
    COLUMNS.iter().map(|shown| (shown.column)(Column::new(shown.title))).collect()
}

/// One run as a row.
pub fn row(run: &Experiment, theme: &Theme, now: Timestamp) -> Row {
    let mut row = Row::new(COLUMNS.iter().map(|shown| (shown.cell)(run, theme, now)));
    if run.archived_at.is_some() {
        row.style = theme.dim;
    }
    row
}

/// One run as a line of text, for the clipboard.
pub fn line(run: &Experiment, now: Timestamp) -> String {
    let theme = Theme::default();
    let cells = COLUMNS.iter().map(|shown| (shown.cell)(run, &theme, now).text);
    cells.map(|text| text.replace(['\t', '\n', '\r'], " ")).collect::<Vec<_>>().join("\t")
}

/// A status with its sign, told apart without colour as well.
pub fn status(status: Status, theme: &Theme) -> (&'static str, Style) {
    match status {
        Status::Queued => ("◌ queued", theme.dim),
        Status::Running => ("● running", theme.running),
        Status::Completed => ("✓ done", theme.good),
        Status::Failed => ("✗ failed", theme.bad),
        Status::Cancelled => ("⊘ cancelled", theme.warn),
        Status::Interrupted => ("! interrupted", theme.warn),
    }
}

fn status_cell(run: &Experiment, theme: &Theme) -> Cell {
    let (text, style) = status(run.status, theme);
    Cell::styled(text, style)
}

/// Figures of a run that still moves are not final.
fn figure(run: &Experiment, text: String, theme: &Theme) -> Cell {
    if run.status == Status::Running { Cell::styled(text, theme.running) } else { Cell::new(text) }
}

/// A megabyte need not be copied to be cut.
fn clip(text: &str) -> &str {
    crate::domain::text::first_characters(text, 200)
}
