//! Batches and their queue on DuckDB.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duckdb::{Connection, OptionalExt, Row, params, params_from_iter};
use jiff::Timestamp;

use crate::domain::batch::{Batch, BatchId, Counts, NewBatch};
use crate::domain::experiment::{Experiment, ExperimentId, NewExperiment, Status};
use crate::domain::process::RUNNER;
use crate::domain::worker::Doing;
use crate::store::queue::{BatchQueue, Claimant, QueuedCommand, UnderWay};
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;
use super::experiments::{insert, list_of};
use super::row::{self, micros};

/// See the module.
#[derive(Debug)]
pub struct Queue {
    pub(super) engine: Arc<Engine>,
}

impl Queue {
    pub fn new(engine: Arc<Engine>) -> Self {
        Queue { engine }
    }
}

const BATCH: &str = "b.id, b.key::VARCHAR, b.name, b.spec::VARCHAR, b.parallel, epoch_us(b.created_at)";

#[async_trait]
impl BatchQueue for Queue {
    async fn create_batch(&self, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch> {
        let (new, trials) = (new.clone(), trials.to_vec());
        self.engine
            .write("creating batch", move |connection, path| {
                let id = create(connection, &new, &trials)
                    .map_err(|error| from_duckdb(error, "creating batch", path))?;
                batch(connection, path, id)
            })
            .await
    }

    async fn batch(&self, id: BatchId) -> Result<Batch> {
        self.engine.read_checked("reading batch", move |connection, path| batch(connection, path, id)).await
    }

    async fn batches(&self, limit: u64) -> Result<Vec<Batch>> {
        self.engine
            .read("listing batches", move |connection| list(connection, "ORDER BY b.id DESC", limit))
            .await
    }

    async fn claim(&self, from: Option<BatchId>, claimant: &Claimant, limit: u32) -> Result<Vec<Experiment>> {
        let claimant = claimant.clone();
        self.engine
            .write_plain("claiming from the queue", move |connection| {
                claim(connection, from, &claimant, limit)
            })
            .await
    }

    async fn queued_commands(&self, except: &[BatchId]) -> Result<Vec<QueuedCommand>> {
        // NOT IN of an empty list is true of none.
        let except = list_of(if except.is_empty() { &[0] } else { except });
        self.engine
            .read("looking for queued commands", move |connection| queued_commands(connection, &except))
            .await
    }

    async fn withdraw(&self, id: BatchId) -> Result<u64> {
        self.engine
            .write("cancelling batch", move |connection, path| {
                batch(connection, path, id)?;
                let count = connection.execute(
                    "UPDATE ml_schema.experiments SET status = 'cancelled', finished_at = ?
                     WHERE batch_id = ? AND status = 'queued'",
                    params![micros(Timestamp::now()), id],
                );
                Ok(count.map_err(|error| from_duckdb(error, "cancelling batch", path))? as u64)
            })
            .await
    }

    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>> {
        let ids = ids.to_vec();
        self.engine.write_plain("queueing again", move |connection| requeue(connection, &ids)).await
    }

    async fn take_up(&self, of: Option<BatchId>, tries: i32) -> Result<Vec<ExperimentId>> {
        let doing = "taking up what was interrupted";
        let left = move |connection: &Connection| interrupted(connection, of, tries);
        if self.engine.read(doing, left).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.engine.write_plain(doing, move |connection| requeue(connection, &left(connection)?)).await
    }

    async fn beat(&self, ids: &[ExperimentId], worker: &str) -> Result<Vec<ExperimentId>> {
        let (ids, worker) = (list_of(ids), worker.to_owned());
        self.engine
            .write_plain("noting a heartbeat", move |connection| {
                let sql = format!(
                    "UPDATE ml_schema.experiments SET heartbeat_at = ?
                     WHERE id IN ({ids}) AND status = 'running' AND worker = ? RETURNING id"
                );
                let mut statement = connection.prepare(&sql)?;
                let values = params![micros(Timestamp::now()), worker];
                statement.query_map(values, |row| row.get(0))?.collect()
            })
            .await
    }

    async fn under_way(&self) -> Result<Vec<UnderWay>> {
        self.engine.read("looking for what runs", under_way).await
    }

    async fn interrupt(&self, dead: &[UnderWay], why: &str) -> Result<Vec<Experiment>> {
        let (dead, why) = (dead.to_vec(), why.to_owned());
        self.engine
            .write_plain("marking what was interrupted", move |connection| interrupt(connection, &dead, &why))
            .await
    }
}

/// Batches with ids above one, by id.
pub fn after(connection: &Connection, id: BatchId, limit: u64) -> duckdb::Result<Vec<Batch>> {
    list(connection, &format!("WHERE b.id > {id} ORDER BY b.id"), limit)
}

fn list(connection: &Connection, rest: &str, limit: u64) -> duckdb::Result<Vec<Batch>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement =
        connection.prepare(&format!("SELECT {BATCH} FROM ml_schema.batches b {rest} LIMIT {limit}"))?;
    let mut batches = statement.query_map([], read)?.collect::<duckdb::Result<Vec<_>>>()?;
    count(connection, &mut batches)?;
    Ok(batches)
}

fn create(connection: &Connection, new: &NewBatch, trials: &[NewExperiment]) -> duckdb::Result<BatchId> {
    let known = connection
        .query_row("SELECT id FROM ml_schema.batches WHERE key = ?::UUID", [new.key.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id: BatchId = connection.query_row(
        "INSERT INTO ml_schema.batches (key, name, spec, parallel) VALUES (?::UUID, ?, ?::JSON, ?) RETURNING id",
        params![new.key.to_string(), new.name, row::json_text(&new.spec), new.parallel],
        |row| row.get(0),
    )?;
    let trials: Vec<NewExperiment> =
        trials.iter().map(|trial| NewExperiment { batch_id: Some(id), ..trial.clone() }).collect();
    insert(connection, &trials)?;
    Ok(id)
}

fn batch(connection: &Connection, path: &Path, id: BatchId) -> Result<Batch> {
    let failed = |error| from_duckdb(error, "reading batch", path);
    let sql = format!("SELECT {BATCH} FROM ml_schema.batches b WHERE b.id = ?");
    let found = connection.query_row(&sql, [id], read).optional().map_err(failed)?;
    let Some(found) = found else {
        let message = format!("there is no batch {id}");
        return Err(StoreError::new(ErrorKind::NotFound, Backend::DuckDb, "reading batch", message)
            .remedy("`labtop batch ls` lists those there are."));
    };
    let mut batches = [found];
    count(connection, &mut batches).map_err(failed)?;
    let [batch] = batches;
    Ok(batch)
}

fn read(row: &Row<'_>) -> duckdb::Result<Batch> {
    Ok(Batch {
        id: row.get(0)?,
        key: row::uuid(row, 1)?,
        name: row.get(2)?,
        spec: row::object(row, 3)?,
        parallel: row.get(4)?,
        created_at: row::time(row, 5)?.unwrap_or(Timestamp::UNIX_EPOCH),
        counts: Counts::default(),
    })
}

/// Fills in the counts of trials.
fn count(connection: &Connection, batches: &mut [Batch]) -> duckdb::Result<()> {
    let ids: Vec<BatchId> = batches.iter().map(|batch| batch.id).collect();
    let mut statement = connection.prepare(&format!(
        "SELECT batch_id, status, count(*) FROM ml_schema.experiments WHERE batch_id IN ({}) GROUP BY ALL",
        list_of(&ids)
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, status, count): (BatchId, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let (Some(batch), Ok(status)) =
            (batches.iter_mut().find(|batch| batch.id == id), status.parse::<Status>())
        {
            batch.counts.add(status, count.unsigned_abs());
        }
    }
    Ok(())
}

/// One writer at a time, in this process and between processes, so that two never get the same trial.
fn claim(
    connection: &Connection,
    from: Option<BatchId>,
    claimant: &Claimant,
    limit: u32,
) -> duckdb::Result<Vec<Experiment>> {
    let which = from.map_or_else(|| "batch_id IS NOT NULL".to_owned(), |id| format!("batch_id = {id}"));
    let texts = |list: &[String]| serde_json::Value::from(list.to_vec()).to_string();
    let mut values = vec![texts(&claimant.runners)];
    let labels = match &claimant.labels {
        Some(labels) => {
            values.push(texts(labels));
            "AND batch_id IN (SELECT id FROM ml_schema.batches
             WHERE list_has_all(from_json(?, '[\"VARCHAR\"]'), (spec->>'$.labels[*]')))"
        }
        None => "",
    };
    let commands = claimant.commands.as_deref().map_or_else(String::new, |batches| {
        format!("AND (runner <> '{RUNNER}' OR batch_id IN ({}))", list_of(batches))
    });
    // Two steps: as a subquery of the update this takes twice as long.
    let sql = format!(
        "SELECT id FROM ml_schema.experiments WHERE {which} AND status = 'queued'
         AND list_contains(from_json(?, '[\"VARCHAR\"]'), runner) {labels} {commands}
         ORDER BY batch_id, trial, id LIMIT {limit}"
    );
    let mut statement = connection.prepare(&sql)?;
    let ids = statement
        .query_map(params_from_iter(&values), |row| row.get(0))?
        .collect::<duckdb::Result<Vec<ExperimentId>>>()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "UPDATE ml_schema.experiments SET status = 'running', worker = ?, host = ?, started_at = ?, heartbeat_at = NULL
         WHERE id IN ({}) RETURNING {}",
        list_of(&ids),
        row::EXPERIMENT
    );
    let mut statement = connection.prepare(&sql)?;
    let values = params![claimant.worker, claimant.host, micros(Timestamp::now())];
    let claimed = statement.query_map(values, row::experiment)?;
    let mut claimed = claimed.collect::<duckdb::Result<Vec<_>>>()?;
    claimed.sort_by_key(|run| ids.iter().position(|id| *id == run.id));
    Ok(claimed)
}

fn queued_commands(connection: &Connection, except: &str) -> duckdb::Result<Vec<QueuedCommand>> {
    let mut statement = connection.prepare(&format!(
        "SELECT b.id, b.spec::VARCHAR, e.queued FROM ml_schema.batches b JOIN
         (SELECT batch_id, count(*) AS queued FROM ml_schema.experiments
          WHERE status = 'queued' AND runner = '{RUNNER}' AND batch_id NOT IN ({except}) GROUP BY batch_id) e
         ON e.batch_id = b.id ORDER BY b.id"
    ))?;
    let rows = statement.query_map([], |row| {
        let queued: i64 = row.get(2)?;
        Ok(QueuedCommand { batch: row.get(0)?, spec: row::object(row, 1)?, queued: queued.unsigned_abs() })
    })?;
    rows.collect()
}

fn under_way(connection: &Connection) -> duckdb::Result<Vec<UnderWay>> {
    let mut statement = connection.prepare(
        "SELECT id, attempt, worker, epoch_us(coalesce(heartbeat_at, started_at, created_at)), host,
         left(model_type, 200), left(dataset, 200), batch_id, epoch_us(started_at)
         FROM ml_schema.experiments WHERE status = 'running' AND worker IS NOT NULL ORDER BY id",
    )?;
    let now = Timestamp::now().as_microsecond();
    let rows = statement.query_map([], |row| {
        Ok(UnderWay {
            doing: Doing {
                experiment: row.get(0)?,
                attempt: row.get(1)?,
                model: row.get(5)?,
                dataset: row.get(6)?,
                batch: row.get(7)?,
                started_at: row::time(row, 8)?,
            },
            worker: row.get(2)?,
            host: row.get(4)?,
            silent: silent(now, row.get(3)?),
        })
    })?;
    rows.collect()
}

/// Between two moments, in microseconds. A clock that was set back has not been silent at all.
pub(super) fn silent(now: i64, last: i64) -> Duration {
    Duration::from_micros(now.saturating_sub(last).try_into().unwrap_or_default())
}

fn interrupt(connection: &Connection, dead: &[UnderWay], why: &str) -> duckdb::Result<Vec<Experiment>> {
    let sql = format!(
        "UPDATE ml_schema.experiments SET status = 'interrupted', error = ?, finished_at = ?, worker = NULL
         WHERE id = ? AND attempt = ? AND worker = ? AND status = 'running' RETURNING {}",
        row::EXPERIMENT
    );
    let mut statement = connection.prepare(&sql)?;
    let mut interrupted = Vec::new();
    for run in dead {
        let Doing { experiment, attempt, .. } = &run.doing;
        let values = params![why, micros(Timestamp::now()), experiment, attempt, run.worker];
        interrupted.extend(statement.query_row(values, row::experiment).optional()?);
    }
    Ok(interrupted)
}

fn interrupted(
    connection: &Connection,
    of: Option<BatchId>,
    tries: i32,
) -> duckdb::Result<Vec<ExperimentId>> {
    let which = of.map_or_else(|| "batch_id IS NOT NULL".to_owned(), |id| format!("batch_id = {id}"));
    let mut statement = connection.prepare(&format!(
        "SELECT id FROM ml_schema.experiments WHERE status = 'interrupted' AND {which} AND attempt < ?"
    ))?;
    statement.query_map([tries], |row| row.get(0))?.collect()
}

fn requeue(connection: &Connection, ids: &[ExperimentId]) -> duckdb::Result<Vec<ExperimentId>> {
    let ids = list_of(ids);
    connection.execute_batch(&format!("DELETE FROM experiments_performance WHERE experiment_id IN
        (SELECT id FROM ml_schema.experiments WHERE id IN ({ids}) AND status IN ('failed', 'cancelled', 'interrupted'))"))?;
    let mut statement = connection.prepare(&format!(
        "UPDATE ml_schema.experiments SET status = 'queued', attempt = attempt + 1, results = '{{}}', error = NULL,
         accuracy = NULL, precision = NULL, recall = NULL, f1_score = NULL, training_time_seconds = NULL,
         inference_time_ms = NULL, memory_usage_mb = NULL, started_at = NULL, finished_at = NULL, heartbeat_at = NULL, worker = NULL
         WHERE id IN ({ids}) AND status IN ('failed', 'cancelled', 'interrupted') RETURNING id"
    ))?;
    let mut queued =
        statement.query_map([], |row| row.get(0))?.collect::<duckdb::Result<Vec<ExperimentId>>>()?;
    queued.sort_unstable();
    Ok(queued)
}
