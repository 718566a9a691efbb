//! The last line: the keys that matter now, and on the right what else is to be said.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::domain::text::width;
use crate::tui::theme::Theme;

/// A key and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub key: String,
    pub what: &'static str,
}

/// Draws hints from the left as far as they fit; the last of them, which leads to all the others, always stays.
pub fn draw(area: Rect, buffer: &mut Buffer, theme: &Theme, hints: &[Hint], right: Option<&Line<'static>>) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let kept = keep(hints, room(area, right));
    let mut spans = Vec::with_capacity(kept.len() * 3);
    for hint in kept {
        spans.push(Span::styled(format!(" {}", hint.key), theme.key));
        spans.push(Span::styled(format!(" {} ", hint.what), theme.dim));
    }
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    if let Some(line) = right {
        let wide = u16::try_from(line.width()).unwrap_or(u16::MAX).min(area.width);
        buffer.set_line(area.right() - wide, area.y, line, wide);
    }
}

/// The hint under a column, as an index into `hints`.
pub fn at(area: Rect, hints: &[Hint], right: Option<&Line<'static>>, column: u16) -> Option<usize> {
    let mut end = usize::from(area.x);
    let hit = keep(hints, room(area, right)).into_iter().find(|hint| {
        end += columns(hint);
        usize::from(column) < end
    })?;
    hints.iter().position(|hint| std::ptr::eq(hint, hit))
}

fn room(area: Rect, right: Option<&Line<'static>>) -> usize {
    let taken = right.map_or(0, |line| line.width() + 2).min(usize::from(area.width) / 2);
    usize::from(area.width).saturating_sub(taken)
}

fn columns(hint: &Hint) -> usize {
    width(&hint.key) + width(hint.what) + 3
}

fn keep(hints: &[Hint], room: usize) -> Vec<&Hint> {
    let Some((last, others)) = hints.split_last() else {
        return Vec::new();
    };
    let mut used = columns(last);
    let mut kept = Vec::with_capacity(hints.len());
    for hint in others {
        used += columns(hint);
        if used > room {
            break;
        }
        kept.push(hint);
    }
    kept.push(last);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;

    #[test]
    fn help_stays_when_there_is_little_room() {
        let hint = |key: &str, what| Hint { key: key.to_owned(), what };
        let hints = [hint("b", "batch"), hint("n", "new"), hint("/", "filter"), hint("?", "help")];
        let drawn = |wide, right: Option<&Line<'static>>| {
            let area = Rect::new(0, 0, wide, 1);
            let mut buffer = Buffer::empty(area);
            draw(area, &mut buffer, &Theme::default(), &hints, right);
            text_of(&buffer)
        };
        assert_eq!(drawn(60, None), " b batch  n new  / filter  ? help");
        assert_eq!(drawn(20, None), " b batch  ? help");
        assert_eq!(drawn(40, Some(&Line::raw("7/12 0:42"))), " b batch  n new  ? help        7/12 0:42");
    }
}
