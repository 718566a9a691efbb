//! Which line is which run, and what each has at the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Curve, CurveLine, value_text};
use crate::domain::text::{fit, one_line, width};
use crate::tui::charts::palette::{self, SeriesLook};
use crate::tui::theme::Theme;
use crate::tui::widgets::number;

/// Between two entries.
const GAP: usize = 3;

/// `● name 0.913`
struct Entry {
    text: String,
    look: Option<SeriesLook>,
}

/// Lines that the legend takes in `area`: at most a third of it, and none in a low one.
pub fn height(curve: &Curve<'_>, area: Rect) -> u16 {
    // Colours do not change the room an entry takes.
    lines(curve, area, &Theme::default()).len() as u16
}

/// Draws as many entries as `area` holds.
pub fn draw(curve: &Curve<'_>, area: Rect, buffer: &mut Buffer, theme: &Theme) {
    for (y, line) in (area.y..area.bottom()).zip(fitted(curve, area, usize::from(area.height), theme)) {
        let mut x = area.x;
        for entry in line {
            let room = |x: u16| usize::from(area.right().saturating_sub(x));
            if let Some(look) = entry.look {
                let style = Style::new().fg(look.color);
                x = buffer.set_stringn(x, y, format!("{} ", look.marker), room(x), style).0;
            }
            let style = if entry.look.is_some() { theme.text } else { theme.dim };
            x = buffer.set_stringn(x, y, &entry.text, room(x), style).0;
            x = x.saturating_add(GAP as u16).min(area.right());
        }
    }
}

fn lines(curve: &Curve<'_>, area: Rect, theme: &Theme) -> Vec<Vec<Entry>> {
    let most = if area.height < 7 { 0 } else { usize::from(area.height / 3) };
    fitted(curve, area, most, theme)
}

fn fitted(curve: &Curve<'_>, area: Rect, most: usize, theme: &Theme) -> Vec<Vec<Entry>> {
    let room = usize::from(area.width);
    if most == 0 {
        return Vec::new();
    }
    let named: Vec<Entry> = curve
        .lines
        .iter()
        .filter(|line| !line.name.is_empty())
        .map(|line| Entry::new(curve, line, palette::look(theme, line.series), room))
        .collect();
    let total = named.len();
    let mut lines: Vec<Vec<Entry>> = Vec::new();
    let mut used = room;
    for (index, entry) in named.into_iter().enumerate() {
        let wide = entry.width();
        if lines.is_empty() || used + GAP + wide > room {
            if lines.len() == most {
                more(&mut lines, total - index, room);
                break;
            }
            lines.push(Vec::new());
            used = 0;
        }
        used += wide + if used == 0 { 0 } else { GAP };
        if let Some(line) = lines.last_mut() {
            line.push(entry);
        }
    }
    lines
}

impl Entry {
    fn new(curve: &Curve<'_>, line: &CurveLine<'_>, look: SeriesLook, room: usize) -> Self {
        let value = match (curve.reading(line, curve.cursor.unwrap_or(f64::INFINITY)), curve.cursor) {
            (Some(reading), Some(_)) => format!(" {}", value_text(&reading)),
            (Some(reading), None) => format!(" {}", number::short(reading.raw)),
            (None, Some(_)) => format!(" {}", number::NOTHING),
            (None, None) => String::new(),
        };
        let name = fit(&one_line(line.name, 1024), room.saturating_sub(width(&value) + 2));
        Entry { text: format!("{name}{value}"), look: Some(look) }
    }

    fn width(&self) -> usize {
        width(&self.text) + if self.look.is_some() { 2 } else { 0 }
    }
}

/// Makes place at the end of the last line for how many are not named.
fn more(lines: &mut [Vec<Entry>], left_out: usize, room: usize) {
    let Some(line) = lines.last_mut() else {
        return;
    };
    let mut left_out = left_out;
    loop {
        let text = format!("+{left_out} more");
        let used: usize = line.iter().map(|entry| entry.width() + GAP).sum();
        if used + width(&text) <= room || line.is_empty() {
            line.push(Entry { text, look: None });
            return;
        }
        line.pop();
        left_out += 1;
    }
}
