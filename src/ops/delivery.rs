//! Delivery: what waits in the outbox goes to its collection.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::gather::Gather;
use super::{Lab, News, Result, Watcher};
use crate::domain::collection::{Record, Space};
use crate::domain::document::Metadata;
use crate::embed::Embedder;
use crate::store::collections::CollectionStore;
use crate::store::outbox::{NewDelivery, Outbox};
use crate::store::{ErrorKind, StoreError};

/// Deliveries fetched at once: enough to keep going, little enough to hold in memory with their vectors.
const PAGE: u64 = 64;
/// How long a run waits for those before it in the outbox, before it goes on to its end.
const MOMENT: Duration = Duration::from_secs(2);
/// What a collection of run documents says about itself.
const DESCRIPTION: &str = "documents of experiments";

/// How a delivery went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub done: u64,
    /// Still waiting.
    pub left: u64,
}

/// For how long an outbox that was found empty is taken for empty. Runs that end by the hundred in a second need not
/// ask each; what another process leaves meanwhile belongs to other runs.
const LATELY: Duration = Duration::from_millis(500);

/// Whether this process is delivering. There is one drainer at a time, so that the deliveries of a collection arrive
/// in their order.
#[derive(Debug, Default)]
pub(super) struct Courier {
    round: Mutex<Round>,
    rested: Notify,
    found_empty: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Round {
    #[default]
    Resting,
    Underway,
    /// Underway, and asked for once more meanwhile.
    AskedAgain,
}

impl Courier {
    fn found_empty(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.found_empty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing waits, as far as this process knows.
    async fn is_empty(&self, outbox: &dyn Outbox) -> Result<bool, StoreError> {
        if self.found_empty().is_some_and(|at| at.elapsed() < LATELY) {
            return Ok(true);
        }
        let empty = outbox.waiting().await? == 0;
        *self.found_empty() = empty.then(Instant::now);
        Ok(empty)
    }

    /// Leaves a delivery for later.
    async fn put_off(&self, outbox: &dyn Outbox, delivery: &NewDelivery) -> Result<(), StoreError> {
        *self.found_empty() = None;
        outbox.put(delivery).await
    }

    /// The turn, or none where somebody has it: that one goes round once more.
    fn set_out(&self) -> Option<Turn<'_>> {
        let mut round = self.round();
        match *round {
            Round::Resting => {
                *round = Round::Underway;
                Some(Turn { courier: self, over: false })
            }
            Round::Underway | Round::AskedAgain => {
                *round = Round::AskedAgain;
                None
            }
        }
    }

    fn round(&self) -> std::sync::MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self) {
        *self.round() = Round::Resting;
        self.rested.notify_waiters();
    }

    /// Returns once nobody delivers.
    async fn at_rest(&self) {
        loop {
            let mut rested = pin!(self.rested.notified());
            rested.as_mut().enable();
            if *self.round() == Round::Resting {
                return;
            }
            rested.await;
        }
    }
}

/// The right to deliver; given back when dropped.
struct Turn<'a> {
    courier: &'a Courier,
    over: bool,
}

impl Turn<'_> {
    /// Gives the turn back, unless somebody asked again meanwhile.
    fn end_round(&mut self) {
        let mut round = self.courier.round();
        self.over = *round == Round::Underway;
        *round = if self.over { Round::Resting } else { Round::Underway };
        drop(round);
        if self.over {
            self.courier.rested.notify_waiters();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.courier.rest();
        }
    }
}

/// Delivers what waits, in order for each collection. A collection store that is still down is no error: what is left
/// says so. While another call of this process delivers, that one takes over what is new.
pub async fn deliver(lab: &Lab) -> Result<Delivered> {
    Ok(empty_outbox(lab).await?)
}

async fn empty_outbox(lab: &Lab) -> Result<Delivered, StoreError> {
    if lab.outbox.waiting().await? == 0 {
        return Ok(Delivered::default());
    }
    let mut done = 0;
    if let Some(mut turn) = lab.courier.set_out() {
        while !turn.over {
            done += go_round(lab).await?;
            turn.end_round();
        }
    }
    Ok(Delivered { done, left: lab.outbox.waiting().await? })
}

/// One round over everything that waits; says how much arrived.
async fn go_round(lab: &Lab) -> Result<u64, StoreError> {
    let mut done = 0;
    let mut stuck = HashSet::new();
    let mut behind_stuck = 0;
    loop {
        let limit = behind_stuck + PAGE;
        let pending = lab.outbox.pending(limit).await?;
        let last_page = (pending.len() as u64) < limit;
        behind_stuck = 0;
        for delivery in pending {
            if stuck.contains(&delivery.collection) {
                behind_stuck += 1;
                continue;
            }
            let (collection, model) = (&delivery.collection, lab.embedder.model_name());
            match put_records(&*lab.collections, model, collection, DESCRIPTION, &delivery.records).await {
                Ok(()) => {
                    lab.outbox.delivered(delivery.id).await?;
                    done += 1;
                }
                Err(error) => {
                    lab.outbox.failed(delivery.id, &error.message).await?;
                    if error.is_transient() {
                        // The whole store is down: asking for the next collection would only wait once more.
                        return Ok(done);
                    }
                    stuck.insert(delivery.collection);
                    behind_stuck += 1;
                }
            }
        }
        if last_page {
            return Ok(done);
        }
    }
}

/// Delivers in passing: a failure is told, and the work at hand goes on.
pub(super) async fn deliver_in_passing(lab: &Lab, watcher: &dyn Watcher) {
    let delivering = async {
        match lab.courier.is_empty(&*lab.outbox).await? {
            true => Ok(()),
            false => deliver(lab).await.map(drop),
        }
    };
    if let Err(error) = delivering.await {
        watcher
            .saw(News::Warning { id: None, text: format!("Waiting documents were not delivered. {error}") });
    }
}

/// What became of records on their way to a collection.
#[derive(Debug)]
pub(super) enum Arrival {
    Stored,
    /// They wait in the outbox; why.
    Postponed(String),
    /// The collection refuses them, and would refuse them again.
    Refused(StoreError),
}

/// Brings records to their collection, or to the outbox while the collection store is down. Behind others that wait
/// already they wait as well, so that an older delivery never overwrites a newer one.
pub(super) async fn send(lab: &Lab, delivery: NewDelivery) -> Result<Arrival, StoreError> {
    // Where the outbox itself cannot be asked, the direct way may still be open.
    if matches!(lab.courier.is_empty(&*lab.outbox).await, Ok(true) | Err(_)) {
        let Err(error) = lab.records.put(delivery.clone()).await else {
            return Ok(Arrival::Stored);
        };
        if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Conflict) {
            return Ok(Arrival::Refused(error));
        }
        lab.courier.put_off(&*lab.outbox, &delivery).await?;
        return Ok(Arrival::Postponed(error.message));
    }
    lab.courier.put_off(&*lab.outbox, &delivery).await?;
    let delivering = async {
        let delivered = empty_outbox(lab).await;
        lab.courier.at_rest().await;
        delivered
    };
    // A long queue goes on being delivered beside the runs, and after this one.
    if let Ok(delivered) = timeout(MOMENT, delivering).await {
        delivered?;
    }
    let left = lab.outbox.waiting().await?;
    let waiting = if left == 0 { Vec::new() } else { lab.outbox.pending(left).await? };
    let first = |records: &[Record]| records.first().map(|record| record.id.clone());
    let ours = waiting.into_iter().find(|other| {
        other.collection == delivery.collection && first(&other.records) == first(&delivery.records)
    });
    Ok(match ours {
        None => Arrival::Stored,
        Some(ours) => {
            Arrival::Postponed(ours.last_error.unwrap_or_else(|| "others wait before them".to_owned()))
        }
    })
}

/// Where runs that end side by side hand over their documents: those of one collection are written together.
pub(super) fn gather_records(
    collections: Arc<dyn CollectionStore>,
    embedder: Arc<dyn Embedder>,
) -> Gather<NewDelivery, ()> {
    Gather::new(Box::new(move |deliveries: Vec<NewDelivery>| {
        let (collections, embedder) = (collections.clone(), embedder.clone());
        async move {
            let mut parts: Vec<NewDelivery> = Vec::new();
            for delivery in &deliveries {
                match parts.iter_mut().find(|part| part.collection == delivery.collection) {
                    Some(part) => part.records.extend_from_slice(&delivery.records),
                    None => parts.push(delivery.clone()),
                }
            }
            for part in &parts {
                let NewDelivery { collection, records } = part;
                put_records(&*collections, embedder.model_name(), collection, DESCRIPTION, records).await?;
            }
            Ok(deliveries.iter().map(|_| Ok(())).collect())
        }
        .boxed()
    }))
}

/// Puts records into a collection and makes the collection where it is missing.
pub(super) async fn put_records(
    collections: &dyn CollectionStore,
    model: &str,
    collection: &str,
    description: &str,
    records: &[Record],
) -> Result<(), StoreError> {
    match collections.upsert(collection, records).await {
        Err(error) if error.kind == ErrorKind::NotFound => {}
        other => return other.map(drop),
    }
    let mut metadata = Metadata::new();
    metadata.insert("description".to_owned(), json!(description));
    metadata.insert("model".to_owned(), json!(model));
    match collections.create(collection, &metadata, Space::Cosine).await {
        // Somebody else was faster: it is there, and that is all we want.
        Err(error) if error.kind != ErrorKind::Conflict => return Err(error),
        _ => {}
    }
    collections.upsert(collection, records).await.map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::ops::tests::Bench;

    fn delivery(collection: &str, id: &str, embedding: &[f32]) -> NewDelivery {
        let (id, embedding) = (id.to_owned(), embedding.to_vec());
        let record = Record { id, document: None, embedding, metadata: Map::new() };
        NewDelivery { collection: collection.to_owned(), records: vec![record] }
    }

    fn arrived(bench: &Bench) -> Vec<String> {
        bench.collections.upserts.lock().unwrap().iter().map(|(_, ids)| ids[0].clone()).collect()
    }

    #[tokio::test]
    async fn a_collection_that_refuses_holds_up_no_other() {
        let bench = Bench::embedded();
        bench.store.put(&delivery("aaa", "first", &[1.0])).await.unwrap();
        deliver(&bench.lab).await.unwrap();
        // More than a page of what the first collection can never take.
        for index in 0..=PAGE {
            bench.store.put(&delivery("aaa", &format!("bad{index}"), &[1.0, 2.0])).await.unwrap();
        }
        bench.store.put(&delivery("bbb", "good", &[1.0, 2.0])).await.unwrap();
        let delivered = deliver(&bench.lab).await.unwrap();
        assert_eq!(delivered, Delivered { done: 1, left: PAGE + 1 });
        assert_eq!(arrived(&bench), ["first", "good"]);
        let waiting = bench.store.pending(2).await.unwrap();
        assert_eq!((waiting[0].tries, waiting[1].tries), (1, 0), "those behind it are not tried");
        assert_eq!(waiting[0].last_error.as_deref(), Some("another dimension"));

        bench.collections.remove("aaa").await.unwrap();
        assert_eq!(deliver(&bench.lab).await.unwrap().left, 0, "removing the collection makes way");
    }

    #[tokio::test]
    async fn two_at_once_deliver_once() {
        let bench = Bench::embedded();
        for id in ["a", "b", "c"] {
            bench.store.put(&delivery("aaa", id, &[1.0])).await.unwrap();
        }
        let (one, two) = tokio::join!(deliver(&bench.lab), deliver(&bench.lab));
        assert_eq!(one.unwrap().done + two.unwrap().done, 3);
        assert_eq!(arrived(&bench), ["a", "b", "c"]);
        assert_eq!(deliver(&bench.lab).await.unwrap(), Delivered::default());
    }

    #[tokio::test]
    async fn a_turn_that_is_asked_for_again_goes_round_once_more() {
        let courier = Courier::default();
        let mut turn = courier.set_out().unwrap();
        assert!(courier.set_out().is_none());
        turn.end_round();
        assert!(!turn.over);
        turn.end_round();
        assert!(turn.over);
        courier.at_rest().await;
        drop(courier.set_out().unwrap());
        assert!(courier.set_out().is_some(), "a turn that is dropped is given back");
    }
}
