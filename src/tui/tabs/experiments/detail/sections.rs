//! What stands below the curves: parameters, results, metrics, documents, log, note.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use crate::domain::collection::StoredRecord;
use crate::domain::experiment::Experiment;
use crate::domain::text::width;
use crate::tui::tabs::experiments::curves::{Curves, title_of};
use crate::tui::theme::Theme;
use crate::tui::widgets::number::{count, short};
use crate::worker::protocol::{LogLevel, LogLine};

use super::facts::Facts;

/// What stands below the curves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    #[default]
    Parameters,
    Results,
    Metrics,
    Documents,
    Log,
    Note,
}

const ALL: [(Section, &str); 6] = [
    (Section::Parameters, "parameters"),
    (Section::Results, "results"),
    (Section::Metrics, "metrics"),
    (Section::Documents, "documents"),
    (Section::Log, "log"),
    (Section::Note, "note"),
];

const BETWEEN: &str = " · ";

impl Section {
    pub fn beside(self, right: bool) -> Section {
        let index = ALL.iter().position(|(section, _)| *section == self).unwrap_or(0);
        let next = if right { index + 1 } else { index + ALL.len() - 1 };
        ALL[next % ALL.len()].0
    }

    /// The section whose name is at `column` of a line that begins at `start`.
    pub fn at(self, room: u16, column: u16) -> Option<Section> {
        let mut x = 0;
        for (section, name) in self.names(room) {
            let end = x + width(name) as u16;
            if (x..end).contains(&column) {
                return Some(section);
            }
            x = end + width(BETWEEN) as u16;
        }
        None
    }

    /// All names, or those from a later one on where the one that is shown would not fit.
    fn names(self, room: u16) -> impl Iterator<Item = (Section, &'static str)> {
        let index = ALL.iter().position(|(section, _)| *section == self).unwrap_or(0);
        let wide = |from: usize| -> usize {
            ALL[from..=index].iter().map(|(_, name)| width(name) + width(BETWEEN)).sum()
        };
        let from =
            (0..=index).find(|from| wide(*from) <= usize::from(room) + width(BETWEEN)).unwrap_or(index);
        ALL.into_iter().skip(from)
    }

    /// `parameters · results · …`, with the one that is shown standing out; at the right what else is worth knowing.
    pub fn draw(self, area: Rect, buffer: &mut Buffer, theme: &Theme, words: &str) {
        if area.is_empty() {
            return;
        }
        let mut spans = Vec::new();
        for (section, name) in self.names(area.width) {
            if !spans.is_empty() {
                spans.push(Span::styled(BETWEEN, theme.border));
            }
            let style = if section == self { theme.focus.patch(theme.title) } else { theme.dim };
            spans.push(Span::styled(name, style));
        }
        let (end, _) = buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
        let start = area.right().saturating_sub(width(words) as u16);
        if start > end.saturating_add(2) {
            buffer.set_stringn(start, area.y, words, usize::from(area.right() - start), theme.dim);
        }
    }
}

pub fn parameters(run: &Experiment, theme: &Theme) -> Facts {
    let mut facts = Facts::default();
    push_map(&mut facts, &run.parameters, theme, "No parameters.");
    facts.say(" ", theme.text);
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    for (name, value) in [
        ("name", run.name.clone()),
        ("about", run.description.clone()),
        ("model", run.model_type.clone()),
        ("dataset", run.dataset.clone()),
        ("tags", run.tags.join(" ")),
        ("runner", run.runner.clone()),
        ("seed", number(run.seed)),
        ("batch", number(run.batch_id)),
        ("trial", number(run.trial)),
        ("attempt", run.attempt.to_string()),
    ] {
        facts.push(name, &value, theme.text);
    }
    facts
}

pub fn results(run: &Experiment, theme: &Theme) -> Facts {
    let mut facts = Facts::default();
    if run.results.is_empty() {
        let text = if run.status.is_final() { "No results." } else { "Results come when the run ends." };
        facts.say(text, theme.dim);
    }
    for (name, value) in &run.results {
        facts.push(name, &with_unit(name, value), theme.text);
    }
    facts
}

/// Every curve with its figures.
pub fn metrics(curves: Option<&Curves>, theme: &Theme) -> Facts {
    let mut facts = Facts::default();
    let Some(curves) = curves.filter(|curves| !curves.is_empty()) else {
        facts.say("No curve was recorded.", theme.dim);
        return facts;
    };
    for name in curves.names() {
        let Some(series) = curves.get(name) else { continue };
        let finite = || series.points().iter().map(|point| point.1).filter(|value| value.is_finite());
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), short);
        let text = format!(
            "{:>8}  min {:>8}  max {:>8}  {} points",
            figure(finite().next_back()),
            figure(finite().reduce(f64::min)),
            figure(finite().reduce(f64::max)),
            count(series.points().len() as u64)
        );
        facts.push(&title_of(name), &text, theme.text);
    }
    facts
}

pub fn documents(records: &[StoredRecord], theme: &Theme) -> Facts {
    let mut facts = Facts::default();
    if records.is_empty() {
        facts.say("No documents yet: they are written when the run ends.", theme.dim);
    }
    for record in records {
        facts.say(&record.id, theme.key);
        facts.say(record.document.as_deref().unwrap_or("(without text)"), theme.text);
    }
    facts
}

/// When and where it ran, then what it said while this dashboard was open.
pub fn log(run: &Experiment, lines: &[LogLine], theme: &Theme) -> Facts {
    let mut facts = Facts::default();
    let time = |at: Option<jiff::Timestamp>| at.map(|at| format!("{at:.0}")).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    for (name, value) in [
        ("created", time(Some(run.created_at))),
        ("started", time(run.started_at)),
        ("finished", time(run.finished_at)),
        ("archived", time(run.archived_at)),
        ("worker", text(&run.worker)),
        ("host", text(&run.host)),
        ("command", text(&run.command)),
        ("commit", text(&run.git_commit)),
    ] {
        facts.push(name, &value, theme.text);
    }
    facts.push("error", run.error.as_deref().unwrap_or(""), theme.bad);
    if lines.is_empty() {
        facts.say("No lines: those of the runs of this session are kept while labtop is open.", theme.dim);
    }
    for line in lines {
        let style = match line.level {
            LogLevel::Error => theme.bad,
            LogLevel::Warn => theme.warn,
            LogLevel::Info => theme.text,
            LogLevel::Debug => theme.dim,
        };
        facts.say(&line.text, style);
    }
    facts
}

pub fn note(run: &Experiment, theme: &Theme) -> Facts {
    let mut facts = Facts::default();
    if run.note.is_empty() {
        facts.say("No note. N writes one in $EDITOR.", theme.dim);
    }
    facts.say(&run.note, theme.text);
    facts
}

fn push_map(facts: &mut Facts, map: &Map<String, Value>, theme: &Theme, empty: &str) {
    if map.is_empty() {
        facts.say(empty, theme.dim);
    }
    for (name, value) in map {
        facts.push(name, &value_text(value), theme.text);
    }
}

/// Figures that are known to have a unit are told with it.
fn with_unit(name: &str, value: &Value) -> String {
    let unit = match name {
        "training_time_seconds" => " s",
        "inference_time_ms" => " ms",
        "memory_usage_mb" => " MB",
        _ => "",
    };
    let text = value_text(value);
    if value.is_number() { format!("{text}{unit}") } else { text }
}

/// A value as a person writes it: texts without quotes, numbers short.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(short).unwrap_or_default(),
        other => other.to_string(),
    }
}
