//! Named values in lines: each is read in full, a cursor goes over them, and `y` copies the one under it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::domain::text::{fit, many_lines, one_line, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::prose::breaks;

/// Longest value that is shown, bytes; all of it is copied.
const LONGEST: usize = 256 * 1024;

/// Widest column of names.
const NAMES: usize = 24;

/// A value with its name.
#[derive(Clone, Debug, PartialEq)]
struct Fact {
    /// Empty for a line of prose.
    name: String,
    /// Made safe, with its line breaks.
    value: String,
    /// As it is, for the clipboard.
    whole: String,
    style: Style,
}

/// What one pane shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    facts: Vec<Fact>,
}

/// One line of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line<'a> {
    fact: usize,
    /// Only above the first line of a value.
    name: &'a str,
    text: &'a str,
}

impl Facts {
    /// Adds a value with its name; an empty value is left out.
    pub fn push(&mut self, name: &str, value: &str, style: Style) {
        if !value.is_empty() {
            let value_text = many_lines(crate::domain::text::first_characters(value, LONGEST), LONGEST);
            self.facts.push(Fact {
                name: one_line(name, 200),
                value: value_text,
                whole: value.to_owned(),
                style,
            });
        }
    }

    /// Adds a text without a name.
    pub fn say(&mut self, text: &str, style: Style) {
        self.push("", text, style);
    }

    /// Lines it takes in a pane of `columns`.
    pub fn height(&self, columns: u16) -> usize {
        self.lines(columns).len()
    }

    /// Number of the fact on a line.
    pub fn at(&self, line: usize, columns: u16) -> Option<usize> {
        self.lines(columns).get(line).map(|line| line.fact)
    }

    /// Name and whole value on a line.
    pub fn value(&self, line: usize, columns: u16) -> Option<(&str, &str)> {
        let fact = &self.facts[self.at(line, columns)?];
        Some((&fact.name, &fact.whole))
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, cursor: Cursor, focused: bool) {
        let area = area.intersection(buffer.area);
        let lines = self.lines(area.width);
        let names = self.names(usize::from(area.width));
        let selected = lines.get(cursor.selected.min(lines.len().saturating_sub(1))).map(|line| line.fact);
        let window = cursor.window(usize::from(area.height), lines.len());
        for (y, line) in (area.y..area.bottom()).zip(&lines[window]) {
            let fact = &self.facts[line.fact];
            let room = usize::from(area.width);
            let is_selected = focused && selected == Some(line.fact);
            let indent = if fact.name.is_empty() { 0 } else { names + 2 };
            buffer.set_stringn(area.x, y, fit(line.name, names), room, theme.dim);
            let x = area.x.saturating_add(indent as u16).min(area.right());
            buffer.set_stringn(x, y, line.text, room.saturating_sub(indent), fact.style);
            if is_selected {
                buffer.set_style(Rect { y, height: 1, ..area }, theme.selected);
            }
        }
    }

    fn names(&self, columns: usize) -> usize {
        let widest = self.facts.iter().map(|fact| width(&fact.name)).max().unwrap_or(0);
        widest.min(NAMES).min(columns / 2)
    }

    fn lines(&self, columns: u16) -> Vec<Line<'_>> {
        let columns = usize::from(columns);
        let names = self.names(columns);
        let mut lines = Vec::new();
        for (index, fact) in self.facts.iter().enumerate() {
            let room = if fact.name.is_empty() { columns } else { columns.saturating_sub(names + 2) };
            let texts = fact.value.split('\n').flat_map(|line| breaks(line, room.max(1)));
            let begin = lines.len();
            lines.extend(texts.map(|text| Line { fact: index, name: "", text }));
            if let Some(first) = lines.get_mut(begin) {
                first.name = &fact.name;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;

    #[test]
    fn a_long_value_is_broken_beside_its_name_and_copied_whole() {
        let mut facts = Facts::default();
        facts.push("note", "one two three four", Style::new());
        facts.push("empty", "", Style::new());
        facts.push("tab", "a\tb\nc", Style::new());
        let area = Rect::new(0, 0, 16, 5);
        let mut buffer = Buffer::empty(area);
        facts.draw(area, &mut buffer, &Theme::default(), Cursor::default(), true);
        assert!(text_of(&buffer).starts_with("note  one two\n      three four\ntab"), "{}", text_of(&buffer));
        assert_eq!(facts.value(1, 16), Some(("note", "one two three four")));
        assert_eq!(facts.value(2, 16).map(|(_, value)| value), Some("a\tb\nc"));
        assert_eq!(facts.value(99, 16), None);
    }
}
