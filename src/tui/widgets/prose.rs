//! A long text to scroll through: made safe once, broken into lines as far as it is looked at.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::text::{many_lines, width};
use crate::tui::action::Action;

/// Longest text that is held for showing, bytes; `y` copies the whole.
const LONGEST: usize = 4 << 20;

/// One paragraph with its own style.
#[derive(Clone, Debug, PartialEq)]
struct Paragraph {
    text: String,
    style: Style,
}

/// A text and how far it is scrolled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prose {
    paragraphs: Vec<Paragraph>,
    /// Lines above the view.
    scroll: usize,
    /// Words that are lit wherever they stand, in lower case, and how.
    lit: (Vec<String>, Style),
}

impl Prose {
    /// Adds a text whose line breaks stay.
    pub fn push(&mut self, text: &str, style: Style) {
        let safe = many_lines(text, LONGEST);
        self.paragraphs.extend(safe.split('\n').map(|line| Paragraph { text: line.to_owned(), style }));
    }

    /// Lights words, whatever their case.
    pub fn light(&mut self, words: Vec<String>, style: Style) {
        self.lit = (words, style);
    }

    /// Shows another text from its beginning; the same text stays where it is.
    pub fn replace(&mut self, other: Prose) {
        if self.paragraphs != other.paragraphs {
            *self = other;
        } else {
            self.lit = other.lit;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.paragraphs.is_empty()
    }

    /// Moves the view by `by` lines within a pane of `columns` and `height`.
    pub fn scroll(&mut self, down: bool, by: usize, columns: u16, height: u16) {
        let last = self.lines(columns).saturating_sub(usize::from(height));
        let next =
            if down { self.scroll.saturating_add(by) } else { self.scroll.min(last).saturating_sub(by) };
        self.scroll = next.min(last);
    }

    /// Carries out a moving action in a pane of `columns` and `height`; other actions change nothing.
    pub fn act(&mut self, action: Action, columns: u16, height: u16) {
        let page = usize::from(height).max(1);
        let (down, by) = match action {
            Action::Up => (false, 1),
            Action::Down => (true, 1),
            Action::HalfPageUp => (false, (page / 2).max(1)),
            Action::HalfPageDown => (true, (page / 2).max(1)),
            Action::PageUp => (false, page),
            Action::PageDown => (true, page),
            Action::Top => (false, usize::MAX),
            Action::Bottom => (true, usize::MAX),
            _ => return,
        };
        self.scroll(down, by, columns, height);
    }

    /// Lines it takes in `columns`.
    pub fn lines(&self, columns: u16) -> usize {
        self.paragraphs.iter().map(|paragraph| breaks(&paragraph.text, usize::from(columns)).count()).sum()
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let area = area.intersection(buffer.area);
        let columns = usize::from(area.width);
        let lines = self
            .paragraphs
            .iter()
            .flat_map(|paragraph| breaks(&paragraph.text, columns).map(|line| (line, paragraph.style)));
        for (y, (line, style)) in (area.y..area.bottom()).zip(lines.skip(self.scroll)) {
            buffer.set_stringn(area.x, y, line, columns, style);
            for place in places(line, &self.lit.0) {
                let start =
                    area.x.saturating_add(u16::try_from(width(&line[..place.start])).unwrap_or(u16::MAX));
                let wide = u16::try_from(width(&line[place])).unwrap_or(u16::MAX);
                buffer.set_style(Rect::new(start, y, wide, 1).intersection(area), self.lit.1);
            }
        }
    }
}

/// Where words begin that begin with one of these, to their ends.
fn places(line: &str, wanted: &[String]) -> Vec<Range<usize>> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let words = line.unicode_word_indices();
    let fits = |word: &str| {
        let word = word.to_lowercase();
        wanted.iter().any(|wanted| word.starts_with(wanted.as_str()))
    };
    words.filter(|(_, word)| fits(word)).map(|(place, word)| place..place + word.len()).collect()
}

/// The lines of one paragraph, broken at blanks where possible; an empty paragraph is one empty line.
pub fn breaks(text: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let end = line_end(current, columns.max(1));
        let (line, after) = current.split_at(end);
        rest = if after.is_empty() { None } else { Some(after.strip_prefix(' ').unwrap_or(after)) };
        rest = rest.filter(|after| !after.is_empty());
        Some(line)
    })
}

/// Where the first line of `text` ends.
fn line_end(text: &str, columns: usize) -> usize {
    // Most texts are ASCII, where bytes are columns.
    let start = &text.as_bytes()[..text.len().min(columns + 1)];
    if start.is_ascii() {
        return if text.len() <= columns { text.len() } else { at_blank(text, columns) };
    }
    let mut used = 0;
    for (place, grapheme) in text.grapheme_indices(true) {
        used += width(grapheme);
        if used > columns {
            // At least one character a line, or there would be no end.
            let least = text.graphemes(true).next().map_or(text.len(), str::len);
            return at_blank(text, place.max(least));
        }
    }
    text.len()
}

/// `end`, or the last blank before it when a word would be broken.
fn at_blank(text: &str, end: usize) -> usize {
    if text[end..].starts_with(' ') {
        return end;
    }
    text[..end].rfind(' ').filter(|blank| *blank > 0).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn broken(text: &str, columns: usize) -> Vec<&str> {
        breaks(text, columns).collect()
    }

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        assert_eq!(broken("good sound and bass", 10), ["good sound", "and bass"]);
        assert_eq!(broken("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(broken("", 3), [""]);
        assert_eq!(broken("日本語です", 5), ["日本", "語で", "す"]);
        assert_eq!(broken("日", 1), ["日"]);
    }

    #[test]
    fn a_megabyte_is_scrolled_to_its_end() {
        let mut prose = Prose::default();
        prose.push(&"word ".repeat(200_000), Style::new());
        prose.push("the end", Style::new());
        prose.scroll(true, usize::MAX, 40, 10);
        let area = Rect::new(0, 0, 40, 10);
        let mut buffer = Buffer::empty(area);
        prose.draw(area, &mut buffer);
        assert!(crate::tui::charts::testing::text_of(&buffer).ends_with("the end"));
    }

    #[test]
    fn scrolling_stops_at_both_ends() {
        let mut prose = Prose::default();
        prose.push("a\nb\nc\nd", Style::new());
        prose.scroll(true, 9, 10, 3);
        assert_eq!(prose.scroll, 1);
        prose.scroll(false, 9, 10, 3);
        assert_eq!(prose.scroll, 0);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_pane_and_nothing_but_blanks_is_lost(
            text in "[a-z 日é\u{301}]{0,80}", columns in 2usize..30,
        ) {
            let lines = broken(&text, columns);
            for line in &lines {
                prop_assert!(width(line) <= columns, "{line}");
            }
            let without_blanks = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(without_blanks(&lines.concat()), without_blanks(&text));
        }
    }
}
