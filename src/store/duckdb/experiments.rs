//! The experiment store on DuckDB.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::types::Value;
use duckdb::{Connection, OptionalExt, appender_params_from_iter, params, params_from_iter};
use jiff::Timestamp;
use serde_json::json;

use crate::domain::experiment::{Edit, Experiment, ExperimentId, Figures, NewExperiment, Outcome, Status};
use crate::domain::metric::MetricPoint;
use crate::domain::performance::PerformanceRow;
use crate::store::experiments::{ExperimentPage, ExperimentQuery, ExperimentStore};
use crate::store::filter_sql::{self, Dialect};
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;
use super::performance;
use super::row::{self, micros, optional_micros};

/// See the module.
#[derive(Debug)]
pub struct Experiments {
    pub(super) engine: Arc<Engine>,
}

impl Experiments {
    pub fn new(engine: Arc<Engine>) -> Self {
        Experiments { engine }
    }
}

#[async_trait]
impl ExperimentStore for Experiments {
    async fn health(&self) -> Result<Health> {
        self.engine.health().await
    }

    async fn create(&self, new: &NewExperiment) -> Result<Experiment> {
        let new = new.clone();
        self.engine
            .write("creating experiment", move |connection, path| {
                let failed = |error| from_duckdb(error, "creating experiment", path);
                if let Some(known) = by_key(connection, &new).map_err(failed)? {
                    return Ok(known);
                }
                insert(connection, std::slice::from_ref(&new)).map_err(failed)?;
                let made = by_key(connection, &new).map_err(failed)?;
                made.ok_or_else(|| failed(duckdb::Error::QueryReturnedNoRows))
            })
            .await
    }

    async fn get(&self, id: ExperimentId) -> Result<Experiment> {
        self.engine
            .read_checked("reading experiment", move |connection, path| get(connection, path, id))
            .await
    }

    async fn list(&self, query: &ExperimentQuery) -> Result<ExperimentPage> {
        let query = query.clone();
        self.engine
            .read_checked("listing experiments", move |connection, path| list(connection, path, &query))
            .await
    }

    async fn record(&self, id: ExperimentId, attempt: i32, points: &[MetricPoint]) -> Result<()> {
        let points = points.to_vec();
        self.engine
            .write("recording metrics", move |connection, path| {
                current(&get(connection, path, id)?, attempt, "recording metrics")?;
                append(connection, id, attempt, &points)
                    .map_err(|error| from_duckdb(error, "recording metrics", path))
            })
            .await
    }

    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>> {
        self.engine.read("reading metrics", move |connection| points(connection, id)).await
    }

    async fn finish(&self, id: ExperimentId, attempt: i32, outcome: &Outcome) -> Result<Experiment> {
        let outcome = outcome.clone();
        self.engine
            .write("finishing experiment", move |connection, path| {
                current(&get(connection, path, id)?, attempt, "finishing experiment")?;
                let failed = |error| from_duckdb(error, "finishing experiment", path);
                finish(connection, id, &outcome).map_err(failed)?;
                let finished = get(connection, path, id)?;
                let row: Vec<_> = PerformanceRow::of(&finished).into_iter().collect();
                performance::put(connection, &row, performance::EMBEDDED).map_err(failed)?;
                Ok(finished)
            })
            .await
    }

    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment> {
        let edit = edit.clone();
        self.engine
            .write("editing experiment", move |connection, path| {
                let before = get(connection, path, id)?;
                change(connection, &before, &edit)
                    .map_err(|error| from_duckdb(error, "editing experiment", path))?;
                get(connection, path, id)
            })
            .await
    }

    async fn remove(&self, ids: &[ExperimentId]) -> Result<u64> {
        let ids = ids.to_vec();
        self.engine
            .write("deleting experiments", move |connection, path| {
                let running = running(connection, &ids)
                    .map_err(|error| from_duckdb(error, "deleting experiments", path))?;
                if let Some(id) = running {
                    let message = format!("experiment {id} is running; nothing was deleted");
                    return Err(StoreError::new(
                        ErrorKind::Conflict,
                        Backend::DuckDb,
                        "deleting experiments",
                        message,
                    )
                    .remedy("Cancel it first."));
                }
                remove(connection, &ids).map_err(|error| from_duckdb(error, "deleting experiments", path))
            })
            .await
    }

    fn keeps_performance(&self) -> bool {
        true
    }
}

fn by_key(connection: &Connection, new: &NewExperiment) -> duckdb::Result<Option<Experiment>> {
    let sql = format!("SELECT {} FROM ml_schema.experiments WHERE key = ?::UUID", row::EXPERIMENT);
    connection.query_row(&sql, [new.key.to_string()], row::experiment).optional()
}

/// Columns that a new experiment fills, and what is made of them; [`values`] has the same order.
const NEW: [(&str, &str, &str); 18] = [
    ("key", "VARCHAR", "key::UUID"),
    ("name", "VARCHAR", "name"),
    ("model_type", "VARCHAR", "model_type"),
    ("dataset", "VARCHAR", "dataset"),
    ("description", "VARCHAR", "description"),
    ("parameters", "VARCHAR", "parameters::JSON"),
    ("status", "VARCHAR", "status"),
    ("runner", "VARCHAR", "runner"),
    ("seed", "BIGINT", "seed"),
    ("batch_id", "BIGINT", "batch_id"),
    ("trial", "BIGINT", "trial"),
    ("worker", "VARCHAR", "worker"),
    ("host", "VARCHAR", "host"),
    ("command", "VARCHAR", "command"),
    ("git_commit", "VARCHAR", "git_commit"),
    ("tags", "VARCHAR", "from_json(tags::JSON, '[\"VARCHAR\"]')"),
    ("created_at", "TIMESTAMP", "created_at"),
    ("started_at", "TIMESTAMP", "started_at"),
];

/// Inserts rows, with ids in their order.
pub fn insert(connection: &Connection, new: &[NewExperiment]) -> duckdb::Result<()> {
    let list = |part: fn(&(&str, &str, &str)) -> String| NEW.iter().map(part).collect::<Vec<_>>().join(", ");
    // The appender knows neither JSON nor lists: these go in as text and are cast in one statement.
    let columns = list(|(name, kind, _)| format!("{name} {kind}"));
    connection
        .execute_batch(&format!("CREATE OR REPLACE TEMP TABLE incoming (ordinal BIGINT, {columns})"))?;
    {
        let mut appender = connection.appender("incoming")?;
        for (ordinal, new) in (0..).zip(new) {
            let row = std::iter::once(Value::BigInt(ordinal)).chain(values(new));
            appender.append_row(appender_params_from_iter(row))?;
        }
        appender.flush()?;
    }
    connection.execute_batch(&format!(
        "INSERT INTO ml_schema.experiments ({}) SELECT {} FROM incoming ORDER BY ordinal; DROP TABLE incoming",
        list(|(name, ..)| (*name).to_owned()),
        list(|(.., made)| (*made).to_owned()),
    ))
}

fn values(new: &NewExperiment) -> [Value; 18] {
    let text = |text: &str| Value::Text(text.to_owned());
    let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::BigInt);
    let created = new.created_at.unwrap_or_else(Timestamp::now);
    [
        Value::Text(new.key.to_string()),
        text(&new.name),
        text(&new.model_type),
        text(&new.dataset),
        text(&new.description),
        Value::Text(row::json_text(&new.parameters)),
        text(new.status.as_str()),
        text(&new.runner),
        number(new.seed),
        number(new.batch_id),
        number(new.trial),
        optional(&new.worker),
        optional(&new.host),
        optional(&new.command),
        optional(&new.git_commit),
        Value::Text(json!(new.tags).to_string()),
        micros(created),
        optional_micros((new.status == Status::Running).then_some(created)),
    ]
}

pub fn get(connection: &Connection, path: &Path, id: ExperimentId) -> Result<Experiment> {
    let sql = format!("SELECT {} FROM ml_schema.experiments WHERE id = ?", row::EXPERIMENT);
    let found = connection.query_row(&sql, [id], row::experiment).optional();
    let found = found.map_err(|error| from_duckdb(error, "reading experiment", path))?;
    found.ok_or_else(|| {
        let message = format!("there is no experiment {id}");
        StoreError::new(ErrorKind::NotFound, Backend::DuckDb, "reading experiment", message)
            .remedy("`labtop ls` lists those there are.")
    })
}

fn list(connection: &Connection, path: &Path, query: &ExperimentQuery) -> Result<ExperimentPage> {
    let failed = |error| from_duckdb(error, "listing experiments", path);
    let compiled = filter_sql::compile(Dialect::DuckDb, query)?;
    let values = compiled.params.iter().map(duck_value);
    let count = format!("SELECT count(*) FROM ml_schema.experiments e WHERE {}", compiled.condition);
    let total: i64 =
        connection.query_row(&count, params_from_iter(values.clone()), |row| row.get(0)).map_err(failed)?;
    let order = filter_sql::order_by(Dialect::DuckDb, &query.sort, compiled.params.len());
    let sql = format!(
        "SELECT {} FROM ml_schema.experiments e WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
        row::EXPERIMENT,
        compiled.condition,
        order.condition,
        i64::try_from(query.limit).unwrap_or(i64::MAX),
        i64::try_from(query.offset).unwrap_or(i64::MAX),
    );
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let values = values.chain(order.params.iter().map(duck_value));
    let rows = statement.query_map(params_from_iter(values), row::experiment).map_err(failed)?;
    let rows = rows.collect::<duckdb::Result<Vec<_>>>().map_err(failed)?;
    Ok(ExperimentPage { rows, total: total.unsigned_abs() })
}

pub(super) fn duck_value(value: &filter_sql::SqlValue) -> Value {
    use filter_sql::SqlValue;
    match value {
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Number(number) => Value::Double(*number),
        SqlValue::Bool(bool) => Value::Boolean(*bool),
        SqlValue::Moment(at) => micros(*at),
    }
}

/// `Conflict` unless this attempt is the one under way.
fn current(experiment: &Experiment, attempt: i32, doing: &str) -> Result<()> {
    let message = if experiment.attempt != attempt {
        format!("experiment {} is at attempt {}, not {attempt}", experiment.id, experiment.attempt)
    } else if experiment.status.is_final() {
        format!("experiment {} is {} already", experiment.id, experiment.status)
    } else {
        return Ok(());
    };
    Err(StoreError::new(ErrorKind::Conflict, Backend::DuckDb, doing, message))
}

fn append(
    connection: &Connection,
    id: ExperimentId,
    attempt: i32,
    points: &[MetricPoint],
) -> duckdb::Result<()> {
    let mut appender = connection.appender_to_db("experiment_metrics", "ml_schema")?;
    for point in points {
        appender.append_row(params![
            id,
            attempt,
            point.name,
            point.step,
            point.value,
            micros(point.recorded_at)
        ])?;
    }
    appender.flush()
}

fn points(connection: &Connection, id: ExperimentId) -> duckdb::Result<Vec<MetricPoint>> {
    let mut statement = connection.prepare(
        "SELECT m.name, m.step, m.value, epoch_us(m.recorded_at) FROM ml_schema.experiment_metrics m
         JOIN ml_schema.experiments e ON e.id = m.experiment_id AND e.attempt = m.attempt
         WHERE e.id = ? ORDER BY m.name, m.step",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(MetricPoint {
            name: row.get(0)?,
            step: row.get(1)?,
            value: row.get(2)?,
            recorded_at: row::time(row, 3)?.unwrap_or(Timestamp::UNIX_EPOCH),
        })
    })?;
    rows.collect()
}

fn finish(connection: &Connection, id: ExperimentId, outcome: &Outcome) -> duckdb::Result<usize> {
    let figures = Figures::from_results(&outcome.results);
    connection.execute(
        "UPDATE ml_schema.experiments SET status = ?, results = ?::JSON, accuracy = ?, precision = ?, recall = ?, \
         f1_score = ?, training_time_seconds = ?, inference_time_ms = ?, memory_usage_mb = ?, error = ?, finished_at = ?, \
         worker = NULL WHERE id = ?",
        params![
            outcome.status.as_str(),
            row::json_text(&outcome.results),
            figures.accuracy,
            figures.precision,
            figures.recall,
            figures.f1_score,
            figures.training_time_seconds,
            figures.inference_time_ms,
            figures.memory_usage_mb,
            outcome.error,
            micros(outcome.finished_at.unwrap_or_else(Timestamp::now)),
            id,
        ],
    )
}

fn change(connection: &Connection, before: &Experiment, edit: &Edit) -> duckdb::Result<usize> {
    let id = before.id;
    match edit {
        Edit::AddTags(_) | Edit::RemoveTags(_) => connection.execute(
            "UPDATE ml_schema.experiments SET tags = from_json(?::JSON, '[\"VARCHAR\"]') WHERE id = ?",
            params![json!(edit.tags_after(&before.tags)).to_string(), id],
        ),
        Edit::Note(note) => {
            connection.execute("UPDATE ml_schema.experiments SET note = ? WHERE id = ?", params![note, id])
        }
        Edit::Archive(archive) => connection.execute(
            "UPDATE ml_schema.experiments SET archived_at = ? WHERE id = ?",
            params![optional_micros(archive.then(Timestamp::now)), id],
        ),
    }
}

fn running(connection: &Connection, ids: &[ExperimentId]) -> duckdb::Result<Option<ExperimentId>> {
    let sql = format!(
        "SELECT id FROM ml_schema.experiments WHERE status = 'running' AND worker IS NOT NULL AND id IN ({}) LIMIT 1",
        list_of(ids)
    );
    connection.query_row(&sql, [], |row| row.get(0)).optional()
}

fn remove(connection: &Connection, ids: &[ExperimentId]) -> duckdb::Result<u64> {
    performance::remove(connection, ids, performance::EMBEDDED)?;
    let ids = list_of(ids);
    connection
        .execute(&format!("DELETE FROM ml_schema.experiment_metrics WHERE experiment_id IN ({ids})"), [])?;
    let count = connection.execute(&format!("DELETE FROM ml_schema.experiments WHERE id IN ({ids})"), [])?;
    Ok(count as u64)
}

/// Integers may stand in SQL as they are; an empty list matches nothing.
pub fn list_of(ids: &[i64]) -> String {
    if ids.is_empty() {
        return "NULL".to_owned();
    }
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
