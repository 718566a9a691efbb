//! Between DuckDB's values and ours.

use duckdb::types::{TimeUnit, Value as DuckValue};
use duckdb::{Row, ToSql};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::experiment::{Experiment, Figures, Status};

/// Columns of an experiment, in the order in which [`experiment`] reads them. JSON and lists travel as text, times as
/// microseconds.
pub const EXPERIMENT: &str = "id, key::VARCHAR, name, model_type, dataset, coalesce(description, ''), \
    coalesce(parameters, '{}')::VARCHAR, status, coalesce(results, '{}')::VARCHAR, \
    accuracy, precision, recall, f1_score, training_time_seconds, inference_time_ms, memory_usage_mb, \
    to_json(tags)::VARCHAR, note, runner, seed, attempt, batch_id, trial, epoch_us(created_at), \
    epoch_us(started_at), epoch_us(finished_at), epoch_us(heartbeat_at), worker, host, command, git_commit, \
    epoch_us(archived_at), error";

/// How many they are.
pub const EXPERIMENT_COLUMNS: usize = 33;

pub fn experiment(row: &Row<'_>) -> duckdb::Result<Experiment> {
    Ok(Experiment {
        id: row.get(0)?,
        key: uuid(row, 1)?,
        name: row.get(2)?,
        model_type: row.get(3)?,
        dataset: row.get(4)?,
        description: row.get(5)?,
        parameters: object(row, 6)?,
        status: status(row, 7)?,
        results: object(row, 8)?,
        figures: Figures {
            accuracy: row.get(9)?,
            precision: row.get(10)?,
            recall: row.get(11)?,
            f1_score: row.get(12)?,
            training_time_seconds: row.get(13)?,
            inference_time_ms: row.get(14)?,
            memory_usage_mb: row.get(15)?,
        },
        tags: json(row, 16)?,
        note: row.get(17)?,
        runner: row.get(18)?,
        seed: row.get(19)?,
        attempt: row.get(20)?,
        batch_id: row.get(21)?,
        trial: row.get(22)?,
        created_at: time(row, 23)?.unwrap_or(Timestamp::UNIX_EPOCH),
        started_at: time(row, 24)?,
        finished_at: time(row, 25)?,
        heartbeat_at: time(row, 26)?,
        worker: row.get(27)?,
        host: row.get(28)?,
        command: row.get(29)?,
        git_commit: row.get(30)?,
        archived_at: time(row, 31)?,
        error: row.get(32)?,
    })
}

pub fn status(row: &Row<'_>, column: usize) -> duckdb::Result<Status> {
    row.get::<_, String>(column)?.parse().map_err(|message| unreadable(column, message))
}

pub fn uuid(row: &Row<'_>, column: usize) -> duckdb::Result<Uuid> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: uuid::Error| unreadable(column, error.to_string()))
}

pub fn object(row: &Row<'_>, column: usize) -> duckdb::Result<Map<String, Value>> {
    json(row, column)
}

/// A JSON text as any value.
pub fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> duckdb::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error.to_string()))
}

pub fn time(row: &Row<'_>, column: usize) -> duckdb::Result<Option<Timestamp>> {
    let microseconds: Option<i64> = row.get(column)?;
    microseconds
        .map(|microseconds| {
            Timestamp::from_microsecond(microseconds).map_err(|error| unreadable(column, error.to_string()))
        })
        .transpose()
}

/// A time as DuckDB binds it: microseconds since 1970, UTC.
pub fn micros(at: Timestamp) -> DuckValue {
    DuckValue::Timestamp(TimeUnit::Microsecond, at.as_microsecond())
}

pub fn optional_micros(at: Option<Timestamp>) -> DuckValue {
    at.map_or(DuckValue::Null, micros)
}

pub fn json_text(values: &Map<String, Value>) -> String {
    Value::Object(values.clone()).to_string()
}

/// Parameters of a statement that is put together at run time.
pub type Parameters = Vec<Box<dyn ToSql + Send>>;

pub fn references(parameters: &Parameters) -> Vec<&dyn ToSql> {
    parameters.iter().map(|parameter| parameter.as_ref() as &dyn ToSql).collect()
}

pub fn unreadable(column: usize, message: String) -> duckdb::Error {
    duckdb::Error::FromSqlConversionFailure(column, duckdb::types::Type::Text, message.into())
}
