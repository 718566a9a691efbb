//! How curves are looked at: smoothing, axes, the part that is shown, and the cursor. One view serves all charts of a
//! screen, whether they show one run or several.

use serde::{Deserialize, Serialize};

use super::curve::{Curve, CurveLine};
use super::smooth::STRENGTHS;
use super::thin::Point;
use super::ticks::Scale;

/// What is remembered of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CurveSettings {
    /// Share of the past in the moving average, 0 (off) to below 1.
    pub smoothing: f64,
    /// Time since the run's start instead of steps.
    pub time: bool,
    /// A logarithmic y axis.
    pub log: bool,
    /// Outliers do not widen the y axis.
    pub clip: bool,
    /// One metric takes the room of all.
    pub large: bool,
}

impl CurveSettings {
    /// To the next strength of smoothing, and from the last one to none.
    pub fn next_smoothing(&mut self) {
        let next = STRENGTHS.into_iter().find(|strength| *strength > self.smoothing);
        self.smoothing = next.unwrap_or(0.0);
    }

    /// What differs from a plain chart: `smoothed 0.9`, `log`, `clipped`.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        if self.smoothing > 0.0 {
            words.push(format!("smoothed {}", self.smoothing));
        }
        if self.time {
            words.push("over time".to_owned());
        }
        if self.log {
            words.push("log".to_owned());
        }
        if self.clip {
            words.push("clipped".to_owned());
        }
        words.join(" · ")
    }
}

/// Settings, and where one looks now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    pub settings: CurveSettings,
    /// Where values are read; infinity stays at the newest point.
    pub cursor: Option<f64>,
    /// The part of x that is shown; all of it, and what comes, when none.
    pub window: Option<(f64, f64)>,
}

impl View {
    /// The chart of one metric, looked at in this way. The points of `lines` are over what [`CurveSettings::time`] asks for.
    pub fn curve<'a>(&self, lines: Vec<CurveLine<'a>>, y_title: &'a str) -> Curve<'a> {
        let settings = &self.settings;
        let (x_title, x_scale) = if settings.time { ("time", Scale::Seconds) } else { ("step", Scale::Step) };
        Curve {
            lines,
            y_title,
            x_title,
            x_scale,
            smoothing: (settings.smoothing > 0.0).then_some(settings.smoothing),
            log: settings.log,
            clip: settings.clip,
            window: self.window,
            cursor: self.cursor,
            empty: "no figure can be drawn",
            bands: Vec::new(),
        }
    }

    /// Steps and seconds have no common place: cursor and window go.
    pub fn toggle_time(&mut self) {
        *self = View {
            settings: CurveSettings { time: !self.settings.time, ..self.settings },
            ..View::default()
        };
    }

    /// Puts the cursor at the newest point, or away.
    pub fn toggle_cursor(&mut self) {
        self.cursor = if self.cursor.is_some() { None } else { Some(f64::INFINITY) };
    }

    /// Moves the cursor by so many points of `curves`, all of which are on the screen. The window comes along.
    pub fn step(&mut self, curves: &[&[Point]], right: bool, by: usize) {
        let places = places(curves);
        let (Some(cursor), Some(last)) = (self.cursor, places.len().checked_sub(1)) else {
            return;
        };
        let here = places.partition_point(|x| *x < cursor).min(last);
        let next = if right { here.saturating_add(by).min(last) } else { here.saturating_sub(by) };
        // At the newest point the cursor goes on with the curve.
        self.cursor = Some(if right && next == last { f64::INFINITY } else { places[next] });
        if let Some((low, high)) = self.window {
            let shift = if places[next] < low { places[next] - low } else { (places[next] - high).max(0.0) };
            self.window = Some((low + shift, high + shift));
        }
    }

    /// Half as wide or twice as wide, around the cursor or the newest point; the whole is the widest.
    pub fn zoom(&mut self, curves: &[&[Point]], closer: bool) {
        let places = places(curves);
        let (Some(first), Some(last)) = (places.first().copied(), places.last().copied()) else {
            return;
        };
        let (low, high) = self.window.unwrap_or((first, last));
        let width = (high - low) * if closer { 0.5 } else { 2.0 };
        if width >= last - first {
            self.window = None;
            return;
        }
        let shown = places.iter().filter(|x| (low..=high).contains(*x)).count();
        if closer && shown <= 4 {
            return;
        }
        let middle = self.cursor.unwrap_or(high).min(last);
        let low = (middle - width / 2.0).clamp(first, last - width);
        self.window = Some((low, low + width));
    }

    /// Moves the window by a quarter of its width.
    pub fn pan(&mut self, curves: &[&[Point]], right: bool) {
        let places = places(curves);
        if let (Some((low, high)), Some(first), Some(last)) = (self.window, places.first(), places.last()) {
            let width = high - low;
            let moved = if right { low + width / 4.0 } else { low - width / 4.0 };
            let low = moved.min(last - width).max(*first);
            self.window = Some((low, low + width));
        }
    }
}

/// Every x at which any curve has a value, rising.
fn places(curves: &[&[Point]]) -> Vec<f64> {
    let points = curves.iter().flat_map(|curve| curve.iter());
    let mut places: Vec<f64> =
        points.filter(|(x, y)| x.is_finite() && y.is_finite()).map(|(x, _)| *x).collect();
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(last: i32) -> Vec<Point> {
        (1..=last).map(|step| (f64::from(step), 1.0)).collect()
    }

    #[test]
    fn smoothing_goes_through_its_strengths_and_back_to_none() {
        let mut settings = CurveSettings::default();
        let seen: Vec<f64> = (0..6)
            .map(|_| {
                settings.next_smoothing();
                settings.smoothing
            })
            .collect();
        assert_eq!(seen, [0.6, 0.8, 0.9, 0.95, 0.99, 0.0]);
    }

    #[test]
    fn the_cursor_goes_from_point_to_point_of_all_curves() {
        let (one, two) = (course(10), vec![(2.5, 0.1), (12.0, 0.2)]);
        let curves: Vec<&[Point]> = vec![&one, &two];
        let mut view = View::default();
        view.step(&curves, false, 1);
        assert_eq!(view.cursor, None, "without a cursor nothing moves");
        view.toggle_cursor();
        view.step(&curves, false, 1);
        assert_eq!(view.cursor, Some(10.0));
        view.step(&curves, false, usize::MAX);
        view.step(&curves, true, 2);
        assert_eq!(view.cursor, Some(2.5));
        view.step(&curves, true, 100);
        assert_eq!(view.cursor, Some(f64::INFINITY), "the newest, also when more come");
    }

    #[test]
    fn the_window_halves_follows_the_cursor_and_opens_again() {
        let points = course(101);
        let curves: Vec<&[Point]> = vec![&points];
        let mut view = View::default();
        view.zoom(&curves, true);
        assert_eq!(view.window, Some((51.0, 101.0)));
        view.pan(&curves, false);
        assert_eq!(view.window, Some((38.5, 88.5)));
        view.cursor = Some(40.0);
        view.step(&curves, false, 10);
        assert_eq!(view.window, Some((30.0, 80.0)));
        view.zoom(&curves, false);
        assert_eq!(view.window, None);
        for _ in 0..50 {
            view.zoom(&curves, true);
        }
        let (low, high) = view.window.unwrap();
        assert!(high - low >= 1.0, "never closer than a few points");
    }
}
