//! What a PostgreSQL store gives away.

use std::collections::HashMap;

use tokio_postgres::Row;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::store::Result;
use crate::store::outbox::Delivery;
use crate::store::transfer::{Identity, Sizes, Which, WholeRun};

use super::super::outbox::DELIVERY;
use super::super::queue::counted;
use super::super::reader::Reader;
use super::super::rows::EXPERIMENT;
use super::{DOING, Pg};

/// Of a window of ids those that have no more points than wanted in all, and the first.
const WINDOW: &str = "SELECT id FROM (SELECT id, attempt, sum(points) OVER (ORDER BY id) AS points, row_number() OVER (ORDER BY id) AS place \
     FROM (SELECT id, attempt, (SELECT count(*) FROM ml_schema.experiment_metrics m \
                                WHERE m.experiment_id = e.id AND m.attempt = e.attempt) AS points \
           FROM ml_schema.experiments e WHERE id > $1 ORDER BY id LIMIT $2) AS counted) AS added \
     WHERE points <= $3::bigint OR place = 1 ORDER BY id";

impl Pg {
    pub(super) async fn sizes(&self, reader: &mut Reader) -> Result<Sizes> {
        let sql = "SELECT (SELECT count(*) FROM ml_schema.batches), (SELECT count(*) FROM ml_schema.experiments), \
                   (SELECT count(*) FROM ml_schema.outbox), (SELECT coalesce(max(id), 0) FROM ml_schema.batches), \
                   (SELECT coalesce(max(id), 0) FROM ml_schema.experiments)";
        let row = reader.one(DOING, sql, &[]).await?;
        let number = |place| self.value::<i64>(DOING, &row, place);
        Ok(Sizes {
            batches: number(0)?.unsigned_abs(),
            runs: number(1)?.unsigned_abs(),
            deliveries: number(2)?.unsigned_abs(),
            last_batch: number(3)?,
            last_run: number(4)?,
        })
    }

    pub(super) async fn batches_after(
        &self,
        reader: &mut Reader,
        after: BatchId,
        limit: u64,
    ) -> Result<Vec<Batch>> {
        let sql = counted("WHERE b.id > $1 ORDER BY b.id LIMIT $2");
        let rows = reader.rows(DOING, &sql, &[&after, &whole(limit)]).await?;
        rows.iter().map(|row| self.batch_of(DOING, row)).collect()
    }

    pub(super) async fn identities_of(&self, reader: &mut Reader, which: &Which) -> Result<Vec<Identity>> {
        let rows = match which {
            Which::After(after, limit) => {
                let sql = "SELECT id, key FROM ml_schema.experiments WHERE id > $1 ORDER BY id LIMIT $2";
                reader.rows(DOING, sql, &[after, &whole(*limit)]).await?
            }
            Which::Ids(ids) => {
                let sql = "SELECT id, key FROM ml_schema.experiments WHERE id = ANY ($1) ORDER BY id";
                reader.rows(DOING, sql, &[ids]).await?
            }
            Which::Keys(keys) => {
                let sql = "SELECT id, key FROM ml_schema.experiments WHERE key = ANY ($1) ORDER BY id";
                reader.rows(DOING, sql, &[keys]).await?
            }
        };
        let identity = |row| Ok(Identity { id: self.value(DOING, row, 0)?, key: self.value(DOING, row, 1)? });
        rows.iter().map(identity).collect()
    }

    pub(super) async fn whole_runs(
        &self,
        reader: &mut Reader,
        which: &Which,
        points: u64,
    ) -> Result<Vec<WholeRun>> {
        let by = |column: &str| {
            format!("SELECT {EXPERIMENT} FROM ml_schema.experiments WHERE {column} = ANY ($1) ORDER BY id")
        };
        let rows = match which {
            Which::Keys(keys) => reader.rows(DOING, &by("key"), &[keys]).await?,
            Which::Ids(ids) => reader.rows(DOING, &by("id"), &[ids]).await?,
            Which::After(after, limit) => {
                let window = reader.rows(DOING, WINDOW, &[after, &whole(*limit), &whole(points)]).await?;
                let ids: Result<Vec<ExperimentId>> =
                    window.iter().map(|row| self.value(DOING, row, 0)).collect();
                reader.rows(DOING, &by("id"), &[&ids?]).await?
            }
        };
        let rows: Vec<Experiment> =
            rows.iter().map(|row| self.experiment(DOING, row)).collect::<Result<_>>()?;
        let mut points = self.points_of(reader, &rows).await?;
        let whole = |experiment: Experiment| {
            let points = points.remove(&experiment.id).unwrap_or_default();
            WholeRun { experiment, points }
        };
        Ok(rows.into_iter().map(whole).collect())
    }

    async fn points_of(
        &self,
        reader: &mut Reader,
        of: &[Experiment],
    ) -> Result<HashMap<ExperimentId, Vec<MetricPoint>>> {
        let ids: Vec<ExperimentId> = of.iter().map(|experiment| experiment.id).collect();
        let sql = "SELECT m.experiment_id, m.name, m.step, m.value, m.recorded_at FROM ml_schema.experiment_metrics m \
                   JOIN ml_schema.experiments e ON e.id = m.experiment_id AND e.attempt = m.attempt \
                   WHERE m.experiment_id = ANY ($1)";
        let mut points: HashMap<ExperimentId, Vec<MetricPoint>> = HashMap::new();
        for row in reader.rows(DOING, sql, &[&ids]).await? {
            let id = self.value(DOING, &row, 0)?;
            points.entry(id).or_default().push(self.point_of(&row)?);
        }
        Ok(points)
    }

    fn point_of(&self, row: &Row) -> Result<MetricPoint> {
        Ok(MetricPoint {
            name: self.value(DOING, row, 1)?,
            step: self.value(DOING, row, 2)?,
            value: self.value(DOING, row, 3)?,
            recorded_at: self.value(DOING, row, 4)?,
        })
    }

    pub(super) async fn deliveries_after(
        &self,
        reader: &mut Reader,
        after: i64,
        limit: u64,
    ) -> Result<Vec<Delivery>> {
        let sql = format!("SELECT {DELIVERY} FROM ml_schema.outbox WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = reader.rows(DOING, &sql, &[&after, &whole(limit)]).await?;
        rows.iter().map(|row| self.delivery(DOING, row)).collect()
    }
}

fn whole(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
