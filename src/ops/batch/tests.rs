//! How batches are run, interrupted, cancelled and retried.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ops::Stop;

use super::*;
use crate::ops::news::Nobody;
use crate::ops::tests::{Bench, Witness};

fn spec(head: &str) -> BatchSpec {
    let text = format!(
        "name = 'b'\ndataset = 'd'\nseed = 3\nsteps = 4\n{head}\n[params]\nmodel = ['RandomForest', 'XGBoost', 'NeuralNet']\n\
         lr = [0.1, 0.2]\n"
    );
    BatchSpec::parse(&text, "a test").unwrap()
}

/// Counts how many runs are underway at once.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Watcher for Gauge {
    fn saw(&self, news: News) {
        match news {
            News::Created(_) => {
                let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
            }
            News::Finished(_) => {
                self.now.fetch_sub(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_batch_runs_as_many_at_once_as_it_says() {
    let (bench, gauge) = (Bench::embedded(), Gauge::default());
    let spec = spec("parallel = 3\ndelay_ms = 5");
    let report = run(&bench.lab, &spec, &gauge, &Stop::default()).await.unwrap();
    assert_eq!(gauge.most.load(Ordering::SeqCst), 3);
    assert_eq!((report.batch.counts.completed, report.batch.counts.total()), (6, 6));
    let trials: Vec<_> = report.experiments.iter().map(|experiment| experiment.trial).collect();
    assert_eq!(trials, (0..6).map(Some).collect::<Vec<_>>());
    let points = crate::ops::experiment::detail(&bench.lab, report.experiments[0].id).await.unwrap().points;
    assert_eq!(points.iter().filter(|point| point.name == "accuracy").count(), 4, "the batch's own steps");

    let (other, token) = (Bench::embedded(), Stop::default());
    let alone = run(&other.lab, &self::spec("parallel = 1"), &Nobody, &token).await.unwrap();
    let results = |report: &BatchReport| {
        report.experiments.iter().map(|experiment| experiment.results.clone()).collect::<Vec<_>>()
    };
    assert_eq!(results(&alone), results(&report), "parallelism changes no result");
}

#[tokio::test]
async fn the_best_follows_the_objective() {
    let bench = Bench::embedded();
    let token = Stop::default();
    let report = run(&bench.lab, &spec("parallel = 2"), &Nobody, &token).await.unwrap();
    let best = report.best.unwrap();
    let accuracy = |experiment: &Experiment| experiment.figures.accuracy.unwrap();
    assert!(report.experiments.iter().all(|experiment| accuracy(experiment) <= accuracy(&best)));

    let fastest = spec("objective = { metric = 'inference_time', goal = 'minimize' }");
    let report = run(&bench.lab, &fastest, &Nobody, &token).await.unwrap();
    let best = report.best.unwrap();
    let latency = |experiment: &Experiment| experiment.figures.inference_time_ms.unwrap();
    assert!(report.experiments.iter().all(|experiment| latency(experiment) >= latency(&best)));
}

#[tokio::test]
async fn counts_are_told_as_they_move() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    run(&bench.lab, &spec("parallel = 2"), &witness, &Stop::default()).await.unwrap();
    let counts: Vec<_> = witness
        .all()
        .into_iter()
        .filter_map(|news| match news {
            News::Batch(batch) => Some(batch.counts),
            _ => None,
        })
        .collect();
    assert_eq!((counts[0].queued, counts[0].running), (6, 0));
    assert!(counts.iter().any(|counts| counts.running == 2));
    assert_eq!(counts.last().unwrap().completed, 6);
}

#[tokio::test]
async fn an_interrupted_batch_keeps_its_queue_and_goes_on_later() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let token = Stop::default();
    let spec = spec("parallel = 2\ndelay_ms = 300");
    let running = run(&bench.lab, &spec, &witness, &token);
    let interrupting = async {
        witness.until(2, |news| matches!(news, News::Points { .. })).await;
        token.cancel();
    };
    let (report, ()) = tokio::join!(running, interrupting);
    let counts = report.unwrap().batch.counts;
    assert_eq!((counts.cancelled, counts.queued, counts.running), (2, 4, 0));

    assert_eq!(
        cancel(&bench.lab, 1).await.unwrap(),
        Cancelled { queued: 4, running: 0 },
        "withdrawn only when asked"
    );
    bench
        .store
        .change(1, |experiment| experiment.parameters.insert("delay".to_owned(), 0.into()).map_or((), drop));
    let fresh = Stop::default();
    let batch = bench.lab.queue.batch(1).await.unwrap();
    let report = drain(&bench.lab, batch, None, &witness, &fresh).await.unwrap();
    assert_eq!(report.batch.counts.cancelled, 6, "nothing is left to claim");
}

/// Once something has ended, a claim of a dead process is carried out: of the trial 6.
struct LateClaim<'a>(&'a Bench);

impl Watcher for LateClaim<'_> {
    fn saw(&self, news: News) {
        if !matches!(news, News::Finished(_)) {
            return;
        }
        self.0.store.change(6, |trial| {
            if trial.status == Status::Queued && trial.attempt == 1 {
                trial.status = Status::Running;
                trial.worker = Some("elsewhere:1".to_owned());
                trial.started_at = Some(jiff::Timestamp::UNIX_EPOCH);
            }
        });
    }
}

#[tokio::test]
async fn what_a_dead_process_claimed_late_is_taken_up_again() {
    let spec = spec("parallel = 1");
    let bench = Bench::embedded();
    create(&bench.lab, &spec).await.unwrap();
    let report = resume(&bench.lab, 1, Consent::None, &LateClaim(&bench), &Stop::default()).await.unwrap();
    assert_eq!(report.batch.counts.completed, 6);
    assert_eq!(report.experiments[5].attempt, 2);

    let bench = Bench::embedded();
    let report = run(&bench.lab, &spec, &LateClaim(&bench), &Stop::default()).await.unwrap();
    assert_eq!((report.batch.counts.completed, report.experiments[5].attempt), (6, 2));

    let bench = Bench::embedded();
    create(&bench.lab, &spec).await.unwrap();
    let worker = worker::introduce(&bench.lab, &worker::Offer::default()).unwrap();
    let ended = worker::work(&bench.lab, &worker, true, &LateClaim(&bench), &Stop::default()).await.unwrap();
    assert_eq!((ended, bench.store.experiments()[5].attempt), (6, 2));
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_made_good_before_the_batch_ends() {
    let bench = Bench::embedded();
    bench.store.claim_answer_is_lost.set(1);
    let report = run(&bench.lab, &spec("parallel = 2"), &Nobody, &Stop::default()).await.unwrap();
    assert_eq!((report.batch.counts.completed, report.batch.counts.total()), (6, 6));
    let attempts: Vec<i32> = report.experiments.iter().map(|run| run.attempt).collect();
    // As many as asked together.
    let again = attempts.iter().filter(|attempt| **attempt == 2).count();
    assert!((1..=2).contains(&again), "{attempts:?}");
}

#[tokio::test]
async fn a_retry_runs_what_failed_and_leaves_what_completed() {
    let bench = Bench::embedded();
    let token = Stop::default();
    run(&bench.lab, &spec("parallel = 3"), &Nobody, &token).await.unwrap();
    let before = bench.store.experiments();
    bench.store.change(2, |experiment| experiment.status = Status::Failed);
    bench.store.change(5, |experiment| experiment.status = Status::Interrupted);
    let report = retry(&bench.lab, 1, Consent::None, &Nobody, &token).await.unwrap();
    assert_eq!(report.batch.counts.completed, 6);
    for (old, new) in before.iter().zip(&report.experiments) {
        let again = [2, 5].contains(&old.id);
        assert_eq!(new.attempt, if again { 2 } else { 1 });
        assert_eq!(new.results, old.results, "the seed is the trial's");
    }
    let idle = retry(&bench.lab, 1, Consent::None, &Nobody, &token).await.unwrap();
    assert_eq!(idle.experiments, report.experiments);
}

#[tokio::test]
async fn a_store_that_breaks_ends_the_batch_with_its_error() {
    let bench = Bench::embedded();
    bench.store.finish_fails.set(crate::ops::tests::FOREVER);
    let error = run(&bench.lab, &spec("parallel = 2"), &Nobody, &Stop::default()).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let queued = bench.store.experiments().iter().filter(|one| one.status == Status::Queued).count();
    assert_eq!(queued, 4, "the lanes stop after their own run");
}

#[tokio::test]
async fn a_data_set_that_is_a_file_is_refused() {
    let bench = Bench::embedded();
    let text = "name = 'b'\ndataset = './data/iris.csv'\n[params]\nmodel = 'A'\n";
    let error = create(&bench.lab, &BatchSpec::parse(text, "a test").unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("only simulates"), "{error}");
    assert!(list(&bench.lab, 10).await.unwrap().is_empty());
    assert!(cancel(&bench.lab, 9).await.is_err());
}

#[test]
fn the_picker_shows_good_and_bad_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("b.toml", "name = 'good'\ndataset = 'd'\n[params]\nmodel = ['A', 'B']\n");
    write("a.toml", "name = ");
    write("README.md", "not a batch");
    let files = files(folder.path()).unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].name, "a.toml");
    assert!(files[0].summary.as_ref().unwrap_err().contains("line 1"));
    assert_eq!(files[1].name, "good");
    assert!(files[1].summary.as_ref().unwrap().starts_with("2 trials"));
    assert!(super::files(&folder.path().join("none")).unwrap().is_empty());
}
