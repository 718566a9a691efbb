//! The line on which a tab's question is typed, with the questions asked before.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::text::fit;
use crate::tui::theme::Theme;

use super::input::TextLine;

/// What a key did to the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Still typing.
    On,
    /// Enter: the line as it stands.
    Submit(String),
    /// Esc: the keys go back to the tab, the text stays.
    Left,
}

/// Questions that are remembered.
const REMEMBERED: usize = 50;

/// A line of text, whether it has the keys, and its history.
#[derive(Clone, Debug, Default)]
pub struct QueryLine {
    text: TextLine,
    typing: bool,
    history: Vec<String>,
    /// Which of the history is shown; none for what is being typed.
    recalled: Option<usize>,
}

impl QueryLine {
    pub fn value(&self) -> &str {
        self.text.text()
    }

    pub fn set(&mut self, text: &str) {
        self.text.set(text);
        self.recalled = None;
    }

    pub fn is_typing(&self) -> bool {
        self.typing
    }

    pub fn focus(&mut self) {
        self.typing = true;
    }

    pub fn leave(&mut self) {
        self.typing = false;
    }

    pub fn key(&mut self, key: KeyEvent) -> Typed {
        match key.code {
            KeyCode::Enter => {
                self.typing = false;
                let text = self.value().to_owned();
                self.remember(&text);
                return Typed::Submit(text);
            }
            KeyCode::Esc => {
                self.typing = false;
                return Typed::Left;
            }
            KeyCode::Up => self.recall(true),
            KeyCode::Down => self.recall(false),
            _ => {
                self.text.key(key);
            }
        }
        Typed::On
    }

    /// `prompt`, then the text with the place of the caret in view; `hint` while there is no text.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: &Theme, prompt: &str, hint: &str) {
        if area.is_empty() {
            return;
        }
        let buffer = frame.buffer_mut();
        let style = if self.typing { theme.focus } else { theme.dim };
        let (x, _) = buffer.set_stringn(area.x, area.y, prompt, usize::from(area.width), style);
        let room = Rect { x, width: area.right().saturating_sub(x), height: 1, ..area };
        if room.is_empty() {
            return;
        }
        if self.value().is_empty() {
            let columns = usize::from(room.width);
            buffer.set_stringn(x, area.y, fit(hint, columns), columns, theme.dim);
        }
        let caret = self.text.draw(room, buffer, theme.text);
        if self.typing {
            frame.set_cursor_position(caret);
        }
    }

    fn remember(&mut self, text: &str) {
        self.recalled = None;
        if text.trim().is_empty() {
            return;
        }
        self.history.retain(|known| known != text);
        if self.history.len() >= REMEMBERED {
            self.history.remove(0);
        }
        self.history.push(text.to_owned());
    }

    fn recall(&mut self, older: bool) {
        let next = match (self.recalled, older) {
            (None, true) => self.history.len().checked_sub(1),
            (None, false) => return,
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) if at + 1 < self.history.len() => Some(at + 1),
            (Some(_), false) => None,
        };
        let text = next.and_then(|at| self.history.get(at)).cloned().unwrap_or_default();
        self.set(&text);
        self.recalled = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(line: &mut QueryLine, keys: &str) {
        for key in keys.chars() {
            line.key(KeyEvent::from(KeyCode::Char(key)));
        }
    }

    #[test]
    fn enter_submits_and_arrows_recall() {
        let mut line = QueryLine::default();
        for question in ["good sound", "bad bass"] {
            line.set("");
            line.focus();
            press(&mut line, question);
            assert_eq!(line.key(KeyCode::Enter.into()), Typed::Submit(question.to_owned()));
        }
        assert!(!line.is_typing());
        line.key(KeyCode::Up.into());
        assert_eq!(line.value(), "bad bass");
        line.key(KeyCode::Up.into());
        line.key(KeyCode::Up.into());
        assert_eq!(line.value(), "good sound");
        line.key(KeyCode::Down.into());
        line.key(KeyCode::Down.into());
        assert_eq!(line.value(), "");
    }
}
