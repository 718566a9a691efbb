//! The outbox in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;

use super::FakeStore;
use crate::domain::outbox::{OutboxState, Parcel};
use crate::store::outbox::{Claims, Delivery, NewDelivery, Outbox};
use crate::store::{Backend, ErrorKind, Result, StoreError};

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    deliveries: BTreeMap<i64, (Delivery, bool)>,
    claims: BTreeMap<String, (String, Instant)>,
    count: i64,
}

impl Outgoing {
    pub fn put(&mut self, delivery: &NewDelivery) {
        self.count += 1;
        let NewDelivery { collection, records, experiment } = delivery.clone();
        let (id, created_at) = (self.count, Timestamp::now());
        if experiment.is_some() {
            self.deliveries.retain(|_, (other, _)| other.experiment != experiment);
        }
        let delivery =
            Delivery { id, collection, records, experiment, tries: 0, last_error: None, created_at };
        self.deliveries.insert(id, (delivery, false));
    }

    fn waiting(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values().filter(|(_, refused)| !refused).map(|(delivery, _)| delivery)
    }

    fn claim(&mut self, holder: &str, lease: Duration, most: usize, except: &[String]) -> Claims {
        let now = Instant::now();
        self.claims.retain(|_, (_, until)| *until > now);
        let mut claims = Claims::default();
        let mut collections: Vec<String> = Vec::new();
        for delivery in self.waiting() {
            if !collections.contains(&delivery.collection) {
                collections.push(delivery.collection.clone());
            }
        }
        for collection in collections {
            match self.claims.get(&collection) {
                Some((other, _)) => claims.held.push((collection, other.clone())),
                None if claims.taken.len() < most && !except.contains(&collection) => {
                    self.claims.insert(collection.clone(), (holder.to_owned(), now + lease));
                    claims.taken.push(collection);
                }
                None => {}
            }
        }
        claims
    }
}

impl FakeStore {
    /// Collections that somebody has a claim on.
    pub fn claims(&self) -> Vec<String> {
        self.tables.lock().unwrap().outbox.claims.keys().cloned().collect()
    }
}

#[async_trait]
impl Outbox for FakeStore {
    async fn put(&self, delivery: &NewDelivery) -> Result<()> {
        self.tables.lock().unwrap().outbox.put(delivery);
        Ok(())
    }

    async fn state(&self) -> Result<OutboxState> {
        let outbox = &self.tables.lock().unwrap().outbox;
        let waiting = outbox.waiting().count() as u64;
        let all = || outbox.deliveries.values().map(|(delivery, _)| delivery);
        Ok(OutboxState {
            waiting,
            refused: outbox.deliveries.len() as u64 - waiting,
            oldest: all().map(|delivery| delivery.created_at).min(),
            last_error: all().filter_map(|delivery| delivery.last_error.clone()).next_back(),
        })
    }

    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>> {
        Ok(self.tables.lock().unwrap().outbox.waiting().take(limit as usize).cloned().collect())
    }

    async fn list(&self, limit: u64) -> Result<Vec<Parcel>> {
        let tables = self.tables.lock().unwrap();
        let parcel = |(delivery, refused): &(Delivery, bool)| Parcel {
            id: delivery.id,
            collection: delivery.collection.clone(),
            experiment_id: delivery.experiment,
            records: delivery.records.len() as u64,
            tries: delivery.tries,
            refused: *refused,
            last_error: delivery.last_error.clone(),
            created_at: delivery.created_at,
        };
        Ok(tables.outbox.deliveries.values().take(limit as usize).map(parcel).collect())
    }

    async fn claim(&self, holder: &str, lease: Duration, most: usize, except: &[String]) -> Result<Claims> {
        Ok(self.tables.lock().unwrap().outbox.claim(holder, lease, most, except))
    }

    async fn renew(&self, collection: &str, holder: &str, lease: Duration) -> Result<bool> {
        let claims = &mut self.tables.lock().unwrap().outbox.claims;
        let ours = claims.get_mut(collection).filter(|(other, _)| other == holder);
        Ok(ours.map(|(_, until)| *until = Instant::now() + lease).is_some())
    }

    async fn take(&self, collection: &str, holder: &str, _: Duration, most: u64) -> Result<Vec<Delivery>> {
        let outbox = &self.tables.lock().unwrap().outbox;
        if outbox.claims.get(collection).is_none_or(|(other, _)| other != holder) {
            return Err(StoreError::new(ErrorKind::Conflict, Backend::Postgres, "taking", "not ours"));
        }
        let ours = outbox.waiting().filter(|delivery| delivery.collection == collection);
        Ok(ours.take(most as usize).cloned().collect())
    }

    async fn release(&self, collection: &str, holder: &str) -> Result<()> {
        let claims = &mut self.tables.lock().unwrap().outbox.claims;
        if claims.get(collection).is_some_and(|(other, _)| other == holder) {
            claims.remove(collection);
        }
        Ok(())
    }

    async fn delivered(&self, ids: &[i64]) -> Result<()> {
        self.remove(ids).await.map(drop)
    }

    async fn failed(&self, id: i64, error: &str, for_good: bool) -> Result<()> {
        if let Some((delivery, refused)) = self.tables.lock().unwrap().outbox.deliveries.get_mut(&id) {
            delivery.tries += 1;
            delivery.last_error = Some(error.to_owned());
            *refused = for_good;
        }
        Ok(())
    }

    async fn retry(&self, ids: &[i64]) -> Result<u64> {
        let mut count = 0;
        for (id, (_, refused)) in &mut self.tables.lock().unwrap().outbox.deliveries {
            if *refused && (ids.is_empty() || ids.contains(id)) {
                *refused = false;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn remove(&self, ids: &[i64]) -> Result<u64> {
        let deliveries = &mut self.tables.lock().unwrap().outbox.deliveries;
        Ok(ids.iter().filter(|id| deliveries.remove(id).is_some()).count() as u64)
    }
}
