//! Where one stands in a long list, and which part of it is in view.

use std::ops::Range;

use crate::tui::action::Action;

/// The selected row and the first row in view. All methods take the number of rows, since it changes while one looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub selected: usize,
    pub top: usize,
}

impl Cursor {
    pub fn up(&mut self, by: usize) {
        self.selected = self.selected.saturating_sub(by);
    }

    pub fn down(&mut self, by: usize, total: usize) {
        self.selected = self.selected.saturating_add(by).min(total.saturating_sub(1));
    }

    pub fn top(&mut self) {
        self.selected = 0;
    }

    pub fn bottom(&mut self, total: usize) {
        self.selected = total.saturating_sub(1);
    }

    /// Carries out a moving action in a view of `height` rows; other actions change nothing.
    pub fn act(&mut self, action: Action, height: usize, total: usize) {
        let page = height.max(1);
        match action {
            Action::Up => self.up(1),
            Action::Down => self.down(1, total),
            Action::HalfPageUp => self.up((page / 2).max(1)),
            Action::HalfPageDown => self.down((page / 2).max(1), total),
            Action::PageUp => self.up(page),
            Action::PageDown => self.down(page, total),
            Action::Top => self.top(),
            Action::Bottom => self.bottom(total),
            _ => {}
        }
        self.keep_visible(height, total);
    }

    /// Selects the row that is drawn `row` lines below the first one in view; false where there is none.
    pub fn click(&mut self, row: usize, height: usize, total: usize) -> bool {
        let clicked = self.window(height, total).start + row;
        let hit = row < height && clicked < total;
        if hit {
            *self = Cursor { selected: clicked, top: clicked - row };
        }
        hit
    }

    /// Moves the view by the wheel; the selected row follows only when it would leave the view.
    pub fn scroll(&mut self, down: bool, by: usize, height: usize, total: usize) {
        let start = self.window(height, total).start;
        let last_top = total.saturating_sub(height);
        self.top = if down { start.saturating_add(by).min(last_top) } else { start.saturating_sub(by) };
        let last_row = (self.top + height.max(1)).min(total).saturating_sub(1);
        self.selected = self.selected.clamp(self.top.min(last_row), last_row);
    }

    /// Rows in view when `height` fit: the selected one is among them and no line is left empty without need.
    pub fn window(&self, height: usize, total: usize) -> Range<usize> {
        if height == 0 || total == 0 {
            return 0..0;
        }
        let selected = self.selected.min(total - 1);
        let highest = selected.saturating_sub(height - 1);
        let top = self.top.clamp(highest, selected).min(total.saturating_sub(height));
        top..(top + height).min(total)
    }

    /// Stores what [`Cursor::window`] found, so that the view does not jump at the next step.
    pub fn keep_visible(&mut self, height: usize, total: usize) {
        self.selected = self.selected.min(total.saturating_sub(1));
        self.top = self.window(height, total).start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_view_follows_the_selected_row() {
        let mut cursor = Cursor::default();
        cursor.down(12, 100);
        cursor.keep_visible(10, 100);
        assert_eq!((cursor.selected, cursor.top), (12, 3));
        cursor.up(5);
        cursor.keep_visible(10, 100);
        assert_eq!((cursor.selected, cursor.top), (7, 3));
        cursor.bottom(100);
        cursor.keep_visible(10, 100);
        assert_eq!(cursor, Cursor { selected: 99, top: 90 });
        cursor.top();
        cursor.keep_visible(10, 100);
        assert_eq!(cursor, Cursor::default());
    }

    #[test]
    fn a_list_that_shrank_leaves_no_gap() {
        let mut cursor = Cursor { selected: 95, top: 90 };
        cursor.keep_visible(10, 12);
        assert_eq!(cursor, Cursor { selected: 11, top: 2 });
        cursor.keep_visible(10, 0);
        assert_eq!(cursor, Cursor::default());
    }

    #[test]
    fn a_click_selects_what_is_under_it() {
        let mut cursor = Cursor { selected: 25, top: 20 };
        assert!(cursor.click(2, 10, 100));
        assert_eq!(cursor, Cursor { selected: 22, top: 20 });
        assert!(!cursor.click(10, 10, 100));
        assert!(!Cursor::default().click(3, 10, 3));
    }

    #[test]
    fn actions_move_by_lines_and_pages() {
        let mut cursor = Cursor::default();
        for (action, selected) in [
            (Action::Down, 1),
            (Action::HalfPageDown, 6),
            (Action::PageDown, 16),
            (Action::PageUp, 6),
            (Action::HalfPageUp, 1),
            (Action::Up, 0),
            (Action::Bottom, 29),
            (Action::Mark, 29),
            (Action::Top, 0),
        ] {
            cursor.act(action, 10, 30);
            assert_eq!(cursor.selected, selected, "{action:?}");
        }
    }

    #[test]
    fn the_wheel_moves_the_view_and_drags_the_row_along() {
        let mut cursor = Cursor { selected: 20, top: 20 };
        cursor.scroll(true, 3, 10, 100);
        assert_eq!(cursor, Cursor { selected: 23, top: 23 });
        cursor.scroll(false, 3, 10, 100);
        assert_eq!(cursor, Cursor { selected: 23, top: 20 });
        cursor.scroll(true, 1000, 10, 100);
        assert_eq!(cursor.top, 90);
    }

    proptest! {
        #[test]
        fn the_window_is_full_and_holds_the_selected_row(
            selected in 0usize..200, top in 0usize..200, height in 0usize..50, total in 0usize..200,
        ) {
            let window = Cursor { selected, top }.window(height, total);
            prop_assert_eq!(window.len(), height.min(total));
            if !window.is_empty() {
                prop_assert!(window.contains(&selected.min(total - 1)));
            }
        }

        #[test]
        fn no_step_leaves_the_list(
            steps in prop::collection::vec((0u8..7, 0usize..30), 0..40), height in 0usize..20, total in 0usize..60,
        ) {
            let mut cursor = Cursor::default();
            for (kind, by) in steps {
                match kind {
                    0 => cursor.up(by),
                    1 => cursor.down(by, total),
                    2 => cursor.top(),
                    3 => cursor.bottom(total),
                    4 => { cursor.click(by, height, total); }
                    5 => cursor.scroll(true, by, height, total),
                    _ => cursor.scroll(false, by, height, total),
                }
                cursor.keep_visible(height, total);
                prop_assert!(cursor.selected < total.max(1));
                prop_assert!(cursor.top < total.max(1));
            }
        }
    }
}
