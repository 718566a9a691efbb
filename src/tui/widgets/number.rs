//! Figures as a person reads them: as many digits as they deserve, and a dash where nothing was measured.

use std::time::Duration;

use jiff::Timestamp;

/// What stands where nothing was measured.
pub const NOTHING: &str = "–";

/// Three decimals: `0.913`.
pub fn accuracy(value: Option<f64>) -> String {
    measured(value, |value| fixed_or_short(value, 3))
}

/// One decimal, without the unit: `11.9`.
pub fn milliseconds(value: Option<f64>) -> String {
    measured(value, |value| fixed_or_short(value, 1))
}

/// A given number of decimals.
pub fn fixed(value: Option<f64>, decimals: usize) -> String {
    measured(value, |value| fixed_or_short(value, decimals))
}

/// About four significant digits, see [`short`].
pub fn brief(value: Option<f64>) -> String {
    measured(value, short)
}

/// With the unit: `172s`, `4.2s` below ten.
pub fn seconds(value: Option<f64>) -> String {
    measured(value, |value| {
        let decimals = usize::from(value.abs() < 10.0 && value.fract() != 0.0);
        format!("{}s", fixed_or_short(value, decimals))
    })
}

/// Four decimals: `0.1234`, as the published example prints a distance.
pub fn distance(value: f64) -> String {
    measured(Some(value), |value| fixed_or_short(value, 4))
}

/// About four significant digits, whatever the size.
pub fn short(value: f64) -> String {
    measured(Some(value), |value| {
        let size = value.abs();
        if value == 0.0 {
            "0".to_owned()
        } else if !(1e-4..1e7).contains(&size) {
            format!("{value:.2e}")
        } else {
            let whole_digits = if size < 1.0 { 0 } else { size.log10() as usize + 1 };
            let leading_zeros = if size < 1.0 { (-size.log10()).floor() as usize } else { 0 };
            trim_zeros(&format!("{value:.*}", 4usize.saturating_sub(whole_digits) + leading_zeros))
        }
    })
}

/// Thousands apart: `1,204`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `count` of something: `1 record`, `1,204 records`.
pub fn counted(value: u64, singular: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {singular}{plural}", count(value))
}

/// Binary units: `812 B`, `1.2 MiB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut size = value as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// How long ago, in the largest whole unit: `now`, `42s`, `5m`, `3h`, `12d`, `2y`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    match seconds {
        ..=0 => "now".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        86_400..31_536_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

/// What an answer took: `0.4 ms`, `12 ms`, `1.24 s`.
pub fn took(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 1000.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.2} s", milliseconds / 1000.0)
    }
}

fn measured(value: Option<f64>, format: impl Fn(f64) -> String) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(value) if value.is_nan() => "NaN".to_owned(),
        Some(f64::INFINITY) => "∞".to_owned(),
        Some(f64::NEG_INFINITY) => "-∞".to_owned(),
        Some(value) => format(value),
    }
}

/// Fixed decimals, but the exponent form where that would fill the column or show nothing but zeros.
fn fixed_or_short(value: f64, decimals: usize) -> String {
    let smallest = 0.5 * 10f64.powi(-i32::try_from(decimals).unwrap_or(i32::MAX));
    let vanishes = value != 0.0 && value.abs() < smallest;
    if vanishes || value.abs() >= 1e9 { format!("{value:.1e}") } else { format!("{value:.decimals$}") }
}

fn trim_zeros(digits: &str) -> String {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        digits.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_in_the_published_example() {
        assert_eq!(accuracy(Some(0.9134)), "0.913");
        assert_eq!(milliseconds(Some(11.94)), "11.9");
        assert_eq!(seconds(Some(172.4)), "172s");
        assert_eq!(seconds(Some(4.23)), "4.2s");
        assert_eq!(distance(0.123_449), "0.1234");
    }

    #[test]
    fn what_is_missing_or_no_number_says_so() {
        assert_eq!(accuracy(None), "–");
        assert_eq!(accuracy(Some(f64::NAN)), "NaN");
        assert_eq!(seconds(Some(f64::INFINITY)), "∞");
        assert_eq!(short(f64::NEG_INFINITY), "-∞");
    }

    #[test]
    fn a_small_value_is_not_shown_as_zero() {
        assert_eq!(accuracy(Some(0.00002)), "2.0e-5");
        assert_eq!(accuracy(Some(0.0)), "0.000");
        assert_eq!(seconds(Some(1e300)), "1.0e300s");
    }

    #[test]
    fn short_keeps_four_digits() {
        let shown = [0.0, 1.0, 0.25, 1234.5678, 0.001_234_56, 2e-5, 12_345_678.0].map(short);
        assert_eq!(shown, ["0", "1", "0.25", "1235", "0.001235", "2.00e-5", "1.23e7"]);
    }

    #[test]
    fn counts_bytes_ages() {
        assert_eq!([0, 999, 1204, 1_000_000].map(count), ["0", "999", "1,204", "1,000,000"]);
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!([812, 1_258_291].map(bytes), ["812 B", "1.2 MiB"]);
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let ages = [0, 42, 300, 10_800, 1_036_800, 70_000_000]
            .map(|ago| age(Timestamp::from_second(1_000_000_000 - ago).unwrap(), now));
        assert_eq!(ages, ["now", "42s", "5m", "3h", "12d", "2y"]);
        assert_eq!(took(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(took(Duration::from_millis(1240)), "1.24 s");
    }
}
