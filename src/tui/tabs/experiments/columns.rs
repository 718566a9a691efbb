//! The columns of the table: which are shown, what each shows, how wide it is, and by what it sorts.

use std::cmp::Ordering;

use jiff::Timestamp;
use ratatui::style::Style;
use serde_json::Value;

use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::filter::{Field, Figure};
use crate::domain::metric::is_better_small;
use crate::domain::text::{first_characters, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::number::{NOTHING, accuracy, age, brief, milliseconds, seconds};
use crate::tui::widgets::table::{Cell, Column, Row};

use super::aggregates::Aggregates;
use super::baseline::{self, Baseline};
use super::detail::value_text;

/// What stands in the table before anybody chooses, in its order.
const USUAL: [Field; 10] = [
    Field::Id,
    Field::Model,
    Field::Dataset,
    Field::Figure(Figure::Accuracy),
    Field::Figure(Figure::InferenceTimeMs),
    Field::Figure(Figure::TrainingTimeSeconds),
    Field::Status,
    Field::Runner,
    Field::Name,
    Field::Created,
];

/// Width of an id, unless it is longer.
const ID: u16 = 5;

/// Narrowest and widest that a column can be made.
const WIDTHS: (u16, u16) = (3, 80);

/// From this width on the runner is named, where otherwise only simulated runs have their badge.
const NAMED_RUNNER: u16 = 6;

/// One column, and its width where the user gave it one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub field: Field,
    pub width: Option<u16>,
}

impl Shown {
    pub fn new(field: Field) -> Self {
        Shown { field, width: None }
    }
}

/// The columns in their order. The first stays while the others are scrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    shown: Vec<Shown>,
    usual: Vec<Field>,
    /// Columns behind the first that are scrolled out.
    scrolled: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Columns::new(Vec::new())
    }
}

impl Columns {
    /// With these at first, or ours when there are none.
    pub fn new(usual: Vec<Field>) -> Self {
        let usual = if usual.is_empty() { USUAL.to_vec() } else { usual };
        let shown = usual.iter().cloned().map(Shown::new).collect();
        Columns { shown, usual, scrolled: 0 }
    }

    pub fn all(&self) -> &[Shown] {
        &self.shown
    }

    /// The columns by which can be sorted, to the right of one and around, it as the last.
    pub fn sortable_from(&self, field: &Field) -> impl Iterator<Item = &Field> {
        let after = self.position(field).map_or(0, |place| place + 1);
        let (before, behind) = self.shown.split_at(after);
        behind.iter().chain(before).map(|shown| &shown.field).filter(|field| !title(field).is_empty())
    }

    /// Replaces all; there is always one at least.
    pub fn set(&mut self, shown: Vec<Shown>) {
        if !shown.is_empty() {
            self.shown = shown;
            self.scrolled = 0;
        }
    }

    pub fn reset(&mut self) {
        *self = Columns::new(std::mem::take(&mut self.usual));
    }

    pub fn is_usual(&self) -> bool {
        self.shown.iter().map(|shown| &shown.field).eq(&self.usual)
            && self.shown.iter().all(|shown| shown.width.is_none())
    }

    pub fn position(&self, field: &Field) -> Option<usize> {
        self.shown.iter().position(|shown| shown.field == *field)
    }

    /// Shows a column behind the others, or hides it; the last one stays.
    pub fn toggle(&mut self, field: &Field) {
        match self.position(field) {
            Some(index) if self.shown.len() > 1 => {
                self.shown.remove(index);
            }
            Some(_) => {}
            None => self.shown.push(Shown::new(field.clone())),
        }
        self.scroll(0);
    }

    pub fn shift(&mut self, field: &Field, right: bool) {
        if let Some(index) = self.position(field) {
            let other = if right { index + 1 } else { index.wrapping_sub(1) };
            if other < self.shown.len() {
                self.shown.swap(index, other);
            }
        }
    }

    /// Makes a column wider or narrower than it is by itself.
    pub fn widen(&mut self, field: &Field, by: i16) {
        if let Some(index) = self.position(field) {
            let own = layout(&self.shown[index], false).preferred;
            let width = self.shown[index].width.unwrap_or(own).saturating_add_signed(by);
            self.shown[index].width = Some(width.clamp(WIDTHS.0, WIDTHS.1));
        }
    }

    /// Keeps the first column and those for which `keeps` holds.
    pub fn retain(&mut self, keeps: impl Fn(&Field) -> bool) {
        let mut first = true;
        self.shown.retain(|shown| std::mem::take(&mut first) || keeps(&shown.field));
        self.scroll(0);
    }

    /// Scrolls the columns behind the first; the last one stays in view.
    pub fn scroll(&mut self, by: isize) {
        let most = self.shown.len().saturating_sub(2);
        self.scrolled = self.scrolled.saturating_add_signed(by).min(most);
    }

    pub fn scrolled(&self) -> usize {
        self.scrolled
    }

    /// Those that are not scrolled out.
    pub fn in_view(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().take(1).chain(self.shown.iter().skip(1 + self.scrolled))
    }

    /// For the table; `compared` makes room for differences, `longest_id` for itself.
    pub fn layout(&self, compared: bool, longest_id: ExperimentId) -> Vec<Column> {
        let digits = longest_id.checked_ilog10().map_or(1, |log| log as u16 + 1);
        let columns = self.in_view().map(|shown| {
            let column = layout(shown, compared);
            match (&shown.field, shown.width) {
                (Field::Id, None) => column.width(digits.max(ID), digits.max(ID)),
                _ => column,
            }
        });
        columns.collect()
    }

    /// One run as a row.
    pub fn row(&self, run: &Experiment, sight: &Sight<'_>) -> Row {
        let mut row = Row::new(self.in_view().map(|shown| cell(shown, run, sight)));
        if run.archived_at.is_some() {
            row.style = sight.theme.dim;
        }
        row
    }

    /// One run as a line of text, for the clipboard.
    pub fn line(&self, run: &Experiment, aggregates: &Aggregates, now: Timestamp) -> String {
        let theme = Theme::default();
        let sight = Sight { theme: &theme, now, aggregates, baseline: None };
        let cells = self.shown.iter().map(|shown| cell(shown, run, &sight).text);
        cells.map(|text| text.replace(['\t', '\n', '\r'], " ")).collect::<Vec<_>>().join("\t")
    }
}

/// What a cell is made from beside the run.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    pub theme: &'a Theme,
    pub now: Timestamp,
    pub aggregates: &'a Aggregates,
    pub baseline: Option<&'a Baseline>,
}

/// As the header calls it.
pub fn title(field: &Field) -> String {
    match field {
        Field::Figure(Figure::Accuracy) => "acc".to_owned(),
        Field::Figure(Figure::Precision) => "prec".to_owned(),
        Field::Figure(Figure::F1Score) => "f1".to_owned(),
        Field::Figure(Figure::InferenceTimeMs) => "lat ms".to_owned(),
        Field::Figure(Figure::TrainingTimeSeconds) => "train".to_owned(),
        Field::Figure(Figure::MemoryUsageMb) => "mem MB".to_owned(),
        // Its badges need no title.
        Field::Runner => String::new(),
        Field::Created => "age".to_owned(),
        Field::Param(name) | Field::Metric(name) => name.clone(),
        other => other.to_string(),
    }
}

/// Largest first when it is sorted by for the first time.
pub fn begins_descending(field: &Field) -> bool {
    match field {
        Field::Id | Field::Created | Field::Started | Field::Finished => true,
        Field::Figure(_) | Field::Metric(_) | Field::Curve(..) => !is_small_better(field),
        _ => false,
    }
}

/// Whether the small values of a figure are the good ones.
pub fn is_small_better(field: &Field) -> bool {
    match field {
        Field::Figure(figure) => is_better_small(figure.column()),
        Field::Metric(name) | Field::Curve(_, name) => is_better_small(name),
        _ => false,
    }
}

/// The value of a figure, a metric or an aggregate of a curve.
pub fn number(run: &Experiment, field: &Field, aggregates: &Aggregates) -> Option<f64> {
    match field {
        Field::Curve(..) => aggregates.get(run.id, field),
        Field::Metric(name) => run.results.get(name).and_then(Value::as_f64),
        Field::Figure(_) => run.value(field).as_f64(),
        _ => None,
    }
}

/// A figure with as many digits as it deserves.
pub fn number_text(field: &Field, value: Option<f64>) -> String {
    match field {
        Field::Figure(Figure::InferenceTimeMs) => milliseconds(value),
        Field::Figure(Figure::TrainingTimeSeconds) => seconds(value),
        Field::Figure(Figure::MemoryUsageMb) => brief(value),
        Field::Figure(_) => accuracy(value),
        _ => brief(value),
    }
}

pub fn is_number(field: &Field) -> bool {
    matches!(field, Field::Figure(_) | Field::Metric(_) | Field::Curve(..))
}

/// Whether the runs differ in a field.
pub fn varies(field: &Field, runs: &[Experiment], aggregates: &Aggregates) -> bool {
    let same = |one: &Experiment, other: &Experiment| match field {
        Field::Curve(..) => {
            let (one, other) = (aggregates.get(one.id, field), aggregates.get(other.id, field));
            one.partial_cmp(&other) == Some(Ordering::Equal)
        }
        _ => one.value(field) == other.value(field),
    };
    runs.windows(2).any(|pair| !same(&pair[0], &pair[1]))
}

fn layout(shown: &Shown, compared: bool) -> Column {
    let title = title(&shown.field);
    let wide = u16::try_from(width(&title)).unwrap_or(u16::MAX);
    let column = Column::new(title);
    let column = match &shown.field {
        Field::Id => column.width(ID, ID).right(),
        Field::Model => column.width(10, 14).flex(2),
        Field::Dataset => column.width(10, 16).flex(3).priority(2),
        Field::Figure(Figure::InferenceTimeMs) => column.width(6, 8).right().priority(3),
        Field::Figure(Figure::TrainingTimeSeconds) => column.width(6, 7).right().priority(4),
        Field::Figure(Figure::Accuracy) => column.width(5, 6).right(),
        Field::Status => column.width(13, 13),
        Field::Runner => column.width(3, 3),
        // Only where model and data set keep their room beside it.
        Field::Name => column.width(28, 28).flex(4).priority(5),
        Field::Created => column.width(5, 5).right().priority(6),
        Field::Started | Field::Finished => column.width(8, 8).right().priority(1),
        Field::Seed | Field::Batch | Field::Attempt => column.width(wide, wide.max(7)).right().priority(1),
        Field::Figure(_) => column.width(6, wide.max(7)).right().priority(1),
        Field::Metric(_) | Field::Curve(..) => {
            column.width(wide.clamp(6, 12), wide.clamp(8, 24)).right().priority(1)
        }
        Field::Param(_) => column.width(wide.clamp(6, 12), wide.clamp(8, 24)).priority(1),
        Field::Description | Field::Note | Field::Tag => column.width(10, 20).flex(1).priority(1),
    };
    let extra = if compared && is_number(&shown.field) { baseline::WIDTH } else { 0 };
    match shown.width {
        // What the user made so wide is so wide.
        Some(own) => Column { min: own, preferred: own, flex: 0, ..column },
        None => Column { min: column.min + extra, preferred: column.preferred + extra, ..column },
    }
}

fn cell(shown: &Shown, run: &Experiment, sight: &Sight<'_>) -> Cell {
    let theme = sight.theme;
    match &shown.field {
        Field::Id => Cell::new(run.id.to_string()),
        Field::Model => Cell::new(clip(&run.model_type)),
        Field::Dataset => Cell::new(clip(&run.dataset)),
        Field::Name => Cell::new(clip(&run.name)),
        Field::Description => Cell::new(clip(&run.description)),
        Field::Note => Cell::new(clip(&run.note)),
        Field::Status => status_cell(run, theme),
        Field::Runner if shown.width.is_some_and(|wide| wide >= NAMED_RUNNER) => Cell::new(clip(&run.runner)),
        Field::Runner => Cell::styled(if run.is_simulated() { "sim" } else { "" }, theme.badge),
        Field::Created => Cell::styled(age(run.created_at, sight.now), theme.dim),
        Field::Started => moment(run.started_at, sight),
        Field::Finished => moment(run.finished_at, sight),
        Field::Metric(name) if run.results.get(name).is_some_and(|value| !value.is_number()) => {
            Cell::new(text(&run.results[name]))
        }
        field if is_number(field) => figure(field, run, sight),
        field => match run.value(field) {
            Value::Null => Cell::styled(NOTHING, theme.dim),
            value => Cell::new(text(&value)),
        },
    }
}

fn moment(at: Option<Timestamp>, sight: &Sight<'_>) -> Cell {
    Cell::styled(at.map_or_else(|| NOTHING.to_owned(), |at| age(at, sight.now)), sight.theme.dim)
}

fn text(value: &Value) -> String {
    clip(&value_text(value)).to_owned()
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

/// A figure, and how far it is from the baseline's. Those of a run that still moves are not final.
fn figure(field: &Field, run: &Experiment, sight: &Sight<'_>) -> Cell {
    let value = number(run, field, sight.aggregates);
    let text = number_text(field, value);
    if let Some(baseline) = sight.baseline
        && let Some(difference) = baseline.difference(run, field, value)
    {
        return Cell::styled(format!("{text} {}", difference.text()), difference.style(sight.theme));
    }
    if run.status == Status::Running { Cell::styled(text, sight.theme.running) } else { Cell::new(text) }
}

/// A megabyte need not be copied to be cut.
fn clip(text: &str) -> &str {
    first_characters(text, 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::data::run;

    fn names(columns: &Columns) -> Vec<String> {
        columns.all().iter().map(|shown| shown.field.to_string()).collect()
    }

    #[test]
    fn columns_move_and_go_but_one_stays() {
        let mut columns = Columns::new(vec![Field::Id, Field::Model, Field::Status]);
        let rate = Field::Param("lr".to_owned());
        columns.toggle(&rate);
        columns.shift(&rate, false);
        columns.shift(&rate, false);
        columns.shift(&Field::Id, false);
        assert_eq!(names(&columns), ["id", "params.lr", "model", "status"]);
        columns.widen(&rate, 3);
        assert_eq!(columns.all()[1].width, Some(11));
        columns.retain(|field| *field == rate);
        assert_eq!(names(&columns), ["id", "params.lr"]);
        columns.toggle(&Field::Id);
        columns.toggle(&rate);
        assert_eq!(names(&columns), ["params.lr"]);
        columns.reset();
        assert!(columns.is_usual());
    }

    #[test]
    fn the_first_column_stays_and_the_last_is_never_scrolled_out() {
        let mut columns = Columns::new(vec![Field::Id, Field::Model, Field::Status]);
        columns.scroll(99);
        let seen: Vec<_> = columns.in_view().map(|shown| shown.field.clone()).collect();
        assert_eq!(seen, [Field::Id, Field::Status]);
        columns.scroll(-99);
        assert_eq!(columns.in_view().count(), 3);
    }

    #[test]
    fn a_long_id_has_room_unless_its_column_was_made_narrow() {
        let mut columns = Columns::new(vec![Field::Id, Field::Model]);
        let width = |columns: &Columns, longest: ExperimentId| columns.layout(false, longest)[0].preferred;
        assert_eq!([0, 99_999, 100_000, 1_000_000].map(|longest| width(&columns, longest)), [5, 5, 6, 7]);
        columns.widen(&Field::Id, -1);
        assert_eq!(width(&columns, 1_000_000), 4);
    }

    #[test]
    fn equal_runs_vary_in_nothing() {
        let (one, other) = (run(1), Experiment { id: 2, ..run(1) });
        let aggregates = Aggregates::default();
        assert!(varies(&Field::Id, &[one.clone(), other.clone()], &aggregates));
        assert!(!varies(&Field::Model, &[one, other], &aggregates));
    }
}
