//! Fixed data, and the answers a worker would give from it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::domain::batch::{Batch, Counts};
use crate::domain::collection::StoredRecord;
use crate::domain::document::ModelStats;
use crate::domain::experiment::{Experiment, ExperimentId, Figures, Status};
use crate::domain::index::{Nearest, Scan, Why};
use crate::domain::metric::MetricPoint;
use crate::domain::survey::{CurveValues, Group, Groups, Ids, Names, RunCurves, Spread};
use crate::domain::window::{Key, Window};
use crate::domain::worker::Worker;
use crate::tui::widgets::number::counted;
use crate::worker::protocol::{
    Answer, BatchFile, Cancel, Command, Event, ExperimentRows, ExperimentsRead, Failure, JobState, JobUpdate,
    Read, Request, Write,
};

/// Names as they come from other people's databases.
const MODELS: [&str; 6] = [
    "XGBoost",
    "NeuralNet",
    "RandomForest",
    "日本語モデル",
    "\u{1b}[31mred\u{1b}[0m",
    "A model with a very long name",
];

/// Seconds after the first moment of the tests.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// What the fake worker knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    pub documents: Vec<ModelStats>,
    /// Newest first.
    pub runs: Vec<Experiment>,
    pub files: Vec<BatchFile>,
    pub workers: Vec<Worker>,
    /// Every read fails so.
    pub failure: Option<Failure>,
    /// Filters that contain this are refused.
    pub bad_filter: Option<(&'static str, Failure)>,
}

impl Data {
    /// `count` runs of many kinds.
    pub fn with_runs(count: i64) -> Self {
        Data { runs: (1..=count).rev().map(run).collect(), files: files(), ..Data::default() }
    }

    /// What the worker says to a request, at once.
    pub fn answer(&mut self, request: &Request) -> Vec<Event> {
        let ticket = request.ticket;
        let done = |text: String| Event::Done { ticket, result: Ok(text) };
        match &request.command {
            Command::Read(slot, read) => {
                let result = self.read(read);
                vec![Event::Answer { ticket, slot: *slot, result }]
            }
            Command::Write(Write::LaunchBatch(path)) => {
                let update = JobUpdate {
                    ticket,
                    what: format!("batch {}", path.display()),
                    state: JobState::Running,
                    done: 0,
                    total: 3,
                    failed: 0,
                };
                vec![Event::Job(update)]
            }
            Command::Write(Write::Edit(ids, _)) => {
                vec![done(format!("changed {}", counted(ids.len() as u64, "run")))]
            }
            Command::Write(Write::Remove(ids)) => {
                self.runs.retain(|run| !ids.contains(&run.id));
                vec![
                    Event::Removed(ids.clone()),
                    done(format!("deleted {}", counted(ids.len() as u64, "run"))),
                ]
            }
            Command::Write(_) => vec![done("done".to_owned())],
            Command::Remember(_) | Command::TryNow => Vec::new(),
            Command::Cancel(Cancel::Experiment(id)) => vec![done(format!("cancelled #{id}"))],
            Command::Cancel(_) => vec![done("cancelled".to_owned())],
        }
    }

    /// By model, whatever else they differ in.
    fn groups(&self, figures: usize) -> Groups {
        let group = |model: &&str| {
            let runs: Vec<&Experiment> = self.runs.iter().filter(|run| run.model_type == **model).collect();
            let completed = runs.iter().filter(|run| run.status == Status::Completed).count() as u64;
            let spread = Spread { n: completed, mean: Some(0.9), deviation: Some(0.0123) };
            let mut parameters = run(1).parameters;
            parameters.insert("depth".to_owned(), model.len().into());
            Group {
                model_type: (*model).to_owned(),
                dataset: "sentiment_v3".to_owned(),
                runner: "simulate".to_owned(),
                parameters,
                runs: runs.len() as u64,
                completed,
                figures: vec![spread; figures],
                ids: runs.iter().map(|run| run.id).take(Group::MOST_IDS).collect(),
            }
        };
        let rows: Vec<Group> = MODELS.iter().map(group).filter(|group| group.runs > 0).collect();
        Groups { total: rows.len() as u64, rows }
    }

    fn read(&self, read: &Read) -> Result<Answer, Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match read {
            Read::Experiments(read) => {
                if let Some((text, failure)) = &self.bad_filter
                    && read.filter.contains(text)
                {
                    return Err(failure.clone());
                }
                let all: Vec<&Experiment> = self
                    .runs
                    .iter()
                    .filter(|run| !read.filter.contains("simulate") || !run.is_simulated())
                    .collect();
                Ok(Answer::Experiments(window_of(&all, read)))
            }
            Read::Detail(id) => match self.runs.iter().find(|run| run.id == *id) {
                Some(run) => {
                    let last = if run.status == Status::Running { 12 } else { 30 };
                    let points = points(*id, 1, last);
                    let recorded = points.len() as u64;
                    Ok(Answer::Detail { experiment: Box::new(run.clone()), points, recorded })
                }
                None => Err(failure(&format!("experiment {id} does not exist"))),
            },
            Read::DocumentsOf(id) => Ok(Answer::Documents(vec![configuration(*id)])),
            Read::BatchFiles => Ok(Answer::BatchFiles(self.files.clone())),
            Read::Batches => Ok(Answer::Batches(Vec::new())),
            Read::Map(_)
            | Read::Engines(_)
            | Read::Search(_)
            | Read::Hybrid(_)
            | Read::DocumentStats
            | Read::EmbeddingModels => Ok(self.documents(read)),
            Read::Collections => Ok(Answer::Collections(Vec::new())),
            Read::Records { collection, page } => Ok(Answer::Records {
                collection: collection.clone(),
                offset: page.offset,
                records: Vec::new(),
            }),
            Read::QueryCollection(question) => Ok(Answer::RecordHits {
                collection: question.collection.clone(),
                hits: Vec::new(),
                took: std::time::Duration::ZERO,
            }),
            Read::CountRecords { .. } => Ok(Answer::RecordCount(0)),
            Read::Databases { .. } => Err(failure("the embedded store is one database")),
            Read::At(_, read) => self.read(read),
            Read::ModelSummaries { .. } => Ok(Answer::ModelSummaries(Vec::new())),
            Read::Names => Ok(Answer::Names(names())),
            Read::CurveValues { ids, curves } => {
                let values = |id: &ExperimentId| CurveValues {
                    id: *id,
                    values: curves.iter().map(|_| Some(0.5 + (*id % 100) as f64 / 1000.0)).collect(),
                };
                Ok(Answer::CurveValues(ids.iter().map(values).collect()))
            }
            Read::Ids(read) => {
                let ids = self.runs.iter().map(|run| run.id);
                let ids = ids.skip(read.skip as usize).take(read.limit as usize).collect();
                Ok(Answer::Ids(Ids { ids, total: self.runs.len() as u64 }))
            }
            Read::Runs(ids) => {
                let experiments = self.runs.iter().filter(|run| ids.contains(&run.id)).cloned().collect();
                let curves = ids.iter().map(|id| RunCurves { id: *id, points: points(*id, 1, 30) }).collect();
                Ok(Answer::Runs { experiments, curves })
            }
            Read::Workers => Ok(Answer::Workers(self.workers.clone())),
            Read::Groups(read) => Ok(Answer::Groups(self.groups(read.figures.len()))),
            Read::Sql(_) => Ok(Answer::Table {
                table: crate::domain::table::Table::new(&["a"]),
                took: std::time::Duration::ZERO,
            }),
        }
    }
}

impl Data {
    /// What there is of documents, of which nothing is ever found.
    fn documents(&self, read: &Read) -> Answer {
        let (scan, took) = (Scan::Exact(Why::Always), std::time::Duration::ZERO);
        match read {
            Read::Map(_) => Answer::Map(Box::default()),
            Read::Engines(_) => Answer::Engines(Vec::new()),
            Read::Hybrid(_) => Answer::Hybrid { hits: Vec::new(), scan, took },
            Read::DocumentStats => {
                Answer::DocumentStats { models: self.documents.clone(), none_needed: None }
            }
            Read::EmbeddingModels => Answer::EmbeddingModels(Vec::new()),
            _ => Answer::Search { found: Nearest { hits: Vec::new(), scan }, took },
        }
    }
}

fn names() -> Names {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Names {
        parameters: texts(&["batch_size", "learning_rate", "text"]),
        results: texts(&["accuracy", "epochs"]),
        curves: texts(&["accuracy", "inference_time_ms", "loss"]),
        complete: true,
    }
}

pub(crate) fn failure(message: &str) -> Failure {
    Failure { message: message.to_owned(), remedy: None, unavailable: false }
}

/// The run with this id; equal ids give equal runs.
pub(crate) fn run(id: ExperimentId) -> Experiment {
    let status = match id % 7 {
        0 => Status::Failed,
        3 => Status::Cancelled,
        5 => Status::Queued,
        6 => Status::Interrupted,
        _ => Status::Completed,
    };
    let share = (id * 37 % 100) as f64 / 1000.0;
    let figures = if status == Status::Completed {
        Figures {
            accuracy: Some(0.85 + share),
            training_time_seconds: Some(100.0 + share * 1000.0),
            inference_time_ms: Some(10.0 + share * 100.0),
            ..Figures::default()
        }
    } else {
        Figures::default()
    };
    let results = match figures.accuracy {
        Some(accuracy) => json!({"accuracy": accuracy, "epochs": 3}),
        None => json!({}),
    };
    let object = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
    Experiment {
        id,
        key: Uuid::from_u128(id as u128),
        name: format!("trial {id}"),
        model_type: MODELS[id as usize % MODELS.len()].to_owned(),
        dataset: "sentiment_v3".to_owned(),
        description: String::new(),
        parameters: object(
            json!({"learning_rate": 0.001 * (id % 3 + 1) as f64, "batch_size": 32, "text": "a\tb\nc"}),
        ),
        status,
        results: object(results),
        figures,
        tags: if id % 4 == 0 { vec!["baseline".to_owned()] } else { Vec::new() },
        note: String::new(),
        runner: if id % 2 == 0 { "simulate" } else { "process" }.to_owned(),
        seed: Some(id),
        attempt: 1,
        batch_id: Some(1),
        trial: Some(id),
        created_at: at(-60 * (2000 - id)),
        started_at: Some(at(-60 * (2000 - id))),
        finished_at: status.is_final().then(|| at(-60 * (2000 - id) + 30)),
        heartbeat_at: None,
        worker: Some("lab:1".to_owned()),
        host: Some("lab".to_owned()),
        command: None,
        git_commit: Some("abc1234".to_owned()),
        archived_at: None,
        error: (status == Status::Failed)
            .then(|| "train.py ended with code 1:\nValueError: no data".to_owned()),
    }
}

/// A run of this process that moves.
pub(crate) fn running(id: ExperimentId) -> Experiment {
    Experiment {
        status: Status::Running,
        figures: Figures::default(),
        finished_at: None,
        error: None,
        model_type: "NeuralNet".to_owned(),
        ..run(id)
    }
}

/// Three curves from step `first` to `last`.
pub(crate) fn points(id: ExperimentId, first: i64, last: i64) -> Vec<MetricPoint> {
    let mut points = Vec::new();
    for step in first..=last {
        let progress = 1.0 - (-(step as f64) / 8.0).exp();
        let wobble = ((step * 7 + id) % 5) as f64 / 200.0;
        for (name, value) in [
            ("accuracy", 0.5 + 0.4 * progress + wobble),
            ("loss", 1.2 * (1.0 - progress) + wobble),
            ("inference_time_ms", 12.0 + wobble * 40.0),
        ] {
            points.push(MetricPoint { name: name.to_owned(), step, value, recorded_at: at(step) });
        }
    }
    points
}

/// A batch with so many trials done and running.
pub(crate) fn batch(completed: u64, running: u64) -> Batch {
    Batch {
        id: 1,
        key: Uuid::from_u128(1),
        name: "sentiment v3".to_owned(),
        spec: serde_json::Map::new(),
        parallel: 1,
        created_at: at(0),
        counts: Counts { completed, running, ..Counts::default() },
    }
}

fn files() -> Vec<BatchFile> {
    let file = |name: &str, summary: Result<&str, &str>| BatchFile {
        path: PathBuf::from(format!("config/batches/{name}.toml")),
        name: name.to_owned(),
        summary: summary.map(str::to_owned).map_err(str::to_owned),
    };
    vec![
        file("published", Ok("3 trials · grid · simulate")),
        file("sentiment v3", Ok("24 trials · random · simulate · 2 at once")),
        file("broken", Err("line 4: unknown key `serach` (known: name, dataset, runner, search, params)")),
    ]
}

/// As a store answers, whatever the order that was asked for.
fn window_of(all: &[&Experiment], read: &ExperimentsRead) -> ExperimentRows {
    let limit = read.limit as usize;
    let place = |key: &Key| all.iter().position(|run| run.id == key.id).unwrap_or(0);
    let position = match &read.window {
        Window::First => 0,
        Window::Last => all.len().saturating_sub(limit),
        Window::At(place) => (*place as usize).min(all.len()),
        Window::After(key) => place(key) + 1,
        Window::Before(key) => place(key).saturating_sub(limit),
        Window::Around(key) => place(key).saturating_sub(limit / 2).min(all.len().saturating_sub(limit)),
    };
    let rows: Vec<Experiment> = all.iter().skip(position).take(limit).map(|run| (*run).clone()).collect();
    let keys = rows.iter().map(|run| Key::of_id(run.id)).collect();
    ExperimentRows { rows, keys, position: position as u64, total: all.len() as u64 }
}

/// The document of a run that says how it was set.
fn configuration(id: ExperimentId) -> StoredRecord {
    StoredRecord {
        id: format!("exp_{id}_config"),
        document: Some("XGBoost on sentiment_v3 with learning_rate 0.001".to_owned()),
        metadata: serde_json::Map::new(),
        embedding: None,
    }
}
