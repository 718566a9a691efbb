//! The inner loops: SIMD for the processor at hand, chosen when the program runs.
//!
//! Two of three come from a crate, which is optimised in every profile. Both read memory as fast as it comes.

use simsimd::SpatialSimilarity;

/// Sum of products.
pub fn dot(one: &[f32], other: &[f32]) -> f32 {
    f32::dot(one, other).map_or(f32::NAN, |sum| sum as f32)
}

/// Sum of squared differences.
pub fn squared(one: &[f32], other: &[f32]) -> f32 {
    f32::sqeuclidean(one, other).map_or(f32::NAN, |sum| sum as f32)
}

/// Floats that are added up side by side, so that the compiler makes vectors of them.
const LANES: usize = 16;

/// Sum of absolute differences.
pub fn absolute(one: &[f32], other: &[f32]) -> f32 {
    let (ones, last_ones) = one.as_chunks::<LANES>();
    let (others, last_others) = other.as_chunks::<LANES>();
    let mut sums = [0_f32; LANES];
    for (ones, others) in ones.iter().zip(others) {
        for lane in 0..LANES {
            sums[lane] += (ones[lane] - others[lane]).abs();
        }
    }
    let rest: f32 = last_ones.iter().zip(last_others).map(|(one, other)| (one - other).abs()).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_summed_to_its_end() {
        for length in 0..70 {
            let one: Vec<f32> = (0..length).map(|place| place as f32 * 0.5 - 3.0).collect();
            let other: Vec<f32> = (0..length).map(|place| 7.0 - place as f32).collect();
            let sum = |term: fn(f64, f64) -> f64| -> f64 {
                one.iter().zip(&other).map(|(one, other)| term((*one).into(), (*other).into())).sum()
            };
            let near = |found: f32, exact: f64| {
                assert!((f64::from(found) - exact).abs() <= 1e-5 * exact.abs(), "{length}: {found} {exact}");
            };
            near(dot(&one, &other), sum(|one, other| one * other));
            near(squared(&one, &other), sum(|one, other| (one - other) * (one - other)));
            near(absolute(&one, &other), sum(|one, other| (one - other).abs()));
        }
    }
}
