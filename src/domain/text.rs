//! Text from a database is data: made safe and measurable before it reaches a terminal.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// One line without control characters: line breaks and tabs become a space, anything else that could move the cursor,
/// colour the screen or turn the direction of writing becomes `·`.
///
/// At most `limit` bytes of the input are looked at, so that a megabyte costs no more than a line.
pub fn one_line(text: &str, limit: usize) -> String {
    let end = floor_char_boundary(text, limit);
    let mut line: String = text[..end].chars().map(safe_char).collect();
    if end < text.len() {
        line.push('…');
    }
    line
}

/// Several lines, each made safe as in [`one_line`]; `\n` stays, `\r\n` becomes `\n`, a tab four spaces.
pub fn many_lines(text: &str, limit: usize) -> String {
    let end = floor_char_boundary(text, limit);
    let mut safe = String::with_capacity(end);
    let mut characters = text[..end].chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => safe.push('\n'),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\t' => safe.push_str("    "),
            other => safe.push(safe_char(other)),
        }
    }
    if end < text.len() {
        safe.push('…');
    }
    safe
}

fn safe_char(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' => ' ',
        // Direction marks, joins and embeddings that reorder what follows them.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '·',
        '\u{2028}' | '\u{2029}' => ' ',
        other if other.is_control() => '·',
        other => other,
    }
}

/// Terminal columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts `text` to at most `columns` terminal columns on a grapheme boundary, with `…` where something was cut.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = width(grapheme);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        kept.push_str(grapheme);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The first `count` characters, as the published example's `content[:50]`.
pub fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

fn floor_char_boundary(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_lose_their_power() {
        assert_eq!(one_line("\u{1b}[31mred\u{1b}[0m\u{7}", 100), "·[31mred·[0m·");
        assert_eq!(one_line("a\r\nb\tc", 100), "a  b c");
        assert_eq!(one_line("a\u{202e}b", 100), "a·b");
    }

    #[test]
    fn long_texts_are_cut_on_a_character() {
        assert_eq!(one_line("éé", 3), "é…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(many_lines("a\r\nb\tc\u{1b}", 100), "a\nb    c·");
    }
}
