//! The frame of a chart with two axes: where the plot lies, its labels, and from values to places.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget, Wrap};

use crate::domain::text::{fit, one_line, width};
use crate::tui::theme::Theme;

use super::braille::Dot;
use super::ticks::{Axis, Scale};

/// What an axis has to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span<'a> {
    pub low: f64,
    pub high: f64,
    pub scale: Scale,
    /// With its unit; empty for none.
    pub title: &'a str,
}

/// Laid out axes around a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Where data is drawn.
    pub inside: Rect,
    pub x: Axis,
    pub y: Axis,
    x_title: String,
    y_title: String,
    rows: Rows,
    gutter: u16,
}

/// Which lines around the plot there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    y_title: bool,
    x_labels: bool,
    x_title: bool,
}

/// Below this a chart says that there is no room.
pub const SMALLEST: (u16, u16) = (10, 3);

pub fn is_too_small(area: Rect) -> bool {
    area.width < SMALLEST.0 || area.height < SMALLEST.1
}

impl Plot {
    /// Lays axes out in `area`, which is not too small; labels and titles go when the plot would get too little.
    pub fn lay(area: Rect, x: Span<'_>, y: Span<'_>) -> Plot {
        let rows = Rows {
            y_title: area.height >= 8 && !y.title.is_empty(),
            x_labels: area.height >= 6,
            x_title: area.height >= 11 && !x.title.is_empty(),
        };
        let above = u16::from(rows.y_title);
        let below = if rows.x_labels { 2 } else { 0 } + u16::from(rows.x_title);
        let height = area.height - above - below;
        let y_axis = Axis::covering(y.low, y.high, usize::from(height * 2 / 3).clamp(1, 8), y.scale);
        let labels = y_axis.ticks.iter().map(|tick| width(&tick.label)).max().unwrap_or(0) as u16;
        let gutter = if labels > 0 && area.width >= labels + 1 + 12 { labels + 1 } else { 0 };
        let inside = Rect { x: area.x + gutter, y: area.y + above, width: area.width - gutter, height };
        let x_axis = Axis::covering(x.low, x.high, usize::from(inside.width / 7).clamp(1, 12), x.scale);
        let safe = |title: &str| one_line(title, 256);
        Plot { inside, x: x_axis, y: y_axis, x_title: safe(x.title), y_title: safe(y.title), rows, gutter }
    }

    /// The dot of a finite point; what lies outside the axes is at their edge.
    pub fn dot(&self, (x, y): (f64, f64)) -> Dot {
        let place = |fraction: f64, dots: u16| (fraction * f64::from(dots.saturating_sub(1))).round() as u16;
        let across = place(self.x.fraction(x), self.inside.width.saturating_mul(2));
        let down = place(1.0 - self.y.fraction(y), self.inside.height.saturating_mul(4));
        (across, down)
    }

    /// The character that holds that dot, in terms of the buffer.
    pub fn cell(&self, point: (f64, f64)) -> (u16, u16) {
        let (across, down) = self.dot(point);
        (self.inside.x + across / 2, self.inside.y + down / 4)
    }

    /// The line above the plot, if there is one: it begins with the title of the y axis.
    pub fn title_row(&self) -> Option<u16> {
        self.rows.y_title.then(|| self.inside.y - 1)
    }

    /// The column behind that title.
    pub fn title_end(&self) -> u16 {
        let left = self.inside.x - self.gutter;
        left.saturating_add(width(&self.y_title) as u16)
    }

    pub fn draw_axes(&self, buffer: &mut Buffer, theme: &Theme) {
        if self.rows.y_title {
            let left = self.inside.x - self.gutter;
            let room = usize::from(self.inside.right() - left);
            let y = self.inside.y - 1;
            buffer.set_stringn(left, y, fit(&self.y_title, room), room, theme.dim);
        }
        if self.gutter > 0 {
            self.draw_y_axis(buffer, theme);
        }
        if self.rows.x_labels {
            self.draw_x_axis(buffer, theme);
        }
    }

    fn draw_y_axis(&self, buffer: &mut Buffer, theme: &Theme) {
        let line = self.inside.x - 1;
        for y in self.inside.top()..self.inside.bottom() {
            buffer[(line, y)].set_symbol("│").set_style(theme.border);
        }
        for tick in &self.y.ticks {
            let (_, y) = self.cell((self.x.low, tick.value));
            let start = line.saturating_sub(width(&tick.label) as u16);
            buffer[(line, y)].set_symbol("┤").set_style(theme.border);
            buffer.set_stringn(start, y, &tick.label, usize::from(line - start), theme.dim);
        }
    }

    fn draw_x_axis(&self, buffer: &mut Buffer, theme: &Theme) {
        let line = self.inside.bottom();
        for x in self.inside.left()..self.inside.right() {
            buffer[(x, line)].set_symbol("─").set_style(theme.border);
        }
        if self.gutter > 0 {
            buffer[(self.inside.x - 1, line)].set_symbol("└").set_style(theme.border);
        }
        let left = self.inside.x - self.gutter;
        let mut free_from = left;
        for tick in &self.x.ticks {
            let (x, _) = self.cell((tick.value, self.y.low));
            buffer[(x, line)].set_symbol("┬").set_style(theme.border);
            let wide = width(&tick.label) as u16;
            let latest = self.inside.right().saturating_sub(wide);
            let start = x.saturating_sub(wide / 2).clamp(left, latest.max(left));
            if start >= free_from {
                buffer.set_stringn(start, line + 1, &tick.label, usize::from(wide), theme.dim);
                free_from = start + wide + 1;
            }
        }
        if self.rows.x_title {
            let room = usize::from(self.inside.width);
            let title = fit(&self.x_title, room);
            let indent = (room - width(&title).min(room)) / 2;
            let start = self.inside.x + indent as u16;
            buffer.set_stringn(start, line + 2, &title, room - indent, theme.dim);
        }
    }
}

/// A text in the middle of an area, as for an empty chart.
pub fn draw_note(area: Rect, buffer: &mut Buffer, theme: &Theme, text: &str) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let text = one_line(text, 1024);
    let lines = width(&text).div_ceil(usize::from(area.width)).max(1) as u16;
    let y = area.y + area.height.saturating_sub(lines) / 2;
    let place = Rect { y, height: area.bottom() - y, ..area };
    Paragraph::new(Line::from(text).style(theme.dim))
        .alignment(Alignment::Center)
        .wrap(Wrap { trim: true })
        .render(place, buffer);
}

/// What is drawn where no chart fits.
pub fn draw_too_small(area: Rect, buffer: &mut Buffer, theme: &Theme) {
    let area = area.intersection(buffer.area);
    if !area.is_empty() {
        let room = usize::from(area.width);
        buffer.set_stringn(area.x, area.y, fit("too small", room), room, theme.dim);
    }
}
