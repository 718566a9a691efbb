//! Points of a learning curve.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One measured value of one metric at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    pub name: String,
    pub step: i64,
    /// NaN and infinities are allowed; charts leave them out.
    pub value: f64,
    pub recorded_at: Timestamp,
}

/// Curves with fewer points and the same outline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// By name and step.
    pub points: Vec<MetricPoint>,
    /// How many points there are in all.
    pub recorded: u64,
}

/// Whether a metric is the better the smaller it is, by its name: losses, errors, times, memory.
pub fn is_better_small(name: &str) -> bool {
    ["loss", "error", "_ms", "_seconds", "_sec", "_mb", "time"].iter().any(|ending| name.ends_with(ending))
}
