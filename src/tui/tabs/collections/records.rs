//! The records of one collection: a window of its pages, or what a question found.

use std::collections::BTreeSet;
use std::time::Duration;

use crossterm::event::MouseEvent;
use ratatui::layout::Rect;

use crate::domain::collection::{RecordFilter, RecordHit, RecordPage, StoredRecord};
use crate::domain::database::Database;
use crate::tui::action::Action;
use crate::tui::context::Context;
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{Answer, Failure, Read, RecordQuestion, Slot, Ticket};

use super::query::Query;

/// Records that are read at once.
const PAGE: usize = 100;

/// Results of a question at first, as in the published example.
const RESULTS: usize = 5;

/// How far those that fit conditions are counted: Chroma tells their number only by telling their ids.
const COUNTED: u64 = 10_000;

/// Steps of `+` and `-`.
const STEPS: [usize; 9] = [1, 3, 5, 10, 20, 50, 100, 200, 500];

/// A part of the collection.
#[derive(Clone, Debug, PartialEq)]
struct Page {
    offset: usize,
    records: Vec<StoredRecord>,
}

/// What a question found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub hits: Vec<RecordHit>,
    pub took: Duration,
}

/// State of the right side of the tab.
#[derive(Debug)]
pub(super) struct Records {
    /// The database of the collection; none for that of the settings.
    at: Option<Database>,
    /// Whose records these are.
    pub collection: Option<String>,
    page: Remote<Page>,
    /// Where the page that was asked for last begins.
    asked: usize,
    /// Records of the collection, or of those that fit the conditions, as far as known.
    stored: usize,
    /// Records of the collection, as it was counted last.
    all: usize,
    /// Conditions that narrow the list; a question has its own.
    conditions: RecordFilter,
    /// Of those that fit conditions the number is known only once they are counted, or the last has been seen.
    end_seen: bool,
    /// How many of those there are, as far as [`COUNTED`].
    count: Remote<u64>,
    browsing: Cursor,
    /// The question, while its results are shown.
    pub query: Option<Query>,
    found: Remote<Found>,
    /// The answer under way is to the same question as the one in view.
    asked_again: bool,
    /// How many a question finds.
    results: usize,
    finding: Cursor,
    marked: BTreeSet<String>,
}

impl Default for Records {
    fn default() -> Self {
        Records {
            at: None,
            collection: None,
            page: Remote::Idle,
            asked: 0,
            stored: 0,
            all: 0,
            conditions: RecordFilter::default(),
            end_seen: false,
            count: Remote::Idle,
            browsing: Cursor::default(),
            query: None,
            found: Remote::Idle,
            asked_again: false,
            results: RESULTS,
            finding: Cursor::default(),
            marked: BTreeSet::new(),
        }
    }
}

impl Records {
    /// Turns to a collection; nothing is kept of the one before.
    pub fn of(at: Option<Database>, collection: String, stored: usize) -> Self {
        Records { at, collection: Some(collection), stored, all: stored, ..Records::default() }
    }

    /// The collection may have changed: its page is read again.
    pub fn reread(&mut self, stored: usize, height: usize, cx: &mut Context<'_>) {
        self.all = stored;
        if !self.has_conditions() {
            self.stored = stored;
        }
        if self.has_conditions() {
            self.count_fitting(cx);
        } else {
            self.end_seen = false;
        }
        self.browsing.keep_visible(height, self.listed());
        if self.query.is_none() {
            self.read(height, cx);
        } else if !self.found.is_loading() {
            self.ask_again(cx);
        }
    }

    /// Not all records are in view, but those that a question found or that fit its conditions.
    pub fn is_narrowed(&self) -> bool {
        self.query.is_some() || self.has_conditions()
    }

    fn has_conditions(&self) -> bool {
        self.conditions != RecordFilter::default()
    }

    /// The conditions in force.
    pub fn filter(&self) -> RecordFilter {
        self.query.as_ref().map_or_else(|| self.conditions.clone(), |query| query.filter.clone())
    }

    /// Records that fit the conditions may follow after those that are known.
    pub fn goes_on(&self) -> bool {
        self.found().is_none() && self.has_conditions() && !self.end_seen && self.stored > 0
    }

    /// Rows of the list: a last one stands for those that may follow.
    fn listed(&self) -> usize {
        let goes_on = self.has_conditions() && !self.end_seen && self.stored > 0;
        self.stored + usize::from(goes_on)
    }

    /// What a question found. Until its first answer, and when that fails, the records stay in view.
    pub fn found(&self) -> Option<&Found> {
        self.query.as_ref().and(self.found.data())
    }

    /// Rows of what is shown.
    pub fn total(&self) -> usize {
        self.found().map_or_else(|| self.listed(), |found| found.hits.len())
    }

    pub fn cursor(&self) -> Cursor {
        if self.found().is_some() { self.finding } else { self.browsing }
    }

    fn cursor_mut(&mut self) -> &mut Cursor {
        if self.found().is_some() { &mut self.finding } else { &mut self.browsing }
    }

    /// The record in a row of what is shown, with its distance from the question; none while it is on its way.
    pub fn row(&self, index: usize) -> Option<(&StoredRecord, Option<f64>)> {
        if let Some(found) = self.found() {
            return found.hits.get(index).map(|hit| (&hit.record, Some(hit.distance)));
        }
        let page = self.page.data()?;
        Some((page.records.get(index.checked_sub(page.offset)?)?, None))
    }

    pub fn selected(&self) -> Option<&StoredRecord> {
        self.row(self.cursor().selected).map(|(record, _)| record)
    }

    pub fn failure(&self) -> Option<&Failure> {
        if self.query.is_some() { self.found.failure() } else { self.page.failure() }
    }

    /// What is in view is not what was asked for.
    pub fn is_stale(&self) -> bool {
        self.failure().is_some() || (self.found.is_loading() && !self.asked_again)
    }

    pub fn is_loading(&self) -> bool {
        self.page.is_loading() || self.found.is_loading()
    }

    pub fn is_marked(&self, id: &str) -> bool {
        self.marked.contains(id)
    }

    /// Marks the selected record, or takes its mark away, and goes on to the next.
    pub fn mark(&mut self) {
        let Some(id) = self.selected().map(|record| record.id.clone()) else {
            return;
        };
        if !self.marked.remove(&id) {
            self.marked.insert(id);
        }
    }

    /// Ids that an action is about: the marked ones, else the selected one.
    pub fn chosen(&self) -> Vec<String> {
        if self.marked.is_empty() {
            return self.selected().map(|record| record.id.clone()).into_iter().collect();
        }
        self.marked.iter().cloned().collect()
    }

    pub fn marks(&self) -> usize {
        self.marked.len()
    }

    pub fn clear_marks(&mut self) {
        self.marked.clear();
    }

    pub fn act(&mut self, action: Action, height: usize, cx: &mut Context<'_>) {
        let total = self.total();
        self.cursor_mut().act(action, height, total);
        self.read_if_needed(height, cx);
    }

    /// True when a row was hit.
    pub fn click(&mut self, line: usize, height: usize) -> bool {
        let total = self.total();
        self.cursor_mut().click(line, height, total)
    }

    pub fn scroll(&mut self, down: bool, by: usize, height: usize, cx: &mut Context<'_>) {
        let total = self.total();
        self.cursor_mut().scroll(down, by, height, total);
        self.read_if_needed(height, cx);
    }

    /// Follows the scroll bar; true when the mouse was on it.
    pub fn drag(&mut self, area: Rect, mouse: MouseEvent, cx: &mut Context<'_>) -> bool {
        let total = self.total();
        let dragged = Table::drag(area, mouse, self.cursor_mut(), total);
        if dragged {
            self.read_if_needed(Table::height(area), cx);
        }
        dragged
    }

    /// Asks for the nearest records, or lists those that fit where there is nothing to compare with.
    pub fn ask(&mut self, query: Query, height: usize, cx: &mut Context<'_>) {
        if query.by.is_none() {
            return self.list_fitting(query.filter, height, cx);
        }
        self.query = Some(query);
        self.finding = Cursor::default();
        self.asked_again = false;
        self.send(cx);
    }

    /// The same question again, as records may have changed.
    fn ask_again(&mut self, cx: &mut Context<'_>) {
        self.asked_again = true;
        self.send(cx);
    }

    /// More or fewer results of the question.
    pub fn change_results(&mut self, more: bool, cx: &mut Context<'_>) {
        let next = match more {
            true => STEPS.into_iter().find(|step| *step > self.results),
            false => STEPS.into_iter().rev().find(|step| *step < self.results),
        };
        if let (Some(next), true) = (next, self.query.is_some()) {
            self.results = next;
            self.ask_again(cx);
        }
    }

    fn list_fitting(&mut self, conditions: RecordFilter, height: usize, cx: &mut Context<'_>) {
        self.query = None;
        self.found.clear();
        self.turn_to(conditions, height, cx);
    }

    /// Another list: nothing of the one before stays in view.
    fn turn_to(&mut self, conditions: RecordFilter, height: usize, cx: &mut Context<'_>) {
        self.conditions = conditions;
        self.end_seen = false;
        self.stored = if self.has_conditions() { 0 } else { self.all };
        self.page.clear();
        self.count.clear();
        self.browsing = Cursor::default();
        self.read(height, cx);
        if self.has_conditions() {
            self.count_fitting(cx);
        }
    }

    fn count_fitting(&mut self, cx: &mut Context<'_>) {
        let Some(collection) = self.collection.clone() else {
            return;
        };
        let read = Read::CountRecords { collection, filter: self.conditions.clone(), most: COUNTED + 1 };
        self.count.load(cx.read(Slot::RecordCount, read.at(self.at.as_ref())));
    }

    /// Takes the number of records that fit. Where they cannot be counted, they are found page by page.
    pub fn fill_count(&mut self, ticket: Ticket, result: &Result<Answer, Failure>, height: usize) {
        let count = result.clone().map(|answer| match answer {
            Answer::RecordCount(count) => count,
            _ => 0,
        });
        if !self.count.fill(ticket, count) {
            return;
        }
        match &self.count {
            Remote::Ready(count) => {
                let known = usize::try_from(*count.min(&COUNTED)).unwrap_or(usize::MAX);
                self.end_seen = *count <= COUNTED;
                self.stored = if self.end_seen { known } else { self.stored.max(known) };
            }
            _ => self.end_seen = false,
        }
        self.browsing.keep_visible(height, self.listed());
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        let (Some(collection), Some(query)) = (self.collection.clone(), self.query.clone()) else {
            return;
        };
        let Query { by: Some(by), filter } = query else {
            return;
        };
        // One slot for both: this read cancels the one of a page, whose answer will not come.
        if self.page.is_loading() {
            self.page.clear();
        }
        let question = RecordQuestion { collection, by, n_results: self.results, filter };
        let read = Read::QueryCollection(question).at(self.at.as_ref());
        self.found.load(cx.read(Slot::Records, read));
    }

    /// Back from the results to the records; false when there were no results.
    pub fn browse(&mut self, height: usize, cx: &mut Context<'_>) -> bool {
        let was_asking = self.query.take().is_some();
        self.found.clear();
        if self.has_conditions() {
            self.turn_to(RecordFilter::default(), height, cx);
        } else if was_asking {
            self.read_if_needed(height, cx);
        }
        was_asking
    }

    /// Reads the page around the cursor when rows in view are missing and not on their way.
    pub fn read_if_needed(&mut self, height: usize, cx: &mut Context<'_>) {
        if self.query.is_some() || self.page.failure().is_some() {
            return;
        }
        let window = self.browsing.window(height, self.listed());
        let within = |offset: usize, count: usize| offset <= window.start && window.end <= offset + count;
        let here = self.page.data().is_some_and(|page| within(page.offset, page.records.len()));
        let coming = self.page.is_loading() && within(self.asked, PAGE.max(height));
        if !here && !coming {
            self.read(height, cx);
        }
    }

    fn read(&mut self, height: usize, cx: &mut Context<'_>) {
        let Some(collection) = self.collection.clone() else {
            return;
        };
        let limit = PAGE.max(height);
        let window = self.browsing.window(height, self.listed());
        self.asked = window.start.saturating_sub((limit - window.len()) / 2);
        let filter = self.conditions.clone();
        let page = RecordPage { offset: self.asked, limit, filter, ..RecordPage::default() };
        let read = Read::Records { collection, page }.at(self.at.as_ref());
        self.page.load(cx.read(Slot::Records, read));
    }

    /// Takes an answer that belongs here; true when something new is to be shown.
    pub fn fill(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        height: usize,
        cx: &mut Context<'_>,
    ) -> bool {
        match result {
            Ok(Answer::Records { offset, records, .. }) => {
                let page = Page { offset: *offset, records: records.clone() };
                let filled = self.page.fill(ticket, Ok(page));
                if filled {
                    self.learn_total(*offset, records.len(), height);
                    self.read_if_needed(height, cx);
                }
                filled
            }
            Ok(Answer::RecordHits { hits, took, .. }) => {
                let filled = self.found.fill(ticket, Ok(Found { hits: hits.clone(), took: *took }));
                self.finding.keep_visible(height, hits.len());
                filled
            }
            Ok(_) => false,
            Err(failure) => {
                self.page.fill(ticket, Err(failure.clone())) || self.found.fill(ticket, Err(failure.clone()))
            }
        }
    }

    /// A page that is not full is the last; one that goes beyond the count says that there are more.
    fn learn_total(&mut self, offset: usize, count: usize, height: usize) {
        let end = offset + count;
        let last = count < PAGE.max(height);
        self.end_seen |= last;
        self.stored = if last { end } else { self.stored.max(end) };
        self.browsing.keep_visible(height, self.listed());
    }
}
