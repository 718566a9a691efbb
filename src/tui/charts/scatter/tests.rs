//! Tests of scatter.

use proptest::prelude::*;

use super::*;
use crate::tui::charts::testing::text_of;

fn of<'a>(spots: &[(&'a str, f64, f64)]) -> Scatter<'a> {
    let spots = spots.iter().enumerate().map(|(series, (name, x, y))| Spot { name, x: *x, y: *y, series });
    Scatter {
        spots: spots.collect(),
        x_title: "inference time (ms)",
        y_title: "accuracy",
        empty: "no finished runs yet",
    }
}

fn drawn(scatter: &Scatter<'_>, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    scatter.draw(area, &mut buffer, &Theme::default());
    text_of(&buffer)
}

const MODELS: [(&str, f64, f64); 5] = [
    ("RandomForest", 15.15, 0.86),
    ("XGBoost", 12.1, 0.89),
    ("BERT", 43.65, 0.93),
    ("NeuralNet", 25.0, 0.91),
    ("Linear", 30.0, 0.80),
];

#[test]
fn models_and_their_front_at_several_sizes() {
    insta::assert_snapshot!("wide", drawn(&of(&MODELS), 78, 20));
    insta::assert_snapshot!("narrow", drawn(&of(&MODELS), 40, 12));
    insta::assert_snapshot!("low", drawn(&of(&MODELS), 30, 5));
    insta::assert_snapshot!("smallest", drawn(&of(&MODELS), 10, 3));
}

#[test]
fn a_crowd_keeps_its_names_apart() {
    let names: Vec<String> = (0..14).map(|model| format!("model-{model:02}")).collect();
    let spots: Vec<(&str, f64, f64)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            (name.as_str(), 20.0 + (index % 5) as f64 * 0.3, 0.9 + (index / 5) as f64 * 0.001)
        })
        .chain([("far", 5.0, 0.7), ("日本語", 90.0, 0.99)])
        .collect();
    insta::assert_snapshot!(drawn(&of(&spots), 70, 20));
}

#[test]
fn one_point_and_none() {
    insta::assert_snapshot!("one_point", drawn(&of(&[("BERT", 43.65, 0.93)]), 40, 10));
    assert_eq!(drawn(&of(&[("nan", f64::NAN, 0.1)]), 40, 5).trim(), "no finished runs yet");
}

#[test]
fn the_front_holds_what_no_other_beats() {
    let scatter = of(&MODELS);
    let names: Vec<&str> = front(&scatter.spots).into_iter().map(|index| scatter.spots[index].name).collect();
    assert_eq!(names, ["XGBoost", "NeuralNet", "BERT"]);
}

#[test]
fn of_two_equally_fast_the_more_accurate_is_on_the_front() {
    let scatter = of(&[("worse", 10.0, 0.7), ("better", 10.0, 0.8)]);
    assert_eq!(front(&scatter.spots), [1]);
}

proptest! {
    #[test]
    fn names_never_cover_a_name_or_a_point(
        spots in prop::collection::vec((0u16..60, 0u16..20, "[a-zé日]{1,14}"), 1..40),
    ) {
        let area = Rect::new(3, 2, 60, 20);
        let mut board = Board::new(area);
        let place = |x: u16, y: u16| (x + area.x, y + area.y);
        for (x, y, _) in &spots {
            board.occupy(place(*x, *y));
        }
        for (index, (x, y, name)) in spots.iter().enumerate() {
            board.name(index, place(*x, *y), name);
        }
        let mut taken: Vec<(u16, u16)> = spots.iter().map(|(x, y, _)| place(*x, *y)).collect();
        taken.sort_unstable();
        taken.dedup();
        prop_assert_eq!(board.names().len() + board.left_out(), spots.len());
        for name in board.names() {
            for column in name.x..name.x + width(&name.text) as u16 {
                prop_assert!(area.contains((column, name.y).into()));
                prop_assert!(!taken.contains(&(column, name.y)));
                taken.push((column, name.y));
            }
        }
    }

    #[test]
    fn the_front_is_beaten_by_none(spots in prop::collection::vec((0f64..10.0, 0f64..1.0), 1..40)) {
        let spots: Vec<Spot<'_>> = spots.iter().map(|&(x, y)| Spot { name: "", x, y, series: 0 }).collect();
        let front = front(&spots);
        prop_assert!(!front.is_empty());
        let beaten = |one: &Spot<'_>| spots.iter().any(|other| other.x < one.x && other.y > one.y);
        for index in &front {
            prop_assert!(!beaten(&spots[*index]));
        }
    }

    #[test]
    fn no_data_and_no_size_is_a_panic(
        spots in prop::collection::vec(("\\PC{0,12}", prop::num::f64::ANY, prop::num::f64::ANY), 0..30),
        width in 0u16..310, height in 0u16..101,
    ) {
        let spots: Vec<(&str, f64, f64)> = spots.iter().map(|(name, x, y)| (name.as_str(), *x, *y)).collect();
        drawn(&of(&spots), width, height);
    }
}
