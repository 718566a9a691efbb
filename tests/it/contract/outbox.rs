//! The outbox.

use labtop::store::outbox::NewDelivery;
use serde_json::json;

use crate::support::backends::Backends;
use crate::support::samples::{hostile, record};

super::suite!(duckdb, deliveries_wait_in_order_until_they_are_done);
mod on_postgres {
    use super::deliveries_wait_in_order_until_they_are_done;
    super::super::suite!(postgres, deliveries_wait_in_order_until_they_are_done);
}

async fn deliveries_wait_in_order_until_they_are_done(backends: &Backends) {
    let outbox = backends.outbox();
    assert_eq!((outbox.waiting().await.unwrap(), outbox.pending(10).await.unwrap()), (0, vec![]));
    let delivery = |name: &str| NewDelivery {
        collection: name.to_owned(),
        records: vec![record("r", &[0.1, -2.5e-8], json!({ "text": hostile(), "n": 1 }))],
    };
    for name in ["a", "b", "a"] {
        outbox.put(&delivery(name)).await.unwrap();
    }
    let pending = outbox.pending(10).await.unwrap();
    assert_eq!(pending.iter().map(|one| one.collection.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(pending[0].records, delivery("a").records);
    outbox.failed(pending[0].id, "it was down").await.unwrap();
    let first = &outbox.pending(1).await.unwrap()[0];
    assert_eq!((first.id, first.tries, first.last_error.as_deref()), (pending[0].id, 1, Some("it was down")));
    outbox.delivered(pending[0].id).await.unwrap();
    outbox.delivered(pending[0].id).await.unwrap();
    assert_eq!(outbox.waiting().await.unwrap(), 2);
}
