//! A text too long for a toast: why something failed, and what to do about it.

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::text::one_line;
use crate::tui::context::{Context, Look};
use crate::tui::widgets::prose::Prose;
use crate::worker::protocol::Failure;

use super::{Popup, Stay, centered, draw_box, wheel};

/// Widest box, columns.
const WIDE: u16 = 76;

/// Read, scrolled, closed.
#[derive(Debug)]
pub struct Message {
    title: String,
    failure: Failure,
    lines_down: usize,
}

impl Message {
    pub fn of(title: impl Into<String>, failure: &Failure) -> Self {
        Message { title: title.into(), failure: failure.clone(), lines_down: 0 }
    }

    fn prose(&self, look: &Look<'_>) -> Prose {
        let mut prose = Prose::default();
        prose.push(&self.failure.message, look.theme.bad);
        if let Some(remedy) = &self.failure.remedy {
            prose.push("", look.theme.text);
            prose.push(remedy, look.theme.text);
        }
        prose
    }
}

impl Popup for Message {
    fn key(&mut self, key: KeyEvent, _cx: &mut Context<'_>) -> Stay {
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => return Stay::Close,
            KeyCode::Down | KeyCode::Char('j') => self.lines_down += 1,
            KeyCode::Up | KeyCode::Char('k') => self.lines_down = self.lines_down.saturating_sub(1),
            _ => {}
        }
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, _cx: &mut Context<'_>) -> Stay {
        if let Some(lines) = wheel(mouse) {
            self.lines_down = self.lines_down.saturating_add_signed(lines);
        }
        Stay::Open
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let mut prose = self.prose(look);
        let columns = centered(area, WIDE, area.height).width.saturating_sub(4);
        let high = u16::try_from(prose.lines(columns) + 2).unwrap_or(u16::MAX);
        let inside =
            draw_box(frame, area, look.theme, (WIDE, high), &one_line(&self.title, 200), &[("esc", "close")]);
        prose.scroll(true, self.lines_down, inside.width, inside.height);
        prose.draw(inside, frame.buffer_mut());
    }
}
