//! Rows of `experiments` and `batches`, to and from the domain's values.

use std::str::FromStr;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::domain::batch::{Batch, Counts};
use crate::domain::experiment::{Experiment, Figures, NewExperiment, Status};
use crate::store::{ErrorKind, Result};

use super::Pg;
use super::copy::Value;
use super::json;

/// What is read of one experiment, in the order of no importance; foreign SQL may have left any of the texts empty.
pub(super) const EXPERIMENT: &str = "id, key, name, coalesce(model_type, '') AS model_type, \
    coalesce(dataset, '') AS dataset, coalesce(description, '') AS description, parameters, status, results, accuracy, \
    precision, recall, f1_score, training_time_seconds, inference_time_ms, memory_usage_mb, tags, note, runner, seed, attempt, \
    batch_id, trial, created_at, started_at, finished_at, heartbeat_at, worker, host, command, git_commit, archived_at, error";

/// Columns that creating an experiment writes, with their types; see [`values`].
pub(super) const CREATED: [(&str, Type); 19] = [
    ("key", Type::UUID),
    ("name", Type::TEXT),
    ("model_type", Type::TEXT),
    ("dataset", Type::TEXT),
    ("description", Type::TEXT),
    ("parameters", Type::JSONB),
    ("status", Type::TEXT),
    ("tags", Type::TEXT_ARRAY),
    ("runner", Type::TEXT),
    ("seed", Type::INT8),
    ("batch_id", Type::INT8),
    ("trial", Type::INT8),
    ("worker", Type::TEXT),
    ("host", Type::TEXT),
    ("command", Type::TEXT),
    ("git_commit", Type::TEXT),
    ("created_at", Type::TIMESTAMPTZ),
    ("started_at", Type::TIMESTAMPTZ),
    ("heartbeat_at", Type::TIMESTAMPTZ),
];

/// The values for [`CREATED`]. `now` is the server's clock, for what has no time of its own.
pub(super) fn values<'a>(
    new: &'a NewExperiment,
    batch_id: Option<i64>,
    now: jiff::Timestamp,
) -> Vec<Value<'a>> {
    let created = new.created_at.unwrap_or(now);
    let running = new.status == Status::Running;
    let started = running.then_some(created);
    let heartbeat = (running && new.worker.is_some()).then_some(now);
    let optional = |text: &'a Option<String>| -> Value<'a> { Box::new(json::optional(text.as_deref())) };
    vec![
        Box::new(new.key),
        Box::new(json::text(&new.name)),
        Box::new(json::text(&new.model_type)),
        Box::new(json::text(&new.dataset)),
        Box::new(json::text(&new.description)),
        Box::new(json::object(&new.parameters)),
        Box::new(new.status.as_str()),
        Box::new(json::texts(&new.tags)),
        Box::new(json::text(&new.runner)),
        Box::new(new.seed),
        Box::new(batch_id),
        Box::new(new.trial),
        optional(&new.worker),
        optional(&new.host),
        optional(&new.command),
        optional(&new.git_commit),
        Box::new(created),
        Box::new(started),
        Box::new(heartbeat),
    ]
}

/// Reads columns by name, saying in our words what could not be read.
struct Columns<'a> {
    pg: &'a Pg,
    doing: &'a str,
    row: &'a Row,
}

impl<'a> Columns<'a> {
    fn get<T: FromSql<'a>>(&self, name: &str) -> Result<T> {
        self.row.try_get(name).map_err(|error| self.pg.told(self.doing, error))
    }
}

impl Pg {
    /// One value of a row by its place.
    pub(super) fn value<'a, T: FromSql<'a>>(&self, doing: &str, row: &'a Row, index: usize) -> Result<T> {
        row.try_get(index).map_err(|error| self.told(doing, error))
    }

    pub(super) fn experiment(&self, doing: &str, row: &Row) -> Result<Experiment> {
        let columns = Columns { pg: self, doing, row };
        let status: &str = columns.get("status")?;
        let status =
            Status::from_str(status).map_err(|problem| self.error(ErrorKind::Backend, doing, problem))?;
        Ok(Experiment {
            id: columns.get("id")?,
            key: columns.get("key")?,
            name: columns.get("name")?,
            model_type: columns.get("model_type")?,
            dataset: columns.get("dataset")?,
            description: columns.get("description")?,
            parameters: json::as_object(columns.get("parameters")?),
            status,
            results: json::as_object(columns.get("results")?),
            figures: Figures {
                accuracy: columns.get("accuracy")?,
                precision: columns.get("precision")?,
                recall: columns.get("recall")?,
                f1_score: columns.get("f1_score")?,
                training_time_seconds: columns.get("training_time_seconds")?,
                inference_time_ms: columns.get("inference_time_ms")?,
                memory_usage_mb: columns.get("memory_usage_mb")?,
            },
            tags: columns.get("tags")?,
            note: columns.get("note")?,
            runner: columns.get("runner")?,
            seed: columns.get("seed")?,
            attempt: columns.get("attempt")?,
            batch_id: columns.get("batch_id")?,
            trial: columns.get("trial")?,
            created_at: columns.get("created_at")?,
            started_at: columns.get("started_at")?,
            finished_at: columns.get("finished_at")?,
            heartbeat_at: columns.get("heartbeat_at")?,
            worker: columns.get("worker")?,
            host: columns.get("host")?,
            command: columns.get("command")?,
            git_commit: columns.get("git_commit")?,
            archived_at: columns.get("archived_at")?,
            error: columns.get("error")?,
        })
    }

    /// A batch from a row that has its trials counted in a column per status.
    pub(super) fn batch_of(&self, doing: &str, row: &Row) -> Result<Batch> {
        let columns = Columns { pg: self, doing, row };
        let mut counts = Counts::default();
        for status in Status::ALL {
            let count: i64 = columns.get(status.as_str())?;
            counts.add(status, count.unsigned_abs());
        }
        let parallel: i32 = columns.get("parallel")?;
        Ok(Batch {
            id: columns.get("id")?,
            key: columns.get("key")?,
            name: columns.get("name")?,
            spec: json::as_object(columns.get("spec")?),
            parallel: parallel.unsigned_abs(),
            created_at: columns.get("created_at")?,
            counts,
        })
    }
}
