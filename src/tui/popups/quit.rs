//! Leaving while jobs run: stop them, leave the queue for later, or stay.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;

use crate::domain::text::{fit, one_line};
use crate::tui::context::{Context, Look};

use super::{Leave, Popup, Stay, draw_box};

/// Jobs that are named; the rest is counted.
const SHOWN: usize = 5;

#[derive(Debug)]
pub struct Quit {
    /// What still runs.
    jobs: Vec<String>,
}

impl Quit {
    pub fn new(jobs: Vec<String>) -> Self {
        Quit { jobs }
    }
}

impl Popup for Quit {
    fn key(&mut self, key: KeyEvent, _cx: &mut Context<'_>) -> Stay {
        match key.code {
            KeyCode::Char('s' | 'S') => Stay::Leave(Leave::Stop),
            KeyCode::Char('l' | 'L') => Stay::Leave(Leave::Queue),
            KeyCode::Esc | KeyCode::Char('n' | 'N' | 'q') => Stay::Close,
            _ => Stay::Open,
        }
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let shown = self.jobs.len().min(SHOWN);
        let more = self.jobs.len() - shown;
        let high = u16::try_from(7 + shown + usize::from(more > 0)).unwrap_or(u16::MAX);
        let inside = draw_box(frame, area, theme, (66, high), "Leave labtop?", &[("esc", "stay")]);
        let room = usize::from(inside.width);
        let mut lines =
            vec![Line::raw(if self.jobs.len() == 1 { "Still running:" } else { "Still at work:" })];
        for job in &self.jobs[..shown] {
            lines.push(Line::raw(format!("  {}", fit(&one_line(job, 500), room.saturating_sub(2)))));
        }
        if more > 0 {
            lines.push(Line::styled(format!("  and {more} more"), theme.dim));
        }
        lines.push(Line::default());
        for (key, what) in [
            ("s", "stop them: they are cancelled, then labtop ends"),
            ("l", "leave: what runs goes back into the queue, for labtop worker"),
        ] {
            lines.push(Line::from(vec![Span::styled(key, theme.key), Span::raw(format!("  {what}"))]));
        }
        frame.render_widget(Paragraph::new(Text::from(lines)), inside);
    }
}
