//! Tests of bars.

use proptest::prelude::*;

use super::*;
use crate::tui::charts::testing::text_of;

fn of<'a>(values: &[(&'a str, Option<f64>)]) -> Bars<'a> {
    let bars = values.iter().enumerate().map(|(series, (name, value))| Bar { name, value: *value, series });
    Bars {
        bars: bars.collect(),
        order: Order::LargestFirst,
        format: number::accuracy,
        empty: "no finished runs yet",
    }
}

fn drawn(bars: &Bars<'_>, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    bars.draw(area, &mut buffer, &Theme::default());
    text_of(&buffer)
}

const MODELS: [(&str, Option<f64>); 4] =
    [("RandomForest", Some(0.86)), ("XGBoost", Some(0.89)), ("BERT", Some(0.93)), ("Untested", None)];

#[test]
fn upright_where_names_fit_else_lying() {
    insta::assert_snapshot!("upright", drawn(&of(&MODELS), 76, 18));
    insta::assert_snapshot!("lying", drawn(&of(&MODELS), 40, 13));
    insta::assert_snapshot!("low", drawn(&of(&MODELS), 40, 3));
    insta::assert_snapshot!("smallest", drawn(&of(&MODELS), 10, 3));
}

#[test]
fn long_and_odd_names_are_fitted() {
    let long = "a model with a name that is longer than any chart is wide, and then some";
    let bars = of(&[
        (long, Some(0.5)),
        ("日本語モデル", Some(0.7)),
        ("\u{1b}[31mred", Some(0.2)),
        ("nan", Some(f64::NAN)),
    ]);
    insta::assert_snapshot!(drawn(&bars, 60, 8));
}

#[test]
fn smallest_first_and_below_zero() {
    let mut bars = of(&[("slow", Some(40.0)), ("fast", Some(12.0)), ("odd", Some(-8.0))]);
    bars.order = Order::SmallestFirst;
    bars.format = number::milliseconds;
    insta::assert_snapshot!(drawn(&bars, 50, 6));
}

#[test]
fn a_length_is_in_proportion_from_zero() {
    let shown = drawn(&of(&[("a", Some(1.0)), ("b", Some(0.5))]), 50, 2 + 1);
    let lengths: Vec<usize> = shown.lines().map(|line| line.matches('█').count()).collect();
    assert_eq!(lengths[0], 2 * lengths[1]);
}

#[test]
fn nothing_to_show_says_so() {
    assert_eq!(drawn(&of(&[]), 40, 5).trim(), "no finished runs yet");
}

proptest! {
    #[test]
    fn no_data_and_no_size_is_a_panic(
        values in prop::collection::vec(("\\PC{0,12}", prop::option::of(prop::num::f64::ANY)), 0..30),
        width in 0u16..310, height in 0u16..101,
    ) {
        let named: Vec<(&str, Option<f64>)> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        drawn(&of(&named), width, height);
    }
}
