//! `demo`: the published sample data, loaded any number of times.

use serde_json::{Value, json};

use crate::support::labtop::Labtop;

fn averages(lab: &Labtop) -> Vec<(String, f64, f64, f64, u64)> {
    let models = lab.json(&["analytics", "models"]);
    let figure = |model: &Value, name: &str| (model[name].as_f64().unwrap() * 1e6).round() / 1e6;
    models
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            (
                model["model_name"].as_str().unwrap().to_owned(),
                figure(model, "avg_accuracy"),
                figure(model, "avg_training_time"),
                figure(model, "avg_inference_time"),
                model["experiment_count"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_published_averages_and_nothing_changes_the_second_time() {
    let lab = Labtop::new();
    let stdout = lab.ok(&["demo"]);
    for line in ["Created experiment: ", "Stored 3 embeddings", "Created collection: product_reviews"] {
        assert!(stdout.contains(line), "{stdout}");
    }
    let expected = [
        ("BERT".to_owned(), 0.93, 3500.0, 43.65, 2),
        ("XGBoost".to_owned(), 0.89, 177.5, 12.1, 2),
        ("RandomForest".to_owned(), 0.86, 122.5, 15.15, 2),
    ];
    assert_eq!(averages(&lab), expected);
    let before = lab.json(&["ls"]);
    assert_eq!(lab.ok(&["demo"]), stdout);
    assert_eq!(averages(&lab), expected);
    assert_eq!(lab.json(&["ls"]), before);
    let comparison = lab.ok(&["analytics", "models"]);
    assert!(comparison.starts_with("Model Performance Comparison:\n"), "{comparison}");
}

#[test]
fn every_performance_row_has_an_experiment_behind_it() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let rows = lab.json(&[
        "analytics",
        "sql",
        "SELECT count(*) AS n FROM experiments_performance p JOIN ml_schema.experiments e ON e.id = p.experiment_id \
         WHERE e.model_type = p.model_name AND e.accuracy = p.accuracy",
    ]);
    assert_eq!(rows, json!([{ "n": 6 }]));
}

#[test]
fn reviews_are_found_and_the_collection_holds_its_records() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let stdout = lab.ok(&["docs", "search", "--random", "--seed", "1"]);
    assert_eq!(stdout.matches("Document: review_00").count(), 3, "{stdout}");
    let like = lab.json(&["docs", "search", "--document", "review_002"]);
    assert_eq!(like[0]["document_id"], "review_002");
    assert!(like[0]["distance"].as_f64().unwrap().abs() < 1e-6);
    let collections = lab.json(&["collections", "ls"]);
    let reviews =
        collections.as_array().unwrap().iter().find(|one| one["name"] == "product_reviews").unwrap();
    assert_eq!((&reviews["records"], &reviews["dimension"]), (&json!(2), &json!(384)));
    assert_eq!(reviews["metadata"]["model"], "text-embedding-ada-002");
    let records =
        lab.json(&["collections", "get", "product_reviews", "--where", "{\"rating\": {\"$gte\": 4}}"]);
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert_eq!(
        records[0]["metadata"],
        json!({ "rating": 5, "verified_purchase": true, "category": "electronics" })
    );
}
