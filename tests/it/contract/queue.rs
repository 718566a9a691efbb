//! Batches and their queue.

use std::collections::BTreeSet;

use labtop::domain::batch::NewBatch;
use labtop::domain::experiment::{NewExperiment, Status};
use labtop::domain::filter::Field;
use labtop::store::ErrorKind;
use labtop::store::experiments::{ExperimentQuery, Sort};
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
