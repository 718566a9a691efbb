//! One experiment: what was asked for, how it stands, what came of it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::filter::Field;

/// Small integer a person can type; unique within one store.
pub type ExperimentId = i64;

/// JSON object of named parameters, in the order they were given.
pub type Parameters = Map<String, Value>;

/// Where an experiment stands. `interrupted` is a run whose process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
    Interrupted,
}

impl Status {
    pub const ALL: [Status; 6] = [
        Status::Queued,
        Status::Running,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
        Status::Interrupted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::Interrupted => "interrupted",
        }
    }

    /// Nothing more will happen to it unless somebody asks.
    pub fn is_final(self) -> bool {
        !matches!(self, Status::Queued | Status::Running)
    }

    /// May be put back into the queue by resume or retry.
    pub fn is_retryable(self) -> bool {
        matches!(self, Status::Failed | Status::Interrupted | Status::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let known = Status::ALL.map(Status::as_str).join(", ");
            format!("unknown status '{text}' (known: {known})")
        })
    }
}

/// The published metrics, typed; a figure that was not measured is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub accuracy: Option<f64>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1_score: Option<f64>,
    /// Seconds.
    pub training_time_seconds: Option<f64>,
    /// Milliseconds for one prediction.
    pub inference_time_ms: Option<f64>,
    /// MiB.
    pub memory_usage_mb: Option<f64>,
}

impl Figures {
    /// Names and values, in the published order.
    pub fn named(&self) -> [(&'static str, Option<f64>); 7] {
        [
            ("accuracy", self.accuracy),
            ("precision", self.precision),
            ("recall", self.recall),
            ("f1_score", self.f1_score),
            ("training_time_seconds", self.training_time_seconds),
            ("inference_time_ms", self.inference_time_ms),
            ("memory_usage_mb", self.memory_usage_mb),
        ]
    }

    /// Reads the published figures out of a results object; other keys stay in the object alone.
    pub fn from_results(results: &Map<String, Value>) -> Self {
        let figure = |name: &str| results.get(name).and_then(Value::as_f64);
        Figures {
            accuracy: figure("accuracy"),
            precision: figure("precision"),
            recall: figure("recall"),
            f1_score: figure("f1_score"),
            training_time_seconds: figure("training_time_seconds"),
            inference_time_ms: figure("inference_time_ms"),
            memory_usage_mb: figure("memory_usage_mb"),
        }
    }
}

/// What a client asks a store to create. `key` is made by the client, so that asking twice makes no twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewExperiment {
    pub key: Uuid,
    pub name: String,
    pub model_type: String,
    pub dataset: String,
    pub description: String,
    pub parameters: Parameters,
    /// `Running` for a run that starts now, `Queued` for a trial of a batch.
    pub status: Status,
    pub runner: String,
    pub seed: Option<i64>,
    pub batch_id: Option<i64>,
    /// Index of the trial within its batch.
    pub trial: Option<i64>,
    /// Who runs it (host and process); none while queued and for foreign rows.
    pub worker: Option<String>,
    pub host: Option<String>,
    pub command: Option<String>,
    pub git_commit: Option<String>,
    pub tags: Vec<String>,
    /// The store's own clock when none.
    pub created_at: Option<Timestamp>,
}

/// One row of `experiments`, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub id: ExperimentId,
    pub key: Uuid,
    pub name: String,
    /// The spelling of the table; `model_name` in performance rows.
    pub model_type: String,
    /// Empty for rows inserted by foreign SQL that names none.
    pub dataset: String,
    pub description: String,
    pub parameters: Parameters,
    pub status: Status,
    /// Everything the runner reported at the end; the published figures are also in `figures`.
    pub results: Map<String, Value>,
    #[serde(flatten)]
    pub figures: Figures,
    pub tags: Vec<String>,
    pub note: String,
    pub runner: String,
    pub seed: Option<i64>,
    /// Counts the tries, from 1; fences off a late writer.
    pub attempt: i32,
    pub batch_id: Option<i64>,
    pub trial: Option<i64>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub heartbeat_at: Option<Timestamp>,
    pub worker: Option<String>,
    pub host: Option<String>,
    pub command: Option<String>,
    pub git_commit: Option<String>,
    pub archived_at: Option<Timestamp>,
    /// Why it failed, in words.
    pub error: Option<String>,
}

impl Experiment {
    pub fn is_simulated(&self) -> bool {
        self.runner == "simulate"
    }
}

/// How one attempt ended; written once per attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// A final status.
    pub status: Status,
    pub results: Map<String, Value>,
    pub error: Option<String>,
    /// The store's own clock when none.
    pub finished_at: Option<Timestamp>,
}

/// Somebody else wrote a note while this one was being written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the note of experiment {id} was changed meanwhile, and nothing was overwritten; it begins '{now}'")]
pub struct NoteChanged {
    id: ExperimentId,
    /// The beginning of the note as it is now.
    now: String,
}

/// What a person may change about an experiment afterwards.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    AddTags(Vec<String>),
    RemoveTags(Vec<String>),
    Note(String),
    /// A new note in the place of the one that was read; refused when it is another one by now.
    ReviseNote {
        before: String,
        after: String,
    },
    Archive(bool),
}

impl Experiment {
    /// The value of a field as JSON; null when it is empty, and for aggregates of a curve, which need its points.
    pub fn value(&self, field: &Field) -> Value {
        let moment = |time: Option<Timestamp>| time.map_or(Value::Null, |time| time.to_string().into());
        match field {
            Field::Id => self.id.into(),
            Field::Name => self.name.clone().into(),
            Field::Model => self.model_type.clone().into(),
            Field::Dataset => self.dataset.clone().into(),
            Field::Description => self.description.clone().into(),
            Field::Status => self.status.as_str().into(),
            Field::Runner => self.runner.clone().into(),
            Field::Seed => self.seed.into(),
            Field::Batch => self.batch_id.into(),
            Field::Attempt => self.attempt.into(),
            Field::Note => self.note.clone().into(),
            Field::Tag => self.tags.join(", ").into(),
            Field::Created => moment(Some(self.created_at)),
            Field::Started => moment(self.started_at),
            Field::Finished => moment(self.finished_at),
            Field::Figure(figure) => {
                let named = self.figures.named();
                named.iter().find(|(name, _)| *name == figure.column()).and_then(|(_, value)| *value).into()
            }
            Field::Param(name) => self.parameters.get(name).cloned().unwrap_or_default(),
            Field::Metric(name) => self.results.get(name).cloned().unwrap_or_default(),
            Field::Curve(..) => Value::Null,
        }
    }
}

impl Edit {
    /// The tags after a change of tags: in the order in which they were added, each once. Other edits change none.
    pub fn tags_after(&self, before: &[String]) -> Vec<String> {
        let mut after = before.to_vec();
        match self {
            Edit::AddTags(tags) => {
                for tag in tags {
                    if !after.contains(tag) {
                        after.push(tag.clone());
                    }
                }
            }
            Edit::RemoveTags(tags) => after.retain(|tag| !tags.contains(tag)),
            Edit::Note(_) | Edit::ReviseNote { .. } | Edit::Archive(_) => {}
        }
        after
    }

    /// Whether the edit still fits the experiment it was made for.
    pub fn check(&self, experiment: &Experiment) -> Result<(), NoteChanged> {
        match self {
            Edit::ReviseNote { before, .. } if *before != experiment.note => {
                let now = experiment.note.lines().next().unwrap_or("");
                Err(NoteChanged { id: experiment.id, now: super::text::first_characters(now, 80).to_owned() })
            }
            _ => Ok(()),
        }
    }
}
