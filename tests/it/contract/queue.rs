//! Batches and their queue.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use labtop::domain::batch::NewBatch;
use labtop::domain::experiment::{NewExperiment, Status};
use labtop::domain::filter::Field;
use labtop::store::ErrorKind;
use labtop::store::experiments::{ExperimentQuery, Sort};
use labtop::store::queue::UnderWay;
use serde_json::json;
use uuid::Uuid;

use crate::support::backends::Backends;
use crate::support::samples::{completed, object, running};

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
    let first = queue.claim(Some(id), "w0", 1).await.unwrap().remove(0);
    assert_eq!((first.trial, first.status, first.worker.as_deref()), (Some(0), Status::Running, Some("w0")));
    assert!(first.started_at.is_some());
    let worker = |name: &'static str| async move {
        let mut claimed = Vec::new();
        while let Some(run) = queue.claim(Some(id), name, 1).await.unwrap().pop() {
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
    let done = queue.claim(Some(id), "w", 1).await.unwrap().remove(0);
    backends.experiments().finish(done.id, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    let under_way = queue.claim(Some(id), "w", 1).await.unwrap().remove(0);
    assert_eq!(queue.withdraw(id).await.unwrap(), 2);
    assert_eq!(queue.withdraw(id).await.unwrap(), 0);
    let counts = queue.batch(id).await.unwrap().counts;
    assert_eq!((counts.completed, counts.running, counts.cancelled, counts.total()), (1, 1, 2, 4));
    let ids: Vec<i64> = (done.id..done.id + 4).collect();
    let queued = queue.requeue(&ids).await.unwrap();
    assert_eq!(queued.len(), 2);
    assert!(!queued.contains(&done.id) && !queued.contains(&under_way.id));
    let again = queue.claim(Some(id), "w2", 1).await.unwrap().remove(0);
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
    assert_eq!(queue.claim(Some(77), "w", 1).await.unwrap(), []);
}

async fn several_are_claimed_at_once_from_one_batch_or_any(backends: &Backends) {
    let queue = backends.queue();
    let first = queue.create_batch(&batch("a"), &trials(3)).await.unwrap().id;
    let second = queue.create_batch(&batch("b"), &trials(4)).await.unwrap().id;
    let some = queue.claim(Some(second), "w", 2).await.unwrap();
    assert!(some.iter().map(|run| run.trial).eq([Some(0), Some(1)]));
    assert!(some.iter().all(|run| run.status == Status::Running && run.worker.as_deref() == Some("w")));
    let rest = queue.claim(None, "v", 100).await.unwrap();
    let rest: Vec<_> = rest.iter().map(|run| (run.batch_id.unwrap(), run.trial.unwrap())).collect();
    assert_eq!(rest, [(first, 0), (first, 1), (first, 2), (second, 2), (second, 3)], "the oldest first");
    assert_eq!(queue.claim(None, "v", 100).await.unwrap(), []);
    let alone = NewExperiment { status: Status::Queued, worker: None, ..running("of no batch") };
    backends.experiments().create(&alone).await.unwrap();
    assert_eq!(queue.claim(None, "v", 100).await.unwrap(), [], "what is in no batch is in no queue");
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
    assert_eq!((under_way[0].id, under_way[0].attempt, under_way[0].worker.as_str()), (old.id, 1, "host:1"));
    queue.beat(&[old.id, new.id], "host:1").await.unwrap();
    assert!(queue.under_way().await.unwrap()[0].silent < Duration::from_secs(60));
    assert!(backends.experiments().get(old.id).await.unwrap().heartbeat_at.is_some());
    assert_eq!(backends.experiments().get(new.id).await.unwrap().status, Status::Completed);
}

async fn only_what_still_runs_is_interrupted(backends: &Backends) {
    let (queue, store) = (backends.queue(), backends.experiments());
    let id = queue.create_batch(&batch("b"), &trials(4)).await.unwrap().id;
    queue.claim(Some(id), "dead", 3).await.unwrap();
    let dead = queue.under_way().await.unwrap();
    // Meanwhile one ended after all, and one has another worker.
    store.finish(dead[0].id, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    let taken = UnderWay { worker: "other".to_owned(), ..dead[1].clone() };
    let interrupted = queue.interrupt(&[dead[0].clone(), taken, dead[2].clone()], "it died").await.unwrap();
    assert_eq!(interrupted.len(), 1);
    let run = store.get(dead[2].id).await.unwrap();
    assert_eq!(interrupted[0], run);
    assert_eq!((run.status, run.error.as_deref()), (Status::Interrupted, Some("it died")));
    assert!(run.finished_at.is_some() && run.worker.is_none());
    let late = store.finish(run.id, 1, &completed(json!({}))).await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
    assert_eq!(queue.requeue(&[run.id]).await.unwrap(), [run.id]);
    let again = queue.claim(Some(id), "w", 1).await.unwrap();
    assert_eq!((again[0].id, again[0].attempt, &again[0].error), (run.id, 2, &None));
}
