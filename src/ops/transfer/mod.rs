//! Moving: everything of one lab into another, matched by keys, and compared at the end.
//!
//! Each lot is written whole or not at all, and what is there already is left alone: a copy that was interrupted goes on when it is
//! run again, and one that is run twice changes nothing. Nothing is ever deleted in the target.

mod backup;
mod collections;
mod digest;
mod documents;
mod identity;
mod outbox;
mod report;
mod runs;

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use super::{Lab, News, OpsError, Result, Stop, Watcher, analytics};
use crate::domain::document::Metadata;
use crate::domain::experiment::ExperimentId;
use crate::store::transfer::{Look, Transfer, Which};
use crate::store::{Backend, ErrorKind, StoreError};

pub use backup::{Backup, backup, on_file};
pub(super) use identity::share_a_file;
pub use report::{Part, Report, Standing, Tally};

/// Looks at a source that goes on changing: what changed while it was copied is copied again, so often at most.
const ROUNDS: u32 = 3;

/// Under which documents and records name the experiment they are of.
const EXPERIMENT_ID: &str = "experiment_id";

/// What is wanted of a copy.
#[derive(Clone, Debug)]
pub struct Wish {
    pub parts: Vec<Part>,
    /// Only says what would be copied.
    pub dry_run: bool,
}

/// What a walk through everything does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Writes what the target lacks.
    Write,
    /// Compares.
    Check,
}

/// Both sides of a copy, and who is told.
struct Move<'a> {
    from: &'a Lab,
    to: &'a Lab,
    source: Box<dyn Look>,
    target: std::sync::Arc<dyn Transfer>,
    /// Ids of experiments differ between the sides.
    renumbered: bool,
    keep_ids: bool,
    pass: Pass,
    watcher: &'a dyn Watcher,
    stop: &'a Stop,
}

/// Copies one lab into another and compares them.
pub async fn copy(from: &Lab, to: &Lab, wish: &Wish, watcher: &dyn Watcher, stop: &Stop) -> Result<Report> {
    if to.settings.read_only && !wish.dry_run {
        return Err(OpsError::Invalid("the target is read-only (`read_only` in its settings)".to_owned()));
    }
    let shared = identity::shared(from, to, &wish.parts).await?;
    let parts: Vec<Part> = wish.parts.iter().copied().filter(|part| !shared.contains(part)).collect();
    if parts.is_empty() {
        return Err(OpsError::Invalid(
            "source and target are the same place: there is nothing to copy".to_owned(),
        ));
    }
    let mut moving = Move {
        from,
        to,
        source: from.transfer().hold().await?,
        target: to.transfer(),
        renumbered: !identity::same_runs(from, to).await?,
        keep_ids: false,
        pass: Pass::Check,
        watcher,
        stop,
    };
    if wish.dry_run {
        let tallies = moving.walk(&parts).await?;
        let running = moving.running().await?;
        return Ok(Report { tallies, running, shared, kept_ids: moving.keep_ids });
    }
    if parts.contains(&Part::Experiments) {
        moving.keep_ids = moving.settle_ids().await?;
    }
    let mut copied: HashMap<&'static str, u64> = HashMap::new();
    let mut tallies = Vec::new();
    for round in 1..=ROUNDS {
        moving.pass = Pass::Write;
        for tally in moving.walk(&parts).await? {
            *copied.entry(tally.kind).or_default() += tally.copied;
        }
        moving.pass = Pass::Check;
        tallies = moving.walk(&parts).await?;
        if tallies.iter().all(Tally::agrees) || round == ROUNDS {
            break;
        }
        watcher.saw(News::Warning { id: None, text: "Source and target differ still: once more".to_owned() });
    }
    for tally in &mut tallies {
        tally.copied = copied.remove(tally.kind).unwrap_or_default();
    }
    if parts.contains(&Part::Experiments) {
        // The reports of this machine; every other one follows by itself.
        analytics::catch_up(to).await?;
    }
    let running = moving.running().await?;
    Ok(Report { tallies, running, shared, kept_ids: moving.keep_ids })
}

impl Move<'_> {
    /// Goes through the wanted parts once.
    async fn walk(&self, parts: &[Part]) -> Result<Vec<Tally>> {
        let mut tallies = Vec::new();
        for part in Part::ALL.into_iter().filter(|part| parts.contains(part)) {
            match part {
                Part::Experiments => tallies.extend(self.experiments().await?),
                Part::Documents => tallies.push(self.documents().await?),
                Part::Collections => tallies.extend(self.collections().await?),
                Part::Outbox => tallies.push(self.outbox().await?),
            }
        }
        Ok(tallies)
    }

    fn writes(&self) -> bool {
        self.pass == Pass::Write
    }

    /// Says how far it is, and ends where it was told to.
    fn went_on(&self, what: &str, done: u64, total: u64) -> Result<()> {
        let what = if self.writes() { what.to_owned() } else { format!("comparing {what}") };
        self.watcher.saw(News::Progress { what, done, total });
        if self.stop.is_stopped() { Err(OpsError::Cancelled) } else { Ok(()) }
    }

    /// The ids in the target of experiments of the source, where they are others.
    async fn new_ids(&self, ids: BTreeSet<ExperimentId>) -> Result<HashMap<ExperimentId, ExperimentId>> {
        if ids.is_empty() || !self.renumbered {
            return Ok(HashMap::new());
        }
        let here = self.source.identities(&Which::Ids(ids.into_iter().collect())).await?;
        let keys = here.iter().map(|identity| identity.key).collect();
        let there = match self.target.identities(&Which::Keys(keys)).await {
            Err(error) if self.is_unprepared(&error) => Vec::new(),
            other => other?,
        };
        let there: HashMap<_, _> = there.into_iter().map(|identity| (identity.key, identity.id)).collect();
        let moved = here.into_iter().filter_map(|old| Some((old.id, *there.get(&old.key)?)));
        Ok(moved.filter(|(old, new)| old != new).collect())
    }

    /// A target that nothing was ever written to: only one that is looked at and not prepared says so.
    fn is_unprepared(&self, error: &StoreError) -> bool {
        let settings = &self.to.settings;
        let absent = error.backend == Backend::DuckDb && !settings.duckdb.path.exists();
        settings.read_only && (absent || error.kind == ErrorKind::Invalid)
    }
}

/// The experiment that metadata names.
fn named_in(metadata: &Metadata) -> Option<ExperimentId> {
    metadata.get(EXPERIMENT_ID).and_then(serde_json::Value::as_i64)
}

/// Has metadata name the experiment by its id in the target.
fn rename(metadata: &mut Metadata, new_ids: &HashMap<ExperimentId, ExperimentId>) {
    if let Some(id) = named_in(metadata).and_then(|id| new_ids.get(&id)) {
        metadata.insert(EXPERIMENT_ID.to_owned(), json!(id));
    }
}
