//! Learning curves: lines of dots over steps or time, several runs over each other, and a cursor that reads them.

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
use super::smooth::smoothed;
use super::thin::{Point, per_column};
use super::ticks::{Scale, place};

mod legend;
#[cfg(test)]
mod tests;

/// One run's metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CurveLine<'a> {
    /// As in the legend; empty for none.
    pub name: &'a str,
    /// In rising x; points that are not finite are left out.
    pub points: &'a [Point],
    /// Number of the series, see [`palette::look`].
    pub series: usize,
    /// Values that were left out before, because they are not finite.
    pub not_finite: usize,
}

/// A line chart of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve<'a> {
    pub lines: Vec<CurveLine<'a>>,
    /// Drawn behind the lines, see [`band::mean_and_band`].
    pub bands: Vec<&'a [Bound]>,
    /// With its unit: `accuracy`, `inference time (ms)`.
    pub y_title: &'a str,
    /// `step`, `time`
    pub x_title: &'a str,
    pub x_scale: Scale,
    /// Share of the past in the exponential moving average, 0 to 1; the raw curve stays as a shadow.
    pub smoothing: Option<f64>,
    /// A logarithmic y axis; what is not positive is left out and counted.
    pub log: bool,
    /// The y axis covers the [`CLIP`] percentiles; what lies outside is drawn at the edge and counted.
    pub clip: bool,
    /// The part of x that is shown; all of it when none.
    pub window: Option<(f64, f64)>,
    /// Where values are read; infinity for the newest point.
    pub cursor: Option<f64>,
    /// Shown while there is no point.
    pub empty: &'a str,
}

/// What one line has at the cursor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Of the nearest point.
    pub x: f64,
    pub raw: f64,
    /// None without smoothing.
    pub smooth: Option<f64>,
}

/// Percentiles that a clipped axis covers.
pub const CLIP: (f64, f64) = (1.0, 99.0);

/// What can be drawn of a line.
struct Drawn {
    raw: Vec<Point>,
    /// What stands out: the smoothed curve, or the raw one.
    main: Vec<Point>,
}

/// What was left out, for the words beside the title.
#[derive(Default)]
struct LeftOut {
    not_finite: usize,
    not_positive: usize,
    outside: usize,
}

impl Curve<'_> {
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if plot::is_too_small(area) {
            return plot::draw_too_small(area, buffer, theme);
        }
        let drawn: Vec<Drawn> = self.lines.iter().map(|line| self.drawn(line)).collect();
        let Some((x, y)) = self.spans(&drawn) else {
            return self.draw_empty(area, buffer, theme, &drawn);
        };
        let (head, legend, room) = self.rooms(area);
        self.draw_head(head, buffer, theme, &drawn, &y);
        legend::draw(self, legend, buffer, theme);
        let plot = Plot::lay(room, x, y);
        plot.draw_axes(buffer, theme);
        self.draw_lines(&plot, &drawn, buffer, theme);
        self.draw_cursor(&plot, buffer, theme);
    }

    /// The value of x under a column of the screen, when the chart is drawn in `area`.
    pub fn x_at(&self, area: Rect, column: u16) -> Option<f64> {
        if plot::is_too_small(area) {
            return None;
        }
        let drawn: Vec<Drawn> = self.lines.iter().map(|line| self.drawn(line)).collect();
        let (x, y) = self.spans(&drawn)?;
        let plot = Plot::lay(self.rooms(area).2, x, y);
        let inside = plot.inside;
        if !(inside.left()..inside.right()).contains(&column) {
            return None;
        }
        let steps = f64::from(inside.width.saturating_sub(1).max(1));
        Some(plot.x.value_at(f64::from(column - inside.x) / steps))
    }

    /// What `line` has at `x`: its nearest point; none outside the line's own range.
    pub fn reading(&self, line: &CurveLine<'_>, x: f64) -> Option<Reading> {
        let finite: Vec<Point> = line.points.iter().copied().filter(is_finite).collect();
        let (first, last) = (finite.first()?, finite.last()?);
        let x = if x.is_finite() { x } else { last.0 };
        if x < first.0 || x > last.0 {
            return None;
        }
        let after = finite.partition_point(|point| point.0 < x).min(finite.len() - 1);
        let before = after.saturating_sub(1);
        let index = if (finite[before].0 - x).abs() < (finite[after].0 - x).abs() { before } else { after };
        let smooth =
            self.smoothing.and_then(|weight| smoothed(&finite, weight).get(index).map(|point| point.1));
        Some(Reading { x: finite[index].0, raw: finite[index].1, smooth })
    }

    fn drawn(&self, line: &CurveLine<'_>) -> Drawn {
        let shown = |(x, y): &Point| {
            let inside = self.window.is_none_or(|(low, high)| (low..=high).contains(x));
            is_finite(&(*x, *y)) && inside && !(self.log && *y <= 0.0)
        };
        let raw: Vec<Point> = line.points.iter().copied().filter(shown).collect();
        let main = match self.smoothing {
            Some(weight) => smoothed(line.points, weight).into_iter().filter(shown).collect(),
            None => raw.clone(),
        };
        Drawn { raw, main }
    }

    /// A line for the title, the legend, and the rest for the plot.
    fn rooms(&self, area: Rect) -> (Rect, Rect, Rect) {
        let above = u16::from(area.height >= 5 && !self.y_title.is_empty());
        let below = Rect { y: area.y + above, height: area.height - above, ..area };
        let legend = legend::height(self, below);
        let (head, legend) = (Rect { height: above, ..area }, Rect { height: legend, ..below });
        let taken = above + legend.height;
        (head, legend, Rect { y: area.y + taken, height: area.height - taken, ..area })
    }

    /// What the axes cover: all points that are shown, with some air above and below.
    fn spans(&self, drawn: &[Drawn]) -> Option<(Span<'_>, Span<'_>)> {
        let mut bounds: Option<(Point, Point)> = None;
        let points = drawn.iter().flat_map(|line| line.raw.iter().chain(&line.main)).copied();
        let bands = self.bands.iter().flat_map(|band| band.iter());
        let edges = bands.flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]);
        for (x, y) in points.chain(edges).filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let ((left, low), (right, high)) = bounds.unwrap_or(((x, y), (x, y)));
            bounds = Some(((left.min(x), low.min(y)), (right.max(x), high.max(y))));
        }
        let ((left, mut low), (right, mut high)) = bounds?;
        if self.clip {
            (low, high) = percentiles(drawn);
        }
        let (left, right) = self.window.unwrap_or((left, right));
        let x = Span { low: left, high: right, scale: self.x_scale, title: self.x_title };
        if self.log {
            let air = (high / low).powf(0.04).min(2.0);
            let (low, high) = if air.is_finite() { (low / air, high * air) } else { (low, high) };
            return Some((x, Span { low, high, scale: Scale::Log, title: "" }));
        }
        let air = (high * 0.04 - low * 0.04).max(0.0);
        Some((x, Span { low: low - air, high: high + air, scale: Scale::Number, title: "" }))
    }

    fn draw_empty(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, drawn: &[Drawn]) {
        let left_out = self.left_out(drawn, None).words();
        let text = match (self.window, left_out.is_empty()) {
            (Some(_), _) => "no point in this part of the curve".to_owned(),
            (None, true) => self.empty.to_owned(),
            (None, false) => format!("{}: {left_out}", self.empty),
        };
        if !self.y_title.is_empty() && area.height >= 5 {
            buffer.set_stringn(
                area.x,
                area.y,
                one_line(self.y_title, 256),
                usize::from(area.width),
                theme.dim,
            );
        }
        plot::draw_note(area, buffer, theme, &text);
    }

    /// `accuracy  0.913` and at the right what is not seen; with a cursor, what stands at it.
    fn draw_head(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, drawn: &[Drawn], y: &Span<'_>) {
        if area.is_empty() {
            return;
        }
        let room = usize::from(area.width);
        let end = area.right();
        let free = |x: u16| usize::from(end.saturating_sub(x));
        let title = fit(&one_line(self.y_title, 256), room);
        let mut x = buffer.set_stringn(area.x, area.y, title, room, theme.dim).0;
        if let [line] = self.lines.as_slice()
            && line.name.is_empty()
        {
            let value = match self.reading(line, self.cursor.unwrap_or(f64::INFINITY)) {
                Some(reading) => value_text(&reading),
                None => number::NOTHING.to_owned(),
            };
            x = buffer.set_stringn(x, area.y, format!(" {value}"), free(x), theme.text).0;
        }
        if let Some(at) = self.cursor {
            let at = self.cursor_x(at).map_or_else(String::new, |at| place(at, self.x_scale));
            let text = format!("  {} {at}", if self.x_scale == Scale::Seconds { "at" } else { "step" });
            x = buffer.set_stringn(x, area.y, text, free(x), theme.focus).0;
        }
        let words = self.left_out(drawn, Some(y)).words();
        let words = fit(&words, free(x).saturating_sub(2));
        let start = end.saturating_sub(width(&words) as u16);
        buffer.set_stringn(start, area.y, words, free(start), theme.warn);
    }

    /// Where the cursor stands: on the newest point when it is at infinity.
    fn cursor_x(&self, at: f64) -> Option<f64> {
        if at.is_finite() {
            return Some(at);
        }
        let last =
            |line: &CurveLine<'_>| line.points.iter().rev().find(|point| is_finite(point)).map(|(x, _)| *x);
        self.lines.iter().filter_map(last).reduce(f64::max)
    }

    fn left_out(&self, drawn: &[Drawn], y: Option<&Span<'_>>) -> LeftOut {
        let mut left_out = LeftOut::default();
        for line in &self.lines {
            let seen = line.points.iter().filter(|point| !is_finite(point)).count();
            left_out.not_finite += seen.max(line.not_finite);
            if self.log {
                left_out.not_positive +=
                    line.points.iter().filter(|(_, y)| *y <= 0.0 && y.is_finite()).count();
            }
        }
        if let (Some(y), true) = (y, self.clip) {
            let points = drawn.iter().flat_map(|line| &line.raw);
            left_out.outside = points.filter(|point| point.1 < y.low || point.1 > y.high).count();
        }
        left_out
    }

    fn draw_lines(&self, plot: &Plot, drawn: &[Drawn], buffer: &mut Buffer, theme: &Theme) {
        let columns = usize::from(plot.inside.width) * 2;
        let mut dots = Dots::new(plot.inside);
        let mut ends = Vec::new();
        let thinned = |points: &[Point]| per_column(points, plot.x.low, plot.x.high, columns);
        for band in &self.bands {
            band::draw(band, &mut dots, plot, theme);
        }
        if self.smoothing.is_some() {
            for line in drawn {
                // Dots that are not joined, so that a noisy curve stays in the background.
                for point in thinned(&line.raw) {
                    dots.set(plot.dot(point), theme.dim);
                }
            }
        }
        for (line, drawn) in self.lines.iter().zip(drawn) {
            let look = palette::look(theme, line.series);
            let points = thinned(&drawn.main);
            join(&mut dots, plot, &points, look);
            // A lone point would be one dot: nobody sees that.
            if let (Some(last), true) = (points.last(), points.len() == 1 || self.lines.len() > 1) {
                ends.push((plot.cell(*last), look));
            }
        }
        dots.draw(buffer);
        for (place, look) in ends {
            mark(buffer, place, look);
        }
    }

    /// A line down the plot, with the marker of each curve where it is read.
    fn draw_cursor(&self, plot: &Plot, buffer: &mut Buffer, theme: &Theme) {
        let Some(at) = self.cursor.and_then(|at| self.cursor_x(at)) else {
            return;
        };
        if at < plot.x.low || at > plot.x.high {
            return;
        }
        let (column, _) = plot.cell((at, plot.y.low));
        for y in plot.inside.top()..plot.inside.bottom() {
            let cell = &mut buffer[(column, y)];
            if matches!(cell.symbol(), " " | "\u{2800}") {
                cell.set_symbol("┊").set_style(theme.focus);
            }
        }
        for line in &self.lines {
            let value = self.reading(line, at).map(|reading| reading.smooth.unwrap_or(reading.raw));
            if let Some(value) = value.filter(|value| !self.log || *value > 0.0) {
                let (_, y) = plot.cell((at, value));
                mark(buffer, (column, y), palette::look(theme, line.series));
            }
        }
    }
}

impl LeftOut {
    /// `3 NaN or infinite · 2 at or below 0 · clipped to percentiles 1–99, 4 outside`
    fn words(&self) -> String {
        let mut words = Vec::new();
        if self.not_finite > 0 {
            words.push(format!("{} NaN or infinite", number::count(self.not_finite as u64)));
        }
        if self.not_positive > 0 {
            words.push(format!("{} at or below 0 left out", number::count(self.not_positive as u64)));
        }
        if self.outside > 0 {
            let outside = number::count(self.outside as u64);
            words.push(format!("{outside} outside percentiles {}–{}", CLIP.0, CLIP.1));
        }
        words.join(" · ")
    }
}

/// `0.913`, or `0.905 (raw 0.913)`.
fn value_text(reading: &Reading) -> String {
    match reading.smooth {
        Some(smooth) => format!("{} (raw {})", number::short(smooth), number::short(reading.raw)),
        None => number::short(reading.raw),
    }
}

fn is_finite((x, y): &Point) -> bool {
    x.is_finite() && y.is_finite()
}

/// The [`CLIP`] percentiles of all shown values, by nearest rank.
fn percentiles(drawn: &[Drawn]) -> (f64, f64) {
    let mut values: Vec<f64> = drawn.iter().flat_map(|line| &line.raw).map(|point| point.1).collect();
    values.sort_unstable_by(f64::total_cmp);
    let at = |percent: f64| {
        let last = values.len().saturating_sub(1);
        values.get((percent / 100.0 * last as f64).round() as usize).copied().unwrap_or(0.0)
    };
    (at(CLIP.0), at(CLIP.1))
}

fn mark(buffer: &mut Buffer, place: (u16, u16), look: SeriesLook) {
    if let Some(cell) = buffer.cell_mut(place) {
        cell.set_symbol(look.marker).set_style(Style::new().fg(look.color));
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
