//! Asks before something is destroyed, and names what goes.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Wrap};

use crate::domain::text::{fit, one_line};
use crate::tui::context::{Context, Look};
use crate::worker::protocol::Write;

use super::{Popup, Stay, draw_box};

/// Lines of what goes that are shown; the rest is counted.
const SHOWN: usize = 6;

/// A question that only `y` answers with yes: Enter is pressed too easily.
#[derive(Debug)]
pub struct Confirm {
    title: String,
    question: String,
    goes: Vec<String>,
    /// What `y` does, in one word.
    verb: &'static str,
    write: Write,
}

impl Confirm {
    /// `goes` names what will be gone, one line each; `write` is sent on yes.
    pub fn new(
        title: impl Into<String>,
        question: impl Into<String>,
        goes: Vec<String>,
        verb: &'static str,
        write: Write,
    ) -> Self {
        Confirm { title: title.into(), question: question.into(), goes, verb, write }
    }
}

impl Popup for Confirm {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        match key.code {
            KeyCode::Char('y' | 'Y') => {
                cx.write(self.write.clone());
                Stay::Close
            }
            KeyCode::Esc | KeyCode::Char('n' | 'N' | 'q') => Stay::Close,
            _ => Stay::Open,
        }
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let shown = self.goes.len().min(SHOWN);
        let more = self.goes.len() - shown;
        let high = 5 + shown + usize::from(more > 0);
        let hints = [("y", self.verb), ("esc", "keep")];
        let size = (64, u16::try_from(high).unwrap_or(u16::MAX));
        let inside = draw_box(frame, area, theme, size, &one_line(&self.title, 200), &hints);
        let room = usize::from(inside.width);
        let mut lines = vec![Line::styled(one_line(&self.question, 1000), theme.bad)];
        for what in &self.goes[..shown] {
            lines.push(Line::raw(format!("  {}", fit(&one_line(what, 1000), room.saturating_sub(2)))));
        }
        if more > 0 {
            lines.push(Line::styled(format!("  and {more} more"), theme.dim));
        }
        frame.render_widget(Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }), inside);
    }
}
