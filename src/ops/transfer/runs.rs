//! Batches and experiments: matched by key, whole, and never twice.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Move, Result, Standing, Tally, digest};
use crate::domain::batch::{Batch, BatchId};
use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::store::transfer::{Look, Which, WholeRun};

/// Fetched and written at once.
const BATCHES: u64 = 500;
const RUNS: u64 = 1000;
/// Points in one lot, about 10 MB; a run that has more goes alone.
const POINTS: u64 = 100_000;
/// Ids with keys, compared at once.
const IDENTITIES: u64 = 10_000;

/// Which batch of one side is which.
struct Batches {
    /// Keys of the source's, by id.
    source: HashMap<BatchId, Uuid>,
    /// Ids of the target's, by key.
    target: HashMap<Uuid, BatchId>,
    /// Keys of the target's, by id.
    target_keys: HashMap<BatchId, Uuid>,
}

impl Move<'_> {
    /// Whether ids are kept: only where the target holds nothing but what came from this source under the same ids.
    pub(super) async fn settle_ids(&self) -> Result<bool> {
        let keeps = self.is_part_of_source().await?;
        let sizes = self.source.sizes().await?;
        Ok(keeps && self.target.reserve(sizes.last_batch, sizes.last_run).await?)
    }

    async fn is_part_of_source(&self) -> Result<bool> {
        let known: HashMap<BatchId, Uuid> = keys(&*self.source).await?;
        for batch in all_batches(&*self.target).await? {
            if known.get(&batch.id) != Some(&batch.key) {
                return Ok(false);
            }
        }
        let mut after = ExperimentId::MIN;
        loop {
            let there = self.target.identities(&Which::After(after, IDENTITIES)).await?;
            let Some(last) = there.last() else { return Ok(true) };
            after = last.id;
            let ids = there.iter().map(|identity| identity.id).collect();
            if self.source.identities(&Which::Ids(ids)).await? != there {
                return Ok(false);
            }
        }
    }

    /// Runs of the source that a worker has now.
    pub(super) async fn running(&self) -> Result<u64> {
        Ok(self.from.queue.under_way().await?.len() as u64)
    }

    pub(super) async fn experiments(&self) -> Result<[Tally; 3]> {
        let batches = self.batches().await?;
        let known = self.batch_keys().await?;
        let sizes = self.source.sizes().await?;
        let (mut runs, mut points) = (Tally::of("experiments"), Tally::of("metric points"));
        let (mut after, mut seen) = (ExperimentId::MIN, 0);
        loop {
            let mut lot = self.source.runs(&Which::After(after, RUNS), POINTS).await?;
            let Some(last) = lot.last() else { break };
            after = last.experiment.id;
            seen += lot.len() as u64;
            lot.retain(|run| !is_worked_on(&run.experiment));
            self.lot(lot, &known, &mut runs, &mut points).await?;
            self.went_on("experiments", seen, sizes.runs)?;
        }
        Ok([batches, runs, points])
    }

    async fn batches(&self) -> Result<Tally> {
        let mut tally = Tally::of("batches");
        let there = match all_batches(&*self.target).await {
            Err(super::OpsError::Store(error)) if self.is_unprepared(&error) => Vec::new(),
            other => other?,
        };
        let there: HashMap<Uuid, u128> =
            there.iter().map(|batch| (batch.key, digest::batch(batch))).collect();
        let mut after = BatchId::MIN;
        loop {
            let mut lot = self.source.batches(after, BATCHES).await?;
            let Some(last) = lot.last() else { return Ok(tally) };
            after = last.id;
            for batch in &lot {
                let (digest, there) = (digest::batch(batch), there.get(&batch.key).copied());
                tally.count(Standing::of(digest, there), digest, there, || format!("batch {}", batch.id));
            }
            if self.writes() {
                lot.retain(|batch| !there.contains_key(&batch.key));
                tally.copied += self.target.take_batches(&lot, self.keep_ids).await?;
            }
        }
    }

    async fn batch_keys(&self) -> Result<Batches> {
        let target_keys = match keys(&*self.target).await {
            Err(super::OpsError::Store(error)) if self.is_unprepared(&error) => HashMap::new(),
            other => other?,
        };
        let target = target_keys.iter().map(|(id, key)| (*key, *id)).collect();
        Ok(Batches { source: keys(&*self.source).await?, target, target_keys })
    }

    /// One lot: compared with what is there under its keys, and written as far as it has to be.
    async fn lot(
        &self,
        lot: Vec<WholeRun>,
        batches: &Batches,
        runs: &mut Tally,
        points: &mut Tally,
    ) -> Result<()> {
        let keys = lot.iter().map(|run| run.experiment.key).collect();
        let there = match self.target.runs(&Which::Keys(keys), POINTS).await {
            Err(error) if self.is_unprepared(&error) => Vec::new(),
            other => other?,
        };
        let there: HashMap<Uuid, WholeRun> = there.into_iter().map(|run| (run.experiment.key, run)).collect();
        let mut wanted = Vec::new();
        for mut run in lot {
            let key = run.experiment.key;
            let batch = run.experiment.batch_id.and_then(|id| batches.source.get(&id));
            let here = Digests::of(&run, batch.copied());
            let old = there.get(&key).map(|old| {
                let batch = old.experiment.batch_id.and_then(|id| batches.target_keys.get(&id));
                (old, Digests::of(old, batch.copied()))
            });
            let standing = compared(&run, here, old);
            let name = || format!("experiment {} ({key})", run.experiment.id);
            runs.count(standing, here.run, old.map(|(_, digests)| digests.run), name);
            let there = old.map(|(old, digests)| (old.points.len() as u64, digests.points));
            points.count_many(standing, (run.points.len() as u64, here.points), there);
            if self.writes() && matches!(standing, Standing::Missing | Standing::Differs) {
                run.experiment.batch_id = batch.and_then(|key| batches.target.get(key)).copied();
                points.copied += run.points.len() as u64;
                wanted.push(run);
            }
        }
        if !wanted.is_empty() {
            runs.copied += self.target.take_runs(&wanted, self.keep_ids).await?;
        }
        Ok(())
    }
}

/// Of a run and of its points.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digests {
    run: u128,
    points: u128,
}

impl Digests {
    fn of(run: &WholeRun, batch: Option<Uuid>) -> Self {
        Digests { run: digest::run(&run.experiment, batch), points: digest::points(run) }
    }
}

/// Somebody works on it in this moment: what it is will be known when it has ended.
fn is_worked_on(experiment: &Experiment) -> bool {
    experiment.status == Status::Running && experiment.worker.is_some()
}

/// How a run stands in the target. One that is the same but for tags, note and archive mark keeps those it has there; one that went
/// on there keeps what came of it.
fn compared(run: &WholeRun, here: Digests, there: Option<(&WholeRun, Digests)>) -> Standing {
    let Some((old, other)) = there else { return Standing::Missing };
    if here == other {
        let alike = digest::marks(&run.experiment) == digest::marks(&old.experiment);
        return if alike { Standing::Same } else { Standing::Kept };
    }
    let reached = |run: &Experiment| (run.attempt, run.status.is_final(), run.status == Status::Running);
    let (ours, theirs) = (reached(&run.experiment), reached(&old.experiment));
    if theirs > ours || is_worked_on(&old.experiment) { Standing::Kept } else { Standing::Differs }
}

async fn all_batches(look: &dyn Look) -> Result<Vec<Batch>> {
    let mut all: Vec<Batch> = Vec::new();
    loop {
        let after = all.last().map_or(BatchId::MIN, |batch| batch.id);
        let lot = look.batches(after, BATCHES).await?;
        if lot.is_empty() {
            return Ok(all);
        }
        all.extend(lot);
    }
}

async fn keys(look: &dyn Look) -> Result<HashMap<BatchId, Uuid>> {
    Ok(all_batches(look).await?.into_iter().map(|batch| (batch.id, batch.key)).collect())
}
