//! A map of embeddings: vectors of many dimensions laid flat, along the two directions in which they differ most.

use super::document::Metadata;

/// A document with its vector and the beginning of its text.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentPoint {
    pub document_id: String,
    /// At most [`DocumentPoint::EXCERPT`] characters.
    pub excerpt: String,
    pub metadata: Metadata,
    /// As long as its model says; finite.
    pub embedding: Vec<f32>,
}

impl DocumentPoint {
    /// Characters of the text that come along.
    pub const EXCERPT: usize = 200;
}

/// Which documents of a model are wanted as points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Points {
    /// By id; those that are gone are left out.
    These(Vec<String>),
    /// At most so many: those whose contents have the smallest hashes, ties by id. As good as drawn by lot, but the same
    /// ones every time and in every store.
    Sample(u64),
}

/// A document in its place on the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    pub document_id: String,
    pub excerpt: String,
    pub metadata: Metadata,
    pub at: (f64, f64),
}

/// The documents of one model in the plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingMap {
    pub model_name: String,
    /// Documents of the model, drawn or not.
    pub documents: u64,
    /// A sample of them, without the hits.
    pub spots: Vec<Spot>,
    /// Those that were asked for, in that order.
    pub hits: Vec<Spot>,
    /// Where the question itself lies.
    pub query: Option<(f64, f64)>,
    /// Of the variance of the sample, what lies along each axis: 0 to 1.
    pub shares: [f64; 2],
}

/// Two directions at right angles, and the point that they start from.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    mean: Vec<f64>,
    axes: [Vec<f64>; 2],
    pub shares: [f64; 2],
}

/// Rounds of the power iteration. Directions that are still turning after so many differ as much as each other.
const ROUNDS: usize = 100;

/// A direction that turns by less than this (one minus the cosine) has been found.
const STILL: f64 = 1e-7;

impl Plane {
    /// The first two principal components of some vectors of one length, found by power iteration with deflation. The sign
    /// of an axis is free: its largest component is made positive, so that the same documents give the same map.
    ///
    /// Where all vectors are the same, or differ along one line only, the axes that are left out are zero.
    pub fn of(rows: &[&[f32]]) -> Plane {
        let dimension = rows.first().map_or(0, |row| row.len());
        let mut mean = vec![0.0; dimension];
        for row in rows {
            add(&mut mean, row, 1.0 / rows.len() as f64);
        }
        let variance: f64 =
            rows.iter().flat_map(|row| row.iter().zip(&mean)).map(|(x, m)| (f64::from(*x) - m).powi(2)).sum();
        let mut plane = Plane { mean, axes: [vec![0.0; dimension], vec![0.0; dimension]], shares: [0.0; 2] };
        for number in 0..2 {
            if let Some((axis, along)) =
                plane.next_axis(rows, number).filter(|(_, along)| *along > variance * 1e-12)
            {
                plane.axes[number] = axis;
                plane.shares[number] = along / variance;
            }
        }
        plane
    }

    /// Where a vector lies; one of another length is cut or filled up with the mean.
    pub fn place(&self, vector: &[f32]) -> (f64, f64) {
        let along = |axis: &[f64]| {
            let parts = vector.iter().zip(&self.mean).zip(axis);
            parts.map(|((x, mean), part)| (f64::from(*x) - mean) * part).sum()
        };
        (along(&self.axes[0]), along(&self.axes[1]))
    }

    /// The direction of the largest variance at right angles to the first `found` axes, and that variance times the number
    /// of rows.
    fn next_axis(&self, rows: &[&[f32]], found: usize) -> Option<(Vec<f64>, f64)> {
        // Any start will do that is not at right angles to the answer; irregular ones hardly ever are.
        let mut axis: Vec<f64> = (0..self.mean.len())
            .map(|place| ((place * 7919 + 104_729) % 1009) as f64 / 1009.0 - 0.4)
            .collect();
        self.straighten(&mut axis, found)?;
        let mut along = 0.0;
        for _ in 0..ROUNDS {
            let mut next = vec![0.0; axis.len()];
            let middle: f64 = self.mean.iter().zip(&axis).map(|(mean, part)| mean * part).sum();
            let mut sum = 0.0;
            for row in rows {
                let weight =
                    row.iter().zip(&axis).map(|(x, part)| f64::from(*x) * part).sum::<f64>() - middle;
                add(&mut next, row, weight);
                sum += weight;
            }
            next.iter_mut().zip(&self.mean).for_each(|(part, mean)| *part -= sum * mean);
            along = self.straighten(&mut next, found)?;
            let turned = 1.0 - axis.iter().zip(&next).map(|(old, new)| old * new).sum::<f64>();
            axis = next;
            if turned < STILL {
                break;
            }
        }
        let largest =
            axis.iter().copied().reduce(|most, part| if part.abs() > most.abs() { part } else { most })?;
        if largest < 0.0 {
            axis.iter_mut().for_each(|part| *part = -*part);
        }
        Some((axis, along))
    }

    /// Takes out what lies along the first axes and makes the length one; the length before, none where nothing is left.
    fn straighten(&self, direction: &mut [f64], found: usize) -> Option<f64> {
        for axis in &self.axes[..found] {
            let along: f64 = direction.iter().zip(axis).map(|(part, other)| part * other).sum();
            direction.iter_mut().zip(axis).for_each(|(part, other)| *part -= along * other);
        }
        let length = direction.iter().map(|part| part * part).sum::<f64>().sqrt();
        if !length.is_normal() {
            return None;
        }
        direction.iter_mut().for_each(|part| *part /= length);
        Some(length)
    }
}

fn add(sum: &mut [f64], row: &[f32], weight: f64) {
    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * f64::from(*x));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(rows: &[Vec<f32>]) -> Plane {
        Plane::of(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn near(one: (f64, f64), other: (f64, f64)) -> bool {
        (one.0 - other.0).abs() < 1e-3 && (one.1 - other.1).abs() < 1e-3
    }

    #[test]
    fn the_axes_are_those_of_the_largest_variance() {
        // An ellipse in the second and third of four dimensions, turned by 45 degrees, three times as long as wide.
        let turned = std::f64::consts::FRAC_1_SQRT_2;
        let row = |step: i32| {
            let angle = f64::from(step) * std::f64::consts::TAU / 40.0;
            let (long, wide) = (3.0 * angle.cos(), angle.sin());
            [5.0, 2.0 + turned * (long - wide), turned * (long + wide), -1.0].map(|x| x as f32).to_vec()
        };
        let rows: Vec<Vec<f32>> = (0..40).map(row).collect();
        let plane = plane(&rows);
        assert!(
            (plane.shares[0] - 0.9).abs() < 1e-3 && (plane.shares[1] - 0.1).abs() < 1e-3,
            "{:?}",
            plane.shares
        );
        assert!(near(plane.place(&rows[0]), (3.0, 0.0)), "{:?}", plane.place(&rows[0]));
        let (x, y) = plane.place(&rows[10]);
        assert!(near((x, y.abs()), (0.0, 1.0)), "{x} {y}");
        assert!(near(plane.place(&[5.0, 2.0, 0.0, -1.0]), (0.0, 0.0)));
    }

    #[test]
    fn what_does_not_differ_lies_in_one_place() {
        for rows in [vec![], vec![vec![1.0, 2.0]], vec![vec![1.0, 2.0]; 3]] {
            let plane = plane(&rows);
            assert_eq!((plane.place(&[1.0, 2.0]), plane.shares), ((0.0, 0.0), [0.0; 2]));
        }
        let line = plane(&[vec![0.0, 0.0], vec![1.0, 1.0], vec![2.0, 2.0]]);
        assert!((line.shares[0] - 1.0).abs() < 1e-9 && line.shares[1] < 1e-9);
    }
}
