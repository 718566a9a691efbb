//! Experiments and their metric points in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::types::{ToSql, Type};

use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Status};
use crate::domain::metric::{MetricPoint, Outline};
use crate::store::experiments::{Entry, ExperimentPage, ExperimentQuery, ExperimentStore};
use crate::store::filter_sql::SqlValue;
use crate::store::{ErrorKind, Health, Result, StoreError};

use super::copy::Value;
use super::json;
use super::rows::{CREATED, EXPERIMENT, values};
use super::schema::Part;
use super::{Pg, reader::Typed};

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
        self.list_window(query).await
    }

    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<Option<Experiment>>>> {
        let doing = "writing experiments";
        let (pg, entries) = (self.clone(), entries.to_vec());
        self.carried_out(doing, self.patience(), async move { pg.commit_entries(doing, &entries).await })
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

    async fn outline(&self, id: ExperimentId, most: usize) -> Result<Outline> {
        self.read_outline(id, most).await
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
            Edit::Note(note) | Edit::ReviseNote { after: note, .. } => {
                ("note = $2", Box::new(json::text(note)))
            }
            Edit::Archive(archived) => (
                "archived_at = CASE WHEN $2::boolean THEN coalesce(archived_at, now()) END",
                Box::new(*archived),
            ),
        };
        let known = match edit {
            Edit::ReviseNote { before, .. } => Some(json::text(before)),
            _ => None,
        };
        let client = self.writer(Part::Experiments, doing).await?;
        let unless_changed = if known.is_some() { "AND note = $3" } else { "" };
        let sql = format!(
            "UPDATE ml_schema.experiments SET {change} WHERE id = $1 {unless_changed} RETURNING {EXPERIMENT}"
        );
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&id, &*value];
        if let Some(known) = &known {
            parameters.push(known);
        }
        let row = self
            .within(doing, async { client.query_opt(&client.prepare_cached(&sql).await?, &parameters).await })
            .await?;
        match row {
            Some(row) => self.experiment(doing, &row),
            None => Err(self.why_not_edited(doing, id, edit).await?),
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
        SqlValue::Integer(number) => (number, Type::INT8),
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

    pub(super) fn no_experiment(&self, doing: &str, id: ExperimentId) -> StoreError {
        self.error(ErrorKind::NotFound, doing, format!("there is no experiment {id}"))
            .remedy("`labtop ls` shows those there are.")
    }

    /// Why an edit met no row: the experiment is gone, or its note is not what it was.
    async fn why_not_edited(&self, doing: &str, id: ExperimentId, edit: &Edit) -> Result<StoreError> {
        match self.get(id).await {
            Ok(experiment) => match edit.check(&experiment) {
                Err(changed) => Ok(self.error(ErrorKind::Conflict, doing, changed.to_string())),
                Ok(()) => {
                    Ok(self.error(ErrorKind::Conflict, doing, format!("experiment {id} changed meanwhile")))
                }
            },
            Err(error) if error.kind == ErrorKind::NotFound => Ok(self.no_experiment(doing, id)),
            Err(error) => Err(error),
        }
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
