//! Going about the tab: rows, panes, what opens and closes, by keys and by the mouse.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use crate::tui::action::Action;
use crate::tui::context::Context;
use crate::tui::popups::wheel;
use crate::tui::widgets::table::Table;

use super::{Experiments, Focus};

impl Experiments {
    /// How far and whether down an action moves; none for actions that do not.
    pub(super) fn step(&self, action: Action, area: Rect) -> Option<(bool, usize)> {
        let page = self.height(area).max(1);
        Some(match action {
            Action::Up => (false, 1),
            Action::Down => (true, 1),
            Action::HalfPageUp => (false, page.div_ceil(2)),
            Action::HalfPageDown => (true, page.div_ceil(2)),
            Action::PageUp => (false, page),
            Action::PageDown => (true, page),
            Action::Top => (false, usize::MAX),
            Action::Bottom => (true, usize::MAX),
            _ => return None,
        })
    }

    pub(super) fn go(&mut self, down: bool, by: usize, cx: &mut Context<'_>) {
        if let Some(compare) = &mut self.compare {
            return compare.scroll(down, by);
        }
        if self.has_detail_keys() {
            let room = self.detail_area(cx.area).unwrap_or_default();
            return self.with_detail(cx.now, |detail, shown| detail.scroll(down, by, room, shown));
        }
        self.follow = false;
        let total = self.list.total();
        if down {
            self.list.cursor.down(by, total)
        } else {
            self.list.cursor.up(by)
        }
        self.moved(cx);
    }

    pub(super) fn moved(&mut self, cx: &mut Context<'_>) {
        let height = self.height(cx.area);
        self.list.moved(cx, height);
        self.show_selected(cx);
    }

    /// The detail follows the selected row while it is in view.
    pub(super) fn show_selected(&mut self, cx: &mut Context<'_>) {
        if self.compare.is_some() {
            return;
        }
        if self.detail_area(cx.area).is_none() {
            return self.detail.close();
        }
        // While the row has not arrived yet, what is shown stays.
        let id = self.list.selected().map(|run| run.id);
        if id.is_some() || self.list.total() == 0 {
            self.detail.show(cx, id);
        }
    }

    pub(super) fn turn(&mut self, right: bool, cx: &mut Context<'_>) {
        match &mut self.compare {
            Some(compare) => compare.turn(right),
            None => self.detail.turn(cx, right),
        }
    }

    pub(super) fn other_pane(&mut self, next: bool, area: Rect) {
        if let Some(compare) = &mut self.compare {
            return compare.turn_metric(next);
        }
        if !self.full && self.detail_area(area).is_some() {
            self.focus = if self.focus == Focus::Table { Focus::Detail } else { Focus::Table };
        }
    }

    pub(super) fn has_detail_keys(&self) -> bool {
        self.full || self.focus == Focus::Detail
    }

    pub(super) fn open(&mut self, cx: &mut Context<'_>) {
        if self.compare.is_none() && self.list.selected().is_some() {
            self.full = true;
            self.show_selected(cx);
        }
    }

    /// Closes what is on top, one thing at a time.
    pub(super) fn back(&mut self, cx: &mut Context<'_>) {
        if self.compare.take().is_some() {
            self.detail.close();
            self.show_selected(cx);
        } else if self.full {
            self.full = false;
            self.focus = Focus::Table;
            self.moved(cx);
        } else if self.focus == Focus::Detail {
            self.focus = Focus::Table;
        } else if self.marks.clear() || self.close_group(cx) {
            // That was all.
        } else if !self.list.filter.is_empty() {
            self.line.clear();
            self.set_filter(String::new(), cx);
        }
    }

    pub(super) fn click(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        if self.chooser.is_some() {
            let area = cx.area;
            return self.with_chooser(cx, |chooser, columns, _| {
                chooser.mouse(mouse, area, columns);
                true
            });
        }
        if self.compare.is_none() && self.groups_in_view().is_some() {
            return self.click_groups(mouse, self.rows_area(cx.area), cx);
        }
        let place = Position::new(mouse.column, mouse.row);
        let in_detail = self.detail_area(cx.area).is_some_and(|area| area.contains(place));
        if let Some(lines) = wheel(mouse) {
            let (down, by) = (lines > 0, lines.unsigned_abs());
            if in_detail || self.compare.is_some() {
                let focus = std::mem::replace(&mut self.focus, Focus::Detail);
                self.go(down, by, cx);
                self.focus = focus;
            } else {
                let (height, total) = (self.height(cx.area), self.list.total());
                self.follow = false;
                self.list.cursor.scroll(down, by, height, total);
                self.moved(cx);
            }
        }
        if self.compare.is_none() && !self.full {
            let (rows, total) = (self.rows_area(cx.area), self.list.total());
            if Table::drag(rows, mouse, &mut self.list.cursor, total) {
                self.follow = false;
                return self.moved(cx);
            }
        }
        if mouse.kind != MouseEventKind::Down(MouseButton::Left) || self.compare.is_some() {
            return;
        }
        self.focus = if in_detail { Focus::Detail } else { Focus::Table };
        let rows = self.rows_area(cx.area);
        if in_detail || self.full {
            return self.click_detail(mouse, cx);
        }
        let (height, total) = (self.height(cx.area), self.list.total());
        if let Some(field) = self.sortable_at(rows, place) {
            if let Some(field) = field {
                self.sort_by(field, cx);
            }
        } else if let Some(line) = Table::line_at(rows, place)
            && self.list.cursor.click(line, height, total)
        {
            self.follow = false;
            self.moved(cx);
        }
    }
}
