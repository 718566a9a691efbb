//! Collections and their records.

use std::collections::{BTreeSet, HashMap};

use super::{Move, OpsError, Result, Standing, Tally, digest, named_in, rename};
use crate::domain::collection::{Collection, NewCollection, Record, RecordPage, Space, StoredRecord};

/// Fetched and written at once.
const RECORDS: usize = 500;

impl Move<'_> {
    pub(super) async fn collections(&self) -> Result<[Tally; 2]> {
        let (mut collections, mut records) = (Tally::of("collections"), Tally::of("records"));
        let here = self.from.collections.list().await?;
        let there = match self.to.collections.list().await {
            Err(error) if self.is_unprepared(&error) => Vec::new(),
            other => other?,
        };
        let there: HashMap<&str, &Collection> =
            there.iter().map(|collection| (collection.name.as_str(), collection)).collect();
        let total = here.iter().map(|collection| collection.records).sum();
        for collection in &here {
            let Collection { name, space, .. } = collection;
            let old = there.get(name.as_str()).copied();
            if let Some(old) = old.filter(|old| old.space != *space) {
                return Err(OpsError::Invalid(format!(
                    "collection {name} measures {} in the source and {} in the target: delete or rename one of them, or \
                     leave collections out with --only",
                    space.as_str(),
                    old.space.as_str()
                )));
            }
            // Its metadata says what it is for; that of the target may have been changed there.
            let digests = (digest::collection(collection), old.map(digest::collection));
            let standing = match Standing::of(digests.0, digests.1) {
                Standing::Differs => Standing::Kept,
                other => other,
            };
            collections.count(standing, digests.0, digests.1, || format!("collection {name}"));
            if self.writes() && old.is_none() {
                self.to.collections.create(&NewCollection::like(collection, name)).await?;
                collections.copied += 1;
            }
            let exists = old.is_some() || self.writes();
            self.records((name, *space), exists, total, &mut records).await?;
        }
        Ok([collections, records])
    }

    async fn records(&self, of: (&str, Space), exists: bool, total: u64, tally: &mut Tally) -> Result<()> {
        let mut page = RecordPage { limit: RECORDS, with_embeddings: true, ..RecordPage::default() };
        loop {
            let lot = self.from.collections.records(of.0, &page).await?;
            if lot.is_empty() {
                return Ok(());
            }
            page.offset += lot.len();
            self.put_records(of, exists, lot, tally).await?;
            self.went_on("records", tally.source, total)?;
        }
    }

    async fn put_records(
        &self,
        (name, space): (&str, Space),
        exists: bool,
        mut lot: Vec<StoredRecord>,
        tally: &mut Tally,
    ) -> Result<()> {
        let named: BTreeSet<_> = lot.iter().filter_map(|record| named_in(&record.metadata)).collect();
        let new_ids = self.new_ids(named).await?;
        lot.iter_mut().for_each(|record| rename(&mut record.metadata, &new_ids));
        let there = if exists { self.records_there(name, &lot).await? } else { HashMap::new() };
        let mut wanted = Vec::new();
        for record in lot {
            let here = digest::record(name, &record);
            let old = there.get(&digest::plain(&record.id));
            let other = old.map(|(digest, _)| *digest);
            let vector = record.embedding.as_deref().unwrap_or_default();
            let standing = match Standing::of(here, other) {
                Standing::Same if !old.is_some_and(|(_, old)| digest::vectors_agree(vector, old, space)) => {
                    Standing::Differs
                }
                standing => standing,
            };
            tally.count(standing, here, other, || format!("record '{}' of {name}", record.id));
            if standing != Standing::Same {
                let StoredRecord { id, document, metadata, embedding } = record;
                wanted.push(Record { id, document, metadata, embedding: embedding.unwrap_or_default() });
            }
        }
        if self.writes() && !wanted.is_empty() {
            tally.copied += self.to.collections.upsert(name, &wanted).await?;
        }
        Ok(())
    }

    /// Digests and vectors of those that are there, by id.
    async fn records_there(
        &self,
        name: &str,
        lot: &[StoredRecord],
    ) -> Result<HashMap<String, (u128, Vec<f32>)>> {
        let ids: Vec<String> = lot.iter().map(|record| record.id.clone()).collect();
        let page = RecordPage { limit: ids.len(), with_embeddings: true, ids, ..RecordPage::default() };
        let there = self.to.collections.records(name, &page).await?;
        let known = there.into_iter().map(|record| {
            let digest = digest::record(name, &record);
            (digest::plain(&record.id), (digest, record.embedding.unwrap_or_default()))
        });
        Ok(known.collect())
    }
}
