//! Tests of curve.

use proptest::prelude::*;
use ratatui::style::Color;

use super::*;
use crate::tui::charts::testing::text_of;

fn course(shift: f64) -> Vec<Point> {
    (1..=30).map(|step| (f64::from(step), shift - 0.4 / f64::from(step))).collect()
}

fn drawn(curve: &Curve<'_>, width: u16, height: u16) -> String {
    drawn_with(curve, width, height, &Theme::default())
}

fn drawn_with(curve: &Curve<'_>, width: u16, height: u16, theme: &Theme) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    curve.draw(area, &mut buffer, theme);
    text_of(&buffer)
}

fn of<'a>(lines: &[(&'a str, &'a [Point])]) -> Curve<'a> {
    let lines = lines
        .iter()
        .enumerate()
        .map(|(series, (name, points))| CurveLine { name, points, series, not_finite: 0 })
        .collect();
    let (y_title, x_title, empty) = ("accuracy", "step", "no points yet");
    Curve { lines, y_title, x_title, x_scale: Scale::Step, empty, ..Curve::default() }
}

#[test]
fn two_runs_at_several_sizes() {
    let (one, two) = (course(0.91), course(0.85));
    let curve = of(&[("#1204 XGBoost on sentiment_v3", &one), ("#1203 日本語モデル", &two)]);
    insta::assert_snapshot!("wide", drawn(&curve, 78, 18));
    insta::assert_snapshot!("narrow", drawn(&curve, 36, 10));
    insta::assert_snapshot!("low", drawn(&curve, 30, 5));
    insta::assert_snapshot!("smallest", drawn(&curve, 10, 3));
    insta::assert_snapshot!("too_small", drawn(&curve, 9, 3));
}

#[test]
fn more_names_than_the_legend_holds() {
    let points = course(0.9);
    let names: Vec<String> = (0..40).map(|run| format!("#{run} a run with a long name")).collect();
    let lines: Vec<(&str, &[Point])> = names.iter().map(|name| (name.as_str(), points.as_slice())).collect();
    insta::assert_snapshot!(drawn(&of(&lines), 60, 12));
}

#[test]
fn one_point_a_constant_and_nothing_at_all() {
    insta::assert_snapshot!("one_point", drawn(&of(&[("only", &[(3.0, 0.5)])]), 40, 9));
    let constant: Vec<Point> = (0..20).map(|step| (f64::from(step), 0.75)).collect();
    insta::assert_snapshot!("constant", drawn(&of(&[("flat", &constant)]), 40, 9));
    insta::assert_snapshot!("empty", drawn(&of(&[("none", &[(1.0, f64::NAN)])]), 40, 9));
}

/// Where the dots and the axes are, without the line above that says what was left out.
fn plotted(text: &str) -> String {
    text.lines().skip(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_no_number_is_left_out_and_counted() {
    let with_gaps = [(0.0, 0.1), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 0.4)];
    let without = [(0.0, 0.1), (3.0, 0.4)];
    let shown = drawn(&of(&[("a", &with_gaps)]), 40, 12);
    assert_eq!(plotted(&shown), plotted(&drawn(&of(&[("a", &without)]), 40, 12)));
    assert!(shown.contains("2 NaN or infinite"), "{shown}");
}

#[test]
fn a_logarithmic_axis_says_what_it_cannot_show() {
    let falling: Vec<Point> =
        (0..40).map(|step| (f64::from(step), 10f64.powf(1.0 - f64::from(step) / 8.0))).collect();
    let mut points = falling.clone();
    points[3].1 = 0.0;
    points[4].1 = -1.0;
    let curve = Curve { log: true, ..of(&[("", &points)]) };
    insta::assert_snapshot!("logarithmic", drawn(&curve, 60, 14));
    let curve = Curve { log: true, ..of(&[("", &[(1.0, -1.0)])]) };
    assert!(drawn(&curve, 60, 14).contains("1 at or below 0 left out"));
}

#[test]
fn outliers_are_clipped_and_counted() {
    let mut points: Vec<Point> =
        (0..300).map(|step| (f64::from(step), f64::from(step % 10) / 10.0)).collect();
    points[150].1 = 1e6;
    let clipped = drawn(&Curve { clip: true, ..of(&[("", &points)]) }, 60, 14);
    assert!(clipped.contains("1 outside percentiles 1–99"), "{clipped}");
    assert!(!clipped.contains('k') && !clipped.contains('M'), "{clipped}");
}

#[test]
fn the_cursor_reads_every_line_and_a_line_that_ended_has_no_value() {
    let (long, short) = (course(0.9), course(0.5)[..10].to_vec());
    let curve = |cursor| Curve { cursor: Some(cursor), ..of(&[("long", &long), ("short", &short)]) };
    insta::assert_snapshot!("cursor", drawn(&curve(5.0), 60, 14));
    let shown = drawn(&curve(20.0), 60, 14);
    assert!(shown.contains("step 20") && shown.contains("short –"), "{shown}");
    let shown = drawn(&Curve { smoothing: Some(0.6), ..curve(f64::INFINITY) }, 60, 14);
    assert!(shown.contains("step 30") && shown.contains("(raw 0.8867)"), "{shown}");
}

#[test]
fn a_column_of_the_screen_has_a_place_on_the_axis() {
    let points = course(0.9);
    let curve = of(&[("", &points)]);
    let area = Rect::new(5, 5, 60, 14);
    let ends: Vec<f64> = (0..80).filter_map(|column| curve.x_at(area, column)).collect();
    assert_eq!((ends.first(), ends.last()), (Some(&1.0), Some(&30.0)));
}

#[test]
fn time_has_ticks_of_its_own_and_a_window_shows_a_part() {
    let points: Vec<Point> = (0..=720).map(|second| (f64::from(second) * 10.0, f64::from(second))).collect();
    let curve = Curve { x_scale: Scale::Seconds, x_title: "time", ..of(&[("", &points)]) };
    let shown = drawn(&curve, 70, 14);
    assert!(shown.contains("30:00") && shown.contains("2h"), "{shown}");
    let shown = drawn(&Curve { window: Some((0.0, 60.0)), ..curve.clone() }, 70, 14);
    assert!(shown.contains("10s") && !shown.contains("1h"), "{shown}");
    let shown = drawn(&Curve { window: Some((1.0, 2.0)), ..curve }, 70, 14);
    assert!(shown.contains("no point in this part"), "{shown}");
}

#[test]
fn smoothing_leaves_the_raw_curve_as_a_shadow() {
    let noisy: Vec<Point> =
        (0..60).map(|step| (f64::from(step), if step % 2 == 0 { 0.4 } else { 0.6 })).collect();
    let curve = Curve { smoothing: Some(0.9), ..of(&[("noisy", &noisy)]) };
    insta::assert_snapshot!(drawn(&curve, 60, 14));
}

#[test]
fn without_colours_lines_differ_by_marker_and_pattern() {
    let (one, two) = (course(0.91), course(0.85));
    let mono = Theme { series: vec![Color::Reset], ..Theme::default() };
    insta::assert_snapshot!(drawn_with(&of(&[("one", &one), ("two", &two)]), 50, 12, &mono));
}

#[test]
fn a_spike_among_a_million_points_is_seen() {
    let mut points: Vec<Point> = (0..1_000_000).map(|step| (f64::from(step), 0.5)).collect();
    points[500_000].1 = 1.0;
    let shown = drawn(&of(&[("spike", &points)]), 60, 12);
    let top_line = shown.lines().nth(2).unwrap();
    assert!(top_line.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{shown}");
}

proptest! {
    #[test]
    fn no_data_and_no_size_is_a_panic(
        points in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..40),
        name in "\\PC{0,20}", width in 0u16..120, height in 0u16..50, smoothing in prop::option::of(0f64..2.0),
        (log, clip, cursor) in (any::<bool>(), any::<bool>(), prop::option::of(prop::num::f64::ANY)),
    ) {
        let mut points = points;
        points.retain(|(x, _)| !x.is_nan());
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let curve = Curve { smoothing, log, clip, cursor, ..of(&[(&name, &points), ("second", &points)]) };
        drawn(&curve, width, height);
        curve.x_at(Rect::new(0, 0, width, height), width / 2);
    }
}
