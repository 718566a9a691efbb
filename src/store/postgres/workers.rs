//! The workers that are entered in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::worker::{Entered, NewWorker};
use crate::store::Result;
use crate::store::workers::WorkerRegistry;

use super::queue::silence;
use super::schema::Part;
use super::{Pg, json};

/// As often as a running experiment says that it lives.
const PULSE: Duration = Duration::from_secs(5);

#[async_trait]
impl WorkerRegistry for Pg {
    fn pulse(&self) -> Duration {
        PULSE
    }

    async fn enter(&self, worker: &NewWorker) -> Result<()> {
        let doing = "entering a worker";
        let client = self.writer(Part::Experiments, doing).await?;
        let NewWorker { name, host, pid, version, labels, runners, parallel } = worker;
        let (name, host) = (json::text(name), json::optional(host.as_deref()));
        let (pid, parallel) = (i64::from(*pid), i32::try_from(*parallel).unwrap_or(i32::MAX));
        let (version, labels, runners) = (json::text(version), json::texts(labels), json::texts(runners));
        // An INSERT that meets the row would be told as one.
        let beat = "UPDATE ml_schema.workers SET heartbeat_at = now(), labels = $2, runners = $3, parallel = $4 \
                    WHERE name = $1";
        let known = async {
            client.execute(&client.prepare_cached(beat).await?, &[&name, &labels, &runners, &parallel]).await
        };
        if self.within(doing, known).await? > 0 {
            return Ok(());
        }
        let sql = "INSERT INTO ml_schema.workers (name, host, pid, version, labels, runners, parallel) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO UPDATE SET heartbeat_at = now()";
        let entering = async {
            client.execute(sql, &[&name, &host, &pid, &version, &labels, &runners, &parallel]).await
        };
        self.within(doing, entering).await.map(drop)
    }

    async fn strike(&self, names: &[String]) -> Result<()> {
        let doing = "striking workers out";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "DELETE FROM ml_schema.workers WHERE name = ANY ($1)";
        self.within(doing, client.execute(sql, &[&json::texts(names)])).await.map(drop)
    }

    async fn workers(&self) -> Result<Vec<Entered>> {
        let doing = "listing workers";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = format!(
            "SELECT name, host, pid, version, labels, runners, parallel, started_at, heartbeat_at, {} \
             FROM ml_schema.workers ORDER BY started_at, name",
            silence("heartbeat_at")
        );
        let rows = reader.rows(doing, &sql, &[]).await?;
        let read = |row| {
            let (pid, parallel): (i64, i32) = (self.value(doing, row, 2)?, self.value(doing, row, 6)?);
            Ok(Entered {
                worker: NewWorker {
                    name: self.value(doing, row, 0)?,
                    host: self.value(doing, row, 1)?,
                    pid: pid.try_into().unwrap_or_default(),
                    version: self.value(doing, row, 3)?,
                    labels: self.value(doing, row, 4)?,
                    runners: self.value(doing, row, 5)?,
                    parallel: parallel.unsigned_abs(),
                },
                started_at: self.value(doing, row, 7)?,
                heartbeat_at: self.value(doing, row, 8)?,
                silent: self.duration(doing, row, 9)?,
            })
        };
        rows.iter().map(read).collect()
    }
}
