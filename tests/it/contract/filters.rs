//! Filters mean the same on every engine.

use jiff::Timestamp;
use labtop::domain::experiment::{Edit, NewExperiment};
use labtop::domain::filter::{Field, Filter};
use labtop::store::ErrorKind;
use labtop::store::experiments::{ExperimentQuery, Sort};
use serde_json::json;

use crate::support::backends::Backends;
use crate::support::samples::{completed, object, point, running};

super::suite!(duckdb, filters_find_the_same, a_bad_pattern_is_the_users_mistake);
mod on_postgres {
    use super::{a_bad_pattern_is_the_users_mistake, filters_find_the_same};
    super::super::suite!(postgres, filters_find_the_same, a_bad_pattern_is_the_users_mistake);
}

/// What each filter finds among the four experiments below, by name.
const CASES: &[(&str, &str)] = &[
    ("accuracy > 0.75", "bc"),
    ("metrics.accuracy >= 0.9", "b"),
    ("accuracy != 0.9", "acd"),
    ("not accuracy > 0.75", "ad"),
    ("params.lr < 0.05", "a"),
    ("params.lr > 0.05", "b"),
    ("params.lr = 'fast'", "c"),
    ("params.lr != 0.01", "bcd"),
    ("params.flag = true", "b"),
    ("params.`odd name` = 'it''s'", "d"),
    ("model = 'XGBoost' or tag = 'baseline'", "ab"),
    ("tag != 'baseline'", "acd"),
    ("tag ~ '^base'", "b"),
    ("not tag in ('baseline', 'other')", "acd"),
    ("status in ('completed')", "abc"),
    ("status not in ('completed', 'failed')", "d"),
    ("name ~ '^[ab]$'", "ab"),
    ("precision > recall", "c"),
    ("best(accuracy) > 0.9", "a"),
    ("last(accuracy) = 0.5", "a"),
    ("min(loss) < 0.2", "a"),
    ("best(loss) < 0.2", "a"),
    ("metrics.extra = 3", "c"),
    ("created > -1h and created < 2999-01-01", "abcd"),
    ("created < -1h", ""),
    ("finished > 2001-01-01", "abc"),
    ("runner = 'simulate' and (seed = 7 and not (name = 'a' or name = 'b'))", "cd"),
    ("dataset = 'no such; DROP TABLE x'", ""),
];

async fn seed(backends: &Backends) {
    let store = backends.experiments();
    let new = |name: &str, model: &str, parameters| NewExperiment {
        model_type: model.to_owned(),
        parameters: object(parameters),
        ..running(name)
    };
    let a = store.create(&new("a", "XGBoost", json!({ "lr": 0.01 }))).await.unwrap().id;
    let b = store.create(&new("b", "BERT", json!({ "lr": 0.1, "flag": true }))).await.unwrap().id;
    let c = store.create(&new("c", "BERT", json!({ "lr": "fast" }))).await.unwrap().id;
    store.create(&new("d", "BERT", json!({ "odd name": "it's" }))).await.unwrap();
    store.edit(b, &Edit::AddTags(vec!["baseline".to_owned(), "x".to_owned()])).await.unwrap();
    let curve =
        [point("accuracy", 1, 0.95), point("accuracy", 2, 0.5), point("loss", 1, 0.1), point("loss", 2, 0.3)];
    store.record(a, 1, &curve).await.unwrap();
    store.finish(a, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    store.finish(b, 1, &completed(json!({ "accuracy": 0.9 }))).await.unwrap();
    let results = json!({ "accuracy": 0.8, "precision": 0.9, "recall": 0.7, "extra": 3 });
    store.finish(c, 1, &completed(results)).await.unwrap();
}

async fn filters_find_the_same(backends: &Backends) {
    seed(backends).await;
    for (text, expected) in CASES {
        let filter = Filter::parse(text, Timestamp::now()).unwrap();
        let sort = Sort { field: Field::Name, descending: false };
        let query = ExperimentQuery { filter: Some(filter), sort, ..ExperimentQuery::default() };
        let page =
            backends.experiments().list(&query).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let found: String = page.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(found, *expected, "{text}");
        assert_eq!(page.total as usize, expected.len(), "{text}");
    }
}

async fn a_bad_pattern_is_the_users_mistake(backends: &Backends) {
    let filter = Filter::parse("name ~ '['", Timestamp::now()).unwrap();
    let query = ExperimentQuery { filter: Some(filter), ..ExperimentQuery::default() };
    backends.experiments().create(&running("x")).await.unwrap();
    assert_eq!(backends.experiments().list(&query).await.unwrap_err().kind, ErrorKind::Invalid);
}
