//! An errand: everything that waits for one collection is brought there, by whoever has the claim on it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{DESCRIPTION, put_records, reason};
use crate::domain::collection::Record;
use crate::domain::experiment::ExperimentId;
use crate::store::collections::CollectionStore;
use crate::store::outbox::{Delivery, Outbox};
use crate::store::{ErrorKind, StoreError};

/// For how long others leave a collection to us. It is prolonged while an upsert is under way: a claim that ran out in the
/// middle of one could let an older version of a record arrive after a newer one.
pub(super) const LEASE: Duration = Duration::from_secs(60);
const RENEWED: Duration = Duration::from_secs(15);
/// Deliveries taken at once: those of a run have five records.
const TAKEN: u64 = 400;
/// How often a delivery is tried that the collection store fails at, for reasons that may pass, before it makes way.
const TRIES: i32 = 20;

/// One collection's turn.
pub(super) struct Errand {
    pub outbox: Arc<dyn Outbox>,
    pub collections: Arc<dyn CollectionStore>,
    /// Of the lab's own embedder, for collections that are made now.
    pub model: String,
    pub collection: String,
    pub holder: String,
    pub tell: mpsc::Sender<Step>,
}

/// What became of one delivery.
#[derive(Debug)]
pub(super) struct Step {
    pub experiment: Option<ExperimentId>,
    pub collection: String,
    pub count: u64,
    /// Why it was refused for good; none when it arrived.
    pub refused: Option<StoreError>,
}

/// How an errand ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing waits any more, or somebody else goes on.
    Done,
    /// The collection store is down.
    Down(StoreError),
    /// This collection has trouble of its own, that may pass.
    Stuck,
    /// The outbox cannot be asked.
    Lost(StoreError),
}

impl Errand {
    /// Goes until nothing waits. The claim is given back, unless somebody else has taken it.
    pub(super) async fn run(&self) -> End {
        let Err(end) = self.go().await else { return End::Done };
        match self.outbox.release(&self.collection, &self.holder).await {
            Ok(()) => end,
            Err(error) => End::Lost(error),
        }
    }

    async fn go(&self) -> Result<(), End> {
        loop {
            let taken = self.outbox.take(&self.collection, &self.holder, LEASE, TAKEN).await;
            let waiting = match taken {
                Err(error) if error.kind == ErrorKind::Conflict => return Ok(()),
                other => other.map_err(End::Lost)?,
            };
            if waiting.is_empty() {
                return self.outbox.release(&self.collection, &self.holder).await.map_err(End::Lost);
            }
            self.bring(&waiting).await?;
        }
    }

    /// Brings deliveries in one upsert. Where that is refused each half is tried by itself, so that the one that is
    /// refused is found in a few steps and keeps back no other.
    async fn bring(&self, waiting: &[Delivery]) -> Result<(), End> {
        let mut groups = vec![waiting];
        while let Some(group) = groups.pop() {
            let records = merged(group);
            match self.put(&records).await {
                Ok(()) => self.arrived(group).await?,
                Err(error) if error.is_transient() => {
                    self.outbox.failed(group[0].id, &error.message, false).await.map_err(End::Lost)?;
                    return Err(End::Down(error));
                }
                Err(_) if group.len() > 1 => {
                    let (first, second) = group.split_at(group.len() / 2);
                    groups.extend([second, first]);
                }
                Err(error) => self.failed(&group[0], error).await?,
            }
        }
        Ok(())
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut put =
            pin!(put_records(&*self.collections, &self.model, &self.collection, DESCRIPTION, records));
        loop {
            match timeout(RENEWED, &mut put).await {
                Ok(done) => return done,
                Err(_) => match self.outbox.renew(&self.collection, &self.holder, LEASE).await {
                    Ok(true) => {}
                    Ok(false) => tracing::warn!("{}: somebody else delivers as well", self.collection),
                    Err(error) => tracing::debug!("{}: {error}", self.collection),
                },
            }
        }
    }

    async fn arrived(&self, group: &[Delivery]) -> Result<(), End> {
        let ids: Vec<i64> = group.iter().map(|delivery| delivery.id).collect();
        self.outbox.delivered(&ids).await.map_err(End::Lost)?;
        for delivery in group {
            self.say(delivery, None).await;
        }
        Ok(())
    }

    async fn failed(&self, delivery: &Delivery, error: StoreError) -> Result<(), End> {
        let refused = matches!(error.kind, ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::NotFound);
        let for_good = refused || delivery.tries + 1 >= TRIES;
        self.outbox.failed(delivery.id, &reason(&error), for_good).await.map_err(End::Lost)?;
        if !for_good {
            return Err(End::Stuck);
        }
        self.say(delivery, Some(error)).await;
        Ok(())
    }

    async fn say(&self, delivery: &Delivery, refused: Option<StoreError>) {
        let step = Step {
            experiment: delivery.experiment,
            collection: self.collection.clone(),
            count: delivery.records.len() as u64,
            refused,
        };
        // Whoever sent us may be gone; the errand goes on.
        let _ = self.tell.send(step).await;
    }
}

/// The records of deliveries in their order; of those with one id the last.
fn merged(group: &[Delivery]) -> Vec<Record> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut records: Vec<Record> = Vec::new();
    for record in group.iter().flat_map(|delivery| &delivery.records) {
        match places.get(record.id.as_str()) {
            Some(&place) => records[place] = record.clone(),
            None => {
                places.insert(&record.id, records.len());
                records.push(record.clone());
            }
        }
    }
    records
}
