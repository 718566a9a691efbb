//! Names of fields: from text, to text, and the nearest one to a slip of the finger.

use std::fmt;

use super::{Aggregate, Field, Figure, FilterError, lex};
use crate::domain::spelling;

/// Names that need no prefix, as they are printed.
const COLUMNS: [(&str, Field); 15] = [
    ("id", Field::Id),
    ("name", Field::Name),
    ("model", Field::Model),
    ("dataset", Field::Dataset),
    ("description", Field::Description),
    ("status", Field::Status),
    ("runner", Field::Runner),
    ("seed", Field::Seed),
    ("batch", Field::Batch),
    ("attempt", Field::Attempt),
    ("note", Field::Note),
    ("tag", Field::Tag),
    ("created", Field::Created),
    ("started", Field::Started),
    ("finished", Field::Finished),
];

/// Other spellings of the same columns.
const ALIASES: [(&str, &str); 6] = [
    ("model_type", "model"),
    ("tags", "tag"),
    ("batch_id", "batch"),
    ("created_at", "created"),
    ("started_at", "started"),
    ("finished_at", "finished"),
];

const AGGREGATES: [(&str, Aggregate); 4] =
    [("best", Aggregate::Best), ("min", Aggregate::Min), ("max", Aggregate::Max), ("last", Aggregate::Last)];

impl Field {
    /// A sort key or a column: `accuracy`, `params.learning_rate`, `best(loss)`.
    pub fn parse(text: &str) -> Result<Field, FilterError> {
        let wrong = |message: String| lex::error(text, 0, text.len(), message);
        let trimmed = text.trim();
        let call = trimmed.split_once('(').filter(|(function, _)| function.chars().all(char::is_alphabetic));
        if let Some((function, rest)) = call {
            let argument = rest.strip_suffix(')').ok_or_else(|| wrong("expected ) at the end".to_owned()))?;
            return curve(function, argument).map_err(wrong);
        }
        named(trimmed).map_err(wrong)
    }

    /// Every name that stands for itself, for completion.
    pub fn known_names() -> Vec<String> {
        let columns = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
        let figures = Figure::ALL.iter().map(|figure| figure.column().to_owned());
        columns.chain(figures).collect()
    }
}

/// A field by its name; or what is wrong with the name.
pub fn named(name: &str) -> Result<Field, String> {
    if let Some(parameter) = strip(name, &["params.", "param.", "parameters."]) {
        return Ok(Field::Param(unquoted(parameter)));
    }
    if let Some(metric) = strip(name, &["metrics.", "metric.", "results."]) {
        let metric = unquoted(metric);
        return Ok(figure(&metric).map_or(Field::Metric(metric), Field::Figure));
    }
    let plain = spelling::in_experiments(name);
    let plain = ALIASES.iter().find(|(alias, _)| *alias == plain).map_or(plain, |(_, column)| column);
    if let Some((_, field)) = COLUMNS.iter().find(|(column, _)| *column == plain) {
        return Ok(field.clone());
    }
    figure(plain).map(Field::Figure).ok_or_else(|| {
        let nearest = Field::known_names().into_iter().min_by_key(|known| distance(known, name));
        let near =
            nearest.filter(|known| distance(known, name) <= 2).map(|known| format!("did you mean {known}? "));
        let near = near.unwrap_or_default();
        format!("unknown name '{name}': {near}parameters are params.NAME, other metrics are metrics.NAME")
    })
}

/// `best(accuracy)` and its kin.
pub fn curve(function: &str, metric: &str) -> Result<Field, String> {
    let metric = strip(metric.trim(), &["metrics.", "metric."]).unwrap_or(metric.trim());
    if metric.is_empty() {
        return Err(format!("{function}() needs the name of a metric"));
    }
    let known = AGGREGATES.iter().find(|(name, _)| *name == function.trim());
    let (_, aggregate) =
        known.ok_or_else(|| format!("unknown function '{function}' (known: best, min, max, last)"))?;
    Ok(Field::Curve(*aggregate, unquoted(metric)))
}

impl fmt::Display for Field {
    /// The name that [`Field::parse`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Figure(figure) => f.pad(figure.column()),
            Field::Param(name) => f.pad(&format!("params.{}", quoted(name))),
            Field::Metric(name) => f.pad(&format!("metrics.{}", quoted(name))),
            Field::Curve(aggregate, name) => {
                let function =
                    AGGREGATES.iter().find(|(_, known)| known == aggregate).map_or("best", |(name, _)| name);
                f.pad(&format!("{function}({})", quoted(name)))
            }
            column => {
                let name = COLUMNS.iter().find(|(_, field)| field == column).map_or("id", |(name, _)| name);
                f.pad(name)
            }
        }
    }
}

/// Names that are no words stand between backquotes.
fn quoted(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    if plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

fn unquoted(name: &str) -> String {
    match name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => name.to_owned(),
    }
}

fn figure(name: &str) -> Option<Figure> {
    let name = spelling::in_experiments(name);
    Figure::ALL.into_iter().find(|figure| figure.column() == name)
}

fn strip<'a>(name: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).filter(|rest| !rest.is_empty())
}

/// Levenshtein distance: letters to add, drop or change.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(a != *b)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[right.len()]
}
