//! What a DuckDB store takes in.

use std::collections::{HashMap, HashSet};

use duckdb::types::Value;
use duckdb::{Connection, appender_params_from_iter, params};
use serde_json::json;
use uuid::Uuid;

use crate::domain::batch::Batch;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::performance::PerformanceRow;
use crate::store::transfer::{Which, WholeRun, may_replace};

use super::super::experiments::list_of;
use super::super::performance;
use super::super::row::{self, micros, optional_micros};
use super::look;

/// Ids are counted up one by one: a second's work at most.
const FARTHEST: i64 = 10_000_000;

/// Counts a sequence up to `last`, since DuckDB cannot set one; false when that is too far. Where it stands cannot be asked either:
/// after the file was opened anew the answer is one too high.
pub fn raise(connection: &Connection, sequence: &str, last: i64) -> duckdb::Result<bool> {
    if last <= 0 {
        return Ok(true);
    }
    let missing = last.saturating_sub(next(connection, sequence)?);
    if missing > FARTHEST {
        return Ok(false);
    }
    if missing > 0 {
        let sql = format!("SELECT max(nextval('ml_schema.{sequence}')) FROM range({missing})");
        connection.query_row(&sql, [], |_| Ok(()))?;
    }
    Ok(true)
}

pub fn batches(connection: &Connection, batches: &[Batch], keep_ids: bool) -> duckdb::Result<u64> {
    let mut taken = 0;
    for batch in batches {
        let key = batch.key.to_string();
        let known = "SELECT count(*) > 0 FROM ml_schema.batches WHERE key = ?::UUID";
        if connection.query_row(known, [&key], |row| row.get(0))? {
            continue;
        }
        let occupied = "SELECT count(*) > 0 FROM ml_schema.batches WHERE id = ?";
        let occupied: bool = connection.query_row(occupied, [batch.id], |row| row.get(0))?;
        let id = if keep_ids && !occupied { batch.id } else { next(connection, "batch_ids")? };
        connection.execute(
            "INSERT INTO ml_schema.batches (id, key, name, spec, parallel, created_at)
             VALUES (?, ?::UUID, ?, ?::JSON, ?, ?)",
            params![
                id,
                key,
                batch.name,
                row::json_text(&batch.spec),
                batch.parallel,
                micros(batch.created_at)
            ],
        )?;
        taken += 1;
    }
    Ok(taken)
}

fn next(connection: &Connection, sequence: &str) -> duckdb::Result<i64> {
    connection.query_row(&format!("SELECT nextval('ml_schema.{sequence}')"), [], |row| row.get(0))
}

pub fn runs(connection: &Connection, runs: &[WholeRun], keep_ids: bool) -> duckdb::Result<u64> {
    let placed = places(connection, runs, keep_ids)?;
    insert(connection, &placed)?;
    append_points(connection, &placed)?;
    let rows: Vec<PerformanceRow> = placed
        .iter()
        .filter_map(|(id, run)| {
            PerformanceRow::of(&run.experiment).map(|row| PerformanceRow { experiment_id: *id, ..row })
        })
        .collect();
    performance::put(connection, &rows, performance::EMBEDDED)?;
    Ok(placed.len() as u64)
}

/// The runs that may come in, each with its id; old ones in their way are deleted.
fn places<'a>(
    connection: &Connection,
    runs: &'a [WholeRun],
    keep_ids: bool,
) -> duckdb::Result<Vec<(ExperimentId, &'a WholeRun)>> {
    let known = standing(connection, runs)?;
    let wanted = runs.iter().map(|run| run.experiment.id).collect();
    let occupied: HashSet<ExperimentId> =
        look::identities(connection, &Which::Ids(wanted))?.iter().map(|identity| identity.id).collect();
    let mut placed = Vec::with_capacity(runs.len());
    let mut replaced = Vec::new();
    for run in runs {
        let experiment = &run.experiment;
        match known.get(&experiment.key) {
            Some((id, attempt, status, working)) => {
                if may_replace(*attempt, status, *working, experiment) {
                    replaced.push(*id);
                    placed.push((*id, run));
                }
            }
            None if keep_ids && !occupied.contains(&experiment.id) => placed.push((experiment.id, run)),
            None => placed.push((next(connection, "experiment_ids")?, run)),
        }
    }
    if !replaced.is_empty() {
        performance::remove(connection, &replaced, performance::EMBEDDED)?;
        let ids = list_of(&replaced);
        connection.execute_batch(&format!(
            "DELETE FROM ml_schema.experiment_metrics WHERE experiment_id IN ({ids});
             DELETE FROM ml_schema.experiments WHERE id IN ({ids})"
        ))?;
    }
    Ok(placed)
}

type Standing = HashMap<Uuid, (ExperimentId, i32, String, bool)>;

fn standing(connection: &Connection, runs: &[WholeRun]) -> duckdb::Result<Standing> {
    let keys: Vec<String> = runs.iter().map(|run| format!("'{}'::UUID", run.experiment.key)).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut statement = connection.prepare(&format!(
        "SELECT key::VARCHAR, id, attempt, status, worker IS NOT NULL FROM ml_schema.experiments WHERE key IN ({})",
        keys.join(", ")
    ))?;
    let rows = statement.query_map([], |found| {
        Ok((row::uuid(found, 0)?, (found.get(1)?, found.get(2)?, found.get(3)?, found.get(4)?)))
    })?;
    rows.collect()
}

/// Every column, its type on the way, and what is made of it; [`values`] has the same order.
const COLUMNS: [(&str, &str, &str); 33] = [
    ("id", "BIGINT", "id"),
    ("key", "VARCHAR", "key::UUID"),
    ("name", "VARCHAR", "name"),
    ("model_type", "VARCHAR", "model_type"),
    ("dataset", "VARCHAR", "dataset"),
    ("description", "VARCHAR", "description"),
    ("parameters", "VARCHAR", "parameters::JSON"),
    ("status", "VARCHAR", "status"),
    ("results", "VARCHAR", "results::JSON"),
    ("accuracy", "DOUBLE", "accuracy"),
    ("precision", "DOUBLE", "precision"),
    ("recall", "DOUBLE", "recall"),
    ("f1_score", "DOUBLE", "f1_score"),
    ("training_time_seconds", "DOUBLE", "training_time_seconds"),
    ("inference_time_ms", "DOUBLE", "inference_time_ms"),
    ("memory_usage_mb", "DOUBLE", "memory_usage_mb"),
    ("tags", "VARCHAR", "from_json(tags::JSON, '[\"VARCHAR\"]')"),
    ("note", "VARCHAR", "note"),
    ("runner", "VARCHAR", "runner"),
    ("seed", "BIGINT", "seed"),
    ("attempt", "INTEGER", "attempt"),
    ("batch_id", "BIGINT", "batch_id"),
    ("trial", "BIGINT", "trial"),
    ("created_at", "TIMESTAMP", "created_at"),
    ("started_at", "TIMESTAMP", "started_at"),
    ("finished_at", "TIMESTAMP", "finished_at"),
    ("heartbeat_at", "TIMESTAMP", "heartbeat_at"),
    ("worker", "VARCHAR", "worker"),
    ("host", "VARCHAR", "host"),
    ("command", "VARCHAR", "command"),
    ("git_commit", "VARCHAR", "git_commit"),
    ("archived_at", "TIMESTAMP", "archived_at"),
    ("error", "VARCHAR", "error"),
];

fn values(id: ExperimentId, run: &Experiment) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::BigInt);
    let figures = run.figures.named().map(|(_, figure)| figure.map_or(Value::Null, Value::Double));
    let mut values = vec![
        Value::BigInt(id),
        Value::Text(run.key.to_string()),
        text(&run.name),
        text(&run.model_type),
        text(&run.dataset),
        text(&run.description),
        Value::Text(row::json_text(&run.parameters)),
        text(run.status.as_str()),
        Value::Text(row::json_text(&run.results)),
    ];
    values.extend(figures);
    values.extend([
        Value::Text(json!(run.tags).to_string()),
        text(&run.note),
        text(&run.runner),
        number(run.seed),
        Value::Int(run.attempt),
        number(run.batch_id),
        number(run.trial),
        micros(run.created_at),
        optional_micros(run.started_at),
        optional_micros(run.finished_at),
        optional_micros(run.heartbeat_at),
        optional(&run.worker),
        optional(&run.host),
        optional(&run.command),
        optional(&run.git_commit),
        optional_micros(run.archived_at),
        optional(&run.error),
    ]);
    values
}

/// The appender knows neither JSON nor lists: these go in as text and are cast in one statement.
fn insert(connection: &Connection, placed: &[(ExperimentId, &WholeRun)]) -> duckdb::Result<()> {
    let list =
        |part: fn(&(&str, &str, &str)) -> String| COLUMNS.iter().map(part).collect::<Vec<_>>().join(", ");
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP TABLE incoming ({})",
        list(|(name, kind, _)| format!("{name} {kind}"))
    ))?;
    {
        let mut appender = connection.appender("incoming")?;
        for (id, run) in placed {
            appender.append_row(appender_params_from_iter(values(*id, &run.experiment)))?;
        }
        appender.flush()?;
    }
    connection.execute_batch(&format!(
        "INSERT INTO ml_schema.experiments ({}) SELECT {} FROM incoming ORDER BY id; DROP TABLE incoming",
        list(|(name, ..)| (*name).to_owned()),
        list(|(.., made)| (*made).to_owned()),
    ))
}

fn append_points(connection: &Connection, placed: &[(ExperimentId, &WholeRun)]) -> duckdb::Result<()> {
    let mut appender = connection.appender_to_db("experiment_metrics", "ml_schema")?;
    for (id, run) in placed {
        for point in &run.points {
            appender.append_row(params![
                id,
                run.experiment.attempt,
                point.name,
                point.step,
                point.value,
                micros(point.recorded_at)
            ])?;
        }
    }
    appender.flush()
}
