//! The search tab: a text or a document, and what lies nearest to it.

use std::time::Duration;

use crossterm::event::{KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::domain::collection::RUN;
use crate::domain::document::{Distance, DocumentHit, EmbeddingModel, HybridHit};
use crate::domain::index::{Nearest, Scan};
use crate::domain::metadata_filter::MetadataFilter;
use crate::tui::action::Action;
use crate::tui::context::{Context, Goal, Look, Tone};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::query_line::{QueryLine, Typed};
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{
    Answer, EngineSide, Event, Failure, HybridRead, Read, SearchQuery, SearchRead, SearchTerms, Slot, Ticket,
};

use super::Tab;
use indexes::Indexes;
use map::MapPane;

mod asking;
mod engines;
mod forms;
mod indexes;
mod map;
#[cfg(test)]
mod tests;
mod view;

/// Steps of `+` and `-`.
const LIMITS: [usize; 9] = [1, 3, 5, 10, 20, 50, 100, 200, 500];

/// As in the published example.
const FIRST_LIMIT: usize = 5;

/// Rows the wheel moves.
const WHEEL: usize = 3;

/// The part of the tab that has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Hits,
    Map,
    Detail,
}

/// What a search gave.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    hits: Vec<DocumentHit>,
    /// Of each hit where words counted too; by meaning alone there are none.
    ranks: Vec<Ranks>,
    scan: Scan,
    took: Duration,
}

/// At which place each half of a hybrid search found a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranks {
    meaning: Option<usize>,
    words: Option<usize>,
}

/// State of the tab.
#[derive(Debug)]
pub struct Search {
    line: QueryLine,
    /// Which documents are looked at, as it is typed and as it holds.
    narrow: QueryLine,
    filter: MetadataFilter,
    /// By words as well as by meaning; for texts.
    words: bool,
    /// The one that new documents are embedded by when none.
    model: Option<String>,
    /// Every engine is asked, and their answers stand side by side.
    versus: bool,
    engines: Remote<Vec<EngineSide>>,
    /// What was searched for last.
    query: Option<SearchQuery>,
    limit: usize,
    distance: Distance,
    /// Every vector is compared, whatever indexes there are.
    exact: bool,
    /// Candidates kept while going along an index; those of the settings when none.
    ef_search: Option<u32>,
    found: Remote<Found>,
    /// Documents came or went while an answer was on its way: search once more when it is here.
    again: bool,
    models: Remote<Vec<EmbeddingModel>>,
    cursor: Cursor,
    focus: Focus,
    /// The selected document, ready to be scrolled.
    detail: Prose,
    map: MapPane,
}

impl Default for Search {
    fn default() -> Self {
        Search {
            line: QueryLine::default(),
            narrow: QueryLine::default(),
            filter: MetadataFilter::default(),
            words: false,
            model: None,
            versus: false,
            engines: Remote::Idle,
            query: None,
            limit: FIRST_LIMIT,
            distance: Distance::default(),
            exact: false,
            ef_search: None,
            found: Remote::Idle,
            again: false,
            models: Remote::Idle,
            cursor: Cursor::default(),
            focus: Focus::default(),
            detail: Prose::default(),
            map: MapPane::default(),
        }
    }
}

impl Search {
    fn hits(&self) -> &[DocumentHit] {
        self.found.data().map_or(&[], |found| &found.hits)
    }

    fn selected(&self) -> Option<&DocumentHit> {
        self.hits().get(self.cursor.selected)
    }

    fn read_models(&mut self, cx: &mut Context<'_>) {
        if !self.models.is_loading() {
            self.models.load(cx.read(Slot::Models, Read::EmbeddingModels));
        }
    }

    fn like_selected(&mut self, cx: &mut Context<'_>) {
        let on_map = self.spot().filter(|_| self.focus == Focus::Map).zip(self.map_model());
        let query = match (on_map, self.selected()) {
            (Some((spot, model)), _) => {
                SearchQuery::Document { id: spot.document_id.clone(), model: model.to_owned() }
            }
            (None, Some(hit)) => {
                SearchQuery::Document { id: hit.document_id.clone(), model: hit.model_name.clone() }
            }
            (None, None) => {
                return cx.toast(Tone::Plain, "search first, then select a document to find more like it");
            }
        };
        self.line.set("");
        self.ask(query, cx);
    }

    /// Goes to the run that the selected document is about.
    fn go_to_run(&self, cx: &mut Context<'_>) {
        let on_map = self.spot().filter(|_| self.focus == Focus::Map);
        let document = match (on_map, self.selected()) {
            (Some(spot), _) => Goal::run_of(&spot.document_id, &spot.metadata),
            (None, Some(hit)) => Goal::run_of(&hit.document_id, &hit.metadata),
            (None, None) => return cx.toast(Tone::Plain, "no document is selected"),
        };
        match document {
            Some(goal) => cx.go(goal),
            None => cx.toast(Tone::Plain, format!("this document is about no run: it has no {RUN}")),
        }
    }

    fn copy(&self, what: &str, text: impl Fn(&DocumentHit) -> String, cx: &mut Context<'_>) {
        match self.selected() {
            Some(hit) => cx.copy_and_tell(text(hit), what),
            None => cx.toast(Tone::Plain, "nothing is selected to copy"),
        }
    }

    fn back(&mut self, cx: &mut Context<'_>) {
        match self.focus {
            Focus::Detail | Focus::Map => self.focus = Focus::Hits,
            Focus::Hits if self.versus => self.versus = false,
            Focus::Hits => {
                self.found.clear();
                self.engines.clear();
                self.query = None;
                self.line.set("");
                self.show_selected();
                self.read_map(cx);
            }
        }
    }

    /// The panes that can have the keys, from left to right.
    fn panes(&self) -> impl DoubleEndedIterator<Item = Focus> + Clone + use<> {
        let (map, detail) = (self.map.shown, self.selected().is_some());
        let all = [(Focus::Hits, true), (Focus::Map, map), (Focus::Detail, detail)];
        all.into_iter().filter(|(_, there)| *there).map(|(pane, _)| pane)
    }

    fn next_pane(&mut self) {
        let after = self.panes().skip_while(|pane| *pane != self.focus).nth(1);
        self.focus = after.unwrap_or_default();
    }

    fn previous_pane(&mut self) {
        let before = self.panes().rev().skip_while(|pane| *pane != self.focus).nth(1);
        self.focus = before.or(self.panes().last()).unwrap_or_default();
    }

    fn move_by(&mut self, action: Action, cx: &mut Context<'_>) {
        let places = view::places(self, cx.area);
        match self.focus {
            Focus::Hits => {
                let (height, total) = (Table::height(places.hits), self.hits().len());
                let before = self.cursor.selected;
                self.cursor.act(action, height, total);
                if self.cursor.selected != before {
                    self.select_hit();
                }
            }
            Focus::Map => self.move_on_map(action),
            Focus::Detail => self.detail.act(action, places.detail.width, places.detail.height),
        }
    }

    /// Makes the detail pane's text of the selected hit.
    fn show_selected(&mut self) {
        let detail = self.selected().map(view::detail_of).unwrap_or_default();
        self.detail.replace(detail);
        self.detail.light(self.asked_words(), view::LIT);
    }

    fn fill_hits(&mut self, ticket: Ticket, result: &Result<Answer, Failure>, cx: &mut Context<'_>) {
        let result = match result {
            Ok(Answer::Search { found: Nearest { hits, scan }, took }) => {
                Ok(Found { hits: hits.clone(), ranks: Vec::new(), scan: *scan, took: *took })
            }
            Ok(Answer::Hybrid { hits, scan, took }) => Ok(Found {
                hits: hits.iter().map(asking::plain).collect(),
                ranks: hits.iter().map(asking::ranks).collect(),
                scan: *scan,
                took: *took,
            }),
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        if self.found.fill(ticket, result) {
            self.cursor.selected = self.cursor.selected.min(self.hits().len().saturating_sub(1));
            self.show_selected();
            if self.again {
                self.search(cx);
            } else {
                self.read_map(cx);
            }
        }
    }

    fn fill_models(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        let result = match result {
            Ok(Answer::EmbeddingModels(models)) => Ok(models.clone()),
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        self.models.fill(ticket, result);
    }

    fn click(&mut self, position: Position, cx: &Context<'_>) {
        let places = view::places(self, cx.area);
        if places.line.contains(position) {
            return if self.narrow.is_typing() { self.narrow.focus() } else { self.line.focus() };
        }
        self.line.leave();
        self.narrow.leave();
        if places.detail.contains(position) {
            self.focus = Focus::Detail;
        } else if places.map.contains(position) {
            self.click_map(places.map, position);
        } else if let Some(line) = Table::line_at(places.hits, position) {
            self.focus = Focus::Hits;
            let (height, total) = (Table::height(places.hits), self.hits().len());
            if self.cursor.click(line, height, total) {
                self.select_hit();
            }
        }
    }

    fn wheel(&mut self, down: bool, position: Position, cx: &Context<'_>) {
        let places = view::places(self, cx.area);
        if places.detail.contains(position) {
            self.detail.scroll(down, WHEEL, places.detail.width, places.detail.height);
        } else {
            let (height, total) = (Table::height(places.hits), self.hits().len());
            let before = self.cursor.selected;
            self.cursor.scroll(down, WHEEL, height, total);
            if self.cursor.selected != before {
                self.select_hit();
            }
        }
    }
}

impl Tab for Search {
    fn title(&self) -> &'static str {
        "Search"
    }

    fn section(&self) -> &'static str {
        "search"
    }

    fn refresh(&mut self, cx: &mut Context<'_>) {
        self.read_models(cx);
        if self.found.is_loading() {
            self.again = true;
        } else if self.query.is_some() {
            self.search(cx);
        } else {
            self.read_map(cx);
        }
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Filter => self.line.focus(),
            Action::Open if self.selected().is_none() => self.line.focus(),
            Action::Open => self.focus = Focus::Detail,
            Action::LikeThis => self.like_selected(cx),
            Action::NextDistance => self.next_distance(cx),
            Action::ToggleExact => self.toggle_exact(cx),
            Action::ToggleWords => self.toggle_words(cx),
            Action::NextModel => self.next_model(cx),
            Action::Narrow => self.narrow.focus(),
            Action::Versus => self.toggle_versus(cx),
            Action::MoreResults => self.change_limit(true, cx),
            Action::FewerResults => self.change_limit(false, cx),
            Action::Add => cx.open(Box::new(forms::add())),
            Action::AddFile => cx.open(Box::new(forms::add_file(self.model.as_deref()))),
            Action::GoRun => self.go_to_run(cx),
            Action::NextCandidates => self.next_candidates(cx),
            Action::ToggleMap => self.toggle_map(cx),
            Action::NextColour => self.next_colour(cx),
            Action::Indexes => {
                let popup = Indexes::open(cx);
                cx.open(Box::new(popup));
            }
            Action::Copy => self.copy("the text", |hit| hit.content.clone(), cx),
            Action::CopyLine => self.copy("the line", view::as_line, cx),
            Action::Back => self.back(cx),
            Action::Left | Action::Right if self.focus == Focus::Map => self.move_on_map(action),
            Action::NextPane | Action::Right => self.next_pane(),
            Action::PreviousPane => self.previous_pane(),
            Action::Left => self.focus = Focus::Hits,
            _ => self.move_by(action, cx),
        }
    }

    fn is_typing(&self) -> bool {
        self.line.is_typing() || self.narrow.is_typing()
    }

    fn type_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        if self.narrow.is_typing() {
            return self.type_filter(key, cx);
        }
        if let Typed::Submit(text) = self.line.key(key) {
            if text.trim().is_empty() {
                return self.back(cx);
            }
            self.ask(SearchQuery::Text(text.trim().to_owned()), cx);
        }
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        let position = Position::new(mouse.column, mouse.row);
        let hits = view::places(self, cx.area).hits;
        let total = self.hits().len();
        if Table::drag(hits, mouse, &mut self.cursor, total) {
            return self.select_hit();
        }
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => self.click(position, cx),
            MouseEventKind::ScrollDown => self.wheel(true, position, cx),
            MouseEventKind::ScrollUp => self.wheel(false, position, cx),
            _ => {}
        }
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Answer { ticket, slot: Slot::Search, result } => self.fill_hits(*ticket, result, cx),
            Event::Answer { ticket, slot: Slot::Models, result } => self.fill_models(*ticket, result),
            Event::Answer { ticket, slot: Slot::Engines, result } => self.fill_engines(*ticket, result),
            Event::Answer { ticket, slot: Slot::Map, result } => self.fill_map(*ticket, result),
            _ => {}
        }
    }

    fn hints(&self) -> &'static [Action] {
        if self.selected().is_some() {
            &[
                Action::Filter,
                Action::LikeThis,
                Action::ToggleWords,
                Action::Narrow,
                Action::Versus,
                Action::NextDistance,
                Action::ToggleExact,
                Action::MoreResults,
                Action::NextModel,
                Action::ToggleMap,
                Action::NextColour,
                Action::Indexes,
                Action::NextCandidates,
                Action::GoRun,
                Action::Open,
                Action::Copy,
            ]
        } else {
            &[
                Action::Filter,
                Action::ToggleWords,
                Action::Narrow,
                Action::NextModel,
                Action::Add,
                Action::AddFile,
                Action::ToggleMap,
                Action::Indexes,
                Action::MoreResults,
            ]
        }
    }

    fn is_busy(&self) -> bool {
        self.found.is_loading()
            || self.models.is_loading()
            || self.engines.is_loading()
            || self.map.is_loading()
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        view::draw(self, frame, area, look);
    }
}
