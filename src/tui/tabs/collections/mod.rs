//! The collections tab: what is in the collection store, and questions to it by meaning.

use crossterm::event::{KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::domain::collection::Collection;
use crate::tui::action::Action;
use crate::tui::context::{Context, Look, Tone};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::query_line::{QueryLine, Typed};
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{Answer, Event, Failure, Read, Slot, Ticket};

use super::Tab;

mod forms;
mod query;
mod records;
#[cfg(test)]
mod tests;
mod view;

use records::Records;

/// Rows the wheel moves.
const WHEEL: usize = 3;

/// The part of the tab that has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Names,
    Records,
    Detail,
}

impl Focus {
    fn next(self, forward: bool) -> Focus {
        match (self, forward) {
            (Focus::Names, true) | (Focus::Detail, false) => Focus::Records,
            (Focus::Records, true) | (Focus::Names, false) => Focus::Detail,
            (Focus::Detail, true) | (Focus::Records, false) => Focus::Names,
        }
    }
}

/// State of the tab.
#[derive(Debug, Default)]
pub struct Collections {
    /// Sorted by name.
    list: Remote<Vec<Collection>>,
    /// It was asked for anew while it was on its way: read it once more when it is here.
    again: bool,
    cursor: Cursor,
    records: Records,
    line: QueryLine,
    /// What is wrong with the line.
    problem: Option<String>,
    focus: Focus,
    /// The selected record or collection, ready to be scrolled.
    detail: Prose,
    detail_title: String,
    /// The user was asked whether to delete: the next write that ends takes the marks away.
    deleting: bool,
}

impl Collections {
    fn collections(&self) -> &[Collection] {
        self.list.data().map_or(&[], Vec::as_slice)
    }

    fn selected(&self) -> Option<&Collection> {
        self.collections().get(self.cursor.selected)
    }

    /// At most one read of the list is under way.
    fn reread(&mut self, cx: &mut Context<'_>) {
        if self.list.is_loading() {
            self.again = true;
        } else {
            self.again = false;
            self.list.load(cx.read(Slot::Collections, Read::Collections));
        }
    }

    fn fill_list(&mut self, ticket: Ticket, result: &Result<Answer, Failure>, cx: &mut Context<'_>) {
        let result = match result {
            Ok(Answer::Collections(list)) => {
                let mut sorted = list.clone();
                sorted.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(sorted)
            }
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        let came = result.is_ok();
        if !self.list.fill(ticket, result) {
            return;
        }
        if came {
            self.stay_at_name(cx);
        }
        if self.again {
            self.reread(cx);
        }
    }

    /// The list is new: the same collection stays selected where it still exists, and its records are read anew.
    fn stay_at_name(&mut self, cx: &mut Context<'_>) {
        let places = view::places(self, cx.area);
        let name = self.records.collection.clone();
        let place = name.and_then(|name| self.collections().iter().position(|known| known.name == name));
        if let Some(place) = place {
            self.cursor.selected = place;
        }
        let total = self.collections().len();
        self.cursor.keep_visible(Table::height(places.names), total);
        match (place, self.selected()) {
            (Some(_), Some(collection)) => {
                let stored = stored(collection);
                self.records.reread(stored, Table::height(places.records), cx);
            }
            _ => self.turn_to_selected(cx),
        }
        self.show_detail();
    }

    /// Shows the records of the collection under the cursor.
    fn turn_to_selected(&mut self, cx: &mut Context<'_>) {
        let height = Table::height(view::places(self, cx.area).records);
        self.records = match self.selected() {
            Some(collection) => Records::of(Some(collection.name.clone()), stored(collection)),
            None => Records::default(),
        };
        self.line.set("");
        self.problem = None;
        self.records.read_if_needed(height, cx);
        self.show_detail();
    }

    fn show_detail(&mut self) {
        let (title, detail) = match (self.focus, self.records.selected(), self.selected()) {
            (Focus::Names, _, Some(collection)) => {
                (collection.name.clone(), view::collection_detail(collection))
            }
            (Focus::Names, ..) | (_, None, _) => ("Detail".to_owned(), Prose::default()),
            (_, Some(record), _) => (record.id.clone(), view::record_detail(record)),
        };
        self.detail_title = title;
        self.detail.replace(detail);
    }

    fn focus_on(&mut self, focus: Focus) {
        // The detail of what had the keys stays; the others choose what it shows.
        if focus != Focus::Detail && focus != self.focus {
            self.focus = focus;
            self.show_detail();
        } else {
            self.focus = focus;
        }
    }

    fn submit(&mut self, text: &str, cx: &mut Context<'_>) {
        self.problem = None;
        if text.trim().is_empty() {
            return self.browse(cx);
        }
        if self.records.collection.is_none() {
            return cx.toast(Tone::Plain, "there is no collection to ask");
        }
        match query::parse(text) {
            Ok(query) => {
                self.records.ask(query, cx);
                self.focus_on(Focus::Records);
                self.show_detail();
            }
            Err(problem) => {
                self.problem = Some(problem);
                self.line.focus();
            }
        }
    }

    /// Back to all records.
    fn browse(&mut self, cx: &mut Context<'_>) {
        let height = Table::height(view::places(self, cx.area).records);
        self.problem = None;
        self.line.set("");
        self.records.browse(height, cx);
        self.show_detail();
    }

    fn back(&mut self, cx: &mut Context<'_>) {
        if self.focus == Focus::Detail {
            self.focus_on(Focus::Records);
        } else if self.records.query.is_some() {
            self.browse(cx);
        } else if self.records.marks() > 0 {
            self.records.clear_marks();
        } else {
            self.focus_on(Focus::Names);
        }
    }

    fn open(&mut self) {
        let next = match self.focus {
            Focus::Names => Focus::Records,
            Focus::Records | Focus::Detail => Focus::Detail,
        };
        self.focus_on(next);
    }

    /// The name or the text that is selected, or all of its row.
    fn copy(&self, whole_row: bool, cx: &mut Context<'_>) {
        let text = match (self.focus, self.records.selected(), self.selected()) {
            (Focus::Names, _, Some(collection)) if whole_row => view::collection_line(collection),
            (Focus::Names, _, Some(collection)) => collection.name.clone(),
            (Focus::Records | Focus::Detail, Some(record), _) if whole_row => view::record_line(record),
            (Focus::Records | Focus::Detail, Some(record), _) => {
                record.document.clone().unwrap_or_else(|| record.id.clone())
            }
            _ => return cx.toast(Tone::Plain, "nothing is selected to copy"),
        };
        let what = match (whole_row, self.focus) {
            (true, _) => "the line",
            (false, Focus::Names) => "the name",
            (false, _) => "the text",
        };
        cx.copy_and_tell(text, what);
    }

    fn add(&self, cx: &mut Context<'_>) {
        match &self.records.collection {
            Some(collection) => cx.open(Box::new(forms::add_record(collection))),
            None => cx.toast(Tone::Plain, "create a collection first"),
        }
    }

    fn delete(&mut self, cx: &mut Context<'_>) {
        let ids = self.records.chosen();
        match (self.focus, self.selected()) {
            (Focus::Names, Some(collection)) => cx.open(Box::new(forms::remove_collection(collection))),
            (Focus::Records | Focus::Detail, Some(collection)) if !ids.is_empty() => {
                cx.open(Box::new(forms::remove_records(&collection.name, ids)));
                self.deleting = true;
            }
            _ => cx.toast(Tone::Plain, "nothing is selected to delete"),
        }
    }

    fn mark(&mut self, cx: &mut Context<'_>) {
        if self.focus == Focus::Records {
            self.records.mark();
            self.move_by(Action::Down, cx);
        }
    }

    fn move_by(&mut self, action: Action, cx: &mut Context<'_>) {
        let places = view::places(self, cx.area);
        match self.focus {
            Focus::Names => {
                let total = self.collections().len();
                let before = self.cursor.selected;
                self.cursor.act(action, Table::height(places.names), total);
                if self.cursor.selected != before {
                    self.turn_to_selected(cx);
                }
            }
            Focus::Records => {
                let before = self.records.cursor().selected;
                self.records.act(action, Table::height(places.records), cx);
                if self.records.cursor().selected != before {
                    self.show_detail();
                }
            }
            Focus::Detail => self.detail.act(action, places.detail.width, places.detail.height),
        }
    }

    fn click(&mut self, position: Position, cx: &mut Context<'_>) {
        let places = view::places(self, cx.area);
        if places.line.contains(position) {
            return self.line.focus();
        }
        self.line.leave();
        if places.detail.contains(position) {
            self.focus_on(Focus::Detail);
        } else if let Some(line) = Table::line_at(places.records, position) {
            self.focus_on(Focus::Records);
            if self.records.click(line, Table::height(places.records)) {
                self.show_detail();
            }
        } else if let Some(line) = Table::line_at(places.names, position) {
            self.focus_on(Focus::Names);
            let (height, total) = (Table::height(places.names), self.collections().len());
            let before = self.cursor.selected;
            if self.cursor.click(line, height, total) && self.cursor.selected != before {
                self.turn_to_selected(cx);
            }
        }
    }

    /// Follows the scroll bars; true when the mouse was on one.
    fn drag(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> bool {
        let places = view::places(self, cx.area);
        if self.records.drag(places.records, mouse, cx) {
            self.show_detail();
            return true;
        }
        let (total, before) = (self.collections().len(), self.cursor.selected);
        let dragged = Table::drag(places.names, mouse, &mut self.cursor, total);
        if dragged && self.cursor.selected != before {
            self.turn_to_selected(cx);
        }
        dragged
    }

    fn wheel(&mut self, down: bool, position: Position, cx: &mut Context<'_>) {
        let places = view::places(self, cx.area);
        if places.detail.contains(position) {
            self.detail.scroll(down, WHEEL, places.detail.width, places.detail.height);
        } else if places.names.contains(position) {
            let (height, total) = (Table::height(places.names), self.collections().len());
            let before = self.cursor.selected;
            self.cursor.scroll(down, WHEEL, height, total);
            if self.cursor.selected != before {
                self.turn_to_selected(cx);
            }
        } else {
            self.records.scroll(down, WHEEL, Table::height(places.records), cx);
            self.show_detail();
        }
    }
}

fn stored(collection: &Collection) -> usize {
    usize::try_from(collection.records).unwrap_or(usize::MAX)
}

impl Tab for Collections {
    fn title(&self) -> &'static str {
        "Collections"
    }

    fn section(&self) -> &'static str {
        "collections"
    }

    fn refresh(&mut self, cx: &mut Context<'_>) {
        self.reread(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Filter => self.line.focus(),
            Action::Open => self.open(),
            Action::Back => self.back(cx),
            Action::Right if self.focus == Focus::Detail => {}
            Action::Left if self.focus == Focus::Names => {}
            Action::NextPane | Action::Right => self.focus_on(self.focus.next(true)),
            Action::PreviousPane | Action::Left => self.focus_on(self.focus.next(false)),
            Action::Create => cx.open(Box::new(forms::create())),
            Action::Add => self.add(cx),
            Action::Delete => self.delete(cx),
            Action::Mark => self.mark(cx),
            Action::Copy | Action::CopyLine => self.copy(action == Action::CopyLine, cx),
            _ => self.move_by(action, cx),
        }
    }

    fn is_typing(&self) -> bool {
        self.line.is_typing()
    }

    fn type_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        match self.line.key(key) {
            Typed::Submit(text) => self.submit(&text, cx),
            Typed::Left => self.problem = None,
            Typed::On => {}
        }
    }

    fn resized(&mut self, cx: &mut Context<'_>) {
        let places = view::places(self, cx.area);
        let total = self.collections().len();
        self.cursor.keep_visible(Table::height(places.names), total);
        self.records.read_if_needed(Table::height(places.records), cx);
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        let position = Position::new(mouse.column, mouse.row);
        if self.drag(mouse, cx) {
            return;
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
            Event::Answer { ticket, slot: Slot::Collections, result } => {
                self.fill_list(*ticket, result, cx);
            }
            Event::Answer { ticket, slot: Slot::Records, result } => {
                let height = Table::height(view::places(self, cx.area).records);
                if self.records.fill(*ticket, result, height, cx) {
                    self.show_detail();
                }
            }
            Event::Done { result: Ok(_), .. } if std::mem::take(&mut self.deleting) => {
                self.records.clear_marks();
            }
            _ => {}
        }
    }

    fn hints(&self) -> &'static [Action] {
        match self.focus {
            Focus::Names => &[Action::Open, Action::Filter, Action::Create, Action::Add, Action::Delete],
            Focus::Records => &[Action::Filter, Action::Add, Action::Mark, Action::Delete, Action::Copy],
            Focus::Detail => &[Action::Back, Action::Copy, Action::Delete],
        }
    }

    fn is_busy(&self) -> bool {
        self.list.is_loading() || self.records.is_loading()
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        view::draw(self, frame, area, look);
    }
}
