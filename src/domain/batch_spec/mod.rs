//! A batch file: one description, many trials.

mod parse;
#[cfg(test)]
mod tests;
mod trials;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::process::{ProcessSpec, quoted};

pub use trials::{Trial, derived_seed};

/// Most experiments at once, and most trials of one batch: beyond them a slip of the finger is more likely.
pub const MOST_PARALLEL: u32 = 64;
pub const MOST_TRIALS: u64 = 100_000;

/// A checked batch file. `config/batches/README.md` documents every key.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSpec {
    pub name: String,
    pub dataset: String,
    pub runner: String,
    /// The settings' when none.
    pub steps: Option<u32>,
    /// Milliseconds; the settings' when none.
    pub delay_ms: Option<u64>,
    /// The command of the runner `process`.
    pub process: Option<ProcessSpec>,
    /// Experiments running at once.
    pub parallel: u32,
    /// The file's, or drawn when it names none; kept with the batch, so that a batch can be repeated.
    pub seed: u64,
    /// Only workers that have all of these take its trials.
    pub labels: Vec<String>,
    /// Runs of each configuration, each with a seed of its own.
    pub repeats: u32,
    pub objective: Objective,
    pub search: Search,
    /// In the order of the file; `model` is among them.
    pub params: Vec<(String, Param)>,
}

/// What is best.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    pub metric: String,
    pub goal: Goal,
}

impl Default for Objective {
    fn default() -> Self {
        Objective { metric: "accuracy".to_owned(), goal: Goal::Maximize }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    Maximize,
    Minimize,
}

/// How configurations are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Every combination of the lists.
    Grid,
    /// So many draws.
    Random { trials: u64 },
}

/// The values of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// One of these; a single value is a list of one.
    Choice(Vec<Value>),
    /// A number between the two.
    Uniform(f64, f64),
    /// A number between the two, each order of magnitude as likely.
    LogUniform(f64, f64),
    /// A whole number, both ends included.
    IntUniform(i64, i64),
}

/// What is wrong with a batch file: the file, the place in it, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct BatchSpecError {
    pub place: String,
    pub message: String,
}

impl BatchSpec {
    /// Reads and checks a file. Blocks.
    pub fn read(path: &Path) -> Result<Self, BatchSpecError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| BatchSpecError {
            place: place.clone(),
            message: format!("cannot be read: {error}"),
        })?;
        let mut spec = Self::parse(&text, &place)?;
        if let Some(process) = &mut spec.process {
            let whole = std::path::absolute(path).map_err(|error| BatchSpecError {
                place,
                message: format!("where it is cannot be told: {error}"),
            })?;
            process.settle(whole.parent().unwrap_or(&whole));
        }
        Ok(spec)
    }

    /// One line for people: "3 trials · grid · simulate · parallel 1".
    pub fn summary(&self) -> String {
        let (trials, search) = (self.trial_count(), &self.search);
        let plural = if trials == 1 { "trial" } else { "trials" };
        let labels = match self.labels.as_slice() {
            [] => String::new(),
            labels => format!(" · for workers with {}", labels.join(", ")),
        };
        let command = self.process.as_ref().map(|process| format!(" · {}", quoted(&process.command)));
        let command = command.unwrap_or_default();
        format!(
            "{trials} {plural} · {search} · {} · parallel {}{labels}{command}",
            self.runner, self.parallel
        )
    }

    /// The whole of it, as it is kept with the batch; [`BatchSpec::from_json`] reads it back.
    pub fn to_json(&self) -> Map<String, Value> {
        parse::to_json(self)
    }

    pub fn from_json(json: &Map<String, Value>) -> Result<Self, BatchSpecError> {
        parse::from_json(json)
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Search::Grid => f.write_str("grid"),
            Search::Random { .. } => f.write_str("random"),
        }
    }
}
