//! The charts of a run: as many metrics under each other as fit, or one of them large.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use crate::tui::charts::curve::CurveLine;
use crate::tui::charts::thin::Point;
use crate::tui::charts::view::View;
use crate::tui::tabs::experiments::curves::{Curves, title_of};
use crate::tui::theme::Theme;

/// Least width and height of one chart with its title.
pub const CHART: (u16, u16) = (25, 7);

/// From this width on a chart gives room to another beside it.
const COMFORTABLE: u16 = 70;

/// Charts that are shown at once; more would be too small to read.
const MOST_CHARTS: usize = 12;

/// Height that a chart is given where there is more than it needs.
const PLEASANT: u16 = 9;

/// The curves of one run, from the metric number `first` on.
pub struct Plots<'a> {
    pub curves: &'a Curves,
    pub view: &'a View,
    pub first: usize,
    /// The start of the run, seconds since 1970.
    pub origin: f64,
}

impl<'a> Plots<'a> {
    /// Height that `metrics` curves take, when at most `most` lines are theirs.
    pub fn height(width: u16, most: u16, metrics: usize, large: bool) -> u16 {
        if metrics == 0 {
            return most.min(1);
        }
        if large { most } else { (grid(width, most, metrics).1 * PLEASANT).min(most) }
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        for (cell, name) in self.cells(area) {
            let points = self.points(name);
            let title = title_of(name);
            self.view.curve(vec![self.line(name, &points)], &title).draw(cell, buffer, theme);
        }
    }

    /// The value of x at a place of the screen.
    pub fn x_at(&self, area: Rect, place: Position) -> Option<f64> {
        let (cell, name) = self.cells(area).into_iter().find(|(cell, _)| cell.contains(place))?;
        let points = self.points(name);
        let title = title_of(name);
        self.view.curve(vec![self.line(name, &points)], &title).x_at(cell, place.x)
    }

    /// The points of every chart on the screen.
    pub fn shown(&self, area: Rect) -> Vec<Cow<'a, [Point]>> {
        self.cells(area).into_iter().map(|(_, name)| self.points(name)).collect()
    }

    /// How many metrics are on the screen.
    pub fn count(&self, area: Rect) -> usize {
        self.cells(area).len()
    }

    fn line<'b>(&self, name: &str, points: &'b [Point]) -> CurveLine<'b> {
        let not_finite = self.curves.get(name).map_or(0, |series| series.not_finite());
        CurveLine { name: "", points, series: 0, not_finite }
    }

    fn points(&self, name: &str) -> Cow<'a, [Point]> {
        self.curves.points(name, self.view.settings.time.then_some(self.origin))
    }

    /// Places and metrics of the charts.
    fn cells(&self, area: Rect) -> Vec<(Rect, &'a str)> {
        let names = self.curves.names();
        let count = if self.view.settings.large { 1 } else { names.len() };
        let (across, down) = grid(area.width, area.height, count);
        let shown = names.len().min(usize::from(across * down)).min(if self.view.settings.large {
            1
        } else {
            MOST_CHARTS
        });
        // The last ones fill the screen rather than leave half of it empty.
        let first = self.first.min(names.len().saturating_sub(shown));
        let lines = Layout::vertical(vec![Constraint::Fill(1); usize::from(down)]).split(area);
        let mut cells = Vec::new();
        for (line, names) in lines.iter().zip(names[first..first + shown].chunks(usize::from(across))) {
            let places = Layout::horizontal(vec![Constraint::Fill(1); names.len()]).spacing(2).split(*line);
            cells.extend(places.iter().copied().zip(names.iter().copied()));
        }
        cells
    }
}

/// Columns and lines of charts: few columns where there is height, many where there is none.
fn grid(width: u16, height: u16, metrics: usize) -> (u16, u16) {
    let count = u16::try_from(metrics.min(MOST_CHARTS)).unwrap_or(1).max(1);
    let widest = (width / CHART.0).clamp(1, count);
    let first = (width / COMFORTABLE).clamp(1, widest);
    let across =
        (first..=widest).find(|across| count.div_ceil(*across) * CHART.1 <= height).unwrap_or(widest);
    let down = (height / CHART.1).clamp(1, count.div_ceil(across));
    (across, down)
}
