//! The list of collections: read anew, and what stays selected in it.

use crate::domain::collection::Collection;
use crate::tui::context::Context;
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{Answer, Failure, Read, Slot, Ticket};

use super::records::Records;
use super::{Collections, stored, view};

impl Collections {
    /// At most one read of the list is under way.
    pub(super) fn reread(&mut self, cx: &mut Context<'_>) {
        if self.list.is_loading() {
            self.again = true;
        } else {
            self.again = false;
            self.list.load(cx.read(Slot::Collections, Read::Collections.at(self.at.as_ref())));
        }
    }

    pub(super) fn fill_list(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        cx: &mut Context<'_>,
    ) {
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
        let before: Vec<String> = self.collections().iter().map(|known| known.name.clone()).collect();
        if !self.list.fill(ticket, result) {
            return;
        }
        if came {
            self.follow_new_name(&before);
            self.stay_at_name(cx);
            self.find_sought(cx);
        }
        if self.again {
            self.reread(cx);
        }
    }

    /// The selected one has another name now: it is gone, and one came for it.
    fn follow_new_name(&mut self, before: &[String]) {
        let now = self.collections();
        let mut gone = before.iter().filter(|name| now.iter().all(|known| known.name != **name));
        let mut came = now.iter().filter(|known| !before.contains(&known.name));
        let (Some(gone), None, Some(Collection { name, .. }), None) =
            (gone.next(), gone.next(), came.next(), came.next())
        else {
            return;
        };
        let name = name.clone();
        if self.records.collection.as_ref() == Some(gone) {
            self.records.collection = Some(name);
        }
    }

    /// The list is new: the same collection stays selected where it still exists, and its records are read anew.
    pub(super) fn stay_at_name(&mut self, cx: &mut Context<'_>) {
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
    pub(super) fn turn_to_selected(&mut self, cx: &mut Context<'_>) {
        let height = Table::height(view::places(self, cx.area).records);
        self.records = match self.selected() {
            Some(collection) => Records::of(self.at.clone(), collection.name.clone(), stored(collection)),
            None => Records::default(),
        };
        self.line.set("");
        self.problem = None;
        self.records.read_if_needed(height, cx);
        self.show_detail();
    }
}
