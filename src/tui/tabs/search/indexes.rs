//! The indexes that searches go along, model by model: what there is, how a build goes on, build and drop.

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::widgets::{Paragraph, Widget, Wrap};

use crate::domain::document::{Distance, ModelStats};
use crate::domain::index::{Index, IndexState, NewIndex, Over};
use crate::domain::text::one_line;
use crate::tui::context::{Context, Look, READ_ONLY, Tone};
use crate::tui::popups::confirm::Confirm;
use crate::tui::popups::form::{Field, Form, Problem};
use crate::tui::popups::{Framing, Popup, Stay, draw_framed, point, step};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::notice::{draw_empty, draw_failure};
use crate::tui::widgets::number::{self, counted};
use crate::tui::widgets::pane::put;
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::worker::protocol::{Answer, Cancel, Event, JobState, JobUpdate, Read, Slot, Ticket, Write};

const SIZE: (u16, usize) = (96, 18);

/// Columns of the bar of a build.
const BAR: usize = 24;

/// What a read gave.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    models: Vec<ModelStats>,
    none_needed: Option<String>,
}

/// The popup.
#[derive(Debug)]
pub(super) struct Indexes {
    known: Remote<Known>,
    cursor: Cursor,
    /// The build that was begun here, and how it stands.
    build: Option<JobUpdate>,
    /// What changed while a read was under way: read once more.
    again: bool,
}

/// A line of the list: an index, or a model that has none.
type Line<'a> = (&'a ModelStats, Option<&'a Index>);

impl Indexes {
    pub fn open(cx: &mut Context<'_>) -> Self {
        let mut popup =
            Indexes { known: Remote::default(), cursor: Cursor::default(), build: None, again: false };
        popup.read(cx);
        popup
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        self.again = self.known.is_loading();
        if !self.again {
            self.known.load(cx.read(Slot::DocumentStats, Read::DocumentStats));
        }
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let models = self.known.data().map_or(&[][..], |known| &known.models);
        models.iter().flat_map(lines_of).collect()
    }

    /// Why nothing can be built or dropped; none when it can.
    fn refusal(&self, cx: &Context<'_>) -> Option<String> {
        let none_needed = self.known.data().and_then(|known| known.none_needed.clone());
        none_needed.or_else(|| cx.read_only.then(|| READ_ONLY.to_owned()))
    }

    fn ask_build(&self, cx: &mut Context<'_>) {
        if let Some(refusal) = self.refusal(cx) {
            return cx.toast(Tone::Plain, refusal);
        }
        match self.lines().get(self.cursor.selected) {
            Some((model, _)) => cx.open(Box::new(build_form(model))),
            None => cx.toast(Tone::Plain, "there are no documents to index yet"),
        }
    }

    fn ask_drop(&self, cx: &mut Context<'_>) {
        if let Some(refusal) = self.refusal(cx) {
            return cx.toast(Tone::Plain, refusal);
        }
        let lines = self.lines();
        let Some((model, Some(index))) = lines.get(self.cursor.selected) else {
            return cx.toast(Tone::Plain, "no index is selected");
        };
        let question = format!(
            "Drop this index over {}? Searches then compare every vector; it can be built again.",
            counted(model.documents, "document")
        );
        let write = Write::DropIndex(index.name.clone());
        cx.open(Box::new(Confirm::new("Drop an index", question, vec![index.name.clone()], "drop", write)));
    }

    fn stop_build(&self, cx: &mut Context<'_>) {
        match self.build.as_ref().filter(|build| !is_over(build.state)) {
            Some(build) => {
                cx.cancel(Cancel::Job(build.ticket));
            }
            None => cx.toast(Tone::Plain, "no index is being built here"),
        }
    }

    fn hear_job(&mut self, job: &JobUpdate, cx: &mut Context<'_>) {
        let ours = self.build.as_ref().is_some_and(|build| build.ticket == job.ticket);
        if !ours && !job.what.starts_with("indexing ") {
            return;
        }
        if is_over(job.state) {
            self.read(cx);
        }
        self.build = Some(job.clone());
    }

    fn fill(&mut self, ticket: Ticket, result: &Result<Answer, crate::worker::protocol::Failure>) -> bool {
        let result = match result {
            Ok(Answer::DocumentStats { models, none_needed }) => {
                Ok(Known { models: models.clone(), none_needed: none_needed.clone() })
            }
            Ok(_) => return false,
            Err(failure) => Err(failure.clone()),
        };
        self.known.fill(ticket, result)
    }

    /// The list, and the lines below it, in the popup as it is drawn on `screen`.
    fn parts(screen: Rect) -> [Rect; 2] {
        let inside = Framing::new(screen, SIZE, Vec::new()).place.inner(Margin::new(2, 1));
        Layout::vertical([Constraint::Min(0), Constraint::Length(3)]).areas(inside)
    }

    fn draw_list(&self, area: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        let (lines, theme) = (self.lines(), look.theme);
        let table = Table {
            columns: vec![
                Column::new("model").width(10, 26).flex(1),
                Column::new("documents").width(9, 11).right().priority(2),
                Column::new("index").width(8, 8),
                Column::new("metric").width(6, 6),
                Column::new("m").width(3, 3).right().priority(3),
                Column::new("ef").width(4, 4).right().priority(3),
                Column::new("state").width(8, 8),
                Column::new("size").width(8, 9).right(),
                Column::new("used").width(5, 9).right().priority(1),
            ],
            total: lines.len(),
            cursor: self.cursor,
            focused: true,
            ..Table::default()
        };
        let nothing = || number::NOTHING.to_owned();
        table.draw(area, frame.buffer_mut(), theme, |place| {
            let (model, index) = lines.get(place)?;
            let mut cells =
                vec![Cell::new(model.model_name.as_str()), Cell::new(number::count(model.documents))];
            let Some(index) = index else {
                cells.push(Cell::styled("none", theme.dim));
                cells.extend((0..3).map(|_| Cell::new(nothing())));
                cells.push(Cell::styled("exact", theme.dim));
                cells.extend([Cell::styled(number::bytes(model.bytes), theme.dim), Cell::new(nothing())]);
                return Some(Row::new(cells));
            };
            let figure =
                |figure: Option<u32>| Cell::new(figure.map_or_else(nothing, |figure| figure.to_string()));
            let state = match index.state {
                IndexState::Ready => theme.good,
                IndexState::Building => theme.running,
                IndexState::Broken => theme.bad,
            };
            cells.extend([
                Cell::new(if index.half { "hnsw 16" } else { index.kind.as_str() }),
                Cell::new(index.distance.map_or_else(nothing, |distance| distance.to_string())),
                figure(index.m),
                figure(index.ef_construction),
                Cell::styled(index.state.as_str(), state),
                Cell::new(number::bytes(index.bytes)),
                Cell::new(number::count(index.scans)),
            ]);
            Some(Row::new(cells))
        });
    }

    fn draw_told(&self, area: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        let buffer = frame.buffer_mut();
        let [_, first, second] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Length(1)])
                .areas(area);
        if let Some(build) = &self.build {
            put(first, buffer, &one_line(&progress(build), 300), look.theme.running);
        } else if let Some(none_needed) = self.known.data().and_then(|known| known.none_needed.as_deref()) {
            let both = first.union(second);
            return Paragraph::new(none_needed)
                .style(look.theme.dim)
                .wrap(Wrap { trim: true })
                .render(both, buffer);
        }
        let lines = self.lines();
        if let Some((_, Some(index))) = lines.get(self.cursor.selected) {
            put(second, buffer, &one_line(&index.name, 200), look.theme.dim);
        }
    }
}

fn lines_of(model: &ModelStats) -> Vec<Line<'_>> {
    match model.indexes.is_empty() {
        true => vec![(model, None)],
        false => model.indexes.iter().map(|index| (model, Some(index))).collect(),
    }
}

fn is_over(state: JobState) -> bool {
    matches!(state, JobState::Completed | JobState::Failed | JobState::Cancelled)
}

/// What a build does, and how much of it is done where somebody knows.
fn progress(build: &JobUpdate) -> String {
    let what = &build.what;
    match build.state {
        JobState::Completed => format!("{what}: built"),
        JobState::Failed => format!("{what}: failed"),
        JobState::Cancelled => format!("{what}: stopped, nothing is left behind"),
        _ if build.total > 0 => {
            let done = build.done.min(build.total);
            let full = usize::try_from(done * BAR as u64 / build.total).unwrap_or(BAR);
            let bar = "▓".repeat(full) + &"░".repeat(BAR - full);
            format!("{bar} {:>3} %  {what}", done * 100 / build.total)
        }
        _ => what.clone(),
    }
}

fn build_form(model: &ModelStats) -> Form {
    let fields = vec![
        Field::new("over").with("vectors").hint("vectors, or metadata for searches with a filter"),
        Field::new("metric").with(Distance::Cosine.as_str()).hint("cosine, l2, ip or l1"),
        Field::new("m").with(Over::M.to_string()).hint("neighbours of each vector, 2 to 100"),
        Field::new("ef_construction")
            .with(Over::EF_CONSTRUCTION.to_string())
            .hint("candidates while building, 4 to 1000"),
    ];
    let (name, documents) = (model.model_name.clone(), counted(model.documents, "document"));
    Form::new(format!("Index {documents} of {}", one_line(&name, 40)), fields, "build", move |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        let over = match text(0) {
            "vectors" | "" => vectors(text(1), text(2), text(3))?,
            "metadata" => Over::Metadata,
            other => return Err(Problem::new(0, format!("vectors or metadata, not '{other}'"))),
        };
        over.check().map_err(|problem| Problem::new(2, problem))?;
        Ok(vec![Write::BuildIndex(NewIndex { model_name: name.clone(), over })])
    })
}

fn vectors(distance: &str, m: &str, ef_construction: &str) -> Result<Over, Problem> {
    let distance = distance.parse().map_err(|problem: String| Problem::new(1, problem))?;
    let whole = |field: usize, text: &str| {
        text.parse().map_err(|_| Problem::new(field, format!("a whole number, not '{text}'")))
    };
    Ok(Over::Vectors { distance, m: whole(2, m)?, ef_construction: whole(3, ef_construction)? })
}

impl Popup for Indexes {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'I') => return Stay::Close,
            KeyCode::Enter | KeyCode::Char('b') => self.ask_build(cx),
            KeyCode::Char('d') | KeyCode::Delete if key.modifiers.is_empty() => self.ask_drop(cx),
            KeyCode::Char('x') => self.stop_build(cx),
            _ => {
                let height = Table::height(Indexes::parts(cx.screen)[0]);
                let total = self.lines().len();
                step(&mut self.cursor, key, height, total);
            }
        }
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        let [list, _] = Indexes::parts(cx.screen);
        let total = self.lines().len();
        point(&mut self.cursor, mouse, list, total);
        Stay::Open
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        let hints = vec![("b", "build"), ("d", "drop"), ("x", "stop the build"), ("esc", "close")];
        Some(Framing::new(screen, SIZE, hints))
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) -> Stay {
        match event {
            Event::Answer { ticket, slot: Slot::DocumentStats, result } if self.fill(*ticket, result) => {
                self.cursor.selected = self.cursor.selected.min(self.lines().len().saturating_sub(1));
                if self.again {
                    self.read(cx);
                }
            }
            Event::Job(job) => self.hear_job(job, cx),
            Event::Changed => self.read(cx),
            _ => {}
        }
        Stay::Open
    }

    fn is_busy(&self) -> bool {
        self.known.is_loading() || self.build.as_ref().is_some_and(|build| !is_over(build.state))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let Some(framing) = self.framing(area) else { return };
        draw_framed(frame, &framing, look.theme, "Indexes");
        let [mut list, told] = Indexes::parts(area);
        if let Some(failure) = self.known.failure() {
            list = draw_failure(list, frame.buffer_mut(), look.theme, failure);
        }
        match self.known.data() {
            None if self.known.failure().is_none() => {
                draw_empty(list, frame.buffer_mut(), look, &["reading…"]);
            }
            None => {}
            Some(known) if known.models.is_empty() => {
                draw_empty(list, frame.buffer_mut(), look, &["No documents yet, so nothing to index."]);
            }
            Some(_) => self.draw_list(list, frame, look),
        }
        self.draw_told(told, frame, look);
    }
}
