//! The scroll bar of the table under the mouse.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use crate::tui::context::Context;
use crate::tui::widgets::table::Table;

use super::Experiments;

impl Experiments {
    /// The mouse takes, moves or leaves the scroll bar of the table; true when it did.
    pub(super) fn drag_bar(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> bool {
        let rows = self.rows_area(cx.area);
        let place = Position::new(mouse.column, mouse.row);
        let on_bar = self.compare.is_none() && !self.full && self.table(true).bar_at(rows, place).is_some();
        self.dragging = match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => on_bar,
            MouseEventKind::Drag(MouseButton::Left) => self.dragging,
            _ => false,
        };
        if self.dragging {
            self.follow = false;
            let (line, height) = (Table::bar_line(rows, mouse.row), self.height(cx.area));
            self.list.cursor.jump(line, height, self.list.total());
            self.moved(cx);
        }
        self.dragging
    }
}
