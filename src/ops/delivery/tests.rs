//! How deliveries behave, above all when something fails.

use std::time::Duration;

use serde_json::{Map, json};

use super::errand::LEASE;
use super::*;
use crate::ops::tests::{Bench, FOREVER, Witness};
use crate::store::outbox::Outbox;

fn delivery(collection: &str, id: &str, embedding: &[f32]) -> NewDelivery {
    let (id, embedding) = (id.to_owned(), embedding.to_vec());
    let record = Record { id, document: None, embedding, metadata: Map::new() };
    NewDelivery { collection: collection.to_owned(), records: vec![record], experiment: None }
}

/// The ids of every upsert, in their order.
fn arrived(bench: &Bench) -> Vec<Vec<String>> {
    bench.collections.upserts.lock().unwrap().iter().map(|(_, ids)| ids.clone()).collect()
}

async fn put(bench: &Bench, deliveries: &[NewDelivery]) {
    for delivery in deliveries {
        bench.store.put(delivery).await.unwrap();
    }
}

#[tokio::test]
async fn what_waits_for_one_collection_goes_in_one_upsert_and_the_last_version_counts() {
    let bench = Bench::embedded();
    let versions = [("a", 1.0), ("b", 2.0), ("a", 3.0)];
    put(&bench, &versions.map(|(id, value)| delivery("aaa", id, &[value]))).await;
    let delivered = deliver(&bench.lab).await.unwrap();
    assert_eq!(delivered, Delivered { done: 3, left: 0, refused: 0 });
    assert_eq!(arrived(&bench), [["a", "b"]]);
    assert_eq!(bench.collections.vector("aaa", "a"), [3.0]);
    assert_eq!(deliver(&bench.lab).await.unwrap(), Delivered::default());
}

#[tokio::test]
async fn what_is_refused_is_kept_aside_and_holds_up_nothing() {
    let bench = Bench::embedded();
    put(&bench, &[delivery("aaa", "first", &[1.0])]).await;
    deliver(&bench.lab).await.unwrap();
    let many: Vec<NewDelivery> = (0..9)
        .map(|index| delivery("aaa", &index.to_string(), if index == 5 { &[1.0, 2.0] } else { &[1.0] }))
        .collect();
    put(&bench, &many).await;
    put(&bench, &[delivery("bbb", "other", &[1.0, 2.0])]).await;
    let delivered = deliver(&bench.lab).await.unwrap();
    assert_eq!(delivered, Delivered { done: 9, left: 0, refused: 1 });
    assert_eq!(bench.collections.ids("aaa"), ["0", "1", "2", "3", "4", "6", "7", "8", "first"]);
    let kept = list(&bench.lab, 10).await.unwrap();
    assert_eq!((kept.len(), kept[0].refused, kept[0].tries), (1, true, 1));
    assert_eq!(kept[0].last_error.as_deref(), Some("another dimension"));
    assert_eq!(deliver(&bench.lab).await.unwrap().done, 0, "it is not tried again by itself");

    bench.collections.remove("aaa").await.unwrap();
    let (count, delivered) = retry(&bench.lab, &[]).await.unwrap();
    assert_eq!((count, delivered.done, delivered.refused), (1, 1, 0));
}

#[tokio::test]
async fn two_at_once_deliver_once() {
    let bench = Bench::embedded();
    put(&bench, &["a", "b", "c"].map(|id| delivery("aaa", id, &[1.0]))).await;
    let (one, two) = tokio::join!(deliver(&bench.lab), deliver(&bench.lab));
    assert_eq!(one.unwrap().done + two.unwrap().done, 3);
    assert_eq!(arrived(&bench).concat(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_collection_that_another_process_delivers_to_is_left_to_it() {
    let bench = Bench::embedded();
    put(&bench, &[delivery("aaa", "a", &[1.0]), delivery("bbb", "b", &[1.0])]).await;
    let claims = bench.store.claim("elsewhere:1#0", LEASE, 1, &[]).await.unwrap();
    assert_eq!(claims.taken, ["aaa"]);
    let delivered = deliver(&bench.lab).await.unwrap();
    assert_eq!(delivered, Delivered { done: 1, left: 1, refused: 0 });
    assert_eq!(arrived(&bench), [["b"]]);
    bench.store.release("aaa", "elsewhere:1#0").await.unwrap();
    assert_eq!(deliver(&bench.lab).await.unwrap().done, 1);
}

#[tokio::test]
async fn what_others_do_not_need_a_claim_for_is_delivered_while_the_store_comes_and_goes() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.collections.down.set(FOREVER);
    put(&bench, &[delivery("aaa", "a", &[1.0])]).await;
    let delivering = keep_delivering(&bench.lab, &witness);
    let watching = async {
        witness.until(1, |news| matches!(news, News::Warning { .. })).await;
        bench.collections.down.set(0);
        while bench.store.waiting().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // An idle one hears of new deliveries.
        put(&bench, &[delivery("aaa", "b", &[1.0])]).await;
        look_again(&bench.lab);
        while bench.store.waiting().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = delivering => unreachable!(),
        () = watching => {}
    }
    assert_eq!(witness.warnings().len(), 1, "told once");
    assert_eq!(arrived(&bench).concat(), ["a", "b"]);
}

#[tokio::test]
async fn work_beside_which_nothing_could_be_delivered_ends_and_says_so() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    bench.collections.down.set(FOREVER);
    let ours = [NewDelivery { experiment: Some(7), ..delivery("aaa", "a", &[1.0]) }];
    let work = put(&bench, &ours);
    beside(&bench.lab, &witness, &Stop::default(), work).await;
    let warnings = witness.warnings();
    assert!(warnings.last().unwrap().contains("of 1 runs wait in the outbox"), "{warnings:?}");
    bench.collections.down.set(0);
    beside(&bench.lab, &witness, &Stop::default(), async {}).await;
    let added = |news: &News| matches!(news, News::Documents { id: 7, count: 1, .. });
    assert_eq!(witness.count(added), 1);
}

#[tokio::test]
async fn an_errand_is_carried_out_when_its_round_is_dropped() {
    let bench = Bench::embedded();
    put(&bench, &[delivery("aaa", "a", &[1.0])]).await;
    {
        let turn = bench.lab.courier.driving.lock().await;
        let mut round = std::pin::pin!(go_round(&bench.lab, &Nobody, turn));
        while bench.store.claims().is_empty() {
            assert!(futures_util::poll!(&mut round).is_pending());
        }
    }
    while !bench.store.claims().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!((arrived(&bench).len(), bench.store.waiting().await.unwrap()), (1, 0));
}

#[tokio::test]
async fn a_claim_that_this_process_has_forgotten_is_taken_back() {
    let bench = Bench::embedded();
    put(&bench, &["aaa", "bbb", "ccc"].map(|collection| delivery(collection, "a", &[1.0]))).await;
    // Carried out, but its answer was lost.
    let lost = bench.lab.courier.holder(&bench.lab.place_of_work().worker);
    assert_eq!(bench.store.claim(&lost, LEASE, 1, &[]).await.unwrap().taken, ["aaa"]);
    assert_eq!(deliver(&bench.lab).await.unwrap(), Delivered { done: 3, left: 0, refused: 0 });
    assert_eq!(arrived(&bench).len(), 3, "each collection has one errand");
}

#[tokio::test]
async fn an_errand_that_outlives_its_round_is_left_alone_by_the_next() {
    let bench = Bench::embedded();
    put(&bench, &[delivery("aaa", "a", &[1.0])]).await;
    let own = bench.lab.courier.holder(&bench.lab.place_of_work().worker);
    assert_eq!(bench.store.claim(&own, LEASE, 1, &[]).await.unwrap().taken, ["aaa"]);
    let under_way = bench.lab.courier.sets_out("aaa");
    assert_eq!(deliver(&bench.lab).await.unwrap(), Delivered { done: 0, left: 1, refused: 0 });
    assert_eq!(bench.store.claims(), ["aaa"]);
    drop(under_way);
    assert_eq!(deliver(&bench.lab).await.unwrap().done, 1);
}

#[tokio::test]
async fn nothing_is_laid_beside_the_vectors_of_a_table_that_is_gone() {
    let bench = Bench::embedded();
    let metadata = Metadata::from_iter([("model".to_owned(), json!("labtop-static-256"))]);
    bench.collections.create(&NewCollection::new("old", &metadata, Space::Cosine)).await.unwrap();
    let arrival = super::send(&bench.lab, delivery("old", "a", &[1.0])).await.unwrap();
    let Some(told) = arrival else { panic!("{arrival:?}") };
    assert!(
        told.contains("made by labtop-static-256") && told.contains("labtop collections rename old OTHER"),
        "{told}"
    );
    assert!(bench.collections.ids("old").is_empty());
    // Kept aside, where it holds up no other.
    assert_eq!(deliver(&bench.lab).await.unwrap(), Delivered { done: 0, left: 0, refused: 1 });
    let arrival = super::send(&bench.lab, delivery("new", "a", &[1.0])).await.unwrap();
    assert_eq!(arrival, None);
    bench.collections.remove("old").await.unwrap();
    let (count, delivered) = retry(&bench.lab, &[]).await.unwrap();
    assert_eq!((count, delivered), (1, Delivered { done: 1, left: 0, refused: 0 }));
    assert_eq!(bench.collections.ids("old").len(), 1);
}
