//! Every key that works in the active tab, made from the keymap.

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};

use crate::domain::text::{fit, width};
use crate::tui::context::{Context, Look};
use crate::tui::keymap::{GLOBAL, KeyRow, Keymap};
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::table::{drag_scrollbar, draw_scrollbar};

use super::{Framing, Popup, Stay, centered, draw_framed, wheel};

const WIDE: u16 = 78;

#[derive(Debug)]
enum Entry {
    Heading(String),
    Row(KeyRow),
    Gap,
}

/// Scrolled and closed.
#[derive(Debug)]
pub struct Help {
    entries: Vec<Entry>,
    /// First entry in view.
    top: usize,
}

impl Help {
    /// The keys of `section`, whose tab has `title`, and those that work everywhere.
    pub fn new(keymap: &Keymap, section: &'static str, title: &str) -> Self {
        let mut entries = vec![Entry::Heading(title.to_owned())];
        entries.extend(keymap.rows_of(section).into_iter().map(Entry::Row));
        entries.push(Entry::Gap);
        entries.push(Entry::Heading("Everywhere".to_owned()));
        entries.extend(keymap.rows_of(GLOBAL).into_iter().map(Entry::Row));
        Help { entries, top: 0 }
    }

    fn scroll(&mut self, by: isize, screen: Rect) {
        let height = usize::from(self.place(screen).height.saturating_sub(2));
        let last = self.entries.len().saturating_sub(height);
        self.top = self.top.saturating_add_signed(by).min(last);
    }

    fn place(&self, screen: Rect) -> Rect {
        let high = u16::try_from(self.entries.len() + 2).unwrap_or(u16::MAX);
        centered(screen.inner(Margin::new(0, 1)), WIDE, high)
    }
}

impl Popup for Help {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        let page = isize::try_from(self.place(cx.screen).height.saturating_sub(2)).unwrap_or(1);
        let by = match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?') | KeyCode::F(1) => return Stay::Close,
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::PageDown | KeyCode::Char(' ') => page,
            KeyCode::PageUp => -page,
            KeyCode::Char('d') => page / 2,
            KeyCode::Char('u') => -page / 2,
            KeyCode::Home | KeyCode::Char('g') => isize::MIN,
            KeyCode::End | KeyCode::Char('G') => isize::MAX,
            _ => 0,
        };
        self.scroll(by, cx.screen);
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        let inside = self.place(cx.screen).inner(Margin::new(2, 1));
        let bar = Rect { width: inside.width + 1, ..inside };
        let mut cursor = Cursor { selected: self.top, top: self.top };
        if let Some(lines) = wheel(mouse) {
            self.scroll(lines, cx.screen);
        } else if drag_scrollbar(bar, mouse, &mut cursor, self.entries.len()) {
            self.top = cursor.top;
        }
        Stay::Open
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        Some(Framing { place: self.place(screen), hints: vec![("j/k", "scroll"), ("esc", "close")] })
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let Some(framing) = self.framing(area) else { return };
        let inside = draw_framed(frame, &framing, theme, "Keys");
        let keys_width = self.entries.iter().map(keys_width).max().unwrap_or(0).min(28);
        let total = self.entries.len();
        let top = self.top.min(total.saturating_sub(usize::from(inside.height)));
        for (y, entry) in (inside.y..inside.bottom()).zip(&self.entries[top..]) {
            let line = match entry {
                Entry::Gap => continue,
                Entry::Heading(title) => Line::styled(title.as_str(), theme.title),
                Entry::Row(row) => {
                    let keys = fit(&row.keys, keys_width);
                    let gap = " ".repeat(keys_width + 2 - width(&keys).min(keys_width));
                    Line::from(vec![Span::styled(keys, theme.key), Span::raw(gap), row.description.into()])
                }
            };
            frame.buffer_mut().set_line(inside.x, y, &line, inside.width);
        }
        let bar = Rect { width: inside.width + 1, ..inside }.intersection(area);
        draw_scrollbar(bar, frame.buffer_mut(), theme, Cursor { selected: top, top }, total);
    }
}

fn keys_width(entry: &Entry) -> usize {
    match entry {
        Entry::Row(row) => width(&row.keys),
        Entry::Heading(_) | Entry::Gap => 0,
    }
}
