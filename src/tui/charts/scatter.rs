//! Named points over two axes, and the front of those that no other point beats in both.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::domain::text::{one_line, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::number;

use super::braille::Dots;
use super::palette::{self, Pattern};
use super::plot::{self, Plot, Span};
use super::ticks::Scale;

mod names;
#[cfg(test)]
mod tests;

use names::Board;

/// One point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot<'a> {
    pub name: &'a str,
    pub x: f64,
    pub y: f64,
    /// Number of the series, see [`palette::look`].
    pub series: usize,
}

/// A scatter chart in which a small x and a large y are good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter<'a> {
    pub spots: Vec<Spot<'a>>,
    /// With its unit.
    pub x_title: &'a str,
    pub y_title: &'a str,
    /// Shown while there is no point.
    pub empty: &'a str,
}

/// What is written beside the title of the y axis.
const FRONT: &str = "⠤⠤ Pareto front";

impl Scatter<'_> {
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if plot::is_too_small(area) {
            return plot::draw_too_small(area, buffer, theme);
        }
        let spots: Vec<Spot<'_>> =
            self.spots.iter().filter(|spot| spot.x.is_finite() && spot.y.is_finite()).copied().collect();
        let Some((x, y)) = self.spans(&spots) else {
            return plot::draw_note(area, buffer, theme, self.empty);
        };
        let plot = Plot::lay(area, x, y);
        plot.draw_axes(buffer, theme);
        let front = front(&spots);
        let board = self.place_names(&plot, &spots, &front);
        draw_lines(&plot, buffer, theme, &spots, &front, &board);
        draw_spots(&plot, buffer, theme, &spots, &front, &board);
        draw_notes(&plot, buffer, theme, front.len() > 1, board.left_out());
    }

    /// What the axes cover: all points with air around them, for markers and names.
    fn spans(&self, spots: &[Spot<'_>]) -> Option<(Span<'_>, Span<'_>)> {
        let bounds = |values: fn(&Spot<'_>) -> f64| {
            let low = spots.iter().map(values).fold(f64::INFINITY, f64::min);
            let high = spots.iter().map(values).fold(f64::NEG_INFINITY, f64::max);
            let air = (high * 0.08 - low * 0.08).max(0.0);
            (low - air, high + air)
        };
        if spots.is_empty() {
            return None;
        }
        let ((left, right), (low, high)) = (bounds(|spot| spot.x), bounds(|spot| spot.y));
        let x = Span { low: left, high: right, scale: Scale::Number, title: self.x_title };
        Some((x, Span { low, high, scale: Scale::Number, title: self.y_title }))
    }

    /// The points of the front first: theirs are the names one looks for.
    fn place_names(&self, plot: &Plot, spots: &[Spot<'_>], front: &[usize]) -> Board {
        let mut board = Board::new(plot.inside);
        for spot in spots {
            board.occupy(plot.cell((spot.x, spot.y)));
        }
        for pair in front.windows(2) {
            let (from, to) = (&spots[pair[0]], &spots[pair[1]]);
            board.avoid_line(plot.cell((from.x, from.y)), plot.cell((to.x, to.y)));
        }
        let others = (0..spots.len()).filter(|index| !front.contains(index));
        for index in front.iter().copied().chain(others) {
            let spot = &spots[index];
            board.name(index, plot.cell((spot.x, spot.y)), &one_line(spot.name, 256));
        }
        board
    }
}

/// Indices of the points that no other beats (smaller x and larger y), by rising x.
pub fn front(spots: &[Spot<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..spots.len()).collect();
    order.sort_by(|&a, &b| spots[a].x.total_cmp(&spots[b].x).then_with(|| spots[b].y.total_cmp(&spots[a].y)));
    let mut best = f64::NEG_INFINITY;
    order.retain(|&index| {
        let better = spots[index].y > best;
        best = best.max(spots[index].y);
        better
    });
    order
}

fn draw_lines(
    plot: &Plot,
    buffer: &mut Buffer,
    theme: &Theme,
    spots: &[Spot<'_>],
    front: &[usize],
    board: &Board,
) {
    let mut dots = Dots::new(plot.inside);
    for leader in board.leaders() {
        let mut phase = 0;
        dots.line(leader.0, leader.1, theme.dim, Pattern::Dotted, &mut phase);
    }
    let mut phase = 0;
    for pair in front.windows(2) {
        let (from, to) = (&spots[pair[0]], &spots[pair[1]]);
        dots.line(plot.dot((from.x, from.y)), plot.dot((to.x, to.y)), theme.good, Pattern::Solid, &mut phase);
    }
    dots.draw(buffer);
}

fn draw_spots(
    plot: &Plot,
    buffer: &mut Buffer,
    theme: &Theme,
    spots: &[Spot<'_>],
    front: &[usize],
    board: &Board,
) {
    for name in board.names() {
        let on_front = front.contains(&name.index);
        let style = if on_front { theme.text.add_modifier(Modifier::BOLD) } else { theme.text };
        buffer.set_stringn(name.x, name.y, &name.text, width(&name.text), style);
    }
    for spot in spots {
        let look = palette::look(theme, spot.series);
        if let Some(cell) = buffer.cell_mut(plot.cell((spot.x, spot.y))) {
            cell.set_symbol(look.marker).set_style(Style::new().fg(look.color));
        }
    }
}

/// At the right end of the line above the plot: what the line means, how many points have no name.
fn draw_notes(plot: &Plot, buffer: &mut Buffer, theme: &Theme, has_front: bool, left_out: usize) {
    let Some(y) = plot.title_row() else {
        return;
    };
    let mut right = plot.inside.right();
    let left_out = (left_out > 0).then(|| format!("{} unnamed", number::count(left_out as u64)));
    let front = has_front.then(|| FRONT.to_owned());
    let styles = [theme.dim, theme.good];
    for (text, style) in [left_out, front].into_iter().zip(styles) {
        let Some(text) = text else {
            continue;
        };
        let wide = width(&text) as u16;
        let start = right.saturating_sub(wide);
        if start > plot.title_end() + 2 {
            buffer.set_stringn(start, y, &text, usize::from(wide), style);
            right = start.saturating_sub(2);
        }
    }
}
