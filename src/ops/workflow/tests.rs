//! How the workflow behaves, above all when something fails.

use crate::ops::Stop;
use serde_json::json;

use crate::domain::experiment::{Experiment, Status};
use crate::ops::commands::Consent;
use crate::ops::experiment::{RunRequest, cancel, detail, documents_of, rerun, run};
use crate::ops::tests::{Bench, FOREVER, Witness};
use crate::ops::{News, OpsError, Watcher, analytics, delivery};
use crate::store::ErrorKind;

fn request() -> RunRequest {
    RunRequest {
        model: "XGBoost".to_owned(),
        dataset: "sentiment_v3".to_owned(),
        parameters: [("learning_rate".to_owned(), json!(0.001))].into_iter().collect(),
        seed: Some(7),
        steps: Some(10),
        ..RunRequest::default()
    }
}

/// Ten steps of three metrics.
const POINTS: usize = 30;

async fn run_one(bench: &Bench, witness: &Witness) -> Experiment {
    let mut runs = run(&bench.lab, &request(), witness, &Stop::default()).await.unwrap();
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

fn kind(news: &News) -> &'static str {
    match news {
        News::Starting { .. } => "starting",
        News::Created(_) => "created",
        News::Points { .. } => "points",
        News::Documents { .. } => "documents",
        News::Postponed { .. } => "postponed",
        News::Warning { .. } => "warning",
        News::Log { .. } => "log",
        News::Finished(_) => "finished",
        News::Batch(_) => "batch",
        News::Progress { .. } => "progress",
    }
}

#[tokio::test]
async fn a_run_is_stored_in_all_its_parts() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let finished = run_one(&bench, &witness).await;

    assert_eq!(finished.status, Status::Completed);
    assert_eq!(finished.name, "XGBoost on sentiment_v3");
    assert_eq!(finished.seed, Some(7));
    assert!(finished.figures.accuracy.is_some_and(|accuracy| (0.7..1.0).contains(&accuracy)));
    assert!(finished.worker.is_some() && finished.finished_at > finished.started_at);

    let mut kinds: Vec<_> = witness.all().iter().map(kind).collect();
    kinds.dedup();
    // The last points are stored with the end.
    assert_eq!(kinds, ["starting", "created", "documents", "points", "finished"]);

    let detail = detail(&bench.lab, finished.id).await.unwrap();
    assert_eq!(detail.collection, "xgboost_sentiment_v3");
    let accuracies = detail.points.iter().filter(|point| point.name == "accuracy");
    assert_eq!(accuracies.count(), 10);
}

#[tokio::test]
async fn five_documents_describe_a_run() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let finished = run_one(&bench, &witness).await;
    let documents = documents_of(&bench.lab, finished.id).await.unwrap();
    let kinds: Vec<_> = documents.iter().map(|document| document.metadata["kind"].clone()).collect();
    assert_eq!(kinds, ["configuration", "parameters", "course", "result", "note"]);
    for document in &documents {
        assert!(document.id.starts_with(&format!("{}/", finished.key)));
        assert_eq!(document.metadata["experiment_id"], finished.id);
        assert_eq!(document.metadata["accuracy"], finished.results["accuracy"]);
        assert!(document.document.as_ref().is_some_and(|text| text.contains("XGBoost")));
    }
    assert!(documents[1].document.as_ref().is_some_and(|text| text.contains("learning_rate 0.001")));
}

#[tokio::test]
async fn equal_seeds_give_equal_results_and_repeats_differ() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let cancel = Stop::default();
    let twice = RunRequest { repeat: 2, ..request() };
    let runs = run(&bench.lab, &twice, &witness, &cancel).await.unwrap();
    assert_ne!(runs[0].results, runs[1].results);
    assert_ne!(runs[0].seed, runs[1].seed);

    let again = rerun(&bench.lab, runs[1].id, Consent::None, &witness, &cancel).await.unwrap();
    assert_ne!(again.id, runs[1].id);
    assert_eq!(again.results, runs[1].results);
    let points = |id| detail(&bench.lab, id);
    let (old, new) = (points(runs[1].id).await.unwrap().points, points(again.id).await.unwrap().points);
    assert_eq!(
        old.iter().map(|point| (&point.name, point.step, point.value.to_bits())).collect::<Vec<_>>(),
        new.iter().map(|point| (&point.name, point.step, point.value.to_bits())).collect::<Vec<_>>()
    );
}

/// Of the runs whose documents were stored, in that order.
fn keys(bench: &Bench) -> Vec<String> {
    let upserts = bench.collections.upserts.lock().unwrap();
    let ids = upserts.iter().flat_map(|(_, ids)| ids);
    let mut keys: Vec<String> = ids.map(|id| id.split('/').next().unwrap().to_owned()).collect();
    keys.dedup();
    keys
}

#[tokio::test]
async fn documents_wait_in_the_outbox_while_the_collection_store_is_down() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.collections.down.set(FOREVER);
    let first = run_one(&bench, &witness).await;
    let second = run_one(&bench, &witness).await;
    assert_eq!((first.status, second.status), (Status::Completed, Status::Completed));
    assert_eq!(witness.count(|news| kind(news) == "postponed"), 2);
    assert_eq!(witness.count(|news| kind(news) == "documents"), 0);

    let delivered = delivery::deliver(&bench.lab).await.unwrap();
    assert_eq!((delivered.done, delivered.left), (0, 2));

    bench.collections.down.set(0);
    let delivered = delivery::deliver(&bench.lab).await.unwrap();
    assert_eq!((delivered.done, delivered.left), (2, 0));
    assert_eq!(keys(&bench), [first.key.to_string(), second.key.to_string()], "in their order");
    assert_eq!(bench.collections.texts("xgboost_sentiment_v3").len(), 10);
}

#[tokio::test]
async fn a_waiting_delivery_goes_before_a_newer_one() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.collections.down.set(FOREVER);
    let first = run_one(&bench, &witness).await;
    bench.collections.down.set(0);
    let second = run_one(&bench, &witness).await;
    assert_eq!(witness.count(|news| kind(news) == "documents"), 2, "both have arrived");
    assert_eq!(keys(&bench), [first.key.to_string(), second.key.to_string()]);
}

#[tokio::test]
async fn a_collection_of_another_dimension_is_a_warning_and_nothing_waits_for_ever() {
    use crate::domain::collection::{NewCollection, Record, Space};
    use crate::store::collections::CollectionStore;
    use crate::store::outbox::Outbox;
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let name = "xgboost_sentiment_v3";
    bench
        .collections
        .create(&NewCollection::new(name, &serde_json::Map::new(), Space::Cosine))
        .await
        .unwrap();
    let (id, embedding) = ("a".to_owned(), vec![1.0, 0.0]);
    let other = Record { id, document: None, embedding, metadata: serde_json::Map::new() };
    bench.collections.upsert(name, &[other]).await.unwrap();

    assert_eq!(run_one(&bench, &witness).await.status, Status::Completed);
    assert!(
        witness.warnings()[0]
            .starts_with("The documents of experiment 1 were refused, and stay in the outbox")
    );
    let state = bench.store.state().await.unwrap();
    assert_eq!((state.waiting, state.refused), (0, 1));
}

#[tokio::test]
async fn a_result_outlives_a_store_that_is_down_for_a_while() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.store.finish_fails.set(2);
    assert_eq!(run_one(&bench, &witness).await.status, Status::Completed);
    assert_eq!(witness.warnings().len(), 1, "told once, not at every try");
}

#[tokio::test]
async fn a_result_whose_answer_was_lost_is_taken_for_stored() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.store.finish_answer_is_lost.set(1);
    let finished = run_one(&bench, &witness).await;
    assert_eq!(finished.status, Status::Completed);
    assert!(!witness.warnings().iter().any(|text| text.contains("from elsewhere")));
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_names_the_experiment() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.store.finish_fails.set(FOREVER);
    let error = run(&bench.lab, &request(), &witness, &Stop::default()).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("the result of experiment 1"), "{error}");
    assert_eq!(bench.store.experiments()[0].status, Status::Running);
}

#[tokio::test]
async fn points_wait_for_their_store() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.store.record_fails.set(1);
    let finished = run_one(&bench, &witness).await;
    let points = detail(&bench.lab, finished.id).await.unwrap().points;
    assert_eq!(points.iter().filter(|point| point.name == "accuracy").count(), 10);
}

#[tokio::test]
async fn points_that_wait_go_with_the_end() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.store.record_fails.set(FOREVER);
    let finished = run_one(&bench, &witness).await;
    assert_eq!(finished.status, Status::Completed);
    assert_eq!(detail(&bench.lab, finished.id).await.unwrap().points.len(), POINTS);
}

#[tokio::test]
async fn points_that_cannot_be_stored_are_told_and_the_result_stays() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.store.points_are_refused.set(FOREVER);
    let finished = run_one(&bench, &witness).await;
    assert_eq!(finished.status, Status::Completed);
    assert!(witness.warnings().iter().any(|text| text.contains("points of experiment 1 were not stored")));
    assert_eq!(witness.count(|news| kind(news) == "points"), 0);
}

#[tokio::test]
async fn a_cancelled_run_keeps_its_points() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let cancel = Stop::default();
    let slow = RunRequest { steps: Some(1000), delay_ms: Some(20), repeat: 3, ..request() };
    let running = run(&bench.lab, &slow, &witness, &cancel);
    let cancelling = async {
        witness.until(1, |news| kind(news) == "points").await;
        cancel.cancel();
    };
    let (runs, ()) = tokio::join!(running, cancelling);
    let runs = runs.unwrap();
    assert_eq!(runs.len(), 1, "the other repeats do not begin");
    assert_eq!(runs[0].status, Status::Cancelled);
    assert!(!detail(&bench.lab, runs[0].id).await.unwrap().points.is_empty());
    assert_eq!(witness.count(|news| kind(news) == "documents"), 0);
}

#[tokio::test]
async fn an_attempt_that_was_ended_elsewhere_stops() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let cancel = Stop::default();
    let slow = RunRequest { steps: Some(1000), delay_ms: Some(20), ..request() };
    let running = run(&bench.lab, &slow, &witness, &cancel);
    let elsewhere = async {
        witness.until(1, |news| kind(news) == "points").await;
        bench.store.change(1, |experiment| {
            experiment.attempt = 2;
            experiment.status = Status::Queued;
        });
    };
    let (runs, ()) = tokio::join!(running, elsewhere);
    let runs = runs.unwrap();
    assert_eq!((runs[0].attempt, runs[0].status), (2, Status::Queued), "what the store holds is the truth");
    assert!(witness.warnings()[0].contains("from elsewhere"));
}

#[tokio::test]
async fn bad_requests_are_refused_before_anything_is_created() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let bad = [
        RunRequest { model: " ".to_owned(), ..request() },
        RunRequest { dataset: String::new(), ..request() },
        RunRequest { dataset: "data/iris".to_owned(), ..request() },
        RunRequest { dataset: "iris.CSV".to_owned(), ..request() },
        RunRequest { runner: Some("slurm".to_owned()), ..request() },
        RunRequest { repeat: 0, ..request() },
        RunRequest { steps: Some(0), ..request() },
    ];
    for request in bad {
        let error = run(&bench.lab, &request, &witness, &Stop::default()).await.unwrap_err();
        assert!(matches!(error, OpsError::Invalid(_)), "{request:?}");
        assert_eq!(error.exit_code(), 2);
    }
    assert_eq!(bench.store.experiments(), []);
    assert_eq!(witness.all(), []);
}

#[tokio::test]
async fn what_labtop_did_not_run_is_not_run_again() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    run_one(&bench, &witness).await;
    bench.store.change(1, |experiment| experiment.runner = "published".to_owned());
    let error = rerun(&bench.lab, 1, Consent::None, &witness, &Stop::default()).await.unwrap_err();
    assert!(error.to_string().contains("labtop did not run it"), "{error}");
    let error = rerun(&bench.lab, 99, Consent::None, &witness, &Stop::default()).await.unwrap_err();
    assert!(matches!(error, OpsError::Store(error) if error.kind == ErrorKind::NotFound));
}

#[tokio::test]
async fn a_performance_row_that_cannot_be_stored_is_a_warning() {
    let (bench, witness) = (Bench::without_analytics(), Witness::default());
    let finished = run_one(&bench, &witness).await;
    assert_eq!(finished.status, Status::Completed);
    let warnings = witness.warnings();
    assert!(
        warnings[0].starts_with("The performance of experiment 1 is not in the analytics yet."),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 1);
}

#[tokio::test]
async fn a_performance_row_goes_to_the_analytics_and_is_caught_up_with() {
    let (bench, witness) = (Bench::servers(), Witness::default());
    run_one(&bench, &witness).await;
    let stored = || bench.lab.analytics.models(true);
    assert_eq!(stored().await.unwrap()[0].experiment_count, 1);
    assert_eq!(analytics::catch_up(&bench.lab).await.unwrap(), 0, "nothing is missing");

    bench.lab.analytics.remove(&[1]).await.unwrap();
    assert!(stored().await.unwrap().is_empty());
    assert_eq!(analytics::catch_up(&bench.lab).await.unwrap(), 1);
    assert_eq!(stored().await.unwrap()[0].experiment_count, 1);

    bench.lab.analytics.remove(&[1]).await.unwrap();
    assert_eq!(analytics::models(&bench.lab, true).await.unwrap()[0].experiment_count, 1, "by itself");
    assert!(analytics::models(&bench.lab, false).await.unwrap().is_empty(), "simulated");
}

#[tokio::test]
async fn analytics_answer_while_the_experiment_store_is_down() {
    let (bench, witness) = (Bench::servers(), Witness::default());
    run_one(&bench, &witness).await;
    bench.store.list_fails.set(FOREVER);
    assert_eq!(analytics::models(&bench.lab, true).await.unwrap()[0].experiment_count, 1);
    let error = analytics::catch_up(&bench.lab).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
}

/// As a worker elsewhere left it in its second attempt, which began since the first was thought to be dead.
fn taken_over(experiment: &mut Experiment, status: Status) {
    experiment.attempt = 2;
    experiment.status = status;
    experiment.worker = Some("elsewhere:1:x".to_owned());
    if status == Status::Completed {
        experiment.results = [("accuracy".to_owned(), json!(0.123))].into_iter().collect();
        experiment.figures.accuracy = Some(0.123);
        experiment.finished_at = Some(jiff::Timestamp::UNIX_EPOCH);
    }
}

/// The store cannot be reached while the run goes on, and so it does not hear that it was given up.
struct Late<'a>(&'a Bench, Status);

impl Watcher for Late<'_> {
    fn saw(&self, news: News) {
        if let News::Created(run) = news {
            self.0.store.record_fails.set(FOREVER);
            self.0.store.change(run.id, |run| taken_over(run, self.1));
        }
    }
}

#[tokio::test]
async fn what_ends_late_changes_nothing_of_the_result_that_counts() {
    let bench = Bench::servers();
    let late = Late(&bench, Status::Completed);
    let stored = run(&bench.lab, &request(), &late, &Stop::default()).await.unwrap().remove(0);
    assert_eq!((stored.attempt, stored.figures.accuracy), (2, Some(0.123)));
    assert_eq!(bench.store.experiments(), std::slice::from_ref(&stored));
    assert_eq!(detail(&bench.lab, stored.id).await.unwrap().points, [], "none of the late points");
    let documents = documents_of(&bench.lab, stored.id).await.unwrap();
    assert_eq!(documents.len(), 5);
    assert!(documents.iter().all(|document| document.metadata["accuracy"] == 0.123), "{documents:?}");
    assert!(documents[3].document.as_ref().unwrap().contains("0.123"), "{documents:?}");
    let models = bench.lab.analytics.models(true).await.unwrap();
    assert_eq!((models.len(), models[0].avg_accuracy), (1, Some(0.123)));
}

#[tokio::test]
async fn what_ends_late_while_another_attempt_runs_leaves_no_performance() {
    let bench = Bench::servers();
    let late = Late(&bench, Status::Running);
    let stored = run(&bench.lab, &request(), &late, &Stop::default()).await.unwrap().remove(0);
    assert_eq!((stored.attempt, stored.status), (2, Status::Running));
    assert_eq!(stored.results, serde_json::Map::new());
    assert_eq!(bench.lab.analytics.models(true).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_this_process_cancels_in_the_store_ends_at_once() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let slow = RunRequest { steps: Some(2), delay_ms: Some(3_600_000), ..request() };
    let stop = Stop::default();
    let cancelling = async {
        witness.until(1, |news| kind(news) == "points").await;
        let begun = tokio::time::Instant::now();
        cancel(&bench.lab, 1).await.unwrap();
        begun
    };
    let (runs, begun) = tokio::join!(run(&bench.lab, &slow, &witness, &stop), cancelling);
    assert_eq!(runs.unwrap()[0].status, Status::Cancelled);
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(1), "long before the next heartbeat: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_long_silence_a_run_asks_before_it_puts_its_documents() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let slow = RunRequest { steps: Some(2), delay_ms: Some(4000), ..request() };
    let stop = Stop::default();
    let running = run(&bench.lab, &slow, &witness, &stop);
    let elsewhere = async {
        witness.until(1, |news| kind(news) == "created").await;
        bench.store.record_fails.set(FOREVER);
        bench.store.beat_fails.set(FOREVER);
        tokio::time::sleep(std::time::Duration::from_secs(7)).await;
        bench.store.change(1, |run| taken_over(run, Status::Running));
        bench.store.beat_fails.set(0);
    };
    let (runs, ()) = tokio::join!(running, elsewhere);
    assert_eq!(runs.unwrap()[0].attempt, 2);
    assert_eq!(witness.count(|news| kind(news) == "documents"), 0);
}

#[tokio::test]
async fn documents_go_by_the_outbox_to_a_collection_store_of_its_own() {
    let (bench, witness) = (Bench::with_chroma(), Witness::default());
    let finished = run_one(&bench, &witness).await;
    let mut kinds: Vec<_> = witness.all().iter().map(kind).collect();
    kinds.dedup();
    assert_eq!(kinds, ["starting", "created", "points", "documents", "finished"]);
    assert_eq!(documents_of(&bench.lab, finished.id).await.unwrap().len(), 5);
    assert_eq!(*bench.store.commits.lock().unwrap(), [1], "points, end and documents in one transaction");
}

#[tokio::test]
async fn a_collection_store_that_is_down_holds_up_no_run() {
    let (bench, witness) = (Bench::with_chroma(), Witness::default());
    bench.collections.down.set(FOREVER);
    let repeated = RunRequest { repeat: 3, ..request() };
    let begun = std::time::Instant::now();
    let runs = run(&bench.lab, &repeated, &witness, &Stop::default()).await.unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(runs.iter().all(|run| run.status == Status::Completed));
    assert_eq!(witness.count(|news| kind(news) == "postponed"), 3);
    assert!(witness.warnings().last().unwrap().contains("of 3 runs wait in the outbox"));
    bench.collections.down.set(0);
    assert_eq!(delivery::deliver(&bench.lab).await.unwrap().done, 3);
    assert_eq!(bench.collections.texts("xgboost_sentiment_v3").len(), 15);
}

#[tokio::test]
async fn documents_of_an_overtaken_attempt_never_leave() {
    use crate::store::outbox::Outbox;
    let (bench, witness) = (Bench::with_chroma(), Witness::default());
    bench.collections.down.set(FOREVER);
    let slow = RunRequest { delay_ms: Some(20), ..request() };
    let stop = Stop::default();
    let running = run(&bench.lab, &slow, &witness, &stop);
    let overtaking = async {
        witness.until(1, |news| kind(news) == "created").await;
        bench.store.change(1, |experiment| experiment.attempt += 1);
    };
    let (runs, ()) = tokio::join!(running, overtaking);
    assert_eq!(runs.unwrap()[0].attempt, 2);
    assert_eq!(bench.store.waiting().await.unwrap(), 0);
}
