//! Batches and their queue.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use labtop::domain::batch::NewBatch;
use labtop::domain::experiment::{NewExperiment, Outcome, Status};
use labtop::domain::filter::Field;
use labtop::domain::worker::NewWorker;
use labtop::store::ErrorKind;
use labtop::store::experiments::{ExperimentQuery, Sort};
use labtop::store::queue::{Claimant, QueuedCommand, UnderWay};
use serde_json::json;
use uuid::Uuid;

use crate::support::backends::Backends;
use crate::support::samples::{claimant, completed, object, point, running};

macro_rules! cases {
    ($backend:ident) => {
        super::suite!(
            $backend,
            a_batch_is_made_with_its_trials_once,
            trials_are_claimed_in_order_and_by_one_worker_each,
            withdrawing_and_queueing_again,
            a_large_batch_keeps_its_order,
            a_missing_batch_is_not_found,
            several_are_claimed_at_once_from_one_batch_or_any,
            what_runs_is_known_with_its_heartbeat,
            only_what_still_runs_is_interrupted,
            a_worker_takes_only_what_it_can_run,
            labels_decide_who_takes_a_batch,
            commands_are_for_those_who_may_run_them,
            what_was_interrupted_is_taken_up_a_few_times,
            what_a_dead_worker_says_late_changes_nothing,
            workers_are_entered_and_struck_out,
        );
    };
}
cases!(duckdb);
cases!(postgres);

fn batch(name: &str) -> NewBatch {
    NewBatch {
        key: Uuid::new_v4(),
        name: name.to_owned(),
        spec: object(json!({ "name": name })),
        parallel: 3,
    }
}

fn trials(count: i64) -> Vec<NewExperiment> {
    (0..count)
        .map(|trial| NewExperiment {
            status: Status::Queued,
            trial: Some(trial),
            worker: None,
            ..running(&format!("trial {trial}"))
        })
        .collect()
}

async fn a_batch_is_made_with_its_trials_once(backends: &Backends) {
    let queue = backends.queue();
    let (new, trials) = (batch("b"), trials(5));
    let made = queue.create_batch(&new, &trials).await.unwrap();
    assert_eq!((made.name.as_str(), made.parallel, made.counts.queued), ("b", 3, 5));
    assert_eq!(queue.create_batch(&new, &trials).await.unwrap(), made);
    let other = queue.create_batch(&batch("c"), &[]).await.unwrap();
    let listed = queue.batches(10).await.unwrap();
    assert_eq!(listed.iter().map(|batch| batch.id).collect::<Vec<_>>(), [other.id, made.id]);
    assert_eq!(queue.batches(1).await.unwrap().len(), 1);
    assert_eq!(queue.batch(made.id).await.unwrap(), made);
}

async fn trials_are_claimed_in_order_and_by_one_worker_each(backends: &Backends) {
    let queue = backends.queue();
    let id = queue.create_batch(&batch("b"), &trials(20)).await.unwrap().id;
    let first = queue.claim(Some(id), &claimant("w0"), 1).await.unwrap().remove(0);
    assert_eq!((first.trial, first.status, first.worker.as_deref()), (Some(0), Status::Running, Some("w0")));
    assert!(first.started_at.is_some());
    assert_eq!(first.host.as_deref(), Some("host of w0"));
    let worker = |name: &'static str| async move {
        let mut claimed = Vec::new();
        while let Some(run) = queue.claim(Some(id), &claimant(name), 1).await.unwrap().pop() {
            claimed.push(run.trial.unwrap());
        }
        claimed
    };
    let (a, b, c) = tokio::join!(worker("a"), worker("b"), worker("c"));
    let all: Vec<i64> = [a, b, c].concat();
    assert_eq!(all.len(), 19);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (1..20).collect());
    assert_eq!(queue.batch(id).await.unwrap().counts.running, 20);
}

async fn withdrawing_and_queueing_again(backends: &Backends) {
    let queue = backends.queue();
    let id = queue.create_batch(&batch("b"), &trials(4)).await.unwrap().id;
    let done = queue.claim(Some(id), &claimant("w"), 1).await.unwrap().remove(0);
    backends.experiments().finish(done.id, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    let under_way = queue.claim(Some(id), &claimant("w"), 1).await.unwrap().remove(0);
    assert_eq!(queue.withdraw(id).await.unwrap(), 2);
    assert_eq!(queue.withdraw(id).await.unwrap(), 0);
    let counts = queue.batch(id).await.unwrap().counts;
    assert_eq!((counts.completed, counts.running, counts.cancelled, counts.total()), (1, 1, 2, 4));
    let ids: Vec<i64> = (done.id..done.id + 4).collect();
    let queued = queue.requeue(&ids).await.unwrap();
    assert_eq!(queued.len(), 2);
    assert!(!queued.contains(&done.id) && !queued.contains(&under_way.id));
    let again = queue.claim(Some(id), &claimant("w2"), 1).await.unwrap().remove(0);
    assert_eq!((again.attempt, again.finished_at), (2, None));
    assert_eq!(queue.requeue(&[]).await.unwrap(), [] as [i64; 0]);
}

async fn a_large_batch_keeps_its_order(backends: &Backends) {
    let queue = backends.queue();
    let mut trials = trials(3000);
    trials[1].tags = vec!["it's".to_owned(), "b".to_owned()];
    let id = queue.create_batch(&batch("large"), &trials).await.unwrap().id;
    assert_eq!(queue.batch(id).await.unwrap().counts.queued, 3000);
    let sort = Sort { field: Field::Id, descending: false };
    let query = ExperimentQuery { sort, limit: 5000, ..ExperimentQuery::default() };
    let rows = backends.experiments().list(&query).await.unwrap().rows;
    assert!(rows.iter().map(|row| row.trial.unwrap()).eq(0..3000), "ids in the order of the trials");
    assert!(rows.iter().all(|row| row.batch_id == Some(id) && row.status == Status::Queued));
    assert_eq!((rows[1].key, &rows[1].tags), (trials[1].key, &trials[1].tags));
    assert_eq!(rows[1].started_at, None);
}

async fn a_missing_batch_is_not_found(backends: &Backends) {
    let queue = backends.queue();
    assert_eq!(queue.batch(77).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(queue.withdraw(77).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(queue.claim(Some(77), &claimant("w"), 1).await.unwrap(), []);
}

async fn several_are_claimed_at_once_from_one_batch_or_any(backends: &Backends) {
    let queue = backends.queue();
    let first = queue.create_batch(&batch("a"), &trials(3)).await.unwrap().id;
    let second = queue.create_batch(&batch("b"), &trials(4)).await.unwrap().id;
    let some = queue.claim(Some(second), &claimant("w"), 2).await.unwrap();
    assert!(some.iter().map(|run| run.trial).eq([Some(0), Some(1)]));
    assert!(some.iter().all(|run| run.status == Status::Running && run.worker.as_deref() == Some("w")));
    let rest = queue.claim(None, &claimant("v"), 100).await.unwrap();
    let rest: Vec<_> = rest.iter().map(|run| (run.batch_id.unwrap(), run.trial.unwrap())).collect();
    assert_eq!(rest, [(first, 0), (first, 1), (first, 2), (second, 2), (second, 3)], "the oldest first");
    assert_eq!(queue.claim(None, &claimant("v"), 100).await.unwrap(), []);
    let alone = NewExperiment { status: Status::Queued, worker: None, ..running("of no batch") };
    backends.experiments().create(&alone).await.unwrap();
    assert_eq!(
        queue.claim(None, &claimant("v"), 100).await.unwrap(),
        [],
        "what is in no batch is in no queue"
    );
}

async fn what_runs_is_known_with_its_heartbeat(backends: &Backends) {
    let queue = backends.queue();
    assert_eq!(queue.under_way().await.unwrap(), []);
    let foreign = NewExperiment { worker: None, ..running("of foreign SQL") };
    backends.experiments().create(&foreign).await.unwrap();
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let old = NewExperiment { created_at: Some(hour_ago), ..running("old") };
    let (old, new) = (
        backends.experiments().create(&old).await.unwrap(),
        backends.experiments().create(&running("new")).await.unwrap(),
    );
    backends.experiments().finish(new.id, 1, &completed(json!({}))).await.unwrap();
    queue.beat(&[old.id], "somebody else").await.unwrap();
    let under_way = queue.under_way().await.unwrap();
    assert_eq!(under_way.len(), 1, "neither foreign rows nor what has ended");
    let UnderWay { doing, worker, host, .. } = &under_way[0];
    assert_eq!((doing.experiment, doing.attempt, worker.as_str()), (old.id, 1, "host:1"));
    assert_eq!((doing.model.as_str(), doing.dataset.as_str(), doing.batch), ("BERT", "reviews", None));
    assert_eq!((host.as_deref(), doing.started_at), (Some("host"), old.started_at));
    queue.beat(&[old.id, new.id], "host:1").await.unwrap();
    assert!(queue.under_way().await.unwrap()[0].silent < Duration::from_secs(60));
    assert!(backends.experiments().get(old.id).await.unwrap().heartbeat_at.is_some());
    assert_eq!(backends.experiments().get(new.id).await.unwrap().status, Status::Completed);
}

async fn only_what_still_runs_is_interrupted(backends: &Backends) {
    let (queue, store) = (backends.queue(), backends.experiments());
    let id = queue.create_batch(&batch("b"), &trials(4)).await.unwrap().id;
    queue.claim(Some(id), &claimant("dead"), 3).await.unwrap();
    let dead = queue.under_way().await.unwrap();
    // Meanwhile one ended after all, and one has another worker.
    store.finish(dead[0].doing.experiment, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    let taken = UnderWay { worker: "other".to_owned(), ..dead[1].clone() };
    let interrupted = queue.interrupt(&[dead[0].clone(), taken, dead[2].clone()], "it died").await.unwrap();
    assert_eq!(interrupted.len(), 1);
    let run = store.get(dead[2].doing.experiment).await.unwrap();
    assert_eq!(interrupted[0], run);
    assert_eq!((run.status, run.error.as_deref()), (Status::Interrupted, Some("it died")));
    assert!(run.finished_at.is_some() && run.worker.is_none());
    let late = store.finish(run.id, 1, &completed(json!({}))).await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
    assert_eq!(queue.requeue(&[run.id]).await.unwrap(), [run.id]);
    let again = queue.claim(Some(id), &claimant("w"), 1).await.unwrap();
    assert_eq!((again[0].id, again[0].attempt, &again[0].error), (run.id, 2, &None));
}

fn labelled(name: &str, labels: serde_json::Value) -> NewBatch {
    NewBatch { spec: object(json!({ "name": name, "labels": labels })), ..batch(name) }
}

fn with_labels(worker: &str, labels: &[&str]) -> Claimant {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    Claimant { labels: Some(labels), ..claimant(worker) }
}

async fn a_worker_takes_only_what_it_can_run(backends: &Backends) {
    let queue = backends.queue();
    let mut mixed = trials(3);
    mixed[1].runner = "of another version".to_owned();
    let id = queue.create_batch(&batch("mixed"), &mixed).await.unwrap().id;
    for from in [Some(id), None] {
        let claimed = queue.claim(from, &claimant("w"), 1).await.unwrap();
        assert!(claimed.iter().all(|run| run.runner == "simulate"), "{claimed:?}");
        assert_eq!(claimed.len(), 1);
    }
    assert_eq!(queue.claim(None, &claimant("w"), 10).await.unwrap(), []);
    let able = Claimant { runners: vec!["x".to_owned(), "of another version".to_owned()], ..claimant("v") };
    let rest = queue.claim(Some(id), &able, 10).await.unwrap();
    assert!(rest.iter().map(|run| run.trial).eq([Some(1)]));
    let none = Claimant { runners: Vec::new(), ..claimant("u") };
    assert_eq!(queue.claim(None, &none, 10).await.unwrap(), []);
}

async fn labels_decide_who_takes_a_batch(backends: &Backends) {
    let queue = backends.queue();
    let plain = queue.create_batch(&batch("plain"), &trials(1)).await.unwrap().id;
    let none = queue.create_batch(&labelled("none", json!([])), &trials(1)).await.unwrap().id;
    let gpu = queue.create_batch(&labelled("gpu", json!(["gpu"])), &trials(2)).await.unwrap().id;
    let both = queue.create_batch(&labelled("both", json!(["big", "gpu"])), &trials(2)).await.unwrap().id;
    let odd = queue.create_batch(&labelled("odd", json!(["it's", "[\"a\"]"])), &trials(1)).await.unwrap().id;
    let claimed = async |labels: &[&str], from| {
        let runs = queue.claim(from, &with_labels("w", labels), 100).await.unwrap();
        runs.iter().map(|run| run.batch_id.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(claimed(&["other", "GPU"], Some(gpu)).await, [] as [i64; 0]);
    assert_eq!(claimed(&["big"], None).await, [plain, none], "what asks for nothing is for all");
    assert_eq!(claimed(&[], None).await, [] as [i64; 0]);
    assert_eq!(claimed(&["gpu", "more"], None).await, [gpu, gpu]);
    assert_eq!(claimed(&["gpu", "more", "big"], None).await, [both, both], "only who has all of them");
    assert_eq!(claimed(&["[\"a\"]"], Some(odd)).await, [] as [i64; 0]);
    assert_eq!(claimed(&["[\"a\"]", "it's"], Some(odd)).await, [odd]);
    let by_hand = queue.create_batch(&labelled("by hand", json!(["gpu"])), &trials(1)).await.unwrap().id;
    assert_eq!(queue.claim(Some(by_hand), &claimant("w"), 1).await.unwrap().len(), 1);
}

async fn commands_are_for_those_who_may_run_them(backends: &Backends) {
    let queue = backends.queue();
    assert_eq!(queue.queued_commands(&[]).await.unwrap(), []);
    let commands = |count| {
        let process = |trial| NewExperiment { runner: "process".to_owned(), ..trial };
        trials(count).into_iter().map(process).collect::<Vec<_>>()
    };
    let first = queue.create_batch(&batch("first"), &commands(2)).await.unwrap().id;
    let second = queue.create_batch(&batch("second"), &commands(3)).await.unwrap().id;
    let simulated = queue.create_batch(&batch("simulated"), &trials(1)).await.unwrap().id;

    let waits = queue.queued_commands(&[]).await.unwrap();
    let told = |waits: &[QueuedCommand]| waits.iter().map(|one| (one.batch, one.queued)).collect::<Vec<_>>();
    assert_eq!(told(&waits), [(first, 2), (second, 3)]);
    assert_eq!(waits[1].spec, object(json!({ "name": "second" })));
    assert_eq!(told(&queue.queued_commands(&[first, 99]).await.unwrap()), [(second, 3)]);

    let runners = vec!["simulate".to_owned(), "process".to_owned()];
    let may = |batches: Option<&[i64]>, labels: Option<Vec<String>>| Claimant {
        runners: runners.clone(),
        commands: batches.map(<[i64]>::to_vec),
        labels,
        ..claimant("w")
    };
    let claimed = async |claimant: Claimant, from| {
        let runs = queue.claim(from, &claimant, 100).await.unwrap();
        runs.iter().map(|run| run.batch_id.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(claimed(may(Some(&[]), None), Some(first)).await, [] as [i64; 0]);
    assert_eq!(claimed(may(Some(&[first]), None), Some(second)).await, [] as [i64; 0]);
    let labels = Some(vec!["gpu".to_owned()]);
    assert_eq!(claimed(may(Some(&[99, second]), labels), None).await, [second, second, second, simulated]);
    assert_eq!(told(&queue.queued_commands(&[]).await.unwrap()), [(first, 2)]);
    assert_eq!(claimed(may(None, None), None).await, [first, first], "whoever decided by hand takes all");
    assert_eq!(queue.queued_commands(&[]).await.unwrap(), []);
}

async fn what_was_interrupted_is_taken_up_a_few_times(backends: &Backends) {
    let (queue, store) = (backends.queue(), backends.experiments());
    assert_eq!(queue.take_up(None, 3).await.unwrap(), [] as [i64; 0]);
    let alone = store.create(&running("of no batch")).await.unwrap();
    let id = queue.create_batch(&batch("b"), &trials(2)).await.unwrap().id;
    let interrupt_all = async || {
        let under_way = queue.under_way().await.unwrap();
        queue.interrupt(&under_way, "it died").await.unwrap()
    };
    let first = queue.claim(Some(id), &claimant("w"), 1).await.unwrap().remove(0);
    assert_eq!(interrupt_all().await.len(), 2);
    for attempt in [2, 3] {
        assert_eq!(queue.take_up(None, 3).await.unwrap(), [first.id], "trials only");
        assert_eq!(queue.take_up(None, 3).await.unwrap(), [] as [i64; 0]);
        let again = queue.claim(Some(id), &claimant("w"), 1).await.unwrap();
        assert_eq!((again[0].id, again[0].attempt, &again[0].error), (first.id, attempt, &None));
        interrupt_all().await;
    }
    assert_eq!(queue.take_up(None, 3).await.unwrap(), [] as [i64; 0], "it was tried three times");
    let other = queue.create_batch(&batch("other"), &trials(1)).await.unwrap().id;
    assert_eq!(queue.take_up(Some(other), i32::MAX).await.unwrap(), [] as [i64; 0], "of another batch");
    let failed = queue.claim(Some(id), &claimant("w"), 1).await.unwrap().remove(0);
    let outcome = Outcome { status: Status::Failed, ..completed(json!({})) };
    store.finish(failed.id, 1, &outcome).await.unwrap();
    assert_eq!(store.get(first.id).await.unwrap().status, Status::Interrupted);
    assert_eq!(queue.take_up(Some(id), i32::MAX).await.unwrap(), [first.id], "what failed stays as it is");
    assert_eq!(store.get(alone.id).await.unwrap().status, Status::Interrupted);
}

async fn what_a_dead_worker_says_late_changes_nothing(backends: &Backends) {
    let (queue, store) = (backends.queue(), backends.experiments());
    let id = queue.create_batch(&batch("b"), &trials(1)).await.unwrap().id;
    let run = queue.claim(Some(id), &claimant("dead"), 1).await.unwrap().remove(0);
    store.record(run.id, 1, &[point("loss", 1, 1.0)]).await.unwrap();
    queue.interrupt(&queue.under_way().await.unwrap(), "nothing was heard of it").await.unwrap();
    let conflict = async |attempt| {
        let point = store.record(run.id, attempt, &[point("loss", 2, 9.0)]).await.unwrap_err();
        let end = store.finish(run.id, attempt, &completed(json!({ "accuracy": 0.9 }))).await.unwrap_err();
        assert_eq!((point.kind, end.kind), (ErrorKind::Conflict, ErrorKind::Conflict));
        assert_eq!(queue.beat(&[run.id], "dead").await.unwrap(), [] as [i64; 0]);
    };
    conflict(1).await;
    assert_eq!(queue.take_up(None, 3).await.unwrap(), [run.id]);
    conflict(1).await;
    let again = queue.claim(Some(id), &claimant("alive"), 1).await.unwrap().remove(0);
    conflict(1).await;
    store.record(run.id, 2, &[point("loss", 1, 0.5)]).await.unwrap();
    let done = store.finish(run.id, 2, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    conflict(1).await;
    conflict(2).await;
    assert_eq!(store.get(again.id).await.unwrap(), done);
    assert_eq!(done.figures.accuracy, Some(0.5));
    assert_eq!(
        store.points(run.id).await.unwrap(),
        [point("loss", 1, 0.5)],
        "the curve of the last attempt alone"
    );
}

fn worker(name: &str) -> NewWorker {
    NewWorker {
        name: name.to_owned(),
        host: None,
        pid: 4_000_000_000,
        version: "1.2.3".to_owned(),
        labels: vec!["gpu".to_owned(), "it's \"odd\"".to_owned()],
        runners: vec!["simulate".to_owned()],
        parallel: 4,
    }
}

async fn workers_are_entered_and_struck_out(backends: &Backends) {
    let queue = backends.queue();
    assert_eq!(queue.workers().await.unwrap(), []);
    let (first, second) = (worker("a:1:x"), NewWorker { host: Some("b".to_owned()), ..worker("b:1:x") });
    queue.enter(&first).await.unwrap();
    queue.enter(&second).await.unwrap();
    let listed = queue.workers().await.unwrap();
    assert_eq!(listed.iter().map(|entry| &entry.worker).collect::<Vec<_>>(), [&first, &second]);
    assert!(listed[0].silent < queue.pulse() && listed[0].started_at <= listed[0].heartbeat_at);
    let more = NewWorker { labels: vec!["big".to_owned()], ..first.clone() };
    queue.enter(&more).await.unwrap();
    let again = queue.workers().await.unwrap();
    assert_eq!((again.len(), &again[0].worker), (2, &more), "entered once");
    assert_eq!(again[0].started_at, listed[0].started_at);
    assert!(again[0].heartbeat_at > listed[0].heartbeat_at);
    queue.strike(&["a:1:x".to_owned(), "nobody".to_owned()]).await.unwrap();
    let left = queue.workers().await.unwrap();
    assert_eq!(left.iter().map(|entry| &entry.worker).collect::<Vec<_>>(), [&second]);
    queue.strike(&[]).await.unwrap();
    assert_eq!(queue.workers().await.unwrap().len(), 1);
}
