//! Every action by name, found by typing some of its letters.

use std::collections::HashSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use neo_frizbee::{Config, Matcher};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use crate::domain::text::{fit, width};
use crate::tui::context::{Context, Look};
use crate::tui::keymap::{GLOBAL, KeyRow, Keymap};
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::input::TextLine;

use super::{Framing, Popup, Stay, draw_framed, wheel};

const SIZE: (u16, usize) = (72, 20);

/// A search line and what it finds.
#[derive(Debug)]
pub struct Palette {
    rows: Vec<KeyRow>,
    line: TextLine,
    /// Indices into `rows`, best first.
    found: Vec<usize>,
    cursor: Cursor,
}

impl Palette {
    /// All actions, those of `section` first.
    pub fn new(keymap: &Keymap, section: &'static str) -> Self {
        let mut rows = keymap.rows();
        // Stable: within each group the order of the file stays.
        rows.sort_by_key(|row| (row.section != section, row.section != GLOBAL));
        let mut seen = HashSet::new();
        rows.retain(|row| seen.insert(row.action));
        let found = (0..rows.len()).collect();
        Palette { rows, line: TextLine::default(), found, cursor: Cursor::default() }
    }

    fn search(&mut self) {
        self.cursor = Cursor::default();
        let needle = self.line.text().trim();
        if needle.is_empty() {
            self.found = (0..self.rows.len()).collect();
            return;
        }
        let names: Vec<String> =
            self.rows.iter().map(|row| format!("{} {}", row.description, row.action)).collect();
        let found = Matcher::new(needle, &Config::default()).match_list(&names);
        self.found = found.into_iter().map(|found| found.index as usize).collect();
    }

    fn chosen(&self) -> Stay {
        match self.found.get(self.cursor.selected).and_then(|index| self.rows.get(*index)) {
            Some(row) => Stay::Act(row.action),
            None => Stay::Open,
        }
    }

    /// Lines of the list in the popup as it is drawn on `screen`.
    fn height(screen: Rect) -> usize {
        usize::from(Framing::new(screen, SIZE, Vec::new()).place.height.saturating_sub(3))
    }
}

impl Popup for Palette {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        let height = Palette::height(cx.screen);
        let total = self.found.len();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Stay::Close,
            KeyCode::Enter => return self.chosen(),
            KeyCode::Up => self.cursor.up(1),
            KeyCode::Down | KeyCode::Tab => self.cursor.down(1, total),
            KeyCode::Char('p' | 'k') if control => self.cursor.up(1),
            KeyCode::Char('n' | 'j') if control => self.cursor.down(1, total),
            KeyCode::PageUp => self.cursor.up(height),
            KeyCode::PageDown => self.cursor.down(height, total),
            _ => {
                if self.line.key(key) {
                    self.search();
                }
            }
        }
        self.cursor.keep_visible(height, self.found.len());
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        let height = Palette::height(cx.screen);
        let total = self.found.len();
        if let Some(lines) = wheel(mouse) {
            self.cursor.scroll(lines > 0, lines.unsigned_abs(), height, total);
        }
        let place = self.framing(cx.screen).map_or(Rect::ZERO, |framing| framing.place);
        if mouse.kind == MouseEventKind::Down(MouseButton::Left)
            && place.contains(Position::new(mouse.column, mouse.row))
            && mouse.row >= place.y + 2
            && self.cursor.click(usize::from(mouse.row - place.y - 2), height, total)
        {
            return self.chosen();
        }
        Stay::Open
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        Some(Framing::new(screen, SIZE, vec![("enter", "do it"), ("esc", "close")]))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let Some(framing) = self.framing(area) else { return };
        let inside = draw_framed(frame, &framing, theme, "Actions");
        if inside.is_empty() {
            return;
        }
        frame.buffer_mut().set_stringn(inside.x, inside.y, ":", 1, theme.key);
        let typed = Rect { x: inside.x + 1, width: inside.width - 1, height: 1, ..inside };
        let cursor = self.line.draw(typed, frame.buffer_mut(), theme.text);
        frame.set_cursor_position(cursor);
        let list = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
        if self.found.is_empty() {
            frame.buffer_mut().set_stringn(
                list.x,
                list.y,
                "no action is called that; try other letters",
                usize::from(list.width),
                theme.dim,
            );
        }
        let window = self.cursor.window(usize::from(list.height), self.found.len());
        for (y, index) in (list.y..list.bottom()).zip(window) {
            let row = &self.rows[self.found[index]];
            let line = palette_line(row, usize::from(list.width), look);
            frame.buffer_mut().set_line(list.x, y, &line, list.width);
            if index == self.cursor.selected {
                frame.buffer_mut().set_style(Rect { y, height: 1, ..list }, theme.selected);
            }
        }
    }
}

/// Description on the left, keys on the right.
fn palette_line<'a>(row: &'a KeyRow, room: usize, look: &Look<'_>) -> Line<'a> {
    let keys = fit(&row.keys, room / 3);
    let text = fit(row.description, room.saturating_sub(width(&keys) + 1));
    let gap = " ".repeat(room.saturating_sub(width(&text) + width(&keys)));
    Line::from(vec![Span::styled(text, look.theme.text), Span::raw(gap), Span::styled(keys, look.theme.key)])
}
