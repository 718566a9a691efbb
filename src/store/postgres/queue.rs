//! Batches and their queue in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::experiment::{Experiment, ExperimentId, NewExperiment, Status};
use crate::domain::process::RUNNER;
use crate::domain::worker::Doing;
use crate::store::queue::{BatchQueue, Claimant, QueuedCommand, UnderWay};
use crate::store::{ErrorKind, Result, StoreError};

use super::rows::{CREATED, EXPERIMENT, values};
use super::schema::Part;
use super::{Pg, copy, json};

#[async_trait]
impl BatchQueue for Pg {
    async fn create_batch(&self, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch> {
        let doing = "creating batch";
        let (pg, new, trials) = (self.clone(), new.clone(), trials.to_vec());
        self.carried_out(
            doing,
            self.long_patience(),
            async move { pg.insert_batch(doing, &new, &trials).await },
        )
        .await
    }

    async fn batch(&self, id: BatchId) -> Result<Batch> {
        let doing = "reading batch";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        match reader.optional(doing, &counted("WHERE b.id = $1"), &[&id]).await? {
            Some(row) => self.batch_of(doing, &row),
            None => Err(self.no_batch(doing, id)),
        }
    }

    async fn batches(&self, limit: u64) -> Result<Vec<Batch>> {
        let doing = "listing batches";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.rows(doing, &counted("ORDER BY b.id DESC LIMIT $1"), &[&limit]).await?;
        rows.iter().map(|row| self.batch_of(doing, row)).collect()
    }

    async fn claim(&self, from: Option<BatchId>, claimant: &Claimant, limit: u32) -> Result<Vec<Experiment>> {
        let doing = "claiming from the queue";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = claim(from.is_some(), claimant.labels.is_some(), claimant.commands.is_some());
        let (worker, host) = (json::text(&claimant.worker), json::optional(claimant.host.as_deref()));
        let (runners, limit) = (json::texts(&claimant.runners), i64::from(limit));
        let labels = claimant.labels.as_deref().map(json::texts);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&worker, &host, &runners, &limit];
        if let Some(from) = &from {
            parameters.push(from);
        }
        if let Some(labels) = &labels {
            parameters.push(labels);
        }
        if let Some(commands) = &claimant.commands {
            parameters.push(commands);
        }
        let claiming = async { client.query(&client.prepare_cached(&sql).await?, &parameters).await };
        let rows = self.within(doing, claiming).await?;
        let mut claimed: Vec<Experiment> =
            rows.iter().map(|row| self.experiment(doing, row)).collect::<Result<_>>()?;
        claimed.sort_by_key(|run| (run.batch_id, run.trial, run.id));
        Ok(claimed)
    }

    async fn queued_commands(&self, except: &[BatchId]) -> Result<Vec<QueuedCommand>> {
        let doing = "looking for queued commands";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = "SELECT b.id, b.spec, e.queued FROM ml_schema.batches b JOIN \
                   (SELECT batch_id, count(*) AS queued FROM ml_schema.experiments WHERE status = 'queued' \
                    AND batch_id IS NOT NULL AND runner = $1 AND batch_id <> ALL ($2) GROUP BY batch_id) e \
                   ON e.batch_id = b.id ORDER BY b.id";
        let rows = reader.rows(doing, sql, &[&RUNNER, &except]).await?;
        let read = |row| {
            let queued: i64 = self.value(doing, row, 2)?;
            let batch = self.value(doing, row, 0)?;
            Ok(QueuedCommand {
                batch,
                spec: json::as_object(self.value(doing, row, 1)?),
                queued: queued.unsigned_abs(),
            })
        };
        rows.iter().map(read).collect()
    }

    async fn withdraw(&self, id: BatchId) -> Result<u64> {
        let doing = "cancelling queued trials";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "UPDATE ml_schema.experiments SET status = 'cancelled', finished_at = now() \
                   WHERE batch_id = $1 AND status = 'queued'";
        let withdrawn = self.within(doing, client.execute(sql, &[&id])).await?;
        if withdrawn == 0 {
            let sql = "SELECT FROM ml_schema.batches WHERE id = $1";
            let batch = self.within(doing, client.query_opt(sql, &[&id])).await?;
            batch.ok_or_else(|| self.no_batch(doing, id))?;
        }
        Ok(withdrawn)
    }

    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>> {
        let doing = "queueing experiments again";
        let client = self.writer(Part::Experiments, doing).await?;
        let retryable: Vec<&str> =
            Status::ALL.into_iter().filter(|status| status.is_retryable()).map(Status::as_str).collect();
        let sql = again("id = ANY ($1) AND status = ANY ($2)");
        let rows = self.within(doing, client.query(&sql, &[&ids, &retryable])).await?;
        rows.iter().map(|row| self.value(doing, row, 0)).collect()
    }

    async fn take_up(&self, of: Option<BatchId>, tries: i32) -> Result<Vec<ExperimentId>> {
        const LEFT: &str = "status = 'interrupted' AND batch_id IS NOT NULL AND attempt < $1 \
                            AND ($2::bigint IS NULL OR batch_id = $2)";
        let doing = "taking up what was interrupted";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = format!("SELECT FROM ml_schema.experiments WHERE {LEFT} LIMIT 1");
        // An UPDATE counts as a change, even of nothing.
        if reader.optional(doing, &sql, &[&tries, &of]).await?.is_none() {
            return Ok(Vec::new());
        }
        drop(reader);
        let client = self.writer(Part::Experiments, doing).await?;
        let rows = self.within(doing, client.query(&again(LEFT), &[&tries, &of])).await?;
        rows.iter().map(|row| self.value(doing, row, 0)).collect()
    }

    async fn beat(&self, ids: &[ExperimentId], worker: &str) -> Result<Vec<ExperimentId>> {
        let doing = "noting a heartbeat";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "UPDATE ml_schema.experiments SET heartbeat_at = now() \
                   WHERE id = ANY ($1) AND status = 'running' AND worker = $2 RETURNING id";
        let rows = self.within(doing, client.query(sql, &[&ids, &json::text(worker)])).await?;
        rows.iter().map(|row| self.value(doing, row, 0)).collect()
    }

    async fn under_way(&self) -> Result<Vec<UnderWay>> {
        let doing = "looking for what runs";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = format!(
            "SELECT id, attempt, worker, {}, host, left(model_type, 200), left(dataset, 200), batch_id, started_at \
             FROM ml_schema.experiments WHERE status = 'running' AND worker IS NOT NULL ORDER BY id",
            silence("coalesce(heartbeat_at, started_at, created_at)")
        );
        let rows = reader.rows(doing, &sql, &[]).await?;
        let text = |row, index| -> Result<String> {
            Ok(self.value::<Option<String>>(doing, row, index)?.unwrap_or_default())
        };
        let read = |row| {
            Ok(UnderWay {
                doing: Doing {
                    experiment: self.value(doing, row, 0)?,
                    attempt: self.value(doing, row, 1)?,
                    model: text(row, 5)?,
                    dataset: text(row, 6)?,
                    batch: self.value(doing, row, 7)?,
                    started_at: self.value(doing, row, 8)?,
                },
                worker: self.value(doing, row, 2)?,
                silent: self.duration(doing, row, 3)?,
                host: self.value(doing, row, 4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn interrupt(&self, dead: &[UnderWay], why: &str) -> Result<Vec<Experiment>> {
        let doing = "marking what was interrupted";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = format!(
            "UPDATE ml_schema.experiments SET status = 'interrupted', error = $4, finished_at = now(), worker = NULL \
             FROM unnest($1::bigint[], $2::int[], $3::text[]) AS n (n_id, n_attempt, n_worker) \
             WHERE id = n_id AND attempt = n_attempt AND worker = n_worker AND status = 'running' RETURNING {EXPERIMENT}"
        );
        let ids: Vec<ExperimentId> = dead.iter().map(|run| run.doing.experiment).collect();
        let attempts: Vec<i32> = dead.iter().map(|run| run.doing.attempt).collect();
        let workers: Vec<_> = dead.iter().map(|run| json::text(&run.worker)).collect();
        let why = json::text(why);
        let rows = self.within(doing, client.query(&sql, &[&ids, &attempts, &workers, &why])).await?;
        rows.iter().map(|row| self.experiment(doing, row)).collect()
    }
}

/// Takes from one batch or from all; a row that another worker is claiming is passed over, not waited for. As a table
/// that is made once: a subquery may be carried out more than once, and then it takes more than it should.
fn claim(from_one: bool, by_labels: bool, by_commands: bool) -> String {
    let (which, next) = if from_one { ("e.batch_id = $5", 6) } else { ("e.batch_id IS NOT NULL", 5) };
    let commands = if by_commands {
        let last = next + i32::from(by_labels);
        format!("AND (e.runner <> '{RUNNER}' OR e.batch_id = ANY (${last}))")
    } else {
        String::new()
    };
    let labels = if by_labels {
        format!(
            "AND EXISTS (SELECT FROM ml_schema.batches b WHERE b.id = e.batch_id \
             AND coalesce(b.spec -> 'labels', '[]') <@ to_jsonb(${next}::text[]))"
        )
    } else {
        String::new()
    };
    format!(
        "WITH taken AS MATERIALIZED (SELECT e.id AS taken_id FROM ml_schema.experiments e \
             WHERE {which} AND e.status = 'queued' AND e.runner = ANY ($3) {labels} {commands} \
             ORDER BY e.batch_id, e.trial, e.id LIMIT $4 FOR UPDATE OF e SKIP LOCKED) \
         UPDATE ml_schema.experiments SET status = 'running', worker = $1, host = $2, started_at = now(), \
             heartbeat_at = now() FROM taken WHERE id = taken_id RETURNING {EXPERIMENT}"
    )
}

/// Queues experiments again; gives back their ids.
fn again(which: &str) -> String {
    format!(
        "WITH queued AS (UPDATE ml_schema.experiments SET status = 'queued', attempt = attempt + 1, results = '{{}}', \
         error = NULL, worker = NULL, started_at = NULL, finished_at = NULL, heartbeat_at = NULL \
         WHERE {which} RETURNING id) SELECT id FROM queued ORDER BY id"
    )
}

/// Microseconds since a moment, by the server's clock; counted from its start at most.
pub(super) fn silence(since: &str) -> String {
    format!("(extract(epoch FROM now() - greatest({since}, pg_postmaster_start_time())) * 1000000)::bigint")
}

/// Reads batches (alias `b`) with their trials counted by status.
pub(super) fn counted(rest: &str) -> String {
    let counts = Status::ALL.map(|status| format!("count(*) FILTER (WHERE status = '{status}') AS {status}"));
    let names = Status::ALL.map(|status| format!("trials.{status}"));
    format!(
        "SELECT b.id, b.key, b.name, b.spec, b.parallel, b.created_at, {} FROM ml_schema.batches b \
         CROSS JOIN LATERAL (SELECT {} FROM ml_schema.experiments WHERE batch_id = b.id) trials {rest}",
        names.join(", "),
        counts.join(", ")
    )
}

impl Pg {
    /// What [`silence`] says.
    pub(super) fn duration(&self, doing: &str, row: &Row, index: usize) -> Result<Duration> {
        let micros: i64 = self.value(doing, row, index)?;
        Ok(Duration::from_micros(micros.try_into().unwrap_or_default()))
    }

    fn no_batch(&self, doing: &str, id: BatchId) -> StoreError {
        self.error(ErrorKind::NotFound, doing, format!("there is no batch {id}"))
            .remedy("`labtop batch ls` shows those there are.")
    }

    async fn insert_batch(&self, doing: &str, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Experiments, doing).await?;
        let now = self.now(doing, &client).await?;
        let transaction = client.transaction().await.map_err(told)?;
        let sql = "INSERT INTO ml_schema.batches (key, name, spec, parallel) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (key) DO NOTHING RETURNING id";
        let parallel = i32::try_from(new.parallel).unwrap_or(i32::MAX);
        let (name, spec) = (json::text(&new.name), json::object(&new.spec));
        let inserted =
            transaction.query_opt(sql, &[&new.key, &name, &spec, &parallel]).await.map_err(told)?;
        if let Some(row) = inserted {
            let id: BatchId = self.value(doing, &row, 0)?;
            let target = format!("ml_schema.experiments ({})", CREATED.map(|(name, _)| name).join(", "));
            let types = CREATED.map(|(_, kind)| kind);
            let rows = trials.iter().map(|trial| values(trial, Some(id), now));
            copy::rows(&transaction, &target, &types, rows).await.map_err(told)?;
        }
        transaction.commit().await.map_err(told)?;
        let sql = counted("WHERE b.key = $1");
        let row = client.query_one(&sql, &[&new.key]).await.map_err(told)?;
        self.batch_of(doing, &row)
    }
}
