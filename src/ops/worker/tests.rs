//! How a worker takes, waits, takes up what others left, and goes.

use std::sync::Mutex;

use jiff::Timestamp;

use super::*;
use crate::domain::batch_spec::BatchSpec;
use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::ops::commands::Consent;
use crate::ops::lab::LONG_PATIENCE;
use crate::ops::news::Nobody;
use crate::ops::tests::{Bench, FOREVER, Witness};

/// Six trials.
fn spec(head: &str) -> BatchSpec {
    let text = format!(
        "name = 'b'\ndataset = 'd'\nseed = 3\n{head}\n[params]\nmodel = ['A', 'B', 'C']\nlr = [1, 2]\n"
    );
    BatchSpec::parse(&text, "a test").unwrap()
}

async fn queue(bench: &Bench, head: &str) {
    batch::create(&bench.lab, &spec(head)).await.unwrap();
}

fn with(status: Status, bench: &Bench) -> usize {
    bench.store.experiments().iter().filter(|run| run.status == status).count()
}

/// A worker of `parallel` lanes that goes on until `done` returns.
async fn while_it_works(bench: &Bench, parallel: u32, watcher: &dyn Watcher, done: impl Future<Output = ()>) {
    let offer = Offer { parallel, ..Offer::default() };
    let worker = introduce(&bench.lab, &offer).unwrap();
    let stop = Stop::default();
    let stopping = async {
        done.await;
        stop.leave();
    };
    let (worked, ()) = tokio::join!(work(&bench.lab, &worker, false, watcher, &stop), stopping);
    worked.unwrap();
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(20)).await;
    }
}

/// As when a process elsewhere had it and went away without a word.
fn dies(run: &mut Experiment) {
    run.status = Status::Running;
    run.worker = Some("elsewhere:1:x".to_owned());
    run.started_at = Some(Timestamp::UNIX_EPOCH);
    run.heartbeat_at = None;
}

#[tokio::test]
async fn once_it_takes_what_is_there_and_says_who_it_is() {
    let bench = Bench::embedded();
    queue(&bench, "steps = 4").await;
    let worker = introduce(&bench.lab, &Offer { parallel: 2, labels: Vec::new() }).unwrap();
    let seen = Mutex::new(Vec::new());
    struct Look<'a>(&'a Bench, &'a Mutex<Vec<Worker>>);
    impl Watcher for Look<'_> {
        fn saw(&self, news: News) {
            if let News::Created(run) = news {
                assert_eq!(
                    (run.worker.as_ref(), &run.host),
                    (Some(&self.0.lab.place().worker), &self.0.lab.place().host)
                );
                let list = futures_util::FutureExt::now_or_never(list(&self.0.lab)).unwrap().unwrap();
                self.1.lock().unwrap().extend(list);
            }
        }
    }
    let ended = work(&bench.lab, &worker, true, &Look(&bench, &seen), &Stop::default()).await.unwrap();
    assert_eq!((ended, with(Status::Completed, &bench)), (6, 6));
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.iter()
            .all(|one| one.name == worker.name && one.kind == Kind::Worker && one.state == State::Alive)
    );
    assert!(seen.iter().any(|one| one.running.len() == 2), "{seen:?}");
    assert_eq!(list(&bench.lab).await.unwrap(), [], "it has gone");
}

#[tokio::test]
async fn labels_of_the_settings_and_of_the_command_count_together() {
    let mut bench = Bench::embedded();
    bench.lab.settings.worker.labels = vec!["gpu".to_owned()];
    queue(&bench, "steps = 4\nlabels = ['gpu', 'big']").await;
    let worker = |labels: &[&str]| {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        introduce(&bench.lab, &Offer { parallel: 1, labels })
    };
    let small = worker(&["gpu"]).unwrap();
    assert_eq!(small.labels, ["gpu"]);
    assert_eq!(work(&bench.lab, &small, true, &Nobody, &Stop::default()).await.unwrap(), 0);
    let big = worker(&["big"]).unwrap();
    assert_eq!(big.labels, ["gpu", "big"]);
    assert_eq!(work(&bench.lab, &big, true, &Nobody, &Stop::default()).await.unwrap(), 6);
    assert_eq!(worker(&["not a label"]).unwrap_err().exit_code(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_waits_looks_again_though_nobody_told() {
    let bench = Bench::embedded();
    while_it_works(&bench, 2, &Nobody, async {
        sleep(Duration::from_secs(1)).await;
        queue(&bench, "steps = 4").await;
        until(|| with(Status::Completed, &bench) == 6).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_worker_had_is_run_again_while_the_others_go_on() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    queue(&bench, "steps = 3000\ndelay_ms = 1000").await;
    bench.store.change(6, dies);
    while_it_works(&bench, 6, &witness, async {
        // One lane waits, five are busy for long; then another trial is taken from it as well.
        until(|| with(Status::Running, &bench) == 6).await;
        assert_eq!(bench.store.experiments()[5].attempt, 2);
    })
    .await;
    assert!(witness.warnings().iter().any(|text| text.contains("queued again")), "{:?}", witness.warnings());
}

#[tokio::test(start_paused = true)]
async fn what_takes_its_process_down_is_not_tried_for_ever() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    queue(&bench, "steps = 4").await;
    for id in 1..=5 {
        bench.store.change(id, |run| run.status = Status::Completed);
    }
    bench.store.change(6, |run| {
        run.attempt = TRIES;
        dies(run);
    });
    while_it_works(&bench, 1, &witness, until(|| with(Status::Interrupted, &bench) == 1)).await;
    assert_eq!(bench.store.experiments()[5].attempt, TRIES);
    assert!(witness.warnings()[0].contains("batch resume 1"), "{:?}", witness.warnings());
    let report = batch::resume(&bench.lab, 1, Consent::None, &Nobody, &Stop::default()).await.unwrap();
    assert_eq!((report.batch.counts.completed, report.experiments[5].attempt), (6, TRIES + 1));
}

#[tokio::test(start_paused = true)]
async fn what_runs_when_it_goes_is_queued_again() {
    let bench = Bench::embedded();
    queue(&bench, "steps = 1000\ndelay_ms = 1000").await;
    while_it_works(&bench, 2, &Nobody, until(|| with(Status::Running, &bench) == 2)).await;
    assert_eq!(with(Status::Queued, &bench), 6);
    let attempts: Vec<i32> = bench.store.experiments().iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, [2, 2, 1, 1, 1, 1]);
    assert_eq!(bench.lab.queue.workers().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_waited_for() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    queue(&bench, "steps = 4").await;
    bench.store.claim_fails.set(FOREVER);
    while_it_works(&bench, 2, &witness, async {
        until(|| !witness.warnings().is_empty()).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(witness.warnings().len(), 1, "told once: {:?}", witness.warnings());
        bench.store.claim_fails.set(0);
        until(|| with(Status::Completed, &bench) == 6).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_could_not_be_stored_is_made_again() {
    let bench = Bench::embedded();
    queue(&bench, "steps = 4").await;
    bench.store.finish_fails.set(FOREVER);
    let silence = |bench: &Bench, id: ExperimentId| {
        bench.store.change(id, |run| run.started_at = Some(Timestamp::UNIX_EPOCH))
    };
    while_it_works(&bench, 6, &Nobody, async {
        until(|| with(Status::Running, &bench) == 6).await;
        // Their patience is over, and they are silent for longer than a lease.
        sleep(Duration::from_secs(10)).await;
        bench.store.finish_fails.set(0);
        (1..=6).for_each(|id| silence(&bench, id));
        until(|| with(Status::Completed, &bench) == 6).await;
    })
    .await;
    assert!(bench.store.experiments().iter().all(|run| run.attempt >= 2));
}

#[tokio::test]
async fn an_error_that_waiting_does_not_help_against_ends_it() {
    let bench = Bench::embedded();
    queue(&bench, "steps = 4").await;
    let worker = introduce(&bench.lab, &Offer { parallel: 1, labels: Vec::new() }).unwrap();
    bench.store.claim_is_refused.set(1);
    let error = work(&bench.lab, &worker, false, &Nobody, &Stop::default()).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert_eq!(bench.lab.queue.workers().await.unwrap(), [], "it is off the list all the same");
}

#[tokio::test]
async fn others_who_run_something_are_listed_behind_the_workers() {
    let bench = Bench::embedded();
    queue(&bench, "steps = 4").await;
    bench.store.change(3, |run| {
        dies(run);
        run.host = Some("elsewhere".to_owned());
    });
    let worker =
        NewWorker { name: "far:7:x".to_owned(), ..introduce(&bench.lab, &Offer::default()).unwrap() };
    bench.lab.queue.enter(&worker).await.unwrap();
    let listed = list(&bench.lab).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (listed[0].name.as_str(), listed[0].kind, listed[0].running.len()),
        ("far:7:x", Kind::Worker, 0)
    );
    let other = &listed[1];
    assert_eq!((other.kind, other.host.as_deref(), other.pid), (Kind::Session, Some("elsewhere"), Some(1)));
    assert_eq!(other.running[0].experiment, 3);
}

#[tokio::test(start_paused = true)]
async fn a_result_outlives_a_long_outage_but_not_the_word_to_end() {
    let mut bench = Bench::embedded();
    bench.lab.patience = LONG_PATIENCE;
    queue(&bench, "steps = 4").await;
    bench.store.finish_fails.set(FOREVER);
    while_it_works(&bench, 6, &Nobody, async {
        until(|| with(Status::Running, &bench) == 6).await;
        sleep(Duration::from_secs(50 * 60)).await;
        bench.store.finish_fails.set(0);
        until(|| with(Status::Completed, &bench) == 6).await;
    })
    .await;
    assert!(bench.store.experiments().iter().all(|run| run.attempt == 1), "nothing was done twice");

    batch::create(&bench.lab, &spec("steps = 4")).await.unwrap();
    bench.store.finish_fails.set(FOREVER);
    let witness = Witness::default();
    let told = || witness.warnings().iter().any(|text| text.contains("waits for its store"));
    let begun = Instant::now();
    while_it_works(&bench, 6, &witness, until(told)).await;
    assert!(begun.elapsed() < Duration::from_secs(60));
}
