//! The workers that are entered in a DuckDB file.

use std::time::Duration;

use async_trait::async_trait;
use duckdb::{Connection, params};
use jiff::Timestamp;

use crate::domain::worker::{Entered, NewWorker};
use crate::store::Result;
use crate::store::workers::WorkerRegistry;

use super::queue::{Queue, silent};
use super::row::{self, micros};

/// Seldom: each time the file is written, and everybody who watches it looks. Those who share a file are mostly on one
/// machine, where a process that died is known at once by its lock.
const PULSE: Duration = Duration::from_secs(60);

#[async_trait]
impl WorkerRegistry for Queue {
    fn pulse(&self) -> Duration {
        PULSE
    }

    async fn enter(&self, worker: &NewWorker) -> Result<()> {
        let worker = worker.clone();
        self.engine.write_plain("entering a worker", move |connection| enter(connection, &worker)).await
    }

    async fn strike(&self, names: &[String]) -> Result<()> {
        let names = names.to_vec();
        self.engine
            .write_plain("striking workers out", move |connection| {
                for name in names {
                    connection.execute("DELETE FROM ml_schema.workers WHERE name = ?", [name])?;
                }
                Ok(())
            })
            .await
    }

    async fn workers(&self) -> Result<Vec<Entered>> {
        self.engine.read("listing workers", workers).await
    }
}

fn enter(connection: &Connection, worker: &NewWorker) -> duckdb::Result<()> {
    let NewWorker { name, host, pid, version, labels, runners, parallel } = worker;
    let now = micros(Timestamp::now());
    let texts = |list: &[String]| serde_json::Value::from(list.to_vec()).to_string();
    let (labels, runners) = (texts(labels), texts(runners));
    let beat =
        "UPDATE ml_schema.workers SET heartbeat_at = ?, labels = ?, runners = ?, parallel = ? WHERE name = ?";
    if connection.execute(beat, params![now, labels, runners, parallel, name])? == 0 {
        connection.execute(
            "INSERT INTO ml_schema.workers (name, host, pid, version, labels, runners, parallel, started_at, heartbeat_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![name, host, pid, version, labels, runners, parallel, now, now],
        )?;
    }
    Ok(())
}

fn workers(connection: &Connection) -> duckdb::Result<Vec<Entered>> {
    let mut statement = connection.prepare(
        "SELECT name, host, pid, version, labels::VARCHAR, runners::VARCHAR, parallel, epoch_us(started_at),
         epoch_us(heartbeat_at) FROM ml_schema.workers ORDER BY started_at, name",
    )?;
    let now = Timestamp::now();
    let rows = statement.query_map([], |row| {
        let heartbeat_at = row::time(row, 8)?.unwrap_or(now);
        Ok(Entered {
            worker: NewWorker {
                name: row.get(0)?,
                host: row.get(1)?,
                pid: row.get(2)?,
                version: row.get(3)?,
                labels: row::json(row, 4)?,
                runners: row::json(row, 5)?,
                parallel: row.get(6)?,
            },
            started_at: row::time(row, 7)?.unwrap_or(now),
            heartbeat_at,
            silent: silent(now.as_microsecond(), heartbeat_at.as_microsecond()),
        })
    })?;
    rows.collect()
}
