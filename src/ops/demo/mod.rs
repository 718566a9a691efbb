//! The published example's sample data.

#[cfg(test)]
mod tests;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::search::random_vector;
use super::{Lab, News, Result, Watcher};
use crate::domain::collection::{NewCollection, Record, Space};
use crate::domain::document::{Document, Metadata};
use crate::domain::experiment::{Experiment, NewExperiment, Outcome, Parameters, Status};
use crate::domain::performance::{PUBLISHED, PerformanceRow};
use crate::store::{ErrorKind, StoreError};

/// The model that the published vectors are stored under.
const MODEL: &str = "text-embedding-ada-002";
const COLLECTION: &str = "product_reviews";

/// `document_id`, `content`
const REVIEWS: [(&str, &str); 3] = [
    ("review_001", "This product is amazing! Great quality and fast shipping."),
    ("review_002", "Poor quality product. Very disappointed with purchase."),
    ("review_003", "Average product. Nothing special but does the job."),
];

/// `id`, `document`, `rating`
const RECORDS: [(&str, &str, i64); 2] = [
    ("review_001", "Excellent product quality, fast delivery, highly recommended!", 5),
    ("review_002", "Product arrived damaged, poor packaging quality.", 1),
];

/// One row of the published performance table.
struct Published {
    date: Date,
    model: &'static str,
    dataset: &'static str,
    accuracy: f64,
    precision: f64,
    recall: f64,
    training_time_seconds: i64,
    inference_time_ms: f64,
}

/// The published table, in its order.
fn published() -> [Published; 6] {
    let (first, second) = (date(2024, 1, 15), date(2024, 1, 16));
    let row = |date, model, dataset, [accuracy, precision, recall]: [f64; 3], seconds, inference_time_ms| {
        let training_time_seconds = seconds;
        Published {
            date,
            model,
            dataset,
            accuracy,
            precision,
            recall,
            training_time_seconds,
            inference_time_ms,
        }
    };
    [
        row(first, "RandomForest", "sentiment_v1", [0.85, 0.83, 0.87], 120, 15.5),
        row(first, "XGBoost", "sentiment_v1", [0.88, 0.86, 0.90], 180, 12.3),
        row(first, "BERT", "sentiment_v1", [0.92, 0.91, 0.93], 3600, 45.2),
        row(second, "RandomForest", "sentiment_v2", [0.87, 0.85, 0.89], 125, 14.8),
        row(second, "XGBoost", "sentiment_v2", [0.90, 0.88, 0.92], 175, 11.9),
        row(second, "BERT", "sentiment_v2", [0.94, 0.93, 0.95], 3400, 42.1),
    ]
}

/// What the demo holds after loading.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoReport {
    /// "Text Classification v2.0"
    pub experiment: Experiment,
    /// Product reviews in the document store.
    pub embeddings: u64,
    /// `product_reviews`
    pub collection: String,
    /// Records in it that the demo put there.
    pub records: u64,
    /// Rows of the published performance table.
    pub performance: u64,
}

/// Loads the sample data; loading it again changes nothing. Every part is tried, so that one store that is down does
/// not keep the others empty; its error comes at the end.
pub async fn load(lab: &Lab, watcher: &dyn Watcher) -> Result<DemoReport> {
    let tell = |done| watcher.saw(News::Progress { what: "demo".to_owned(), done, total: 4 });
    let experiment = lab.experiments.create(&text_classification()).await;
    tell(1);
    let embeddings = lab.documents.put(&reviews()).await;
    tell(2);
    let performance = load_performance(lab).await;
    tell(3);
    let records = load_records(lab).await;
    tell(4);
    Ok(DemoReport {
        experiment: experiment?,
        embeddings: embeddings?,
        performance: performance?,
        collection: COLLECTION.to_owned(),
        records: records?,
    })
}

/// Equal names give equal keys, on every machine.
fn key(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("labtop:demo/{name}").as_bytes())
}

/// As the published script inserts it: running, and nobody's to run.
fn text_classification() -> NewExperiment {
    let parameters = object([
        ("learning_rate", json!(2e-5)),
        ("batch_size", json!(16)),
        ("epochs", json!(3)),
        ("warmup_steps", json!(500)),
    ]);
    NewExperiment {
        description: "BERT-based sentiment analysis".to_owned(),
        parameters,
        ..experiment("Text Classification v2.0", "TransformerModel", "")
    }
}

fn experiment(name: &str, model: &str, dataset: &str) -> NewExperiment {
    NewExperiment {
        key: key(name),
        name: name.to_owned(),
        model_type: model.to_owned(),
        dataset: dataset.to_owned(),
        description: String::new(),
        parameters: Parameters::new(),
        status: Status::Running,
        runner: PUBLISHED.to_owned(),
        seed: None,
        batch_id: None,
        trial: None,
        worker: None,
        host: None,
        command: None,
        git_commit: None,
        tags: vec!["demo".to_owned()],
        created_at: None,
    }
}

fn reviews() -> Vec<Document> {
    let review = |((id, content), seed): (&(&str, &str), u64)| Document {
        document_id: (*id).to_owned(),
        content: (*content).to_owned(),
        embedding: random_vector(1536, seed),
        model_name: MODEL.to_owned(),
        metadata: object([("content", json!(content)), ("type", json!("product_review"))]),
    };
    REVIEWS.iter().zip(1..).map(review).collect()
}

async fn load_records(lab: &Lab) -> Result<u64, StoreError> {
    let metadata = object([("description", json!("Product review embeddings")), ("model", json!(MODEL))]);
    match lab.collections.create(&NewCollection::new(COLLECTION, &metadata, Space::Cosine)).await {
        Err(error) if error.kind != ErrorKind::Conflict => return Err(error),
        _ => {}
    }
    let record = |((id, document, rating), seed): (&(&str, &str, i64), u64)| Record {
        id: (*id).to_owned(),
        document: Some((*document).to_owned()),
        embedding: random_vector(384, seed),
        metadata: object([
            ("rating", json!(rating)),
            ("verified_purchase", json!(true)),
            ("category", json!("electronics")),
        ]),
    };
    let records: Vec<Record> = RECORDS.iter().zip(1..).map(record).collect();
    lab.collections.upsert(COLLECTION, &records).await
}

/// The published results, each with the finished experiment that it is derived from.
async fn load_performance(lab: &Lab) -> Result<u64> {
    let mut rows = Vec::new();
    for published in published() {
        let experiment = load_published(lab, &published).await?;
        rows.extend(PerformanceRow::of(&experiment));
    }
    // Putting takes away the same rows without an experiment, as a file has them that the published script made.
    lab.analytics.put(&rows).await?;
    Ok(rows.len() as u64)
}

async fn load_published(lab: &Lab, published: &Published) -> Result<Experiment, StoreError> {
    let Published { date, model, dataset, .. } = published;
    let started = noon(*date);
    let new = NewExperiment {
        description: "A row of the published performance table".to_owned(),
        created_at: Some(started),
        ..experiment(&format!("{model} on {dataset}"), model, dataset)
    };
    let experiment = lab.experiments.create(&new).await?;
    if experiment.status.is_final() {
        return Ok(experiment);
    }
    let outcome = Outcome {
        status: Status::Completed,
        results: object([
            ("accuracy", json!(published.accuracy)),
            ("precision", json!(published.precision)),
            ("recall", json!(published.recall)),
            ("training_time_seconds", json!(published.training_time_seconds)),
            ("inference_time_ms", json!(published.inference_time_ms)),
        ]),
        error: None,
        finished_at: Some(started + SignedDuration::from_secs(published.training_time_seconds)),
    };
    lab.experiments.finish(experiment.id, experiment.attempt, &outcome).await
}

/// Noon in UTC: the same day nearly everywhere.
fn noon(date: Date) -> Timestamp {
    // Fails only beyond the year 9999.
    date.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |noon| noon.timestamp())
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Metadata {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
