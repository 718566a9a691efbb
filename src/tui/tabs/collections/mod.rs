//! The collections tab: what is in the collection store, and questions to it by meaning.

use crossterm::event::{KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::domain::collection::Collection;
use crate::domain::database::Database;
use crate::tui::action::Action;
use crate::tui::context::{Context, Goal, Look, Tone};
use crate::tui::popups::form::Form;
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::query_line::{QueryLine, Typed};
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{Event, Slot};

use super::Tab;

mod asking;
mod databases;
mod forms;
mod list;
mod moves;
mod query;
mod records;
#[cfg(test)]
mod tests;
mod view;

use databases::Databases;
use records::Records;

/// What is said where there is nothing to switch.
const SINGLE: &str =
    "the embedded store is one database without tenants; Chroma has several (--profile servers)";

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
    /// Id and vector of the record whose vector is shown.
    vector: Remote<(String, Vec<f32>)>,
    /// A collection and the question to it that another tab asked for, until the list is here.
    sought: Option<(String, String)>,
    /// Where the collections are, when not in the database of the settings.
    at: Option<Database>,
    /// Tenant and database of the settings, where the store has them.
    place: Option<String>,
    /// The store is known to have only one database.
    single: bool,
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

    fn show_detail(&mut self) {
        let (title, detail) = match (self.focus, self.records.selected(), self.selected()) {
            (Focus::Names, _, Some(collection)) => {
                (collection.name.clone(), view::collection_detail(collection))
            }
            (Focus::Names, ..) | (_, None, _) => ("Detail".to_owned(), Prose::default()),
            (_, Some(record), _) => {
                let vector = self.vector.data().filter(|(id, _)| *id == record.id);
                let vector = vector.map(|(_, vector)| vector.as_slice());
                (record.id.clone(), view::record_detail(record, vector))
            }
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

    fn back(&mut self, cx: &mut Context<'_>) {
        if self.focus == Focus::Detail {
            self.focus_on(Focus::Records);
        } else if self.records.is_narrowed() {
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
            Some(collection) => self.open_form(forms::add_record(collection), cx),
            None => cx.toast(Tone::Plain, "create a collection first"),
        }
    }

    fn delete(&mut self, cx: &mut Context<'_>) {
        let ids = self.records.chosen();
        match (self.focus, self.selected()) {
            (Focus::Names, Some(collection)) => {
                let confirm = forms::remove_collection(collection);
                cx.open(Box::new(confirm.sending(|write| write.at(self.at.as_ref()))));
            }
            (Focus::Records | Focus::Detail, Some(collection)) if !ids.is_empty() => {
                let confirm = forms::remove_records(&collection.name, ids);
                cx.open(Box::new(confirm.sending(|write| write.at(self.at.as_ref()))));
                self.deleting = true;
            }
            _ => cx.toast(Tone::Plain, "nothing is selected to delete"),
        }
    }

    fn edit(&self, cx: &mut Context<'_>) {
        match (self.focus, self.records.selected(), self.selected()) {
            (Focus::Names, _, Some(collection)) => self.open_form(forms::edit_collection(collection), cx),
            (Focus::Records | Focus::Detail, Some(record), Some(collection)) => {
                self.open_form(forms::edit_record(&collection.name, record), cx);
            }
            _ => cx.toast(Tone::Plain, "nothing is selected to edit"),
        }
    }

    /// Opens a form about the selected collection.
    fn ask_of_collection(&self, form: impl Fn(&Collection) -> Form, cx: &mut Context<'_>) {
        match self.selected() {
            Some(collection) => self.open_form(form(collection), cx),
            None => cx.toast(Tone::Plain, "there is no collection yet"),
        }
    }

    /// Opens a form whose writes go where the tab is.
    fn open_form(&self, form: Form, cx: &mut Context<'_>) {
        let at = self.at.clone();
        cx.open(Box::new(form.sending(move |write| write.at(at.as_ref()))));
    }

    /// Opens the switch between databases, where there are several.
    fn choose_database(&self, cx: &mut Context<'_>) {
        if self.single {
            return cx.toast(Tone::Plain, SINGLE);
        }
        let popup = Databases::open(self.at.clone(), cx);
        cx.open(Box::new(popup));
    }

    /// Looks into another database, or into that of the settings; nothing is kept of the one before.
    fn turn_to_database(&mut self, at: Option<Database>, cx: &mut Context<'_>) {
        let at = at.filter(|at| self.place.as_deref() != Some(at.to_string().as_str()));
        if self.at == at {
            return;
        }
        let (place, single) = (self.place.take(), self.single);
        *self = Collections { at, place, single, ..Collections::default() };
        self.turn_to_selected(cx);
        self.reread(cx);
    }

    fn mark(&mut self, cx: &mut Context<'_>) {
        if self.focus == Focus::Records {
            self.records.mark();
            self.move_by(Action::Down, cx);
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

    fn reach(&mut self, goal: &Goal, cx: &mut Context<'_>) {
        match goal {
            Goal::Records { collection, question } => {
                // The documents of runs are in the database of the settings.
                self.turn_to_database(None, cx);
                self.look_at(collection, question, cx);
            }
            Goal::Database(database) => self.turn_to_database(Some(database.clone()), cx),
            Goal::Run { .. } => {}
        }
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
            Action::Create => self.open_form(forms::create(), cx),
            Action::Databases => self.choose_database(cx),
            Action::Add => self.add(cx),
            Action::Delete => self.delete(cx),
            Action::Edit => self.edit(cx),
            Action::Rename => self.ask_of_collection(forms::rename, cx),
            Action::Duplicate => self.ask_of_collection(forms::duplicate, cx),
            Action::Export => {
                let filter = self.records.filter();
                self.ask_of_collection(|collection| forms::export(collection, filter.clone()), cx);
            }
            Action::LikeThis => self.like_selected(cx),
            Action::GoRun => self.go_to_run(cx),
            Action::ShowVector => self.toggle_vector(cx),
            Action::MoreResults | Action::FewerResults => {
                self.records.change_results(action == Action::MoreResults, cx);
            }
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
            Event::Answer { ticket, slot: Slot::RecordCount, result } => {
                let height = Table::height(view::places(self, cx.area).records);
                self.records.fill_count(*ticket, result, height);
            }
            Event::Answer { ticket, slot: Slot::Vector, result } => self.fill_vector(*ticket, result, cx),
            Event::Health(roles) => {
                self.place = view::place_of(roles).or(self.place.take());
                self.single = view::is_single(roles);
            }
            Event::Done { result: Ok(_), .. } if std::mem::take(&mut self.deleting) => {
                self.records.clear_marks();
            }
            _ => {}
        }
    }

    fn hints(&self) -> &'static [Action] {
        match self.focus {
            Focus::Names => &[
                Action::Open,
                Action::Filter,
                Action::Create,
                Action::Add,
                Action::Delete,
                Action::Rename,
                Action::Edit,
                Action::Duplicate,
                Action::Export,
                Action::Databases,
            ],
            Focus::Records => &[
                Action::Filter,
                Action::Add,
                Action::Edit,
                Action::LikeThis,
                Action::Mark,
                Action::Delete,
                Action::GoRun,
                Action::ShowVector,
                Action::Copy,
            ],
            Focus::Detail => &[Action::Back, Action::Edit, Action::ShowVector, Action::Copy, Action::Delete],
        }
    }

    fn is_busy(&self) -> bool {
        self.list.is_loading() || self.records.is_loading() || self.vector.is_loading()
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        view::draw(self, frame, area, look);
    }
}
