//! The trials of a batch: the same for the same file and seed, however many run at once.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::domain::experiment::Parameters;

use super::{BatchSpec, Param, Search};

/// One run that a batch asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// From 0, in the order of the batch.
    pub index: u64,
    pub model: String,
    /// Without the model.
    pub parameters: Parameters,
    /// Fits a signed 64-bit integer.
    pub seed: u64,
}

impl BatchSpec {
    /// Number of trials; saturates.
    pub fn trial_count(&self) -> u64 {
        let configurations = match self.search {
            Search::Random { trials } => trials,
            Search::Grid => self.params.iter().fold(1_u64, |count, (_, param)| match param {
                Param::Choice(values) => count.saturating_mul(values.len() as u64),
                _ => count,
            }),
        };
        configurations.saturating_mul(u64::from(self.repeats))
    }

    /// Every trial: a grid in the order of the file, the last parameter turning fastest; repeats beside each other.
    pub fn trials(&self) -> Vec<Trial> {
        let count = self.trial_count();
        (0..count)
            .map(|index| {
                let configuration = index / u64::from(self.repeats);
                let mut parameters = match self.search {
                    Search::Grid => self.combination(configuration),
                    Search::Random { .. } => self.draw(configuration),
                };
                let model = parameters.shift_remove("model");
                let model = model.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                Trial { index, model, parameters, seed: derived_seed(self.seed, index) }
            })
            .collect()
    }

    /// The `n`-th combination, read like the digits of a number.
    fn combination(&self, mut n: u64) -> Parameters {
        let mut chosen = Vec::with_capacity(self.params.len());
        for (name, param) in self.params.iter().rev() {
            if let Param::Choice(values) = param {
                let (turn, place) = (n / values.len() as u64, n % values.len() as u64);
                chosen.push((name.clone(), values[place as usize].clone()));
                n = turn;
            }
        }
        chosen.into_iter().rev().collect()
    }

    fn draw(&self, configuration: u64) -> Parameters {
        // A stream of its own for each configuration, apart from the seeds of the runs.
        let mut random = ChaCha8Rng::seed_from_u64(derived_seed(!self.seed, configuration));
        let value = |param: &Param, random: &mut ChaCha8Rng| match param {
            Param::Choice(values) => values[random.random_range(0..values.len())].clone(),
            Param::Uniform(low, high) => json!(random.random_range(*low..=*high)),
            Param::LogUniform(low, high) => {
                json!(random.random_range(low.ln()..=high.ln()).exp().clamp(*low, *high))
            }
            Param::IntUniform(low, high) => json!(random.random_range(*low..=*high)),
        };
        self.params.iter().map(|(name, param)| (name.clone(), value(param, &mut random))).collect()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014) of the seed and the index, cut to 63 bits for the databases' signed integers.
pub fn derived_seed(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 1
}
