//! Questions to a collection, and the ways between its records and the runs they are about.

use crate::domain::collection::{RUN, RecordPage};
use crate::tui::context::{Context, Goal, Tone};
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{Answer, Failure, Likeness, Read, Slot, Ticket};

use super::query::{self, LIKE, Query};
use super::{Collections, Focus, view};

impl Collections {
    pub(super) fn submit(&mut self, text: &str, cx: &mut Context<'_>) {
        self.problem = None;
        if text.trim().is_empty() {
            return self.browse(cx);
        }
        if self.records.collection.is_none() {
            return cx.toast(Tone::Plain, "there is no collection to ask");
        }
        match query::parse(text).and_then(|query| self.checked(query)) {
            Ok(query) => {
                let height = Table::height(view::places(self, cx.area).records);
                self.records.ask(query, height, cx);
                self.focus_on(Focus::Records);
                self.show_detail();
            }
            Err(problem) => {
                self.problem = Some(problem);
                self.line.focus();
            }
        }
    }

    /// What the line cannot know of the collection.
    fn checked(&self, query: Query) -> Result<Query, String> {
        let dimension = self.selected().and_then(|collection| collection.dimension);
        match (&query.by, dimension) {
            (Some(Likeness::Vector(vector)), Some(wanted)) if vector.len() != wanted => {
                Err(format!("vector: it has {} dimensions, the collection has {wanted}", vector.len()))
            }
            _ => Ok(query),
        }
    }

    /// Back to all records.
    pub(super) fn browse(&mut self, cx: &mut Context<'_>) {
        let height = Table::height(view::places(self, cx.area).records);
        self.problem = None;
        self.line.set("");
        self.records.browse(height, cx);
        self.show_detail();
    }

    /// Asks for what is like the selected record, under the conditions in force.
    pub(super) fn like_selected(&mut self, cx: &mut Context<'_>) {
        let Some(record) = self.records.selected().filter(|_| self.focus != Focus::Names) else {
            return cx.toast(Tone::Plain, "select a record to find more like it");
        };
        let conditions = query::clauses(self.line.value());
        let question = format!("{LIKE}{} {conditions}", record.id).trim_end().to_owned();
        self.line.set(&question);
        self.submit(&question, cx);
    }

    /// Goes to the run that the selected record is about.
    pub(super) fn go_to_run(&self, cx: &mut Context<'_>) {
        let Some(record) = self.records.selected() else {
            return cx.toast(Tone::Plain, "no record is selected");
        };
        match Goal::run_of(&record.id, &record.metadata) {
            Some(goal) => cx.go(goal),
            None => cx.toast(Tone::Plain, format!("this record is about no run: it has no {RUN}")),
        }
    }

    /// Shows what another tab asked for, as soon as the list is here.
    pub(super) fn look_at(&mut self, collection: &str, question: &str, cx: &mut Context<'_>) {
        self.sought = Some((collection.to_owned(), question.to_owned()));
        if self.list.data().is_some() && !self.list.is_loading() {
            self.find_sought(cx);
        }
    }

    pub(super) fn find_sought(&mut self, cx: &mut Context<'_>) {
        let Some((name, question)) = self.sought.take() else {
            return;
        };
        let Some(place) = self.collections().iter().position(|known| known.name == name) else {
            return cx.toast(Tone::Bad, format!("there is no collection {name}"));
        };
        self.cursor.selected = place;
        let total = self.collections().len();
        self.cursor.keep_visible(Table::height(view::places(self, cx.area).names), total);
        self.turn_to_selected(cx);
        self.line.leave();
        self.line.set(&question);
        self.submit(&question, cx);
    }

    /// Reads the vector of the selected record, or puts it away.
    pub(super) fn toggle_vector(&mut self, cx: &mut Context<'_>) {
        let (Some(record), Some(collection)) = (self.records.selected(), self.records.collection.clone())
        else {
            return cx.toast(Tone::Plain, "no record is selected");
        };
        if self.vector.data().is_some_and(|(id, _)| *id == record.id) {
            self.vector.clear();
        } else {
            let ids = vec![record.id.clone()];
            let page = RecordPage { limit: 1, with_embeddings: true, ids, ..RecordPage::default() };
            let read = Read::Records { collection, page }.at(self.at.as_ref());
            self.vector.load(cx.read(Slot::Vector, read));
        }
        self.focus_on(if self.focus == Focus::Names { Focus::Records } else { self.focus });
        self.show_detail();
    }

    pub(super) fn fill_vector(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        cx: &mut Context<'_>,
    ) {
        let result = match result {
            Ok(Answer::Records { records, .. }) => {
                let record = records.first().cloned();
                Ok(record.and_then(|record| Some((record.id, record.embedding?))))
            }
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        let told = match &result {
            Ok(Some(_)) => None,
            Ok(None) => Some("this record is gone".to_owned()),
            Err(failure) => Some(failure.message.clone()),
        };
        if self.vector.fill(ticket, result.map(Option::unwrap_or_default)) {
            if let Some(told) = told {
                self.vector.clear();
                cx.toast(Tone::Bad, told);
            }
            self.show_detail();
        }
    }
}
