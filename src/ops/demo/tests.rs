//! The demo, twice: on fakes and on a real DuckDB file.

use std::path::Path;

use super::*;
use crate::ops::news::Nobody;
use crate::ops::tests::{Bench, FOREVER, settings};
use crate::ops::{OpsError, analytics, document};
use crate::store::experiments::ExperimentQuery;

async fn averages(lab: &Lab) -> Vec<(String, [f64; 3], u64)> {
    let rounded = |figure: Option<f64>| (figure.unwrap() * 1e6).round() / 1e6;
    let models = analytics::models(lab, false).await.unwrap();
    let figures = |model: &crate::domain::performance::ModelSummary| {
        [model.avg_accuracy, model.avg_training_time, model.avg_inference_time].map(rounded)
    };
    models.iter().map(|model| (model.model_name.clone(), figures(model), model.experiment_count)).collect()
}

fn published_averages() -> Vec<(String, [f64; 3], u64)> {
    vec![
        ("BERT".to_owned(), [0.93, 3500.0, 43.65], 2),
        ("XGBoost".to_owned(), [0.89, 177.5, 12.1], 2),
        ("RandomForest".to_owned(), [0.86, 122.5, 15.15], 2),
    ]
}

async fn load_twice(lab: &Lab) {
    let first = load(lab, &Nobody).await.unwrap();
    assert_eq!(first.experiment.name, "Text Classification v2.0");
    assert_eq!(first.experiment.status, Status::Running);
    assert_eq!(first.experiment.worker, None);
    assert_eq!(first.experiment.parameters["learning_rate"], json!(2e-5));
    assert_eq!((first.embeddings, first.records, first.performance), (3, 2, 6));
    assert_eq!(first.collection, "product_reviews");
    assert_eq!(averages(lab).await, published_averages());
    let all = ExperimentQuery::default();
    let before = lab.experiments.list(&all).await.unwrap();
    assert_eq!(before.total, 7);

    assert_eq!(load(lab, &Nobody).await.unwrap(), first);
    assert_eq!(averages(lab).await, published_averages());
    assert_eq!(lab.experiments.list(&all).await.unwrap(), before);
    let collection = lab.collections.get("product_reviews").await.unwrap();
    assert_eq!((collection.records, collection.dimension), (2, Some(384)));
    assert_eq!(collection.metadata["description"], "Product review embeddings");
    let models = document::models(lab).await.unwrap();
    assert_eq!(models.len(), 1);
    assert_eq!((models[0].name.as_str(), models[0].dimension, models[0].documents), (MODEL, 1536, 3));
}

#[tokio::test]
async fn loading_twice_on_one_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::open(settings(&folder.path().join("lab.duckdb"))).unwrap();
    load_twice(&lab).await;
}

#[tokio::test]
async fn loading_twice_into_separate_stores_changes_nothing() {
    load_twice(&Bench::servers().lab).await;
}

/// The published script's own table, made by its own statement.
fn publish(path: &Path) {
    let connection = duckdb::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE experiments_performance AS SELECT * FROM (VALUES
            ('2024-01-15'::DATE, 'RandomForest', 'sentiment_v1', 0.85, 0.83, 0.87, 120, 15.5),
            ('2024-01-15'::DATE, 'XGBoost', 'sentiment_v1', 0.88, 0.86, 0.90, 180, 12.3),
            ('2024-01-15'::DATE, 'BERT', 'sentiment_v1', 0.92, 0.91, 0.93, 3600, 45.2),
            ('2024-01-16'::DATE, 'RandomForest', 'sentiment_v2', 0.87, 0.85, 0.89, 125, 14.8),
            ('2024-01-16'::DATE, 'XGBoost', 'sentiment_v2', 0.90, 0.88, 0.92, 175, 11.9),
            ('2024-01-16'::DATE, 'BERT', 'sentiment_v2', 0.94, 0.93, 0.95, 3400, 42.1))
            AS t(date, model_name, dataset, accuracy, precision, recall, training_time_sec, inference_time_ms)",
        )
        .unwrap();
}

#[tokio::test]
async fn rows_of_the_published_script_are_not_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.duckdb");
    publish(&path);
    let lab = Lab::open(settings(&path)).unwrap();
    crate::ops::schema::init(&lab).await.unwrap();
    assert_eq!(averages(&lab).await, published_averages());
    load_twice(&lab).await;
    let rows = analytics::sql(&lab, "SELECT experiment_id FROM experiments_performance", 100).await.unwrap();
    assert_eq!(rows.rows.len(), 6);
    assert!(rows.rows.iter().all(|row| row[0].is_number()), "{rows:?}");
}

#[tokio::test]
async fn one_store_that_is_down_keeps_no_other_empty() {
    let bench = Bench::servers();
    bench.documents.down.set(FOREVER);
    let error = load(&bench.lab, &Nobody).await.unwrap_err();
    assert!(matches!(&error, OpsError::Store(error) if error.kind == ErrorKind::Unavailable));
    assert_eq!(averages(&bench.lab).await, published_averages());
    assert_eq!(bench.collections.texts("product_reviews").len(), 2);
}
