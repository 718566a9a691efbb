//! Documents with their vectors, model by model.

use std::collections::{BTreeSet, HashMap};

use super::{Move, Result, Standing, Tally, digest, named_in, rename};
use crate::domain::document::Document;

/// Fetched and written at once: 3 MB of vectors of 1,536 dimensions.
const DOCUMENTS: u64 = 500;

impl Move<'_> {
    pub(super) async fn documents(&self) -> Result<Tally> {
        let mut tally = Tally::of("documents");
        let models = self.from.documents.models().await?;
        let total = models.iter().map(|model| model.documents).sum();
        let look = self.from.document_look();
        for model in models {
            let mut after = String::new();
            loop {
                let lot = look.window(&model.name, &after, DOCUMENTS).await?;
                let Some(last) = lot.last() else { break };
                after.clone_from(&last.document_id);
                self.put_documents(&model.name, lot, &mut tally).await?;
                self.went_on("documents", tally.source, total)?;
            }
        }
        Ok(tally)
    }

    async fn put_documents(&self, model: &str, mut lot: Vec<Document>, tally: &mut Tally) -> Result<()> {
        let named: BTreeSet<_> = lot.iter().filter_map(|document| named_in(&document.metadata)).collect();
        let new_ids = self.new_ids(named).await?;
        lot.iter_mut().for_each(|document| rename(&mut document.metadata, &new_ids));
        let ids: Vec<String> = lot.iter().map(|document| document.document_id.clone()).collect();
        let there = match self.to.document_look().these(model, &ids).await {
            Err(error) if self.is_unprepared(&error) => Vec::new(),
            other => other?,
        };
        let there: HashMap<String, u128> = there
            .into_iter()
            .map(|document| (digest::plain(&document.document_id), digest::document(&document)))
            .collect();
        let mut wanted = Vec::new();
        for document in lot {
            let here = digest::document(&document);
            let other = there.get(&digest::plain(&document.document_id)).copied();
            let standing = Standing::of(here, other);
            tally.count(standing, here, other, || format!("document '{}' of {model}", document.document_id));
            if standing != Standing::Same {
                wanted.push(document);
            }
        }
        if self.writes() && !wanted.is_empty() {
            tally.copied += self.to.documents.put(&wanted).await?;
        }
        Ok(())
    }
}
