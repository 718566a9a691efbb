//! What attempts add to their experiments on DuckDB: points and outcomes of many, in one transaction.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use duckdb::{Connection, params};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::experiment::{Experiment, ExperimentId, Figures};
use crate::domain::performance::PerformanceRow;
use crate::store::experiments::Entry;
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::error::from_duckdb;
use super::experiments::list_of;
use super::row::{self, micros};
use super::{outbox, performance};

const DOING: &str = "writing experiments";

/// Writes what may be written of `entries` and answers each; see `ExperimentStore::commit`.
pub fn commit(
    connection: &Connection,
    path: &Path,
    entries: &[Entry],
) -> Result<Vec<Result<Option<Experiment>>>> {
    let failed = |error| from_duckdb(error, DOING, path);
    let standing = standing(connection, entries).map_err(failed)?;
    let mut ended = HashSet::new();
    let refused: Vec<Option<StoreError>> =
        entries.iter().map(|entry| refusal(entry, &standing, &mut ended)).collect();
    let open: Vec<&Entry> = entries
        .iter()
        .zip(&refused)
        .filter(|(_, refused)| refused.is_none())
        .map(|(entry, _)| entry)
        .collect();
    append(connection, &open).map_err(failed)?;
    let mut finished = finish(connection, &open).map_err(failed)?;
    for documents in
        open.iter().filter(|entry| entry.outcome.is_some()).filter_map(|entry| entry.documents.as_ref())
    {
        outbox::put(connection, path, DOING, documents)?;
    }
    let rows: Vec<PerformanceRow> = finished.values().filter_map(PerformanceRow::of).collect();
    performance::put(connection, &rows, performance::EMBEDDED).map_err(failed)?;
    let answers = entries.iter().zip(refused).map(|(entry, refused)| match (refused, &entry.outcome) {
        (Some(error), _) => Err(error),
        (None, None) => Ok(None),
        (None, Some(_)) => Ok(finished.remove(&entry.id)),
    });
    Ok(answers.collect())
}

/// Attempt and status of the experiments that entries are for.
fn standing(
    connection: &Connection,
    entries: &[Entry],
) -> duckdb::Result<HashMap<ExperimentId, (i32, String)>> {
    let ids: Vec<ExperimentId> = entries.iter().map(|entry| entry.id).collect();
    let sql =
        format!("SELECT id, attempt, status FROM ml_schema.experiments WHERE id IN ({})", list_of(&ids));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    rows.collect()
}

/// Why an entry may not be written; none when it may.
fn refusal(
    entry: &Entry,
    standing: &HashMap<ExperimentId, (i32, String)>,
    ended: &mut HashSet<ExperimentId>,
) -> Option<StoreError> {
    let id = entry.id;
    let error = |kind, message| StoreError::new(kind, Backend::DuckDb, DOING, message);
    let Some((attempt, status)) = standing.get(&id) else {
        let missing = error(ErrorKind::NotFound, format!("there is no experiment {id}"));
        return Some(missing.remedy("`labtop ls` lists those there are."));
    };
    if let Some(outcome) = &entry.outcome
        && !outcome.status.is_final()
    {
        return Some(error(ErrorKind::Invalid, format!("'{}' is no final status", outcome.status)));
    }
    if *attempt != entry.attempt {
        let message = format!("experiment {id} is at attempt {attempt}, not {}", entry.attempt);
        return Some(error(ErrorKind::Conflict, message));
    }
    if !matches!(status.as_str(), "queued" | "running") {
        return Some(error(ErrorKind::Conflict, format!("experiment {id} is {status} already")));
    }
    let late = ended.contains(&id);
    if entry.outcome.is_some() {
        ended.insert(id);
    }
    late.then(|| error(ErrorKind::Conflict, format!("experiment {id} has ended already")))
}

fn append(connection: &Connection, entries: &[&Entry]) -> duckdb::Result<()> {
    if entries.iter().all(|entry| entry.points.is_empty()) {
        return Ok(());
    }
    let mut appender = connection.appender_to_db("experiment_metrics", "ml_schema")?;
    for entry in entries {
        for point in &entry.points {
            appender.append_row(params![
                entry.id,
                entry.attempt,
                point.name,
                point.step,
                point.value,
                micros(point.recorded_at)
            ])?;
        }
    }
    appender.flush()
}

/// An outcome as one object of the JSON list that [`FINISH`] takes apart; DuckDB binds no list of rows.
fn ending(entry: &Entry) -> Option<Value> {
    let outcome = entry.outcome.as_ref()?;
    let figures = Figures::from_results(&outcome.results);
    Some(json!({
        "id": entry.id,
        "status": outcome.status.as_str(),
        "results": Value::Object(outcome.results.clone()).to_string(),
        "accuracy": figures.accuracy,
        "precision": figures.precision,
        "recall": figures.recall,
        "f1_score": figures.f1_score,
        "training_time_seconds": figures.training_time_seconds,
        "inference_time_ms": figures.inference_time_ms,
        "memory_usage_mb": figures.memory_usage_mb,
        "error": outcome.error,
        "finished_us": outcome.finished_at.unwrap_or_else(Timestamp::now).as_microsecond(),
    }))
}

const FINISH: &str = r#"
UPDATE ml_schema.experiments AS e SET status = n.status, results = n.results::JSON, accuracy = n.accuracy,
    precision = n.precision, recall = n.recall, f1_score = n.f1_score,
    training_time_seconds = n.training_time_seconds, inference_time_ms = n.inference_time_ms,
    memory_usage_mb = n.memory_usage_mb, error = n.error, finished_at = make_timestamp(n.finished_us), worker = NULL
FROM (SELECT unnest(from_json(?::JSON, '[{"id": "BIGINT", "status": "VARCHAR", "results": "VARCHAR",
    "accuracy": "DOUBLE", "precision": "DOUBLE", "recall": "DOUBLE", "f1_score": "DOUBLE",
    "training_time_seconds": "DOUBLE", "inference_time_ms": "DOUBLE", "memory_usage_mb": "DOUBLE",
    "error": "VARCHAR", "finished_us": "BIGINT"}]'), recursive := true)) AS n
WHERE e.id = n.id"#;

fn finish(connection: &Connection, entries: &[&Entry]) -> duckdb::Result<HashMap<ExperimentId, Experiment>> {
    let endings: Vec<Value> = entries.iter().filter_map(|entry| ending(entry)).collect();
    if endings.is_empty() {
        return Ok(HashMap::new());
    }
    // Naming the rows lets DuckDB pass over the parts of a large table that hold none of them.
    let ids: Vec<ExperimentId> =
        entries.iter().filter(|entry| entry.outcome.is_some()).map(|entry| entry.id).collect();
    let sql = format!("{FINISH} AND e.id IN ({}) RETURNING {}", list_of(&ids), row::EXPERIMENT);
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([Value::Array(endings).to_string()], row::experiment)?;
    rows.map(|row| row.map(|experiment| (experiment.id, experiment))).collect()
}
