//! Experiments and their metric points in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::types::{ToSql, Type};

use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Outcome, Status};
use crate::domain::metric::MetricPoint;
use crate::store::experiments::{ExperimentPage, ExperimentQuery, ExperimentStore};
use crate::store::filter_sql::{self, Dialect, SqlValue};
use crate::store::{ErrorKind, Health, Result, StoreError};

use super::copy::{self, Value};
use super::json;
use super::rows::{CREATED, EXPERIMENT, values};
use super::schema::Part;
use super::{Pg, connect::Typed};

const POINT_COLUMNS: &str =
    "ml_schema.experiment_metrics (experiment_id, attempt, name, step, value, recorded_at)";
const POINT_TYPES: [Type; 6] =
    [Type::INT8, Type::INT4, Type::TEXT, Type::INT8, Type::FLOAT8, Type::TIMESTAMPTZ];

/// The SQL for "not final".
const OPEN: &str = "status IN ('queued', 'running')";

#[async_trait]
impl ExperimentStore for Pg {
    async fn health(&self) -> Result<Health> {
        self.greet().await
    }

    async fn create(&self, new: &NewExperiment) -> Result<Experiment> {
        let doing = "creating experiment";
        let client = self.writer(Part::Experiments, doing).await?;
        // Looked for first: an insert that meets the key would use up an id all the same.
        let by_key = format!("SELECT {EXPERIMENT} FROM ml_schema.experiments WHERE key = $1");
        let known = async { client.query_opt(&client.prepare_cached(&by_key).await?, &[&new.key]).await };
        if let Some(row) = self.within(doing, known).await? {
            return self.experiment(doing, &row);
        }
        let now = self.now(doing, &client).await?;
        let columns = CREATED.map(|(name, _)| name).join(", ");
        let places = (1..=CREATED.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "INSERT INTO ml_schema.experiments ({columns}) VALUES ({places}) ON CONFLICT (key) DO NOTHING \
             RETURNING {EXPERIMENT}"
        );
        let values = values(new, new.batch_id, now);
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as _).collect();
        let inserted = self
            .within(doing, async { client.query_opt(&client.prepare_cached(&sql).await?, &values).await })
            .await?;
        if let Some(row) = inserted {
            return self.experiment(doing, &row);
        }
        // Another client was faster with the same key.
        let row = self.within(doing, client.query_one(&by_key, &[&new.key])).await?;
        self.experiment(doing, &row)
    }

    async fn get(&self, id: ExperimentId) -> Result<Experiment> {
        let doing = "reading experiment";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = format!("SELECT {EXPERIMENT} FROM ml_schema.experiments WHERE id = $1");
        match reader.optional(doing, &sql, &[&id]).await? {
            Some(row) => self.experiment(doing, &row),
            None => Err(self.no_experiment(doing, id)),
        }
    }

    async fn list(&self, query: &ExperimentQuery) -> Result<ExperimentPage> {
        let doing = "listing experiments";
        let filter = filter_sql::compile(Dialect::Postgres, query)?;
        let order = filter_sql::order_by(Dialect::Postgres, &query.sort, filter.params.len());
        let mut parameters: Vec<Typed<'_>> = filter.params.iter().map(typed).collect();
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let condition = filter.condition;
        let counting = format!("SELECT count(*) FROM ml_schema.experiments e WHERE {condition}");
        let total = reader.rows_once(doing, &counting, &parameters).await?;
        let total: i64 = match total.first() {
            Some(row) => self.value(doing, row, 0)?,
            None => 0,
        };
        let listing = format!(
            "SELECT {EXPERIMENT} FROM ml_schema.experiments e WHERE {condition} ORDER BY {} LIMIT {} OFFSET {}",
            order.condition,
            i64::try_from(query.limit).unwrap_or(i64::MAX),
            i64::try_from(query.offset).unwrap_or(i64::MAX)
        );
        parameters.extend(order.params.iter().map(typed));
        let rows = reader.rows_once(doing, &listing, &parameters).await?;
        let rows = rows.iter().map(|row| self.experiment(doing, row)).collect::<Result<_>>()?;
        Ok(ExperimentPage { rows, total: total.unsigned_abs() })
    }

    async fn record(&self, id: ExperimentId, attempt: i32, points: &[MetricPoint]) -> Result<()> {
        let doing = "recording metric points";
        let (pg, points) = (self.clone(), points.to_vec());
        self.carried_out(
            doing,
            self.patience(),
            async move { pg.copy_points(doing, id, attempt, &points).await },
        )
        .await
    }

    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>> {
        let doing = "reading metric points";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = "SELECT m.name, m.step, m.value, m.recorded_at FROM ml_schema.experiment_metrics m \
                   JOIN ml_schema.experiments e ON e.id = m.experiment_id AND e.attempt = m.attempt \
                   WHERE m.experiment_id = $1 ORDER BY m.name COLLATE \"C\", m.step, m.recorded_at";
        let rows = reader.rows(doing, sql, &[&id]).await?;
        let point = |row| {
            Ok(MetricPoint {
                name: self.value(doing, row, 0)?,
                step: self.value(doing, row, 1)?,
                value: self.value(doing, row, 2)?,
                recorded_at: self.value(doing, row, 3)?,
            })
        };
        rows.iter().map(point).collect()
    }

    async fn finish(&self, id: ExperimentId, attempt: i32, outcome: &Outcome) -> Result<Experiment> {
        let doing = "finishing experiment";
        if !outcome.status.is_final() {
            let message = format!("'{}' is no final status", outcome.status);
            return Err(self.error(ErrorKind::Invalid, doing, message));
        }
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = format!(
            "UPDATE ml_schema.experiments SET status = $3, results = $4, error = $5, finished_at = coalesce($6, now()) \
             WHERE id = $1 AND attempt = $2 AND {OPEN} RETURNING {EXPERIMENT}"
        );
        let results = json::object(&outcome.results);
        let error = json::optional(outcome.error.as_deref());
        let status = outcome.status.as_str();
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&id, &attempt, &status, &results, &error, &outcome.finished_at];
        let row = self
            .within(doing, async { client.query_opt(&client.prepare_cached(&sql).await?, &parameters).await })
            .await?;
        drop(client);
        match row {
            Some(row) => self.experiment(doing, &row),
            None => Err(self.why_closed(doing, id, attempt).await?),
        }
    }

    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment> {
        let doing = "changing experiment";
        let (change, value): (&str, Value<'_>) = match edit {
            Edit::AddTags(tags) => (
                "tags = tags || ARRAY(SELECT tag FROM unnest($2::text[]) WITH ORDINALITY AS given (tag, place) \
                 WHERE tag <> ALL (tags) GROUP BY tag ORDER BY min(place))",
                Box::new(json::texts(tags)),
            ),
            Edit::RemoveTags(tags) => (
                "tags = ARRAY(SELECT tag FROM unnest(tags) WITH ORDINALITY AS kept (tag, place) \
                 WHERE tag <> ALL ($2::text[]) ORDER BY place)",
                Box::new(json::texts(tags)),
            ),
            Edit::Note(note) => ("note = $2", Box::new(json::text(note))),
            Edit::Archive(archived) => (
                "archived_at = CASE WHEN $2::boolean THEN coalesce(archived_at, now()) END",
                Box::new(*archived),
            ),
        };
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = format!("UPDATE ml_schema.experiments SET {change} WHERE id = $1 RETURNING {EXPERIMENT}");
        let parameters: [&(dyn ToSql + Sync); 2] = [&id, &*value];
        let row = self
            .within(doing, async { client.query_opt(&client.prepare_cached(&sql).await?, &parameters).await })
            .await?;
        match row {
            Some(row) => self.experiment(doing, &row),
            None => Err(self.no_experiment(doing, id)),
        }
    }

    async fn remove(&self, ids: &[ExperimentId]) -> Result<u64> {
        let doing = "deleting experiments";
        let (pg, ids) = (self.clone(), ids.to_vec());
        self.carried_out(doing, self.patience(), async move { pg.delete_experiments(doing, &ids).await })
            .await
    }

    fn keeps_performance(&self) -> bool {
        false
    }
}

pub(super) fn typed(value: &SqlValue) -> Typed<'_> {
    match value {
        SqlValue::Text(text) => (text, Type::TEXT),
        SqlValue::Number(number) => (number, Type::FLOAT8),
        SqlValue::Bool(bool) => (bool, Type::BOOL),
        SqlValue::Moment(at) => (at, Type::TIMESTAMPTZ),
    }
}

impl Pg {
    pub(super) async fn now(&self, doing: &str, client: &tokio_postgres::Client) -> Result<jiff::Timestamp> {
        let row = self.within(doing, client.query_typed("SELECT now()", &[])).await?;
        match row.first() {
            Some(row) => self.value(doing, row, 0),
            None => Err(self.error(ErrorKind::Backend, doing, "PostgreSQL does not tell the time")),
        }
    }

    fn no_experiment(&self, doing: &str, id: ExperimentId) -> StoreError {
        self.error(ErrorKind::NotFound, doing, format!("there is no experiment {id}"))
            .remedy("`labtop ls` shows those there are.")
    }

    /// Why an attempt could not be written to: fenced off, final, or gone.
    async fn why_closed(&self, doing: &str, id: ExperimentId, attempt: i32) -> Result<StoreError> {
        let mut reader = self.bare_reader(doing).await?;
        let sql = "SELECT attempt, status FROM ml_schema.experiments WHERE id = $1";
        let Some(row) = reader.optional(doing, sql, &[&id]).await? else {
            return Ok(self.no_experiment(doing, id));
        };
        let current: i32 = self.value(doing, &row, 0)?;
        let status: &str = self.value(doing, &row, 1)?;
        let message = if current == attempt {
            format!("experiment {id} is {status} already")
        } else {
            format!("experiment {id} is at attempt {current}, not {attempt}")
        };
        Ok(self.error(ErrorKind::Conflict, doing, message))
    }

    async fn copy_points(
        &self,
        doing: &str,
        id: ExperimentId,
        attempt: i32,
        points: &[MetricPoint],
    ) -> Result<()> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Experiments, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        // The heartbeat is also the fence: it holds the row, so that the attempt cannot end before its points are in.
        let sql = format!(
            "UPDATE ml_schema.experiments SET heartbeat_at = now() WHERE id = $1 AND attempt = $2 AND {OPEN}"
        );
        let beat = transaction.prepare_cached(&sql).await.map_err(told)?;
        if transaction.execute(&beat, &[&id, &attempt]).await.map_err(told)? == 0 {
            transaction.rollback().await.map_err(told)?;
            drop(client);
            return Err(self.why_closed(doing, id, attempt).await?);
        }
        let rows = points.iter().map(|point| -> Vec<Value<'_>> {
            vec![
                Box::new(id),
                Box::new(attempt),
                Box::new(json::text(&point.name)),
                Box::new(point.step),
                Box::new(point.value),
                Box::new(point.recorded_at),
            ]
        });
        copy::rows(&transaction, POINT_COLUMNS, &POINT_TYPES, rows).await.map_err(told)?;
        transaction.commit().await.map_err(told)
    }

    async fn delete_experiments(&self, doing: &str, ids: &[ExperimentId]) -> Result<u64> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Experiments, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        let holding =
            "SELECT id, status FROM ml_schema.experiments WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
        for row in transaction.query(holding, &[&ids]).await.map_err(told)? {
            let status: &str = self.value(doing, &row, 1)?;
            if status == Status::Running.as_str() {
                let id: ExperimentId = self.value(doing, &row, 0)?;
                return Err(self
                    .error(ErrorKind::Conflict, doing, format!("experiment {id} is running"))
                    .remedy(format!("Cancel it first: `labtop cancel {id}`.")));
            }
        }
        let removing = "DELETE FROM ml_schema.experiments WHERE id = ANY ($1)";
        let removed = transaction.execute(removing, &[&ids]).await.map_err(told)?;
        transaction.commit().await.map_err(told)?;
        Ok(removed)
    }
}
