//! What attempts add to their experiments in PostgreSQL: points and outcomes of many, in one transaction.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::store::experiments::Entry;
use crate::store::outbox::NewDelivery;
use crate::store::{ErrorKind, Result, StoreError};

use super::copy::{self, Value};
use super::link::Transaction;
use super::rows::EXPERIMENT;
use super::schema::Part;
use super::{Pg, json};

pub(super) const POINT_COLUMNS: &str =
    "ml_schema.experiment_metrics (experiment_id, attempt, name, step, value, recorded_at)";
pub(super) const POINT_TYPES: [Type; 6] =
    [Type::INT8, Type::INT4, Type::TEXT, Type::INT8, Type::FLOAT8, Type::TIMESTAMPTZ];

/// Attempt and status of the experiments that entries are for, by id.
type Standing = HashMap<ExperimentId, (i32, String)>;

impl Pg {
    /// See `ExperimentStore::commit`.
    pub(super) async fn commit_entries(
        &self,
        doing: &str,
        entries: &[Entry],
    ) -> Result<Vec<Result<Option<Experiment>>>> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Experiments, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        let standing = self.hold(doing, &transaction, entries).await?;
        let mut ended = HashSet::new();
        let refused: Vec<Option<StoreError>> =
            entries.iter().map(|entry| self.refusal(doing, entry, &standing, &mut ended)).collect();
        let open =
            || entries.iter().zip(&refused).filter(|(_, refused)| refused.is_none()).map(|(entry, _)| entry);
        if open().any(|entry| !entry.points.is_empty()) {
            let rows = open().flat_map(points);
            copy::rows(&transaction, POINT_COLUMNS, &POINT_TYPES, rows).await.map_err(told)?;
        }
        let going: Vec<ExperimentId> =
            open().filter(|entry| entry.outcome.is_none()).map(|entry| entry.id).collect();
        if !going.is_empty() {
            let sql = "UPDATE ml_schema.experiments SET heartbeat_at = now() WHERE id = ANY ($1)";
            let beat = transaction.prepare_cached(sql).await.map_err(told)?;
            transaction.execute(&beat, &[&going]).await.map_err(told)?;
        }
        let endings: Vec<&Entry> = open().filter(|entry| entry.outcome.is_some()).collect();
        let mut finished = self.finish_entries(doing, &transaction, &endings).await?;
        let documents: Vec<&NewDelivery> =
            endings.iter().filter_map(|entry| entry.documents.as_ref()).collect();
        self.put_documents(doing, &transaction, &documents).await?;
        transaction.commit().await.map_err(told)?;
        let answers = entries.iter().zip(refused).map(|(entry, refused)| match (refused, &entry.outcome) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(None),
            (None, Some(_)) => Ok(finished.remove(&entry.id)),
        });
        Ok(answers.collect())
    }

    /// Holds the rows, so that no attempt can end before its points are in; in the order of their ids, so that two who
    /// hold some of the same never wait for each other.
    async fn hold(&self, doing: &str, transaction: &Transaction<'_>, entries: &[Entry]) -> Result<Standing> {
        let ids: Vec<ExperimentId> = entries.iter().map(|entry| entry.id).collect();
        let sql = "SELECT id, attempt, status FROM ml_schema.experiments WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
        let rows = async { transaction.query(&transaction.prepare_cached(sql).await?, &[&ids]).await };
        let rows = rows.await.map_err(|error| self.told(doing, error))?;
        rows.iter()
            .map(|row| {
                let standing = (self.value(doing, row, 1)?, self.value(doing, row, 2)?);
                Ok((self.value(doing, row, 0)?, standing))
            })
            .collect()
    }

    /// Why an entry may not be written; none when it may.
    fn refusal(
        &self,
        doing: &str,
        entry: &Entry,
        standing: &Standing,
        ended: &mut HashSet<ExperimentId>,
    ) -> Option<StoreError> {
        let id = entry.id;
        let Some((attempt, status)) = standing.get(&id) else {
            return Some(self.no_experiment(doing, id));
        };
        if let Some(outcome) = &entry.outcome
            && !outcome.status.is_final()
        {
            let message = format!("'{}' is no final status", outcome.status);
            return Some(self.error(ErrorKind::Invalid, doing, message));
        }
        let conflict = |message| Some(self.error(ErrorKind::Conflict, doing, message));
        if *attempt != entry.attempt {
            return conflict(format!("experiment {id} is at attempt {attempt}, not {}", entry.attempt));
        }
        if !matches!(status.as_str(), "queued" | "running") {
            return conflict(format!("experiment {id} is {status} already"));
        }
        if ended.contains(&id) {
            return conflict(format!("experiment {id} has ended already"));
        }
        if entry.outcome.is_some() {
            ended.insert(id);
        }
        None
    }

    async fn finish_entries(
        &self,
        doing: &str,
        transaction: &Transaction<'_>,
        endings: &[&Entry],
    ) -> Result<HashMap<ExperimentId, Experiment>> {
        if endings.is_empty() {
            return Ok(HashMap::new());
        }
        let outcomes = || endings.iter().filter_map(|entry| entry.outcome.as_ref());
        let ids: Vec<ExperimentId> = endings.iter().map(|entry| entry.id).collect();
        let status: Vec<&str> = outcomes().map(|outcome| outcome.status.as_str()).collect();
        let results: Vec<serde_json::Value> =
            outcomes().map(|outcome| json::object(&outcome.results)).collect();
        let errors: Vec<_> = outcomes().map(|outcome| json::optional(outcome.error.as_deref())).collect();
        let finished: Vec<_> = outcomes().map(|outcome| outcome.finished_at).collect();
        let sql = format!(
            "UPDATE ml_schema.experiments SET status = n_status, results = n_results, error = n_error, \
             finished_at = coalesce(n_finished, now()) \
             FROM unnest($1::bigint[], $2::text[], $3::jsonb[], $4::text[], $5::timestamptz[]) \
                 AS n (n_id, n_status, n_results, n_error, n_finished) \
             WHERE id = n_id RETURNING {EXPERIMENT}"
        );
        let written = async {
            let statement = transaction.prepare_cached(&sql).await?;
            transaction.query(&statement, &[&ids, &status, &results, &errors, &finished]).await
        };
        let rows = written.await.map_err(|error| self.told(doing, error))?;
        let read = |row| self.experiment(doing, row).map(|experiment| (experiment.id, experiment));
        rows.iter().map(read).collect()
    }
}

fn points(entry: &Entry) -> impl Iterator<Item = Vec<Value<'_>>> + Send {
    entry.points.iter().map(|point| -> Vec<Value<'_>> {
        vec![
            Box::new(entry.id),
            Box::new(entry.attempt),
            Box::new(json::text(&point.name)),
            Box::new(point.step),
            Box::new(point.value),
            Box::new(point.recorded_at),
        ]
    })
}
