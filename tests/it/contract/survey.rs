//! Questions about many experiments at once.

use labtop::domain::experiment::{Edit, ExperimentId, NewExperiment, Status};
use labtop::domain::filter::{Aggregate, Field, Figure, Filter};
use labtop::domain::survey::{CurveValues, Spread};
use labtop::store::experiments::{ExperimentQuery, ExperimentStore, Sort};
use labtop::store::survey::GroupQuery;
use serde_json::{Value, json};

use crate::support::backends::Backends;
use crate::support::samples::{completed, object, point, running};

macro_rules! cases {
    ($backend:ident) => {
        super::suite!(
            $backend,
            names_that_occur_are_found,
            values_of_curves_come_in_one_reading,
            curves_of_several_runs_come_apart,
            ids_follow_the_order_of_the_list,
            runs_are_grouped_by_all_but_the_seed,
            simulated_runs_are_no_group_with_others,
            groups_sort_by_their_mean_and_page,
            runs_are_counted_by_their_status,
        );
    };
}
cases!(duckdb);
cases!(postgres);

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn run(store: &dyn ExperimentStore, parameters: Value, results: Option<Value>) -> ExperimentId {
    let new = NewExperiment { parameters: object(parameters), ..running("x") };
    let id = store.create(&new).await.unwrap().id;
    if let Some(results) = results {
        store.finish(id, 1, &completed(results)).await.unwrap();
    }
    id
}

async fn names_that_occur_are_found(backends: &Backends) {
    let store = backends.experiments();
    assert!(store.names().await.unwrap().fields().is_empty());
    run(store, json!({ "lr": 1, "o'dd ~/ name": 2 }), Some(json!({ "loss": 0.5, "accuracy": 0.9 }))).await;
    let id = run(store, json!({ "depth": 3, "lr": "x" }), None).await;
    store.record(id, 1, &[point("val_loss", 1, 1.0), point("val_loss", 2, 0.5)]).await.unwrap();
    let names = store.names().await.unwrap();
    assert_eq!(names.parameters, texts(&["depth", "lr", "o'dd ~/ name"]));
    assert_eq!(names.results, texts(&["accuracy", "loss"]));
    assert_eq!((names.curves, names.complete), (texts(&["val_loss"]), true));
}

async fn values_of_curves_come_in_one_reading(backends: &Backends) {
    let store = backends.experiments();
    let one = run(store, json!({}), None).await;
    let two = run(store, json!({}), None).await;
    let none = run(store, json!({}), None).await;
    let points = [("loss", 1, 3.0), ("loss", 2, 1.0), ("loss", 3, 2.0), ("acc", 1, 0.5), ("acc", 2, 0.4)];
    let points = points.map(|(name, step, value)| point(name, step, value));
    store.record(one, 1, &points).await.unwrap();
    store.record(two, 1, &[point("acc", 1, 0.25)]).await.unwrap();
    let curves = [
        (Aggregate::Last, "loss".to_owned()),
        (Aggregate::Best, "loss".to_owned()),
        (Aggregate::Max, "loss".to_owned()),
        (Aggregate::Best, "acc".to_owned()),
        (Aggregate::Min, "acc".to_owned()),
    ];
    let mut values = store.curve_values(&[two, one, none], &curves).await.unwrap();
    values.sort_by_key(|values| values.id);
    let first = [2.0, 1.0, 3.0, 0.5, 0.4].map(Some).to_vec();
    let second = vec![None, None, None, Some(0.25), Some(0.25)];
    assert_eq!(values, [CurveValues { id: one, values: first }, CurveValues { id: two, values: second }]);
    assert!(store.curve_values(&[], &curves).await.unwrap().is_empty());
    assert!(store.curve_values(&[one], &[]).await.unwrap().is_empty());
}

async fn curves_of_several_runs_come_apart(backends: &Backends) {
    let store = backends.experiments();
    let one = run(store, json!({}), None).await;
    let two = run(store, json!({}), None).await;
    store
        .record(one, 1, &[point("loss", 2, 3.0), point("loss", 1, 4.0), point("acc", 1, 0.5)])
        .await
        .unwrap();
    store.record(two, 1, &[point("loss", 1, 9.0)]).await.unwrap();
    let curves = store.curves(&[two, one]).await.unwrap();
    assert_eq!(curves.len(), 2);
    for run in curves {
        assert_eq!(run.points, store.points(run.id).await.unwrap());
    }
    assert!(store.curves(&[]).await.unwrap().is_empty());
}

async fn ids_follow_the_order_of_the_list(backends: &Backends) {
    let store = backends.experiments();
    for accuracy in [0.3, 0.9, 0.5, 0.7] {
        run(store, json!({}), Some(json!({ "accuracy": accuracy }))).await;
    }
    let filter = Filter::parse("accuracy > 0.4", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let sort = Sort { field: Field::Figure(Figure::Accuracy), descending: true };
    let query = ExperimentQuery { filter: Some(filter), sort, limit: 2, ..ExperimentQuery::default() };
    let listed = store.list(&ExperimentQuery { limit: 9, ..query.clone() }).await.unwrap();
    let listed: Vec<ExperimentId> = listed.rows.iter().map(|run| run.id).collect();
    let ids = store.ids(&query, 1).await.unwrap();
    assert_eq!((ids.ids.as_slice(), ids.total), (&listed[1..3], 3));
}

fn grouped(figures: &[&str]) -> GroupQuery {
    GroupQuery {
        runs: ExperimentQuery::default(),
        figures: figures.iter().map(|name| Field::parse(name).unwrap()).collect(),
        sort: None,
        descending: true,
        skip: 0,
        limit: 10,
    }
}

async fn runs_are_grouped_by_all_but_the_seed(backends: &Backends) {
    let store = backends.experiments();
    let one =
        run(store, json!({ "lr": 0.1, "seed": 1 }), Some(json!({ "accuracy": 0.8, "loss": 1.0 }))).await;
    let two = run(store, json!({ "lr": 0.1, "seed": 2 }), Some(json!({ "accuracy": 0.6 }))).await;
    let moving = run(store, json!({ "lr": 0.1 }), None).await;
    let other = run(store, json!({ "lr": 0.2 }), Some(json!({ "accuracy": 0.5, "loss": "text" }))).await;
    store.record(moving, 1, &[point("loss", 1, 0.5)]).await.unwrap();
    let groups = store.groups(&grouped(&["accuracy", "metrics.loss", "last(loss)"])).await.unwrap();
    assert_eq!((groups.total, groups.rows.len()), (2, 2));
    let [newer, older] = &groups.rows[..] else { panic!() };
    assert_eq!((newer.ids.as_slice(), newer.runs, newer.completed), (&[other][..], 1, 1));
    assert_eq!(newer.figures[0], Spread { n: 1, mean: Some(0.5), deviation: None });
    assert_eq!(newer.figures[1], Spread::default());
    assert_eq!(older.parameters, object(json!({ "lr": 0.1 })));
    assert_eq!((older.model_type.as_str(), older.dataset.as_str()), ("BERT", "reviews"));
    assert_eq!(older.runner, "simulate");
    assert_eq!((older.ids.as_slice(), older.runs, older.completed), (&[moving, two, one][..], 3, 2));
    let accuracy = older.figures[0];
    assert_eq!(accuracy.n, 2);
    assert!((accuracy.mean.unwrap() - 0.7).abs() < 1e-12, "{accuracy:?}");
    assert!((accuracy.deviation.unwrap() - 0.02_f64.sqrt()).abs() < 1e-12, "{accuracy:?}");
    assert_eq!(older.figures[1], Spread { n: 1, mean: Some(1.0), deviation: None });
    // What did not complete does not count, though it has points.
    assert_eq!(older.figures[2], Spread::default());
}

async fn simulated_runs_are_no_group_with_others(backends: &Backends) {
    let store = backends.experiments();
    run(store, json!({ "lr": 1 }), None).await;
    let other = NewExperiment { runner: "process".to_owned(), ..running("x") };
    store.create(&NewExperiment { parameters: object(json!({ "lr": 1 })), ..other }).await.unwrap();
    assert_eq!(store.groups(&grouped(&[])).await.unwrap().total, 2);
}

async fn groups_sort_by_their_mean_and_page(backends: &Backends) {
    let store = backends.experiments();
    for (lr, accuracy) in [(1, 0.3), (2, 0.9), (3, 0.5)] {
        run(store, json!({ "lr": lr }), Some(json!({ "accuracy": accuracy }))).await;
    }
    run(store, json!({ "lr": 4 }), None).await;
    let sorted = GroupQuery { sort: Some(0), ..grouped(&["accuracy"]) };
    let order = async |query: &GroupQuery| -> Vec<i64> {
        let groups = store.groups(query).await.unwrap();
        assert_eq!(groups.total, 4);
        groups.rows.iter().map(|group| group.parameters["lr"].as_i64().unwrap()).collect()
    };
    assert_eq!(order(&sorted).await, [2, 3, 1, 4]);
    assert_eq!(order(&GroupQuery { descending: false, ..sorted.clone() }).await, [1, 3, 2, 4]);
    assert_eq!(order(&GroupQuery { skip: 1, limit: 2, ..sorted.clone() }).await, [3, 1]);
    assert_eq!(order(&grouped(&[])).await, [4, 3, 2, 1]);
}

async fn runs_are_counted_by_their_status(backends: &Backends) {
    let store = backends.experiments();
    assert_eq!(store.statuses().await.unwrap(), []);
    for results in [None, Some(json!({ "loss": 1 })), Some(json!({ "loss": 2 }))] {
        run(store, json!({}), results).await;
    }
    store.edit(3, &Edit::Archive(true)).await.unwrap();
    assert_eq!(store.statuses().await.unwrap(), [(Status::Completed, 2), (Status::Running, 1)]);
}
