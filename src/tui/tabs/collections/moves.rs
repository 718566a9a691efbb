//! Going about the tab by keys and by the mouse.

use crossterm::event::MouseEvent;
use ratatui::layout::Position;

use crate::tui::action::Action;
use crate::tui::context::Context;
use crate::tui::widgets::table::Table;

use super::{Collections, Focus, view};

/// Rows the wheel moves.
const WHEEL: usize = 3;

impl Collections {
    pub(super) fn move_by(&mut self, action: Action, cx: &mut Context<'_>) {
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

    pub(super) fn click(&mut self, position: Position, cx: &mut Context<'_>) {
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
    pub(super) fn drag(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> bool {
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

    pub(super) fn wheel(&mut self, down: bool, position: Position, cx: &mut Context<'_>) {
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
