//! A text too long for a toast: why something failed, and what to do about it.

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Style;

use crate::domain::text::one_line;
use crate::tui::context::{Context, Look};
use crate::tui::widgets::prose::Prose;
use crate::worker::protocol::Failure;

use super::{Framing, Popup, Stay, centered, draw_framed, wheel};

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

    fn prose(&self, bad: Style, text: Style) -> Prose {
        let mut prose = Prose::default();
        prose.push(&self.failure.message, bad);
        if let Some(remedy) = &self.failure.remedy {
            prose.push("", text);
            prose.push(remedy, text);
        }
        prose
    }

    /// The end of the text is the end.
    fn scroll(&mut self, by: isize, screen: Rect) {
        let Some(framing) = self.framing(screen) else { return };
        let inside = framing.place.inner(Margin::new(2, 1));
        let lines = self.prose(Style::new(), Style::new()).lines(inside.width);
        let last = lines.saturating_sub(usize::from(inside.height));
        self.lines_down = self.lines_down.saturating_add_signed(by).min(last);
    }
}

impl Popup for Message {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => return Stay::Close,
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1, cx.screen),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1, cx.screen),
            _ => {}
        }
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        if let Some(lines) = wheel(mouse) {
            self.scroll(lines, cx.screen);
        }
        Stay::Open
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        let columns = centered(screen, WIDE, screen.height).width.saturating_sub(4);
        let high = self.prose(Style::new(), Style::new()).lines(columns) + 2;
        Some(Framing::new(screen, (WIDE, high), vec![("esc", "close")]))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let Some(framing) = self.framing(area) else { return };
        let mut prose = self.prose(look.theme.bad, look.theme.text);
        let inside = draw_framed(frame, &framing, look.theme, &one_line(&self.title, 200));
        prose.scroll(true, self.lines_down, inside.width, inside.height);
        prose.draw(inside, frame.buffer_mut());
    }
}
