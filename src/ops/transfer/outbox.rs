//! Deliveries that wait: those of the source wait in the target as well, in their order.

use std::collections::{BTreeSet, HashSet};

use super::{Move, Result, Standing, Tally, digest, named_in, rename};
use crate::domain::collection::Record;
use crate::domain::experiment::ExperimentId;
use crate::store::outbox::NewDelivery;
use crate::store::transfer::Look;

/// Fetched at once: enough to keep going, little enough to hold in memory with their vectors.
const DELIVERIES: u64 = 64;

impl Move<'_> {
    pub(super) async fn outbox(&self) -> Result<Tally> {
        let mut tally = Tally::of("deliveries");
        let total = self.source.sizes().await?.deliveries;
        if total == 0 {
            return Ok(tally);
        }
        let there = match waiting(&*self.target).await {
            Err(super::OpsError::Store(error)) if self.is_unprepared(&error) => HashSet::new(),
            other => other?,
        };
        let mut after = i64::MIN;
        loop {
            let lot = self.source.deliveries(after, DELIVERIES).await?;
            let Some(last) = lot.last() else { return Ok(tally) };
            after = last.id;
            for delivery in lot {
                let mut new = carried(delivery.collection, delivery.records, delivery.experiment);
                let named: BTreeSet<_> = new
                    .records
                    .iter()
                    .filter_map(|record| named_in(&record.metadata))
                    .chain(new.experiment)
                    .collect();
                let new_ids = self.new_ids(named).await?;
                new.experiment = new.experiment.map(|id| new_ids.get(&id).copied().unwrap_or(id));
                new.records.iter_mut().for_each(|record| rename(&mut record.metadata, &new_ids));
                let here = digest::delivery(&new);
                let other = there.contains(&here).then_some(here);
                tally.count(Standing::of(here, other), here, other, || format!("delivery {}", delivery.id));
                if self.writes() && other.is_none() {
                    self.to.outbox.put(&new).await?;
                    tally.copied += 1;
                }
            }
            self.went_on("deliveries", tally.source, total)?;
        }
    }
}

fn carried(collection: String, records: Vec<Record>, experiment: Option<ExperimentId>) -> NewDelivery {
    NewDelivery { collection, records, experiment }
}

/// Digests of what waits in the target: what is the same is not left twice.
async fn waiting(look: &dyn Look) -> Result<HashSet<u128>> {
    let (mut known, mut after) = (HashSet::new(), i64::MIN);
    loop {
        let lot = look.deliveries(after, DELIVERIES).await?;
        let Some(last) = lot.last() else { return Ok(known) };
        after = last.id;
        known.extend(lot.into_iter().map(|delivery| {
            digest::delivery(&carried(delivery.collection, delivery.records, delivery.experiment))
        }));
    }
}
