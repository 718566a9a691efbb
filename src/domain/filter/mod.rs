//! The filter language: a small typed tree that every backend compiles to bound parameters.

mod lex;
mod names;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something of an experiment that can be compared, sorted by, or shown as a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Field {
    Id,
    Name,
    /// `model`, `model_type`, `model_name`.
    Model,
    Dataset,
    Description,
    Status,
    Runner,
    Seed,
    Batch,
    Attempt,
    Note,
    /// Any of the tags.
    Tag,
    Created,
    Started,
    Finished,
    /// One of the published figures, by its column: `accuracy`, `inference_time_ms`, ...
    Figure(Figure),
    /// `params.NAME`
    Param(String),
    /// `metrics.NAME` of the final results, where it is not a published figure.
    Metric(String),
    /// `best(NAME)` and so on, over the points of the curve.
    Curve(Aggregate, String),
}

/// The typed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Figure {
    Accuracy,
    Precision,
    Recall,
    F1Score,
    TrainingTimeSeconds,
    InferenceTimeMs,
    MemoryUsageMb,
}

impl Figure {
    pub const ALL: [Figure; 7] = [
        Figure::Accuracy,
        Figure::Precision,
        Figure::Recall,
        Figure::F1Score,
        Figure::TrainingTimeSeconds,
        Figure::InferenceTimeMs,
        Figure::MemoryUsageMb,
    ];

    /// Its column in `experiments`.
    pub fn column(self) -> &'static str {
        match self {
            Figure::Accuracy => "accuracy",
            Figure::Precision => "precision",
            Figure::Recall => "recall",
            Figure::F1Score => "f1_score",
            Figure::TrainingTimeSeconds => "training_time_seconds",
            Figure::InferenceTimeMs => "inference_time_ms",
            Figure::MemoryUsageMb => "memory_usage_mb",
        }
    }
}

/// What is taken of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Aggregate {
    /// Maximum, but minimum for names that are better small (`loss`, `error`, `…_ms`, `…_seconds`).
    Best,
    Min,
    Max,
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `~`: a regular expression that matches somewhere.
    Matches,
}

/// A constant of the language.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Number(f64),
    Text(String),
    Bool(bool),
    /// A date, a time, or one counted from now: `2026-01-31`, `-7d`.
    Moment(jiff::Timestamp),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Field(Field),
    Literal(Literal),
}

/// The tree. An empty `And` is true, an empty `Or` false; the parser makes neither.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare { field: Field, comparison: Comparison, with: Operand },
    In { field: Field, values: Vec<Literal>, negated: bool },
}

/// Where a filter went wrong: a byte range of the text and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    pub text: String,
    pub start: usize,
    pub end: usize,
    pub message: String,
}

impl fmt::Display for FilterError {
    /// The text, a caret under the place, and the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = super::text::width(&self.text[..self.start]);
        let under = super::text::width(&self.text[self.start..self.end]).max(1);
        writeln!(f, "{}", self.text)?;
        writeln!(f, "{:before$}{}", "", "^".repeat(under))?;
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for FilterError {}
