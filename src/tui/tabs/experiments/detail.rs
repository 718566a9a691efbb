//! One run in full: its curves while they grow, parameters, results, documents, log.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use crate::domain::collection::StoredRecord;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::domain::text::{fit, one_line, width};
use crate::tui::charts::curve::{Curve, CurveLine};
use crate::tui::context::{Context, Look};
use crate::tui::keymap::Keys;
use crate::tui::remote::Remote;
use crate::tui::theme::Theme;
use crate::tui::widgets::notice::{draw_empty, draw_failure};
use crate::tui::widgets::number::short;
use crate::tui::widgets::pane::{Pane, spinner};
use crate::tui::widgets::prose::Prose;
use crate::worker::protocol::{Answer, Failure, LogLevel, LogLine, Read, Slot, Ticket};

use super::columns;
use super::curves::{Curves, Live, title_of};

/// Least width and height of one chart with its title.
const CHART: (u16, u16) = (25, 7);

/// From this width on a chart gives room to another beside it.
const COMFORTABLE: u16 = 70;

/// Charts that are shown at once.
const MOST_CHARTS: usize = 3;

/// Longest text of one value, bytes.
const LONGEST: usize = 64 * 1024;

/// What stands below the curves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    #[default]
    Parameters,
    Results,
    Documents,
    Log,
}

impl Section {
    const ALL: [(Section, &'static str); 4] = [
        (Section::Parameters, "parameters"),
        (Section::Results, "results"),
        (Section::Documents, "documents"),
        (Section::Log, "log"),
    ];

    fn beside(self, right: bool) -> Section {
        let count = Section::ALL.len();
        let index = Section::ALL.iter().position(|(section, _)| *section == self).unwrap_or(0);
        let next = if right { (index + 1) % count } else { (index + count - 1) % count };
        Section::ALL[next].0
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Loaded {
    experiment: Experiment,
    curves: Curves,
}

/// The run that is shown.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    id: Option<ExperimentId>,
    loaded: Remote<Loaded>,
    documents: Remote<Vec<StoredRecord>>,
    section: Section,
    scroll: usize,
    /// Something changed while a reading was under way.
    again: bool,
}

impl Detail {
    pub fn id(&self) -> Option<ExperimentId> {
        self.id
    }

    /// Shows a run; reads it unless it is there already.
    pub fn show(&mut self, cx: &mut Context<'_>, id: Option<ExperimentId>) {
        if self.id != id {
            self.id = id;
            self.loaded.clear();
            self.documents.clear();
            self.scroll = 0;
            self.reread(cx);
        }
    }

    /// Reads the run again; one reading at a time, so that many changes in a row do not cancel each other's.
    pub fn refresh(&mut self, cx: &mut Context<'_>) {
        if self.loaded.is_loading() {
            self.again = true;
        } else {
            self.reread(cx);
        }
    }

    fn reread(&mut self, cx: &mut Context<'_>) {
        self.again = false;
        if let Some(id) = self.id {
            self.loaded.load(cx.read(Slot::Detail, Read::Detail(id)));
            self.read_documents(cx);
        }
    }

    /// Nothing is shown any more.
    pub fn close(&mut self) {
        *self = Detail { section: self.section, ..Detail::default() };
    }

    /// Only when they are looked at: they come from another store.
    fn read_documents(&mut self, cx: &mut Context<'_>) {
        if let (Some(id), Section::Documents) = (self.id, self.section) {
            self.documents.load(cx.read(Slot::Documents, Read::DocumentsOf(id)));
        }
    }

    pub fn turn(&mut self, cx: &mut Context<'_>, right: bool) {
        self.section = self.section.beside(right);
        self.scroll = 0;
        if self.documents.data().is_none() && !self.documents.is_loading() {
            self.read_documents(cx);
        }
    }

    /// Scrolls what stands below the curves, in a pane of `area`; the end of the text is the end.
    pub fn scroll(&mut self, down: bool, by: usize, area: Rect, row: Option<&Experiment>, log: &[LogLine]) {
        let inside = Pane::inside(area);
        let curves = self.loaded.data().map_or(0, |loaded| loaded.curves.names().len());
        let height = split(inside, curves).text.height;
        let look =
            Look { theme: &Theme::default(), now: jiff::Timestamp::UNIX_EPOCH, tick: 0, keys: Keys::NONE };
        let run = self.loaded.data().map(|loaded| &loaded.experiment).or(row);
        let lines = run.map_or(0, |run| self.prose(&look, run, log).lines(inside.width));
        let last = lines.saturating_sub(usize::from(height));
        let next =
            if down { self.scroll.saturating_add(by) } else { self.scroll.min(last).saturating_sub(by) };
        self.scroll = next.min(last);
    }

    pub fn take(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        live: &Live,
        cx: &mut Context<'_>,
    ) {
        match result {
            Ok(Answer::Detail { experiment, points }) => {
                let mut curves = Curves::of(points);
                if let Some(newer) = live.get(experiment.id) {
                    curves.merge(newer);
                }
                let loaded = Loaded { experiment: experiment.as_ref().clone(), curves };
                if self.loaded.fill(ticket, Ok(loaded)) && self.again {
                    self.reread(cx);
                }
            }
            Ok(Answer::Documents(records)) => {
                self.documents.fill(ticket, Ok(records.clone()));
            }
            Ok(_) => {}
            Err(failure) => {
                self.loaded.fill(ticket, Err(failure.clone()));
                self.documents.fill(ticket, Err(failure.clone()));
                self.again = false;
            }
        }
    }

    /// The run changed in this process.
    pub fn put(&mut self, experiment: &Experiment) {
        if self.id == Some(experiment.id)
            && let Some(loaded) = self.loaded.data_mut()
        {
            loaded.experiment.clone_from(experiment);
        }
    }

    pub fn put_points(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        if self.id == Some(id)
            && let Some(loaded) = self.loaded.data_mut()
        {
            loaded.curves.add(points);
        }
    }

    pub fn is_loading(&self) -> bool {
        self.loaded.is_loading() || self.documents.is_loading()
    }

    /// Draws the pane. `row` is what the table knows of the run, shown until the rest has come.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look<'_>, shown: &Shown<'_>) {
        let theme = look.theme;
        let run = self.loaded.data().map(|loaded| &loaded.experiment).or(shown.row);
        let Some(run) = run else {
            let inside = Pane::new("Detail").focused(shown.focused).draw(area, buffer, look);
            return draw_empty(inside, buffer, look, &["No run is selected."]);
        };
        let (status, style) = columns::status(run.status, theme);
        let title = format!("#{} {} · {}", run.id, run.model_type, or_dash(&run.dataset));
        let pane = Pane::new(title).focused(shown.focused).note(status, style);
        let sim = if run.is_simulated() { "sim" } else { "" };
        let pane = pane.note(sim, theme.badge).loading(self.loaded.is_loading());
        let inside = pane.draw(area, buffer, look);
        let mut room = inside;
        if let Some(failure) = self.loaded.failure() {
            room = draw_failure(inside, buffer, theme, failure);
        } else if let Some(error) = &run.error {
            let failure = Failure { message: error.clone(), remedy: None, unavailable: false };
            let height = (inside.height / 4).max(1);
            let below = draw_failure(Rect { height, ..inside }, buffer, theme, &failure);
            room = Rect { y: below.y, height: inside.bottom() - below.y, ..inside };
        }
        let curves = self.loaded.data().map(|loaded| &loaded.curves).or(shown.live);
        let parts = split(room, curves.map_or(0, |curves| curves.names().len()));
        match curves {
            Some(curves) if !curves.is_empty() => draw_curves(parts.curves, buffer, theme, curves),
            _ => self.draw_no_curves(parts.curves, buffer, look, run),
        }
        self.draw_sections(parts.sections, buffer, theme);
        self.draw_section(parts.text, buffer, look, run, shown.log);
    }

    fn draw_no_curves(&self, area: Rect, buffer: &mut Buffer, look: &Look<'_>, run: &Experiment) {
        let text = if self.loaded.is_loading() {
            format!("{} reading", spinner(look.tick))
        } else if run.status.is_final() {
            "No curve was recorded.".to_owned()
        } else {
            "The curve begins with the first point.".to_owned()
        };
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), look.theme.dim);
    }

    /// `parameters · results · documents · log`, with the one that is shown standing out.
    fn draw_sections(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let mut spans = Vec::new();
        for (section, name) in Section::ALL {
            if !spans.is_empty() {
                spans.push(Span::styled(" · ", theme.border));
            }
            let style = if section == self.section { theme.focus.patch(theme.title) } else { theme.dim };
            spans.push(Span::styled(name, style));
        }
        buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    }

    fn draw_section(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        look: &Look<'_>,
        run: &Experiment,
        log: &[LogLine],
    ) {
        if let (Section::Documents, Some(failure)) = (self.section, self.documents.failure()) {
            draw_failure(area, buffer, look.theme, failure);
            return;
        }
        let mut prose = self.prose(look, run, log);
        prose.scroll(true, self.scroll, area.width, area.height);
        prose.draw(area, buffer);
    }

    fn prose(&self, look: &Look<'_>, run: &Experiment, log: &[LogLine]) -> Prose {
        match self.section {
            Section::Parameters => parameters(run, look.theme),
            Section::Results => results(run, look.theme),
            Section::Documents => self.documents(look),
            Section::Log => log_of(run, log, look.theme),
        }
    }

    fn documents(&self, look: &Look<'_>) -> Prose {
        let theme = look.theme;
        let mut prose = Prose::default();
        match self.documents.data() {
            None => prose.push(&format!("{} reading", spinner(look.tick)), theme.dim),
            Some(records) if records.is_empty() => {
                prose.push("No documents yet: they are written when the run ends.", theme.dim);
            }
            Some(records) => {
                for record in records {
                    prose.push(&one_line(&record.id, 500), theme.key);
                    prose.push(clip(record.document.as_deref().unwrap_or("")), theme.text);
                }
            }
        }
        prose
    }
}

/// What drawing needs beside the detail itself.
pub struct Shown<'a> {
    pub row: Option<&'a Experiment>,
    pub live: Option<&'a Curves>,
    /// Lines about this run.
    pub log: &'a [LogLine],
    pub focused: bool,
}

struct Parts {
    curves: Rect,
    sections: Rect,
    text: Rect,
}

/// Curves take what their number needs, but never more than three fifths.
fn split(area: Rect, metrics: usize) -> Parts {
    let most = (area.height.saturating_mul(3) / 5).max(area.height.min(CHART.1));
    let wanted = if metrics == 0 { 1 } else { grid(area.width, most, metrics).1 * 9 };
    let [curves, sections, text] =
        Layout::vertical([Constraint::Length(wanted.min(most)), Constraint::Length(1), Constraint::Fill(1)])
            .areas(area);
    Parts { curves, sections, text }
}

/// Columns and lines of charts: few columns where there is height, many where there is none.
fn grid(width: u16, height: u16, metrics: usize) -> (u16, u16) {
    let count = u16::try_from(metrics.min(MOST_CHARTS)).unwrap_or(1).max(1);
    let widest = (width / CHART.0).clamp(1, count);
    let first = (width / COMFORTABLE).clamp(1, widest);
    let across =
        (first..=widest).find(|across| count.div_ceil(*across) * CHART.1 <= height).unwrap_or(widest);
    let down = (height / CHART.1).clamp(1, count.div_ceil(across));
    (across, down)
}

fn draw_curves(area: Rect, buffer: &mut Buffer, theme: &Theme, curves: &Curves) {
    let names = curves.names();
    let (across, down) = grid(area.width, area.height, names.len());
    let shown = names.len().min(usize::from(across * down)).min(MOST_CHARTS);
    let lines = Layout::vertical(vec![Constraint::Fill(1); usize::from(down)]).split(area);
    for (line, names) in lines.iter().zip(names[..shown].chunks(usize::from(across))) {
        let cells = Layout::horizontal(vec![Constraint::Fill(1); names.len()]).spacing(2).split(*line);
        for (cell, name) in cells.iter().zip(names) {
            draw_curve(*cell, buffer, theme, curves, name);
        }
    }
}

/// A chart under a line with the metric and its newest value.
fn draw_curve(area: Rect, buffer: &mut Buffer, theme: &Theme, curves: &Curves, name: &str) {
    let Some(series) = curves.get(name) else {
        return;
    };
    let title = one_line(&title_of(name), 100);
    let last = curves.last(name).map(short).unwrap_or_default();
    let line = Line::from(vec![Span::styled(title, theme.dim), Span::raw(format!(" {last}"))]);
    buffer.set_line(area.x, area.y, &line, area.width);
    let curve = Curve {
        lines: vec![CurveLine { name: "", points: series.points(), series: 0 }],
        empty: "no figure can be drawn",
        ..Curve::default()
    };
    curve.draw(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, buffer, theme);
}

fn parameters(run: &Experiment, theme: &Theme) -> Prose {
    let mut prose = Prose::default();
    push_map(&mut prose, &run.parameters, theme, "No parameters.");
    prose.push("", theme.text);
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    let facts = [
        ("name", run.name.clone()),
        ("about", run.description.clone()),
        ("tags", run.tags.join(" ")),
        ("note", run.note.clone()),
        ("runner", run.runner.clone()),
        ("seed", number(run.seed)),
        ("batch", number(run.batch_id)),
        ("attempt", if run.attempt > 1 { run.attempt.to_string() } else { String::new() }),
    ];
    push_facts(&mut prose, &facts, theme);
    prose
}

fn results(run: &Experiment, theme: &Theme) -> Prose {
    let mut prose = Prose::default();
    let empty = if run.status.is_final() { "No results." } else { "Results come when the run ends." };
    push_map(&mut prose, &run.results, theme, empty);
    prose
}

fn log_of(run: &Experiment, log: &[LogLine], theme: &Theme) -> Prose {
    let mut prose = Prose::default();
    let time = |at: Option<jiff::Timestamp>| at.map(|at| format!("{at:.0}")).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let facts = [
        ("created", time(Some(run.created_at))),
        ("started", time(run.started_at)),
        ("finished", time(run.finished_at)),
        ("archived", time(run.archived_at)),
        ("worker", text(&run.worker)),
        ("host", text(&run.host)),
        ("command", text(&run.command)),
        ("commit", text(&run.git_commit)),
    ];
    push_facts(&mut prose, &facts, theme);
    for line in log {
        let style = match line.level {
            LogLevel::Error => theme.bad,
            LogLevel::Warn => theme.warn,
            LogLevel::Info => theme.text,
            LogLevel::Debug => theme.dim,
        };
        prose.push(clip(&line.text), style);
    }
    prose
}

fn push_map(prose: &mut Prose, map: &Map<String, Value>, theme: &Theme, empty: &str) {
    if map.is_empty() {
        return prose.push(empty, theme.dim);
    }
    let texts: Vec<(&str, String)> =
        map.iter().map(|(key, value)| (key.as_str(), value_text(value))).collect();
    push_facts(prose, &texts, theme);
}

/// Names in a column of their own; those without a value are left out.
fn push_facts(prose: &mut Prose, facts: &[(&str, String)], theme: &Theme) {
    let named = || facts.iter().filter(|(_, value)| !value.is_empty());
    let column = named().map(|(name, _)| width(&one_line(name, 200))).max().unwrap_or(0).min(24);
    for (name, value) in named() {
        let name = fit(&one_line(name, 200), column);
        let gap = " ".repeat(column - width(&name).min(column) + 2);
        prose.push(&format!("{name}{gap}{}", one_line(value, LONGEST)), theme.text);
    }
}

/// A value as a person writes it: texts without quotes, numbers short.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => clip(text).to_owned(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(short).unwrap_or_default(),
        other => other.to_string(),
    }
}

fn clip(text: &str) -> &str {
    crate::domain::text::first_characters(text, LONGEST)
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}
