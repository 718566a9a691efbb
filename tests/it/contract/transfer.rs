//! The contract of `Transfer` and `DocumentLook`.

use labtop::domain::batch::{Batch, Counts};
use labtop::domain::experiment::Status;
use labtop::store::outbox::NewDelivery;
use labtop::store::transfer::{Identity, Which, WholeRun};
use serde_json::json;
use uuid::Uuid;

use super::suite;
use crate::support::backends::Backends;
use crate::support::samples::{at, document, hostile, object, point, record, running, whole};

macro_rules! on_every_backend {
    ($backend:ident) => {
        suite!(
            $backend,
            runs_come_in_whole,
            ids_are_kept_where_they_are_free,
            ids_that_are_reserved_are_passed_over,
            a_known_run_is_replaced_unless_it_went_further,
            one_that_is_worked_on_stays,
            windows_are_cut_by_points,
            batches_are_taken_once,
            deliveries_come_in_windows,
            documents_come_in_windows,
            it_is_itself,
        );
    };
}

on_every_backend!(duckdb);
on_every_backend!(postgres);

fn by_key(run: &WholeRun) -> Which {
    Which::Keys(vec![run.experiment.key])
}

fn sorted(mut run: WholeRun) -> WholeRun {
    run.points.sort_by(|one, other| (&one.name, one.step).cmp(&(&other.name, other.step)));
    run
}

async fn read(backends: &Backends, run: &WholeRun) -> WholeRun {
    let mut found = backends.transfer().runs(&by_key(run), 0).await.unwrap();
    assert_eq!(found.len(), 1);
    sorted(found.remove(0))
}

async fn runs_come_in_whole(backends: &Backends) {
    let store = backends.transfer();
    let mut with_nan = whole(12);
    with_nan.points = vec![point("loss", 1, f64::NAN)];
    let run = sorted(whole(7));
    let empty = WholeRun { points: Vec::new(), ..whole(9) };
    let taken = store.take_runs(&[run.clone(), empty.clone(), with_nan.clone()], true).await.unwrap();
    assert_eq!(taken, 3);
    assert_eq!(read(backends, &run).await, run);
    assert_eq!(read(backends, &empty).await, empty);
    let read = read(backends, &with_nan).await;
    assert!(read.points.len() == 1 && read.points[0].value.is_nan(), "{read:?}");
    assert_eq!(backends.experiments().points(7).await.unwrap().len(), 3);
    assert_eq!(backends.experiments().get(9).await.unwrap(), empty.experiment);
}

async fn ids_are_kept_where_they_are_free(backends: &Backends) {
    let store = backends.transfer();
    let own = backends.experiments().create(&running("own")).await.unwrap();
    let (taken, free, unnamed) = (whole(own.id), whole(40), whole(50));
    assert!(store.reserve(0, 60).await.unwrap());
    store.take_runs(&[taken.clone(), free.clone()], true).await.unwrap();
    store.take_runs(std::slice::from_ref(&unnamed), false).await.unwrap();
    let keys = [&taken, &free, &unnamed].map(|run| run.experiment.key);
    let found = store.identities(&Which::Keys(keys.to_vec())).await.unwrap();
    let id = |key| found.iter().find(|identity| identity.key == key).unwrap().id;
    assert_eq!(id(keys[1]), 40);
    assert!(id(keys[0]) > 60 && id(keys[2]) > 60, "{found:?}");
    assert_eq!(backends.experiments().get(own.id).await.unwrap().name, "own");
}

async fn ids_that_are_reserved_are_passed_over(backends: &Backends) {
    let store = backends.transfer();
    assert!(store.reserve(0, 0).await.unwrap());
    assert!(store.reserve(20, 500).await.unwrap());
    assert!(store.reserve(2, 5).await.unwrap(), "what is past is past");
    let next = backends.experiments().create(&running("next")).await.unwrap().id;
    assert!((501..510).contains(&next), "{next}");
    let new = labtop::domain::batch::NewBatch {
        key: Uuid::new_v4(),
        name: "next".to_owned(),
        spec: object(json!({})),
        parallel: 1,
    };
    let next = backends.queue().create_batch(&new, &[]).await.unwrap().id;
    assert!((21..30).contains(&next), "{next}");
}

async fn a_known_run_is_replaced_unless_it_went_further(backends: &Backends) {
    let store = backends.transfer();
    let first = whole(5);
    store.take_runs(std::slice::from_ref(&first), true).await.unwrap();
    let mut later = first.clone();
    (later.experiment.id, later.experiment.attempt, later.experiment.name) = (99, 3, "later".to_owned());
    later.points = vec![point("loss", 1, 0.25)];
    assert_eq!(store.take_runs(std::slice::from_ref(&later), true).await.unwrap(), 1);
    let found = read(backends, &first).await;
    assert_eq!((found.experiment.id, found.experiment.name.as_str()), (5, "later"), "under its old id");
    assert_eq!(found.points, later.points);
    assert_eq!(store.take_runs(&[first], true).await.unwrap(), 0, "an earlier attempt");
    assert_eq!(read(backends, &later).await.experiment.attempt, 3);
    assert_eq!(store.sizes().await.unwrap().runs, 1);
}

async fn one_that_is_worked_on_stays(backends: &Backends) {
    let store = backends.transfer();
    let own = backends.experiments().create(&running("worked on")).await.unwrap();
    let mut other = whole(own.id);
    other.experiment.key = own.key;
    assert_eq!(store.take_runs(&[other], true).await.unwrap(), 0);
    assert_eq!(backends.experiments().get(own.id).await.unwrap().status, Status::Running);
}

async fn windows_are_cut_by_points(backends: &Backends) {
    let store = backends.transfer();
    let runs: Vec<WholeRun> = (1..=5).map(whole).collect();
    store.take_runs(&runs, true).await.unwrap();
    let window = async |after, limit, points| {
        let runs = store.runs(&Which::After(after, limit), points).await.unwrap();
        runs.iter().map(|run| (run.experiment.id, run.points.len())).collect::<Vec<_>>()
    };
    assert_eq!(window(0, 10, 100).await, [(1, 3), (2, 3), (3, 3), (4, 3), (5, 3)]);
    assert_eq!(window(1, 2, 100).await, [(2, 3), (3, 3)]);
    assert_eq!(window(0, 10, 8).await, [(1, 3), (2, 3)]);
    assert_eq!(window(2, 10, 1).await, [(3, 3)], "one at least");
    assert_eq!(window(5, 10, 8).await, []);
    let ids = store.identities(&Which::Ids(vec![4, 2, 77])).await.unwrap();
    let expected = [2_usize, 4].map(|id| Identity { id: id as i64, key: runs[id - 1].experiment.key });
    assert_eq!(ids, expected);
    assert_eq!(store.identities(&Which::After(3, 10)).await.unwrap().len(), 2);
    assert!(store.runs(&Which::Keys(Vec::new()), 0).await.unwrap().is_empty());
    // A held look does not see what comes later, or sees it whole.
    let held = store.hold().await.unwrap();
    let before = held.sizes().await.unwrap();
    store.take_runs(&[whole(6)], true).await.unwrap();
    assert!(held.sizes().await.unwrap().runs - before.runs <= 1);
}

async fn batches_are_taken_once(backends: &Backends) {
    let store = backends.transfer();
    let batch = |id| Batch {
        id,
        key: Uuid::new_v4(),
        name: hostile(),
        spec: object(json!({ "name": hostile() })),
        parallel: 4,
        created_at: at(0),
        counts: Counts::default(),
    };
    let batches = [batch(3), batch(8)];
    assert_eq!(store.take_batches(&batches, true).await.unwrap(), 2);
    assert_eq!(store.take_batches(&batches, true).await.unwrap(), 0);
    assert_eq!(store.batches(0, 10).await.unwrap(), batches);
    assert_eq!(store.batches(3, 10).await.unwrap(), batches[1..]);
    assert_eq!(store.batches(0, 1).await.unwrap(), batches[..1]);
    let in_the_way = batch(3);
    assert!(store.reserve(10, 0).await.unwrap());
    assert_eq!(store.take_batches(std::slice::from_ref(&in_the_way), true).await.unwrap(), 1);
    let made = store.batches(8, 10).await.unwrap().remove(0);
    assert_eq!((made.id > 10, made.key), (true, in_the_way.key));
    let mut run = whole(1);
    run.experiment.batch_id = Some(made.id);
    store.take_runs(&[run], true).await.unwrap();
    assert_eq!(backends.queue().batch(made.id).await.unwrap().counts.completed, 1);
}

async fn deliveries_come_in_windows(backends: &Backends) {
    let store = backends.transfer();
    for id in ["a", "b", "c"] {
        let records = vec![record(id, &[0.5], json!({ "text": hostile() }))];
        backends
            .outbox()
            .put(&NewDelivery { collection: "things".to_owned(), records, experiment: None })
            .await
            .unwrap();
    }
    let first = store.deliveries(i64::MIN, 2).await.unwrap();
    let rest = store.deliveries(first[1].id, 2).await.unwrap();
    let ids: Vec<&str> = first.iter().chain(&rest).map(|delivery| delivery.records[0].id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(store.sizes().await.unwrap().deliveries, 3);
}

async fn documents_come_in_windows(backends: &Backends) {
    let (store, look) = (backends.documents(), backends.document_look());
    assert!(look.window("unknown", "", 10).await.unwrap().is_empty());
    let mut documents: Vec<_> = ["a", "b", "c"].map(|id| document(id, "m", &[0.1, -2.5e-8, 3.0])).into();
    documents[1].content = hostile();
    store.put(&documents).await.unwrap();
    store.put(&[document("a", "other", &[1.0])]).await.unwrap();
    let first = look.window("m", "", 2).await.unwrap();
    let rest = look.window("m", &first[1].document_id, 2).await.unwrap();
    assert_eq!([first, rest].concat(), documents);
    assert_eq!(look.these("m", &["b".to_owned(), "x".to_owned()]).await.unwrap(), documents[1..2]);
    assert!(look.these("unknown", &["b".to_owned()]).await.unwrap().is_empty());
}

async fn it_is_itself(backends: &Backends) {
    let (one, two) = (backends.transfer(), backends.document_look());
    assert_eq!(one.identity().await.unwrap(), two.identity().await.unwrap());
}
