//! The outbox.

use std::time::Duration;

use labtop::domain::experiment::{NewExperiment, Outcome, Status};
use labtop::store::ErrorKind;
use labtop::store::experiments::Entry;
use labtop::store::outbox::{NewDelivery, Outbox};
use serde_json::{Map, json};

use crate::support::backends::Backends;
use crate::support::samples::{hostile, record, running};

super::suite!(
    duckdb,
    deliveries_wait_in_order_until_they_are_done,
    one_at_a_time_delivers_to_a_collection,
    a_claim_lasts_for_its_lease,
    refused_ones_hold_up_nothing,
    documents_come_with_the_end_of_their_run,
);
mod on_postgres {
    use super::*;
    super::super::suite!(
        postgres,
        deliveries_wait_in_order_until_they_are_done,
        one_at_a_time_delivers_to_a_collection,
        a_claim_lasts_for_its_lease,
        refused_ones_hold_up_nothing,
        documents_come_with_the_end_of_their_run,
    );
}

const LEASE: Duration = Duration::from_secs(60);

fn delivery(name: &str) -> NewDelivery {
    NewDelivery {
        collection: name.to_owned(),
        records: vec![record("r", &[0.1, -2.5e-8], json!({ "text": hostile(), "n": 1 }))],
        experiment: None,
    }
}

async fn put(outbox: &dyn Outbox, names: &[&str]) {
    for name in names {
        outbox.put(&delivery(name)).await.unwrap();
    }
}

async fn deliveries_wait_in_order_until_they_are_done(backends: &Backends) {
    let outbox = backends.outbox();
    assert_eq!((outbox.waiting().await.unwrap(), outbox.pending(10).await.unwrap()), (0, vec![]));
    assert!(outbox.state().await.unwrap().is_empty());
    put(outbox, &["a", "b", "a"]).await;
    let pending = outbox.pending(10).await.unwrap();
    assert_eq!(pending.iter().map(|one| one.collection.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(pending[0].records, delivery("a").records);
    outbox.failed(pending[0].id, "it was down", false).await.unwrap();
    let first = &outbox.pending(1).await.unwrap()[0];
    assert_eq!((first.id, first.tries, first.last_error.as_deref()), (pending[0].id, 1, Some("it was down")));
    let state = outbox.state().await.unwrap();
    assert_eq!((state.waiting, state.oldest), (3, Some(pending[0].created_at)));
    assert_eq!(state.last_error.as_deref(), Some("it was down"));
    outbox.delivered(&[pending[0].id]).await.unwrap();
    outbox.delivered(&[pending[0].id, pending[1].id]).await.unwrap();
    assert_eq!(outbox.waiting().await.unwrap(), 1);
}

async fn one_at_a_time_delivers_to_a_collection(backends: &Backends) {
    let outbox = backends.outbox();
    put(outbox, &["a", "b", "a", "c"]).await;
    let claims = outbox.claim("one", LEASE, 2, &[]).await.unwrap();
    assert_eq!((sorted(claims.taken), claims.held), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    let claims = outbox.claim("two", LEASE, 9, &["c".to_owned()]).await.unwrap();
    assert!(claims.taken.is_empty());
    let mut held = claims.held;
    held.sort();
    let by_one = |name: &str| (name.to_owned(), "one".to_owned());
    assert_eq!(held, [by_one("a"), by_one("b")]);
    assert_eq!(outbox.claim("two", LEASE, 9, &[]).await.unwrap().taken, ["c"]);

    let taken = outbox.take("a", "one", LEASE, 1).await.unwrap();
    assert_eq!((taken.len(), &taken[0].records), (1, &delivery("a").records));
    assert_eq!(outbox.take("a", "one", LEASE, 9).await.unwrap().len(), 2, "it is there until it is done");
    assert_eq!(outbox.take("a", "two", LEASE, 9).await.unwrap_err().kind, ErrorKind::Conflict);
    outbox.release("a", "two").await.unwrap();
    assert!(outbox.renew("a", "one", LEASE).await.unwrap());
    assert!(!outbox.renew("a", "two", LEASE).await.unwrap());
    outbox.release("a", "one").await.unwrap();
    assert_eq!(outbox.claim("two", LEASE, 9, &[]).await.unwrap().taken, ["a"]);

    // Of many that ask at once, each collection has one.
    put(outbox, &["d", "e", "f"]).await;
    let names: Vec<String> = (0..8).map(|number| format!("crowd{number}")).collect();
    let crowd = names.iter().map(|name| outbox.claim(name, LEASE, 9, &[]));
    let claims = futures_util::future::join_all(crowd).await;
    let taken: Vec<String> = claims.into_iter().flat_map(|claims| claims.unwrap().taken).collect();
    assert_eq!(sorted(taken), ["d", "e", "f"]);
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

async fn a_claim_lasts_for_its_lease(backends: &Backends) {
    let outbox = backends.outbox();
    put(outbox, &["a"]).await;
    let short = Duration::from_millis(1);
    assert_eq!(outbox.claim("one", short, 1, &[]).await.unwrap().taken, ["a"]);
    while outbox.claim("two", LEASE, 1, &[]).await.unwrap().taken.is_empty() {}
    assert_eq!(outbox.take("a", "one", LEASE, 1).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(outbox.take("a", "two", LEASE, 1).await.unwrap().len(), 1);
}

async fn refused_ones_hold_up_nothing(backends: &Backends) {
    let outbox = backends.outbox();
    put(outbox, &["a", "a", "b"]).await;
    let ids: Vec<i64> = outbox.pending(9).await.unwrap().iter().map(|one| one.id).collect();
    outbox.failed(ids[0], "another dimension", true).await.unwrap();
    outbox.failed(ids[2], "another dimension", true).await.unwrap();
    let state = outbox.state().await.unwrap();
    assert_eq!((state.waiting, state.refused), (1, 2));
    assert_eq!(outbox.claim("one", LEASE, 9, &[]).await.unwrap().taken, ["a"]);
    let taken = outbox.take("a", "one", LEASE, 9).await.unwrap();
    assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[1]]);
    let listed = outbox.list(9).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.refused).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!((listed[0].records, listed[0].tries), (1, 1));

    assert_eq!(outbox.retry(&[ids[0], ids[1]]).await.unwrap(), 1);
    let taken = outbox.take("a", "one", LEASE, 9).await.unwrap();
    assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!(outbox.retry(&[]).await.unwrap(), 1);
    assert_eq!(outbox.remove(&ids[..2]).await.unwrap(), 2);
    assert_eq!(outbox.state().await.unwrap().waiting, 1);
}

async fn documents_come_with_the_end_of_their_run(backends: &Backends) {
    let (store, outbox) = (backends.experiments(), backends.outbox());
    let mut entries = Vec::new();
    for name in ["one", "two", "late"] {
        let id = store.create(&NewExperiment { name: name.to_owned(), ..running(name) }).await.unwrap().id;
        let documents = Some(NewDelivery { experiment: Some(id), ..delivery(name) });
        let status = Status::Completed;
        let outcome = Some(Outcome { status, results: Map::new(), error: None, finished_at: None });
        entries.push(Entry { id, attempt: 1, points: Vec::new(), outcome, documents });
    }
    // What an earlier attempt left is replaced.
    outbox.put(&NewDelivery { experiment: Some(entries[0].id), ..delivery("old") }).await.unwrap();
    entries[2].attempt = 2;
    let answers = store.commit(&entries).await.unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    let pending = outbox.pending(9).await.unwrap();
    let whose: Vec<_> = pending.iter().map(|one| (one.collection.as_str(), one.experiment)).collect();
    assert_eq!(whose, [("one", Some(entries[0].id)), ("two", Some(entries[1].id))]);
    assert_eq!(pending[1].records, delivery("two").records);
}
