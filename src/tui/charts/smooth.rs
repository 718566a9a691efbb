//! Smoothing of noisy curves.

use super::thin::Point;

/// Strengths that one goes through; 0 is off.
pub const STRENGTHS: [f64; 6] = [0.0, 0.6, 0.8, 0.9, 0.95, 0.99];

/// Exponential moving average without the bias towards zero of its beginning: `m = w m + (1 - w) y` from `m = 0`, shown
/// is `m / (1 - w^n)` at the n-th point.
///
/// This is the smoothing of TensorBoard's scalar charts (`classicSmoothing` in its `line_chart_v2/data_transformer.ts`)
/// and of W&B's "exponential moving average"; the correction is that of Adam (Kingma & Ba 2015, section 3). Points that
/// are not finite are left out and do not count. Over a thinned curve it weighs the points that were kept.
pub fn smoothed(points: &[Point], weight: f64) -> Vec<Point> {
    let weight = if weight.is_nan() { 0.0 } else { weight.clamp(0.0, 0.999) };
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
mod tests {
    use super::*;

    #[test]
    fn the_average_starts_at_the_first_value_and_keeps_a_constant() {
        let constant: Vec<Point> = (0..50).map(|step| (f64::from(step), 0.7)).collect();
        for (_, y) in smoothed(&constant, 0.95) {
            assert!((y - 0.7).abs() < 1e-9);
        }
        assert_eq!(smoothed(&[(0.0, 3.0), (1.0, 3.0)], 0.0), [(0.0, 3.0), (1.0, 3.0)]);
    }

    /// Worked by hand: (0.6·0.4·1 + 0.4·2) / (1 - 0.36) = 1.04 / 0.64.
    #[test]
    fn the_average_is_that_of_the_formula() {
        let shown = smoothed(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0)], 0.6);
        assert_eq!(shown.len(), 2);
        assert!((shown[1].1 - 1.625).abs() < 1e-12, "{shown:?}");
    }
}
