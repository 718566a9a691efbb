//! The experiment store on DuckDB.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::types::Value;
use duckdb::{Connection, OptionalExt, appender_params_from_iter, params};
use jiff::Timestamp;
use serde_json::json;

use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Status};
use crate::domain::metric::{MetricPoint, Outline};
use crate::store::experiments::{Entry, ExperimentPage, ExperimentQuery, ExperimentStore};
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::engine::Engine;
use super::entries;
use super::error::from_duckdb;
use super::orders::Orders;
use super::row::{self, micros, optional_micros};
use super::{outline, performance};

/// See the module.
#[derive(Debug)]
pub struct Experiments {
    pub(super) engine: Arc<Engine>,
    pub(super) orders: Arc<Orders>,
}

impl Experiments {
    pub fn new(engine: Arc<Engine>) -> Self {
        Experiments { engine, orders: Arc::default() }
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
        self.orders.list(&self.engine, query).await
    }

    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<Option<Experiment>>>> {
        let entries = entries.to_vec();
        self.engine
            .write("writing experiments", move |connection, path| entries::commit(connection, path, &entries))
            .await
    }

    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>> {
        self.engine.read("reading metrics", move |connection| points(connection, id)).await
    }

    async fn outline(&self, id: ExperimentId, most: usize) -> Result<Outline> {
        self.engine.read("reading curves", move |connection| outline::read(connection, id, most)).await
    }

    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment> {
        let edit = edit.clone();
        self.engine
            .write("editing experiment", move |connection, path| {
                let before = get(connection, path, id)?;
                edit.check(&before).map_err(|changed| {
                    StoreError::new(
                        ErrorKind::Conflict,
                        Backend::DuckDb,
                        "editing experiment",
                        changed.to_string(),
                    )
                })?;
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

fn change(connection: &Connection, before: &Experiment, edit: &Edit) -> duckdb::Result<usize> {
    let id = before.id;
    match edit {
        Edit::AddTags(_) | Edit::RemoveTags(_) => connection.execute(
            "UPDATE ml_schema.experiments SET tags = from_json(?::JSON, '[\"VARCHAR\"]') WHERE id = ?",
            params![json!(edit.tags_after(&before.tags)).to_string(), id],
        ),
        Edit::Note(note) | Edit::ReviseNote { after: note, .. } => {
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
