//! A line of text that is typed: readline keys, wide characters, and a view that follows the cursor.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::text::{one_line, width};

/// Longest text a line takes, bytes: nobody types more, and a pasted megabyte would make every key slow.
const LONGEST: usize = 64 * 1024;

/// Text and cursor.
#[derive(Clone, Debug, Default)]
pub struct TextLine {
    input: Input,
}

impl TextLine {
    /// With the cursor at the end.
    pub fn new(text: impl Into<String>) -> Self {
        TextLine { input: Input::new(text.into()) }
    }

    pub fn text(&self) -> &str {
        self.input.value()
    }

    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    pub fn set(&mut self, text: impl Into<String>) {
        self.input = Input::new(text.into());
    }

    pub fn clear(&mut self) {
        self.input.reset();
    }

    /// Takes an editing key; true when the text changed.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if let KeyCode::Char(character) = key.code {
            let full = self.text().len() + character.len_utf8() > LONGEST;
            // Control characters can come in by pasting; an alt key is no letter.
            if character.is_control() || full || key.modifiers == KeyModifiers::ALT {
                return false;
            }
        }
        self.input.handle_event(&Event::Key(key)).is_some_and(|changed| changed.value)
    }

    /// Draws as much as fits with the cursor in view; where the cursor stands.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, style: Style) -> Position {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return area.as_position();
        }
        let room = usize::from(area.width);
        let before: String = self.text().chars().take(self.input.cursor()).collect();
        let before = one_line(&before, LONGEST);
        let shift = width(&before).saturating_sub(room.saturating_sub(1));
        let line = one_line(self.text(), LONGEST);
        let mut column = 0;
        let mut x = area.x;
        for grapheme in line.graphemes(true) {
            let wide = width(grapheme);
            if column >= shift {
                let used = usize::from(x - area.x);
                if used + wide > room {
                    break;
                }
                x = buffer.set_stringn(x, area.y, grapheme, room - used, style).0;
            }
            column += wide;
        }
        let cursor = width(&before).saturating_sub(shift).min(room - 1);
        Position::new(area.x + u16::try_from(cursor).unwrap_or(0), area.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;

    fn typed(text: &str) -> TextLine {
        let mut line = TextLine::default();
        for key in crate::tui::keys::parse(text).unwrap() {
            line.key(key);
        }
        line
    }

    fn drawn(line: &TextLine, columns: u16) -> (String, u16) {
        let area = Rect::new(0, 0, columns, 1);
        let mut buffer = Buffer::empty(area);
        let cursor = line.draw(area, &mut buffer, Style::new());
        (text_of(&buffer), cursor.x)
    }

    #[test]
    fn it_is_edited_by_readline_keys() {
        assert_eq!(typed("one two<ctrl+w>three<home>a ").text(), "a one three");
        assert_eq!(typed("日本<backspace>").text(), "日");
    }

    #[test]
    fn the_view_follows_the_cursor() {
        assert_eq!(drawn(&typed("abcdefgh"), 5), ("efgh".to_owned(), 4));
        assert_eq!(drawn(&typed("abcdefgh<home>"), 5), ("abcde".to_owned(), 0));
        assert_eq!(drawn(&typed("ab"), 5), ("ab".to_owned(), 2));
    }

    #[test]
    fn control_characters_never_come_in() {
        let mut line = TextLine::default();
        line.key(KeyEvent::from(KeyCode::Char('\u{1b}')));
        assert!(line.is_empty());
        assert_eq!(drawn(&TextLine::new("a\u{1b}[2Jb"), 20).0, "a·[2Jb");
    }

    #[test]
    fn it_survives_any_size() {
        for columns in 0..4 {
            drawn(&typed("日本語"), columns);
        }
    }
}
