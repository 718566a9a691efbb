//! The records of a collection, lot by lot, with progress; whoever does something with all of them goes through here.

use super::check_filter;
use super::export::RecordExport;
use crate::domain::collection::{Collection, RecordPage, StoredRecord};
use crate::ops::{Lab, News, OpsError, Result, Stop, Watcher};

/// Records read at once.
pub(super) const LOT: usize = 500;

/// See the module.
pub(super) struct Pages<'a> {
    lab: &'a Lab,
    collection: &'a Collection,
    page: RecordPage,
    watcher: &'a dyn Watcher,
    stop: &'a Stop,
}

impl<'a> Pages<'a> {
    pub fn new(
        lab: &'a Lab,
        collection: &'a Collection,
        what: &RecordExport,
        watcher: &'a dyn Watcher,
        stop: &'a Stop,
    ) -> Self {
        let RecordExport { filter, with_embeddings } = what.clone();
        let page = RecordPage { limit: LOT, with_embeddings, filter, ..RecordPage::default() };
        Pages { lab, collection, page, watcher, stop }
    }

    /// Tells that everything before is dealt with, and reads the next lot; none after the last. `Cancelled` once stopped.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredRecord>>> {
        let done = self.count();
        if done > 0 {
            let total = self.collection.records.max(done);
            self.watcher.saw(News::Progress { what: "records".to_owned(), done, total });
        }
        if done == 0 {
            check_filter(&self.page.filter)?;
        }
        if self.stop.is_stopped() {
            return Err(OpsError::Cancelled);
        }
        let lot = self.lab.collections.records(&self.collection.name, &self.page).await?;
        self.page.offset += lot.len();
        Ok((!lot.is_empty()).then_some(lot))
    }

    /// Records that were read.
    pub fn count(&self) -> u64 {
        self.page.offset as u64
    }
}
