//! Bars from zero, sorted, each with its name and value; upright where the names fit below, else lying.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::domain::text::{fit, one_line, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::number;

use super::palette;
use super::plot;
use super::ticks::{Axis, Scale};

/// One bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar<'a> {
    pub name: &'a str,
    /// What is missing or no finite number has a name and a label but no bar, and stands last.
    pub value: Option<f64>,
    /// Number of the series, see [`palette::look`].
    pub series: usize,
}

/// Which bar stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    LargestFirst,
    SmallestFirst,
}

/// A bar chart.
#[derive(Clone, Debug)]
pub struct Bars<'a> {
    pub bars: Vec<Bar<'a>>,
    pub order: Order,
    /// How a value is written beside its bar, unit included where the title does not tell it.
    pub format: fn(Option<f64>) -> String,
    /// Shown while there is no bar.
    pub empty: &'a str,
}

/// A bar ready to be drawn.
struct Ready {
    name: String,
    label: String,
    /// 0 for what has no bar.
    value: f64,
    style: Style,
}

/// A name that is longer is not written below an upright bar.
const LONGEST_BELOW: usize = 20;

impl Bars<'_> {
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if plot::is_too_small(area) {
            return plot::draw_too_small(area, buffer, theme);
        }
        if self.bars.is_empty() {
            return plot::draw_note(area, buffer, theme, self.empty);
        }
        let ready = self.ready(theme);
        if stand_upright(&ready, area) {
            Upright::lay(area, &ready).draw(buffer, theme, &ready);
        } else {
            draw_lying(area, buffer, theme, &ready);
        }
    }

    /// Sorted; what has no value last, equals by name.
    fn ready(&self, theme: &Theme) -> Vec<Ready> {
        let finite = |bar: &Bar<'_>| bar.value.filter(|value| value.is_finite());
        let mut sorted: Vec<&Bar<'_>> = self.bars.iter().collect();
        sorted.sort_by(|a, b| {
            let by_value = match (finite(a), finite(b)) {
                (Some(one), Some(two)) if self.order == Order::LargestFirst => two.total_cmp(&one),
                (Some(one), Some(two)) => one.total_cmp(&two),
                (one, two) => one.is_none().cmp(&two.is_none()),
            };
            by_value.then_with(|| a.name.cmp(b.name))
        });
        sorted
            .into_iter()
            .map(|bar| Ready {
                name: one_line(bar.name, 256),
                label: (self.format)(bar.value),
                value: finite(bar).map_or(0.0, |value| value.clamp(-1e300, 1e300)),
                style: Style::new().fg(palette::look(theme, bar.series).color),
            })
            .collect()
    }
}

fn stand_upright(bars: &[Ready], area: Rect) -> bool {
    let longest = bars.iter().map(|bar| width(&bar.name).max(width(&bar.label))).max().unwrap_or(0);
    let needed = (longest + 2).max(6) * bars.len();
    let below_zero = bars.iter().any(|bar| bar.value < 0.0);
    area.height >= 9 && longest <= LONGEST_BELOW && needed + TICKS <= usize::from(area.width) && !below_zero
}

/// Columns for the labels of the axis of upright bars.
const TICKS: usize = 8;

/// Upright bars above their names.
struct Upright {
    /// Where bars and their values are.
    inside: Rect,
    axis: Axis,
    /// Columns for each bar with what is left free around it.
    slot: u16,
}

impl Upright {
    fn lay(area: Rect, bars: &[Ready]) -> Upright {
        let largest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        let high = if largest > 0.0 { largest } else { 1.0 };
        // A line on top for the highest label, two below for the base line and the names.
        let height = area.height - 3;
        let axis = Axis::covering(0.0, high, usize::from(height * 2 / 3).clamp(1, 6), Scale::Number);
        let gutter =
            axis.ticks.iter().map(|tick| width(&tick.label)).max().unwrap_or(0).min(TICKS - 1) as u16 + 1;
        let inside = Rect { x: area.x + gutter, y: area.y + 1, width: area.width - gutter, height };
        Upright { inside, axis, slot: inside.width / bars.len() as u16 }
    }

    fn draw(&self, buffer: &mut Buffer, theme: &Theme, bars: &[Ready]) {
        self.draw_axis(buffer, theme);
        let slot = usize::from(self.slot);
        let thick = (self.slot.saturating_sub(2)).clamp(1, 16);
        for (index, bar) in bars.iter().enumerate() {
            let left = self.inside.x + self.slot * index as u16;
            let x = left + (self.slot - thick) / 2;
            let eighths = eighths(self.axis.fraction(bar.value), self.inside.height, bar.value);
            let top = draw_column(buffer, self.inside, x, thick, eighths, bar.style);
            let centred = |buffer: &mut Buffer, y: u16, text: &str, style: Style| {
                let text = fit(text, slot.saturating_sub(1));
                let indent = (slot - width(&text).min(slot)) / 2;
                buffer.set_stringn(left + indent as u16, y, &text, slot - indent, style);
            };
            centred(buffer, top.saturating_sub(1), &bar.label, theme.text);
            centred(buffer, self.inside.bottom() + 1, &bar.name, theme.text);
        }
    }

    fn draw_axis(&self, buffer: &mut Buffer, theme: &Theme) {
        let line = self.inside.x - 1;
        for y in self.inside.top()..self.inside.bottom() {
            buffer[(line, y)].set_symbol("│").set_style(theme.border);
        }
        for x in self.inside.left()..self.inside.right() {
            buffer[(x, self.inside.bottom())].set_symbol("─").set_style(theme.border);
        }
        buffer[(line, self.inside.bottom())].set_symbol("└").set_style(theme.border);
        for tick in &self.axis.ticks {
            // The zero is the base line itself, one below the lowest line of the bars.
            let up = (self.axis.fraction(tick.value) * f64::from(self.inside.height)).round() as u16;
            let y = self.inside.bottom() - up;
            let text = fit(
                &tick.label,
                usize::from(line.saturating_sub(self.inside.x.saturating_sub(TICKS as u16))),
            );
            let start = line.saturating_sub(width(&text) as u16);
            if y >= self.inside.top() {
                let symbol = if up == 0 { "└" } else { "┤" };
                buffer[(line, y)].set_symbol(symbol).set_style(theme.border);
            }
            buffer.set_stringn(start, y, &text, usize::from(line - start), theme.dim);
        }
    }
}

/// Draws one upright bar; gives the line of its top.
fn draw_column(buffer: &mut Buffer, inside: Rect, x: u16, thick: u16, eighths: u32, style: Style) -> u16 {
    const PARTS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let mut y = inside.bottom();
    let mut left = eighths;
    while left > 0 && y > inside.top() {
        y -= 1;
        for column in x..(x + thick).min(inside.right()) {
            buffer[(column, y)].set_symbol(PARTS[left.min(8) as usize]).set_style(style);
        }
        left = left.saturating_sub(8);
    }
    y
}

/// Length of a bar in eighths of a character; what is not zero is seen.
fn eighths(fraction: f64, room: u16, value: f64) -> u32 {
    let length = (fraction * f64::from(room) * 8.0).round() as u32;
    length.max(u32::from(value != 0.0))
}

/// Bars from left to right, a line or two for each, names before and values behind.
fn draw_lying(area: Rect, buffer: &mut Buffer, theme: &Theme, bars: &[Ready]) {
    let rows = usize::from(area.height);
    let shown = if bars.len() > rows { rows - 1 } else { bars.len() };
    let pitch = (rows / shown.max(1)).clamp(1, 3);
    let thick = if pitch == 3 { 2 } else { 1 };
    let lanes = Lanes::lay(area, &bars[..shown]);
    for (index, bar) in bars[..shown].iter().enumerate() {
        let y = area.y + (index * pitch) as u16;
        lanes.draw(buffer, theme, bar, y, thick);
    }
    if shown < bars.len() {
        let text = format!("+{} more", number::count((bars.len() - shown) as u64));
        let room = usize::from(area.width);
        buffer.set_stringn(area.x, area.bottom() - 1, fit(&text, room), room, theme.dim);
    }
}

/// The columns of lying bars.
struct Lanes {
    area: Rect,
    name: usize,
    label: usize,
    /// Where zero is, and how many columns the bars have.
    zero: u16,
    start: u16,
    room: u16,
    low: f64,
    high: f64,
}

impl Lanes {
    fn lay(area: Rect, bars: &[Ready]) -> Lanes {
        let wide = usize::from(area.width);
        let longest = |text: fn(&Ready) -> &str| bars.iter().map(|bar| width(text(bar))).max().unwrap_or(0);
        let name = longest(|bar| &bar.name).min((wide * 2 / 5).max(3));
        let label = longest(|bar| &bar.label);
        // The value goes before the bar gets shorter than four columns.
        let label = if name + label + 6 <= wide { label } else { 0 };
        let start = area.x + name as u16 + 1;
        let behind = if label > 0 { label as u16 + 1 } else { 0 };
        let room = area.right().saturating_sub(start + behind);
        let low = bars.iter().map(|bar| bar.value).fold(0.0, f64::min);
        let high = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        let zero = if low < 0.0 { (-low / (high - low) * f64::from(room)).round() as u16 } else { 0 };
        Lanes { area, name, label, zero, start, room, low, high }
    }

    fn draw(&self, buffer: &mut Buffer, theme: &Theme, bar: &Ready, y: u16, thick: u16) {
        let name = fit(&bar.name, self.name);
        buffer.set_stringn(self.area.x, y, &name, self.name, theme.text);
        let end = self.draw_bar(buffer, bar, y, thick);
        if self.label > 0 {
            buffer.set_stringn(end, y, &bar.label, self.label, theme.text);
        }
    }

    /// Gives the column for the value: behind the bar, or where the bar would begin.
    fn draw_bar(&self, buffer: &mut Buffer, bar: &Ready, y: u16, thick: u16) -> u16 {
        const PARTS: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
        let zero = self.start + self.zero;
        let (from, eighths) = if bar.value < 0.0 {
            let length = (bar.value / self.low * f64::from(self.zero)).round() as u16;
            (zero - length.min(self.zero), u32::from(length) * 8)
        } else {
            let room = self.room - self.zero.min(self.room);
            let fraction = if self.high > 0.0 { bar.value / self.high } else { 0.0 };
            (zero, eighths(fraction, room, bar.value).min(u32::from(room) * 8))
        };
        let columns = eighths.div_ceil(8) as u16;
        for line in y..(y + thick).min(self.area.bottom()) {
            for column in 0..columns {
                let part = (eighths - u32::from(column) * 8).min(8) as usize;
                let place = (from + column, line);
                if let Some(cell) = buffer.cell_mut(place) {
                    cell.set_symbol(PARTS[part]).set_style(bar.style);
                }
            }
        }
        (from + columns + u16::from(columns > 0)).max(zero)
    }
}

#[cfg(test)]
mod tests;
