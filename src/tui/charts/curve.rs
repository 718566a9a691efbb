//! Learning curves: lines of dots over steps, several runs over each other.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::domain::text::{fit, one_line, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::number;

use super::band::{self, Bound};
use super::braille::Dots;
use super::palette::{self, SeriesLook};
use super::plot::{self, Plot, Span};
use super::thin::{Point, per_column};
use super::ticks::Scale;

/// One run's metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurveLine<'a> {
    /// As in the legend; empty for none.
    pub name: &'a str,
    /// In rising x; points that are not finite are left out.
    pub points: &'a [Point],
    /// Number of the series, see [`palette::look`].
    pub series: usize,
}

/// A line chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve<'a> {
    pub lines: Vec<CurveLine<'a>>,
    /// Drawn behind the lines, see [`band::mean_and_band`].
    pub bands: Vec<&'a [Bound]>,
    /// With its unit: `accuracy`, `inference time (ms)`.
    pub y_title: &'a str,
    /// `step`
    pub x_title: &'a str,
    pub x_scale: Scale,
    /// Share of the past in the exponential moving average, 0 to 1; the raw curve stays as a shadow.
    pub smoothing: Option<f64>,
    /// Shown while there is no point.
    pub empty: &'a str,
}

impl Curve<'_> {
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if plot::is_too_small(area) {
            return plot::draw_too_small(area, buffer, theme);
        }
        let Some((x, y)) = self.spans() else {
            return plot::draw_note(area, buffer, theme, self.empty);
        };
        let legend = self.legend(area, theme);
        let height = legend.len() as u16;
        draw_legend(area, buffer, theme, &legend);
        let plot = Plot::lay(Rect { y: area.y + height, height: area.height - height, ..area }, x, y);
        plot.draw_axes(buffer, theme);
        self.draw_lines(&plot, buffer, theme);
    }

    /// What the axes cover: all finite points, with some air above and below.
    fn spans(&self) -> Option<(Span<'_>, Span<'_>)> {
        let mut bounds: Option<(Point, Point)> = None;
        let points = self.lines.iter().flat_map(|line| line.points.iter().copied());
        let bands = self.bands.iter().flat_map(|band| band.iter());
        let edges = bands.flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]);
        for (x, y) in points.chain(edges).filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let ((left, low), (right, high)) = bounds.unwrap_or(((x, y), (x, y)));
            bounds = Some(((left.min(x), low.min(y)), (right.max(x), high.max(y))));
        }
        let ((left, low), (right, high)) = bounds?;
        let air = (high * 0.04 - low * 0.04).max(0.0);
        let x = Span { low: left, high: right, scale: self.x_scale, title: self.x_title };
        Some((x, Span { low: low - air, high: high + air, scale: Scale::Number, title: self.y_title }))
    }

    fn draw_lines(&self, plot: &Plot, buffer: &mut Buffer, theme: &Theme) {
        let columns = usize::from(plot.inside.width) * 2;
        let mut dots = Dots::new(plot.inside);
        let mut ends = Vec::new();
        let thinned = |points: &[Point]| per_column(points, plot.x.low, plot.x.high, columns);
        for band in &self.bands {
            band::draw(band, &mut dots, plot, theme);
        }
        if self.smoothing.is_some() {
            for line in &self.lines {
                // Dots that are not joined, so that a noisy curve stays in the background.
                for point in thinned(line.points) {
                    dots.set(plot.dot(point), theme.dim);
                }
            }
        }
        for line in &self.lines {
            let look = palette::look(theme, line.series);
            let points = match self.smoothing {
                Some(weight) => thinned(&smoothed(line.points, weight)),
                None => thinned(line.points),
            };
            join(&mut dots, plot, &points, look);
            // A lone point would be one dot: nobody sees that.
            if let (Some(last), true) = (points.last(), points.len() == 1 || self.lines.len() > 1) {
                ends.push((plot.cell(*last), look));
            }
        }
        dots.draw(buffer);
        for (place, look) in ends {
            if let Some(cell) = buffer.cell_mut(place) {
                cell.set_symbol(look.marker).set_style(Style::new().fg(look.color));
            }
        }
    }

    /// Lines of entries, as many as a third of the height admits; no legend at all in a low area.
    fn legend(&self, area: Rect, theme: &Theme) -> Vec<Vec<Entry>> {
        let room = usize::from(area.width);
        let most = if area.height < 8 { 0 } else { usize::from(area.height / 3) };
        let named: Vec<Entry> = self
            .lines
            .iter()
            .filter(|line| !line.name.is_empty())
            .map(|line| Entry::new(line, palette::look(theme, line.series), room))
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
}

/// Between two entries of the legend.
const GAP: usize = 3;

/// `● name 0.913`
struct Entry {
    text: String,
    look: Option<SeriesLook>,
}

impl Entry {
    fn new(line: &CurveLine<'_>, look: SeriesLook, room: usize) -> Self {
        let last = line.points.iter().rev().find(|(_, y)| y.is_finite());
        let value = last.map(|(_, y)| format!(" {}", number::short(*y))).unwrap_or_default();
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

fn draw_legend(area: Rect, buffer: &mut Buffer, theme: &Theme, lines: &[Vec<Entry>]) {
    for (y, line) in (area.y..).zip(lines) {
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

fn join(dots: &mut Dots, plot: &Plot, points: &[Point], look: SeriesLook) {
    let style = Style::new().fg(look.color);
    let mut phase = 0;
    if let [only] = points {
        dots.set(plot.dot(*only), style);
    }
    for pair in points.windows(2) {
        dots.line(plot.dot(pair[0]), plot.dot(pair[1]), style, look.pattern, &mut phase);
    }
}

/// Exponential moving average without the bias towards zero of its beginning:
/// `m = w m + (1 - w) y`, shown is `m / (1 - w^n)`.
pub fn smoothed(points: &[Point], weight: f64) -> Vec<Point> {
    let weight = weight.clamp(0.0, 0.999);
    let mut mean = 0.0;
    let mut bias = 1.0;
    points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| {
            mean = weight * mean + (1.0 - weight) * y;
            bias *= weight;
            (*x, mean / (1.0 - bias))
        })
        .collect()
}

#[cfg(test)]
mod tests;
