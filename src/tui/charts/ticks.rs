//! Axes with round ticks (1, 2, 5 times a power of ten) and labels of just enough digits.

use crate::tui::widgets::number;

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    Number,
    /// Whole numbers: no tick between two steps.
    Step,
    /// Durations: ticks at 15 s, 30 s, 1 min, ..., labels like `1:30` and `2h`.
    Seconds,
    /// Positive numbers by their logarithm: ticks at powers of ten, or at 1, 2 and 5 times them.
    Log,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// A range of values with its ticks, all within the range, in rising order.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<Tick>,
    log: bool,
}

/// Larger values are drawn at the edge: a difference of two of them would not be finite.
const LARGEST: f64 = 1e300;

impl Axis {
    /// Covers `low..=high` with about `at_most` ticks. A range of no width is widened around its value.
    ///
    /// A logarithmic axis begins at the smallest positive number when `low` is not positive.
    pub fn covering(low: f64, high: f64, at_most: usize, scale: Scale) -> Axis {
        if scale == Scale::Log {
            return Axis::logarithmic(low, high, at_most);
        }
        let (low, high) = widened(low, high, scale);
        let step = round_step((high - low) / at_most.max(1) as f64, scale);
        Axis { low, high, ticks: ticks(low, high, step, scale), log: false }
    }

    fn logarithmic(low: f64, high: f64, at_most: usize) -> Axis {
        let positive = |value: f64| if value.is_nan() { 1.0 } else { value.clamp(1e-290, LARGEST) };
        let (low, high) = (positive(low.min(high)), positive(low.max(high)));
        let (low, high) = if high / low < 1.0 + 1e-9 { (low / 2.0, high * 2.0) } else { (low, high) };
        Axis { low, high, ticks: log_ticks(low, high, at_most.max(1)), log: true }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end, never outside.
    pub fn fraction(&self, value: f64) -> f64 {
        if self.log {
            let (low, high) = (self.low.ln(), self.high.ln());
            let place = (value.clamp(self.low, self.high).ln() - low) / (high - low);
            return place.clamp(0.0, 1.0);
        }
        ((value.clamp(-LARGEST, LARGEST) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The value at a fraction of the way from the low end to the high end.
    pub fn value_at(&self, fraction: f64) -> f64 {
        let fraction = fraction.clamp(0.0, 1.0);
        if self.log {
            (self.low.ln() * (1.0 - fraction) + self.high.ln() * fraction).exp()
        } else {
            self.low + (self.high - self.low) * fraction
        }
    }
}

/// Powers of ten; between less than two of them 1, 2 and 5 times a power; and within those, round steps.
fn log_ticks(low: f64, high: f64, at_most: usize) -> Vec<Tick> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let within = |value: &f64| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9);
    let of = |times: &[f64], apart: usize| -> Vec<f64> {
        let powers = (first..=last).filter(|power| power.rem_euclid(apart as i32) == 0);
        powers
            .flat_map(|power| times.iter().map(move |times| times * 10f64.powi(power)))
            .filter(within)
            .collect()
    };
    let decades = of(&[1.0], 1);
    let fine = of(&[1.0, 2.0, 5.0], 1);
    let values = if decades.len() > at_most {
        of(&[1.0], decades.len().div_ceil(at_most))
    } else if fine.len() <= at_most.max(3) && fine.len() >= 2 {
        fine
    } else {
        decades
    };
    if values.len() >= 2 || high / low > 10.0 {
        return values.into_iter().map(|value| Tick { value, label: power_label(value) }).collect();
    }
    let step = round_step((high - low) / at_most as f64, Scale::Number);
    ticks(low, high, step, Scale::Number)
}

fn power_label(value: f64) -> String {
    if (1e-4..1e5).contains(&value) {
        let decimals = (-(value.log10() + 1e-9).floor()).max(0.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.0e}")
    }
}

/// A place on an axis in words: `120`, `1,204`, `1:30`, `12.5s`, `0.5`.
pub fn place(value: f64, scale: Scale) -> String {
    match scale {
        Scale::Step if value.abs() < 1e15 && value.fract() == 0.0 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", number::count(value.abs() as u64))
        }
        Scale::Seconds if value.abs() < 60.0 => format!("{value:.1}s"),
        Scale::Seconds if value.abs() < 1e9 => duration(value, 1.0),
        _ => number::short(value),
    }
}

/// A finite range of positive width.
fn widened(low: f64, high: f64, scale: Scale) -> (f64, f64) {
    let low = if low.is_nan() { 0.0 } else { low.clamp(-LARGEST, LARGEST) };
    let high = if high.is_nan() { low } else { high.clamp(-LARGEST, LARGEST) };
    let (low, high) = (low.min(high), low.max(high));
    let size = low.abs().max(high.abs());
    let indistinct = high - low <= size * 1e-12 || high - low < 1e-290;
    if !indistinct {
        return (low, high);
    }
    let room = match scale {
        Scale::Step => 1f64.max(size * 1e-6),
        _ if size < 1e-280 => 1.0,
        _ => size * 0.1,
    };
    (low - room, high + room)
}

/// The smallest round step that is not below `raw`.
fn round_step(raw: f64, scale: Scale) -> f64 {
    const SECONDS: [f64; 16] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 43200.0,
        86400.0,
    ];
    match scale {
        Scale::Step => decimal_step(raw).max(1.0),
        Scale::Seconds if raw > 0.5 => {
            let known = SECONDS.into_iter().find(|step| *step >= raw);
            known.unwrap_or_else(|| decimal_step(raw / 86400.0) * 86400.0)
        }
        Scale::Number | Scale::Seconds | Scale::Log => decimal_step(raw),
    }
}

fn decimal_step(raw: f64) -> f64 {
    let magnitude = 10f64.powf(raw.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * magnitude >= raw * (1.0 - 1e-9));
    times.unwrap_or(10.0) * magnitude
}

fn ticks(low: f64, high: f64, step: f64, scale: Scale) -> Vec<Tick> {
    // A hair wider, so that rounding does not lose a tick at the very end.
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    let count = (last - first).clamp(-1.0, 100.0) as i32;
    let size = low.abs().max(high.abs());
    (0..=count)
        .map(|index| {
            let multiple = first + f64::from(index);
            let value = if multiple == 0.0 { 0.0 } else { multiple * step };
            Tick { value, label: label(value, step, size, scale) }
        })
        .collect()
}

/// All labels of an axis have the same number of decimals, those that tell `step` apart.
fn label(value: f64, step: f64, size: f64, scale: Scale) -> String {
    if scale == Scale::Seconds && step >= 1.0 && size < 1e9 {
        return duration(value, step);
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    for (unit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if size >= 10.0 * unit && size < 1e12 && step >= unit / 10.0 {
            let decimals = usize::from(step < unit);
            return format!("{:.decimals$}{suffix}", value / unit);
        }
    }
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0);
    if size >= 1e9 || decimals > 6.0 {
        let digits = (size.log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
        return format!("{value:.digits$e}");
    }
    format!("{value:.*}", decimals as usize)
}

/// `45s`, `1:30`, `2h`, `1h30`, `3d`.
fn duration(value: f64, step: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs().round() as u64;
    let (days, hours, minutes, seconds) = (whole / 86400, whole / 3600, whole / 60 % 60, whole % 60);
    if step >= 86400.0 {
        format!("{sign}{days}d")
    } else if whole < 60 {
        format!("{sign}{whole}s")
    } else if hours == 0 {
        format!("{sign}{minutes}:{seconds:02}")
    } else if step < 60.0 {
        format!("{sign}{hours}h{minutes:02}:{seconds:02}")
    } else if minutes == 0 {
        format!("{sign}{hours}h")
    } else {
        format!("{sign}{hours}h{minutes:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(low: f64, high: f64, at_most: usize, scale: Scale) -> Vec<String> {
        Axis::covering(low, high, at_most, scale).ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(0.0, 1.0, 5, Scale::Number), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.8234, 0.9134, 4, Scale::Number), ["0.85", "0.90"]);
        assert_eq!(labels(0.0, 273.0, 6, Scale::Step), ["0", "50", "100", "150", "200", "250"]);
        assert_eq!(labels(0.0, 50_000.0, 5, Scale::Step), ["0", "10k", "20k", "30k", "40k", "50k"]);
        assert_eq!(labels(-2.0, 2.0, 4, Scale::Number), ["-2", "-1", "0", "1", "2"]);
        assert_eq!(
            labels(1e-5, 5e-5, 4, Scale::Number),
            ["0.00001", "0.00002", "0.00003", "0.00004", "0.00005"]
        );
        assert_eq!(labels(1e-9, 3e-9, 2, Scale::Number), ["1e-9", "2e-9", "3e-9"]);
        assert_eq!(labels(0.0, 3_500.0, 4, Scale::Number), ["0", "1000", "2000", "3000"]);
    }

    #[test]
    fn steps_have_no_fractions() {
        assert_eq!(labels(1.0, 3.0, 10, Scale::Step), ["1", "2", "3"]);
        assert_eq!(labels(5.0, 5.0, 5, Scale::Step), ["4", "5", "6"]);
    }

    #[test]
    fn durations_read_as_durations() {
        assert_eq!(labels(0.0, 60.0, 4, Scale::Seconds), ["0s", "15s", "30s", "45s", "1:00"]);
        assert_eq!(labels(0.0, 5400.0, 3, Scale::Seconds), ["0s", "30:00", "1h", "1h30"]);
        assert_eq!(labels(47_800.0, 47_830.0, 2, Scale::Seconds), ["13h16:45", "13h17:00"]);
        assert_eq!(labels(0.0, 400_000.0, 4, Scale::Seconds), ["0d", "2d", "4d"]);
    }

    #[test]
    fn logarithms_are_marked_at_round_numbers() {
        assert_eq!(labels(0.001, 10.0, 5, Scale::Log), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(
            labels(1e-12, 1.0, 4, Scale::Log),
            ["1e-12", "1e-8", "1e-4", "1"].map(|text| { if text == "1e-4" { "0.0001" } else { text } })
        );
        assert_eq!(labels(0.15, 2.5, 5, Scale::Log), ["0.2", "0.5", "1", "2"]);
        assert_eq!(labels(0.81, 0.89, 4, Scale::Log), ["0.82", "0.84", "0.86", "0.88"]);
        let axis = Axis::covering(0.01, 100.0, 5, Scale::Log);
        assert!((axis.fraction(1.0) - 0.5).abs() < 1e-9 && (axis.value_at(0.5) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn places_are_told_exactly() {
        let told =
            [(1204.0, Scale::Step), (12.5, Scale::Seconds), (90.0, Scale::Seconds), (3725.0, Scale::Seconds)];
        assert_eq!(told.map(|(value, scale)| place(value, scale)), ["1,204", "12.5s", "1:30", "1h02:05"]);
    }

    #[test]
    fn a_constant_gets_room_around_it() {
        let axis = Axis::covering(0.9, 0.9, 4, Scale::Number);
        assert!(axis.low < 0.9 && axis.high > 0.9);
        assert!((axis.fraction(0.9) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_range_has_a_finite_axis(
            low in prop::num::f64::ANY, high in prop::num::f64::ANY, at_most in 0usize..20, kind in 0u8..4,
        ) {
            let scale = [Scale::Number, Scale::Step, Scale::Seconds, Scale::Log][usize::from(kind)];
            let axis = Axis::covering(low, high, at_most, scale);
            prop_assert!(axis.low < axis.high && (axis.high - axis.low).is_finite());
            prop_assert!(axis.ticks.len() <= 101);
            for tick in &axis.ticks {
                prop_assert!((0.0..=1.0).contains(&axis.fraction(tick.value)));
                prop_assert!(!tick.label.is_empty() && tick.label.len() <= 24, "{}", tick.label);
            }
        }

        #[test]
        fn labels_of_one_axis_differ(low in -1e6f64..1e6, span in 1e-3f64..1e6, at_most in 2usize..10) {
            let axis = Axis::covering(low, low + span, at_most, Scale::Number);
            prop_assert!(axis.ticks.len() <= at_most + 1);
            for pair in axis.ticks.windows(2) {
                prop_assert_ne!(&pair[0].label, &pair[1].label);
            }
        }
    }
}
