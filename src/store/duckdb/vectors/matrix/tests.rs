//! The nearest rows of small matrices, worked out by hand.

use super::*;

fn ids(names: &[&str]) -> Keys {
    let mut text = String::new();
    let mut ends = Vec::new();
    for name in names {
        text.push_str(name);
        ends.push(text.len() as u32);
    }
    Keys::Ids { text, ends }
}

fn matrix() -> Matrix {
    let values = vec![3.0, 4.0, 0.0, 0.0, 1.0, 0.0, 6.0, 8.0];
    Matrix::new(2, values, ids(&["d", "zero", "x", "b"]))
}

fn asked(measure: Measure, limit: usize) -> Asked {
    Asked { vector: vec![3.0, 4.0], measure, limit, rows: None }
}

fn names(matrix: &Matrix, asked: &Asked) -> Vec<(String, f64)> {
    let found = matrix.nearest(asked, &AtomicBool::new(false)).unwrap();
    let name = |row| match matrix.key(row) {
        KeyOf::Id(id) => id.to_owned(),
        KeyOf::Position(position) => position.to_string(),
    };
    found.into_iter().map(|one| (name(one.row), (one.distance * 1e6).round() / 1e6)).collect()
}

#[test]
fn ties_go_by_id_and_what_has_no_direction_comes_last() {
    let found = names(&matrix(), &asked(Measure::Cosine { without: f64::NAN }, 9));
    assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["b", "d", "x", "zero"]);
    assert!(found[3].1.is_nan());
    let found = names(&matrix(), &asked(Measure::Cosine { without: f64::NAN }, 1));
    assert_eq!(found, [("b".to_owned(), 0.0)]);
}

#[test]
fn every_measure_has_its_formula() {
    let of = |measure| names(&matrix(), &asked(measure, 9));
    let named =
        |pairs: &[(&str, f64)]| pairs.iter().map(|(id, far)| ((*id).to_owned(), *far)).collect::<Vec<_>>();
    assert_eq!(of(Measure::L2), named(&[("d", 0.0), ("x", 4.472136), ("b", 5.0), ("zero", 5.0)]));
    assert_eq!(of(Measure::L2Squared), named(&[("d", 0.0), ("x", 20.0), ("b", 25.0), ("zero", 25.0)]));
    assert_eq!(
        of(Measure::Ip { from: 0.0 }),
        named(&[("b", -50.0), ("d", -25.0), ("x", -3.0), ("zero", 0.0)])
    );
    assert_eq!(of(Measure::Ip { from: 1.0 })[0], ("b".to_owned(), -49.0));
    assert_eq!(of(Measure::L1), named(&[("d", 0.0), ("x", 6.0), ("b", 7.0), ("zero", 7.0)]));
}

#[test]
fn only_the_rows_that_are_named_are_measured() {
    let matrix = matrix();
    let rows = matrix.rows_of(["zero", "no such", "b", "d"].into_iter().map(KeyOf::Id));
    assert_eq!(rows, [1, 3, 0]);
    let asked = Asked { rows: Some(rows), ..asked(Measure::L2, 2) };
    assert_eq!(names(&matrix, &asked).into_iter().map(|one| one.0).collect::<Vec<_>>(), ["d", "b"]);
    let none = Asked { rows: Some(Vec::new()), ..asked };
    assert_eq!(names(&matrix, &none), []);
}

#[test]
fn threads_change_nothing_and_stop_when_told() {
    let rows = 3000;
    let values: Vec<f32> = (0..rows * 3).map(|place| ((place * 7919) % 13) as f32).collect();
    let matrix = Matrix::new(3, values, Keys::Positions((0..rows as i64).rev().collect()));
    let asked = Asked { vector: vec![1.0, 2.0, 3.0], measure: Measure::L2, limit: 50, rows: None };
    let go_on = AtomicBool::new(false);
    let one = matrix.nearest_with(&asked, &go_on, 1).unwrap();
    assert_eq!(one.len(), 50);
    for threads in [2, 3, 7] {
        assert_eq!(matrix.nearest_with(&asked, &go_on, threads).unwrap(), one);
    }
    assert_eq!(matrix.nearest_with(&asked, &AtomicBool::new(true), 2), None);
}
