//! What a PostgreSQL store takes in.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::store::Result;
use crate::store::transfer::{WholeRun, may_replace};

use super::super::copy::{self, Value};
use super::super::entries::{POINT_COLUMNS, POINT_TYPES};
use super::super::link::Transaction;
use super::super::schema::Part;
use super::{Pg, json};

/// Every column that is not made from others, with its type; see [`values`].
const COLUMNS: [(&str, Type); 26] = [
    ("id", Type::INT8),
    ("key", Type::UUID),
    ("name", Type::TEXT),
    ("model_type", Type::TEXT),
    ("dataset", Type::TEXT),
    ("description", Type::TEXT),
    ("parameters", Type::JSONB),
    ("status", Type::TEXT),
    ("results", Type::JSONB),
    ("tags", Type::TEXT_ARRAY),
    ("note", Type::TEXT),
    ("runner", Type::TEXT),
    ("seed", Type::INT8),
    ("attempt", Type::INT4),
    ("batch_id", Type::INT8),
    ("trial", Type::INT8),
    ("created_at", Type::TIMESTAMPTZ),
    ("started_at", Type::TIMESTAMPTZ),
    ("finished_at", Type::TIMESTAMPTZ),
    ("heartbeat_at", Type::TIMESTAMPTZ),
    ("worker", Type::TEXT),
    ("host", Type::TEXT),
    ("command", Type::TEXT),
    ("git_commit", Type::TEXT),
    ("archived_at", Type::TIMESTAMPTZ),
    ("error", Type::TEXT),
];

/// The sequence of a table's ids: a table that was there before ours may have its usual name.
fn ids_of(table: &str) -> String {
    format!("pg_get_serial_sequence('ml_schema.{table}', 'id')::regclass")
}

fn values(id: ExperimentId, run: &Experiment) -> Vec<Value<'_>> {
    let optional = |text: &Option<String>| json::optional(text.as_deref()).map(|text| text.into_owned());
    vec![
        Box::new(id),
        Box::new(run.key),
        Box::new(json::text(&run.name)),
        Box::new(json::text(&run.model_type)),
        Box::new(json::text(&run.dataset)),
        Box::new(json::text(&run.description)),
        Box::new(json::object(&run.parameters)),
        Box::new(run.status.as_str()),
        Box::new(json::object(&run.results)),
        Box::new(json::texts(&run.tags)),
        Box::new(json::text(&run.note)),
        Box::new(json::text(&run.runner)),
        Box::new(run.seed),
        Box::new(run.attempt),
        Box::new(run.batch_id),
        Box::new(run.trial),
        Box::new(run.created_at),
        Box::new(run.started_at),
        Box::new(run.finished_at),
        Box::new(run.heartbeat_at),
        Box::new(optional(&run.worker)),
        Box::new(optional(&run.host)),
        Box::new(optional(&run.command)),
        Box::new(optional(&run.git_commit)),
        Box::new(run.archived_at),
        Box::new(optional(&run.error)),
    ]
}

impl Pg {
    pub(super) async fn raise_ids(&self, batch: BatchId, run: ExperimentId) -> Result<()> {
        let doing = "keeping ids free";
        let client = self.writer(Part::Experiments, doing).await?;
        for (table, id) in [("batches", batch), ("experiments", run)] {
            if id == 0 {
                continue;
            }
            let sql = format!(
                "SELECT setval(ids, $1) FROM (SELECT {} AS ids) AS named WHERE coalesce(pg_sequence_last_value(ids), 0) < $1",
                ids_of(table)
            );
            self.within(doing, client.query(&sql, &[&id])).await?;
        }
        Ok(())
    }

    pub(super) async fn insert_batches(&self, doing: &str, batches: &[Batch], keep_ids: bool) -> Result<u64> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Experiments, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        let mut taken = 0;
        for batch in batches {
            // An id that is asked for and not free is made anew, as one that is not asked for.
            let sql = format!(
                "INSERT INTO ml_schema.batches (id, key, name, spec, parallel, created_at) \
                 SELECT CASE WHEN $1::bool AND NOT EXISTS (SELECT FROM ml_schema.batches WHERE id = $2) THEN $2::bigint \
                             ELSE nextval({}) END, $3::uuid, $4::text, $5::jsonb, $6::int, $7::timestamptz \
                 WHERE NOT EXISTS (SELECT FROM ml_schema.batches WHERE key = $3)",
                ids_of("batches")
            );
            let (name, spec) = (json::text(&batch.name), json::object(&batch.spec));
            let parallel = i32::try_from(batch.parallel).unwrap_or(i32::MAX).max(1);
            let statement = transaction.prepare_cached(&sql).await.map_err(told)?;
            taken += transaction
                .execute(
                    &statement,
                    &[&keep_ids, &batch.id, &batch.key, &name, &spec, &parallel, &batch.created_at],
                )
                .await
                .map_err(told)?;
        }
        transaction.commit().await.map_err(told)?;
        Ok(taken)
    }

    pub(super) async fn insert_runs(&self, doing: &str, runs: &[WholeRun], keep_ids: bool) -> Result<u64> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Experiments, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        let placed = self.places(doing, &transaction, runs, keep_ids).await?;
        let target = format!("ml_schema.experiments ({})", COLUMNS.map(|(name, _)| name).join(", "));
        let types = COLUMNS.map(|(_, kind)| kind);
        let rows = placed.iter().map(|(id, run)| values(*id, &run.experiment));
        copy::rows(&transaction, &target, &types, rows).await.map_err(told)?;
        if placed.iter().any(|(_, run)| !run.points.is_empty()) {
            let points = placed.iter().flat_map(|(id, run)| points(*id, run));
            copy::rows(&transaction, POINT_COLUMNS, &POINT_TYPES, points).await.map_err(told)?;
        }
        transaction.commit().await.map_err(told)?;
        Ok(placed.len() as u64)
    }

    /// The runs that may come in, each with its id; old ones in their way are deleted.
    async fn places<'a>(
        &self,
        doing: &str,
        transaction: &Transaction<'_>,
        runs: &'a [WholeRun],
        keep_ids: bool,
    ) -> Result<Vec<(ExperimentId, &'a WholeRun)>> {
        let told = |error| self.told(doing, error);
        let keys: Vec<Uuid> = runs.iter().map(|run| run.experiment.key).collect();
        let sql = "SELECT key, id, attempt, status, worker IS NOT NULL FROM ml_schema.experiments \
                   WHERE key = ANY ($1) ORDER BY id FOR UPDATE";
        let mut known: HashMap<Uuid, (ExperimentId, i32, String, bool)> = HashMap::new();
        for row in transaction.query(sql, &[&keys]).await.map_err(told)? {
            let standing = (
                self.value(doing, &row, 1)?,
                self.value(doing, &row, 2)?,
                self.value(doing, &row, 3)?,
                self.value(doing, &row, 4)?,
            );
            known.insert(self.value(doing, &row, 0)?, standing);
        }
        let wanted: Vec<ExperimentId> = runs.iter().map(|run| run.experiment.id).collect();
        let sql = "SELECT id FROM ml_schema.experiments WHERE $1 AND id = ANY ($2)";
        let rows = transaction.query(sql, &[&keep_ids, &wanted]).await.map_err(told)?;
        let occupied: HashSet<ExperimentId> =
            rows.iter().map(|row| self.value(doing, row, 0)).collect::<Result<_>>()?;
        let keeps = |run: &WholeRun| keep_ids && !occupied.contains(&run.experiment.id);
        let unnamed = |run: &&WholeRun| !known.contains_key(&run.experiment.key) && !keeps(run);
        let mut made = self.new_ids(doing, transaction, runs.iter().filter(unnamed).count()).await?;
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
                None if keeps(run) => placed.push((experiment.id, run)),
                None => placed.extend(made.pop().map(|id| (id, run))),
            }
        }
        if !replaced.is_empty() {
            let sql = "DELETE FROM ml_schema.experiments WHERE id = ANY ($1)";
            transaction.execute(sql, &[&replaced]).await.map_err(told)?;
        }
        Ok(placed)
    }

    /// As many as may be needed, the lowest last.
    async fn new_ids(
        &self,
        doing: &str,
        transaction: &Transaction<'_>,
        count: usize,
    ) -> Result<Vec<ExperimentId>> {
        let sql = format!(
            "SELECT nextval({}) FROM generate_series(1, $1::bigint) ORDER BY 1 DESC",
            ids_of("experiments")
        );
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = transaction.query(&sql, &[&count]).await.map_err(|error| self.told(doing, error))?;
        rows.iter().map(|row| self.value(doing, row, 0)).collect()
    }
}

fn points(id: ExperimentId, run: &WholeRun) -> impl Iterator<Item = Vec<Value<'_>>> + Send {
    run.points.iter().map(move |point| -> Vec<Value<'_>> {
        vec![
            Box::new(id),
            Box::new(run.experiment.attempt),
            Box::new(json::text(&point.name)),
            Box::new(point.step),
            Box::new(point.value),
            Box::new(point.recorded_at),
        ]
    })
}
