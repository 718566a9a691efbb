//! The SQL console: a line, and below it the result or why there is none.

use std::time::Duration;

use crossterm::event::{KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::tui::action::Action;
use crate::tui::context::{Context, Look};
use crate::tui::remote::Remote;
use crate::tui::widgets::number::{counted, took};
use crate::tui::widgets::pane::Pane;
use crate::tui::widgets::query_line::{QueryLine, Typed};
use crate::tui::widgets::sheet::Sheet;
use crate::tui::widgets::table::{self, Table};
use crate::tui::widgets::{notice, number};
use crate::worker::protocol::{Answer, Failure, Read, Slot, Ticket};

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    sheet: Sheet,
    took: Duration,
}

/// State of the console.
#[derive(Debug, Default)]
pub(super) struct Console {
    open: bool,
    /// The keys go to the result rather than to the charts.
    focused: bool,
    line: QueryLine,
    result: Remote<Found>,
}

/// Rows the wheel moves.
const WHEEL: usize = 3;

impl Console {
    pub fn open(&mut self) {
        self.open = true;
        self.focused = true;
        self.line.focus();
    }

    pub fn close(&mut self) {
        self.open = false;
        self.leave();
    }

    /// The keys go back to the charts.
    pub fn leave(&mut self) {
        self.focused = false;
        self.line.leave();
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn switch_focus(&mut self) {
        self.focused = self.open && !self.focused;
    }

    pub fn has_keys(&self) -> bool {
        self.open && self.focused
    }

    pub fn is_typing(&self) -> bool {
        self.has_keys() && self.line.is_typing()
    }

    pub fn is_loading(&self) -> bool {
        self.result.is_loading()
    }

    pub fn type_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        match self.line.key(key) {
            Typed::Submit(query) if !query.trim().is_empty() => {
                self.result.load(cx.read(Slot::Sql, Read::Sql(query)));
            }
            // Esc with no result to go to closes the console.
            Typed::Left if self.result == Remote::Idle => self.close(),
            _ => {}
        }
    }

    /// `height`: rows of the result in view.
    pub fn act(&mut self, action: Action, height: usize) {
        if action == Action::Back {
            return self.close();
        }
        if action == Action::Open {
            return self.line.focus();
        }
        let Some(found) = self.result.data_mut() else {
            return;
        };
        let total = found.sheet.total();
        match action {
            Action::Left => found.sheet.move_sideways(false),
            Action::Right => found.sheet.move_sideways(true),
            _ => found.sheet.cursor.act(action, height, total),
        }
    }

    /// `sheet`: where the result is drawn.
    pub fn mouse(&mut self, mouse: MouseEvent, sheet: Option<Rect>) {
        let height = sheet.map_or(0, Table::height);
        let line = sheet.and_then(|area| Table::line_at(area, Position::new(mouse.column, mouse.row)));
        let click = mouse.kind == MouseEventKind::Down(MouseButton::Left);
        if click {
            self.focused = true;
            if line.is_none() {
                return self.line.focus();
            }
            self.line.leave();
        }
        let Some(found) = self.result.data_mut() else {
            return;
        };
        let total = found.sheet.total();
        if sheet.is_some_and(|area| Table::drag(area, mouse, &mut found.sheet.cursor, total)) {
            return;
        }
        match (mouse.kind, line) {
            (MouseEventKind::ScrollDown, _) => found.sheet.cursor.scroll(true, WHEEL, height, total),
            (MouseEventKind::ScrollUp, _) => found.sheet.cursor.scroll(false, WHEEL, height, total),
            (_, Some(line)) if click => {
                found.sheet.cursor.click(line, height, total);
            }
            _ => {}
        }
    }

    pub fn fill(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        let result = match result {
            Ok(Answer::Table { table, took }) => Ok(Found { sheet: Sheet::new(table.clone()), took: *took }),
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        self.result.fill(ticket, result);
    }

    /// The selected row for the clipboard.
    pub fn selected_text(&self) -> Option<String> {
        self.result.data().and_then(|found| found.sheet.selected_text())
    }

    /// The result for the clipboard.
    pub fn as_text(&self) -> Option<String> {
        self.result.data().map(|found| found.sheet.as_text())
    }

    /// Where the result is drawn when the console has `area`.
    pub fn sheet_place(area: Rect) -> Rect {
        let inside = Pane::inside(area);
        Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside }
    }

    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let mut pane = Pane::new("SQL").focused(self.has_keys()).loading(self.is_loading());
        if let Some(found) = self.result.data() {
            let rows = found.sheet.total();
            let shown = if found.sheet.data().truncated {
                format!("first {}, there are more", number::counted(rows as u64, "row"))
            } else {
                counted(rows as u64, "row")
            };
            pane = pane
                .note(shown, theme.dim)
                .note(took(found.took), theme.dim)
                .note(table::position(found.sheet.cursor, rows), theme.dim);
            if found.sheet.hidden_left() > 0 {
                pane = pane
                    .note(format!("← {}", counted(found.sheet.hidden_left() as u64, "column")), theme.dim);
            }
        }
        let inside = pane.draw(area, frame.buffer_mut(), look);
        let hint = "select model_name, avg(accuracy) from experiments_performance group by 1 order by 2 desc";
        self.line.draw(frame, Rect { height: inside.height.min(1), ..inside }, theme, "sql> ", hint);
        self.draw_result(frame, Console::sheet_place(area), look);
    }

    fn draw_result(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let buffer = frame.buffer_mut();
        if let Some(failure) = self.result.failure() {
            notice::draw_failure(area, buffer, look.theme, failure);
            return;
        }
        let focused = self.has_keys() && !self.line.is_typing();
        match self.result.data() {
            Some(found) if found.sheet.total() == 0 => {
                notice::draw_empty(area, buffer, look, &["no rows"]);
            }
            Some(found) => found.sheet.draw(area, buffer, look.theme, focused),
            None if self.is_loading() => notice::draw_empty(area, buffer, look, &["reading…"]),
            None => {
                let lines = [
                    "{sql} types SQL, enter asks: one statement that reads.",
                    "SHOW ALL TABLES lists what there is; experiments_performance holds finished runs.",
                ];
                notice::draw_empty(area, buffer, look, &lines);
            }
        }
    }
}
