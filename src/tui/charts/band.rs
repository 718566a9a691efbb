//! Several curves as one: their mean, and a band of one standard deviation around it.

use std::collections::BTreeMap;

use crate::tui::theme::Theme;

use super::braille::Dots;
use super::plot::Plot;
use super::thin::Point;

/// Around a mean: x, low, high.
pub type Bound = (f64, f64, f64);

/// The mean of curves at each x that any of them has, and the mean less and plus the standard deviation (of the sample,
/// n - 1) where two have a finite value there.
pub fn mean_and_band(curves: &[&[Point]]) -> (Vec<Point>, Vec<Bound>) {
    // Welford's method: n, mean, sum of squared distances. Ordered by the bits of x, which for numbers from zero is their order.
    let mut at: BTreeMap<u64, (f64, f64, f64)> = BTreeMap::new();
    let points = curves.iter().flat_map(|points| points.iter());
    for (x, y) in points.filter(|(x, y)| x.is_finite() && *x >= 0.0 && y.is_finite()) {
        // Without the sign of a negative zero.
        let (n, mean, squares) = at.entry((x + 0.0).to_bits()).or_default();
        *n += 1.0;
        let distance = y - *mean;
        *mean += distance / *n;
        *squares += distance * (y - *mean);
    }
    let mean = at.iter().map(|(x, (_, mean, _))| (f64::from_bits(*x), *mean)).collect();
    let several = at.iter().filter(|(_, (n, ..))| *n > 1.0);
    let band = several.map(|(x, (n, mean, squares))| {
        let deviation = (squares / (n - 1.0)).sqrt();
        (f64::from_bits(*x), mean - deviation, mean + deviation)
    });
    (mean, band.collect())
}

/// Draws a band as dots behind the curves: its edges, and every fourth dot between them.
pub fn draw(band: &[Bound], dots: &mut Dots, plot: &Plot, theme: &Theme) {
    for pair in band.windows(2) {
        let [(left, low, high), (right, next_low, next_high)] = [pair[0], pair[1]];
        let (begin, end) = (plot.dot((left, low)).0, plot.dot((right, next_low)).0);
        for column in begin..=end {
            let share = if end > begin { f64::from(column - begin) / f64::from(end - begin) } else { 0.0 };
            let between = |from: f64, to: f64| from + (to - from) * share;
            let bottom = plot.dot((left, between(low, next_low))).1;
            let top = plot.dot((left, between(high, next_high))).1;
            for row in top..=bottom {
                let edge = row == top || row == bottom;
                if (edge && column % 2 == 0) || (row % 4 == 0 && column % 4 == 0) {
                    dots.set((column, row), theme.dim);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_is_one_deviation_wide_where_two_have_a_value() {
        let (one, other) = ([(1.0, 1.0), (2.0, 4.0), (3.0, 7.0)], [(1.0, 3.0), (2.0, f64::NAN)]);
        let (mean, band) = mean_and_band(&[&one, &other]);
        assert_eq!(mean, [(1.0, 2.0), (2.0, 4.0), (3.0, 7.0)]);
        let deviation = 2.0_f64.sqrt();
        assert_eq!(band, [(1.0, 2.0 - deviation, 2.0 + deviation)]);
    }

    #[test]
    fn steps_stay_in_their_order() {
        let (mean, _) = mean_and_band(&[&[(0.0, 0.0), (10.0, 1.0)], &[(2.0, 5.0), (100.0, 2.0)]]);
        assert_eq!(mean.iter().map(|(x, _)| *x).collect::<Vec<_>>(), [0.0, 2.0, 10.0, 100.0]);
        assert_eq!(mean_and_band(&[]), (Vec::new(), Vec::new()));
    }
}
