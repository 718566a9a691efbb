//! Asks before something is destroyed, and names what goes.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use crate::domain::text::{fit, one_line, width};
use crate::tui::context::{Context, Look};
use crate::tui::widgets::input::TextLine;
use crate::tui::widgets::prose::Prose;
use crate::worker::protocol::Write;

use super::{Framing, Popup, Stay, centered, draw_framed};

/// Lines of what goes that are shown; the rest is counted.
const SHOWN: usize = 6;

/// Columns of the box.
const WIDE: u16 = 64;

/// A question that Enter alone never answers with yes: it is pressed too easily. What can be undone takes `y`; what cannot
/// takes a word that has to be typed.
#[derive(Debug)]
pub struct Confirm {
    title: String,
    question: String,
    goes: Vec<String>,
    /// What yes does, in one word.
    verb: &'static str,
    write: Write,
    word: Option<Word>,
}

/// What has to be typed, and what has been.
#[derive(Debug)]
struct Word {
    wanted: String,
    line: TextLine,
    is_wrong: bool,
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
        Confirm { title: title.into(), question: question.into(), goes, verb, write, word: None }
    }

    /// For what cannot be undone: `word`, a name or a number that says what goes, has to be typed.
    pub fn by_typing(self, word: impl Into<String>) -> Self {
        let word = Word { wanted: word.into(), line: TextLine::default(), is_wrong: false };
        Confirm { word: Some(word), ..self }
    }

    /// Sends the write as `change` makes it.
    pub fn sending(self, change: impl FnOnce(Write) -> Write) -> Self {
        Confirm { write: change(self.write), ..self }
    }

    fn question(&self, style: Style) -> Prose {
        let mut prose = Prose::default();
        prose.push(&one_line(&self.question, 1000), style);
        prose
    }

    fn type_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        let Some(word) = &mut self.word else {
            return Stay::Open;
        };
        match key.code {
            KeyCode::Esc => return Stay::Close,
            KeyCode::Enter if word.line.text().trim() == word.wanted => {
                cx.write(self.write.clone());
                return Stay::Close;
            }
            KeyCode::Enter => word.is_wrong = true,
            _ => {
                word.is_wrong &= !word.line.key(key);
            }
        }
        Stay::Open
    }

    /// The line to type in: `type 12 to delete: `, and where typing begins.
    fn draw_word(&self, word: &Word, line: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        if line.is_empty() {
            return;
        }
        let style = if word.is_wrong { look.theme.bad } else { look.theme.text };
        let room = usize::from(line.width);
        let not = if word.is_wrong { "that is not it: " } else { "" };
        let ask = format!("{not}type {} to {}: ", one_line(&word.wanted, 600), self.verb);
        let ask = fit(&ask, room.saturating_sub(6));
        frame.buffer_mut().set_stringn(line.x, line.y, &ask, room, style);
        let used = u16::try_from(width(&ask) + 1).unwrap_or(line.width).min(line.width - 1);
        let typed = Rect { x: line.x + used, width: line.width - used, ..line };
        let cursor = word.line.draw(typed, frame.buffer_mut(), look.theme.key);
        frame.set_cursor_position(cursor);
    }
}

impl Popup for Confirm {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        if self.word.is_some() {
            return self.type_key(key, cx);
        }
        match key.code {
            KeyCode::Char('y' | 'Y') => {
                cx.write(self.write.clone());
                Stay::Close
            }
            KeyCode::Esc | KeyCode::Char('n' | 'N' | 'q') => Stay::Close,
            _ => Stay::Open,
        }
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        let columns = centered(screen, WIDE, screen.height).width.saturating_sub(4);
        let shown = self.goes.len().min(SHOWN);
        let more = usize::from(self.goes.len() > shown);
        let word = if self.word.is_some() { 2 } else { 1 };
        let high = 2 + self.question(Style::new()).lines(columns) + shown + more + word;
        let yes = if self.word.is_some() { ("enter", self.verb) } else { ("y", self.verb) };
        Some(Framing::new(screen, (WIDE, high), vec![yes, ("esc", "keep")]))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let Some(framing) = self.framing(area) else { return };
        let inside = draw_framed(frame, &framing, theme, &one_line(&self.title, 200));
        let room = usize::from(inside.width);
        let question = self.question(theme.bad);
        question.draw(inside, frame.buffer_mut());
        let typing = u16::from(self.word.is_some()).min(inside.height);
        let above =
            u16::try_from(question.lines(inside.width)).unwrap_or(u16::MAX).min(inside.height - typing);
        let list = Rect { y: inside.y + above, height: inside.height - above - typing, ..inside };
        let shown = self.goes.len().min(SHOWN);
        let mut lines: Vec<Line<'_>> = self.goes[..shown]
            .iter()
            .map(|what| Line::raw(format!("  {}", fit(&one_line(what, 1000), room.saturating_sub(2)))))
            .collect();
        if self.goes.len() > shown {
            lines.push(Line::styled(format!("  and {} more", self.goes.len() - shown), theme.dim));
        }
        for (y, line) in (list.y..list.bottom()).zip(&lines) {
            frame.buffer_mut().set_line(list.x, y, line, list.width);
        }
        if let Some(word) = &self.word {
            let line = Rect { y: inside.bottom().saturating_sub(1), height: typing, ..inside };
            self.draw_word(word, line, frame, look);
        }
    }
}
