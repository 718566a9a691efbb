//! Values for tests.

use jiff::{SignedDuration, Timestamp};
use labtop::domain::collection::Record;
use labtop::domain::document::Document;
use labtop::domain::experiment::{Experiment, Figures, NewExperiment, Outcome, Status};
use labtop::domain::metric::MetricPoint;
use labtop::store::queue::Claimant;
use labtop::store::transfer::WholeRun;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub fn running(name: &str) -> NewExperiment {
    NewExperiment {
        key: Uuid::new_v4(),
        name: name.to_owned(),
        model_type: "BERT".to_owned(),
        dataset: "reviews".to_owned(),
        description: String::new(),
        parameters: object(json!({ "learning_rate": 0.001 })),
        status: Status::Running,
        runner: "simulate".to_owned(),
        seed: Some(7),
        batch_id: None,
        trial: None,
        worker: Some("host:1".to_owned()),
        host: Some("host".to_owned()),
        command: None,
        git_commit: None,
        tags: Vec::new(),
        created_at: None,
    }
}

/// A worker that can run the samples, whatever a batch asks for.
pub fn claimant(worker: &str) -> Claimant {
    Claimant {
        worker: worker.to_owned(),
        host: Some(format!("host of {worker}")),
        runners: vec!["simulate".to_owned()],
        labels: None,
        commands: None,
    }
}

pub fn completed(results: Value) -> Outcome {
    Outcome { status: Status::Completed, results: object(results), error: None, finished_at: None }
}

pub fn point(name: &str, step: i64, value: f64) -> MetricPoint {
    let recorded_at = Timestamp::from_microsecond(1_700_000_000_123_456 + step).unwrap();
    MetricPoint { name: name.to_owned(), step, value, recorded_at }
}

pub fn document(id: &str, model: &str, embedding: &[f32]) -> Document {
    Document {
        document_id: id.to_owned(),
        content: format!("text of {id}"),
        embedding: embedding.to_vec(),
        model_name: model.to_owned(),
        metadata: object(json!({ "type": "test" })),
    }
}

pub fn record(id: &str, embedding: &[f32], metadata: Value) -> Record {
    Record {
        id: id.to_owned(),
        document: Some(format!("text of {id}")),
        embedding: embedding.to_vec(),
        metadata: object(metadata),
    }
}

/// What a database may hold: quotes, control and escape sequences, combining and wide characters, the largest integers.
pub fn hostile() -> String {
    "it's \"quoted\" \u{1b}[31m\t\r\n\u{7f} e\u{301} 日本語 🦀 %_\\ ; DROP TABLE x; --".to_owned()
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_123_456).unwrap() + SignedDuration::from_secs(seconds)
}

/// A finished run with something in every field.
pub fn whole(id: i64) -> WholeRun {
    let results = object(json!({ "accuracy": 0.875, "note": hostile(), "deep": [1, { "a": null }] }));
    let experiment = Experiment {
        id,
        key: Uuid::new_v4(),
        name: hostile(),
        model_type: "BERT".to_owned(),
        dataset: "reviews".to_owned(),
        description: hostile(),
        parameters: object(json!({ "learning_rate": 0.001, "text": hostile() })),
        status: Status::Completed,
        figures: Figures::from_results(&results),
        results,
        tags: vec!["one".to_owned(), hostile()],
        note: hostile(),
        runner: "process".to_owned(),
        seed: Some(-7),
        attempt: 2,
        batch_id: None,
        trial: Some(3),
        created_at: at(0),
        started_at: Some(at(1)),
        finished_at: Some(at(2)),
        heartbeat_at: Some(at(3)),
        worker: None,
        host: Some("host".to_owned()),
        command: Some(hostile()),
        git_commit: Some("0123".to_owned()),
        archived_at: Some(at(4)),
        error: Some(hostile()),
    };
    let points = vec![
        point(&hostile(), 1, 0.5),
        point("loss", 1_000_000_000_000, -0.0),
        point("loss", 2, f64::INFINITY),
    ];
    WholeRun { experiment, points }
}
