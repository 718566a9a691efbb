//! Which commands run here. They come out of a store to which others write: a batch file that is run by hand is the
//! user's own word, everything else runs only where this machine's settings allow it or somebody agrees to it.

mod memory;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

pub(super) use self::memory::Memory;
use super::{OpsError, Result};
use crate::config;
use crate::domain::batch::{Batch, BatchId};
use crate::domain::batch_spec::BatchSpec;
use crate::domain::experiment::{Experiment, NewExperiment};
use crate::domain::process::{Allowed, ProcessSpec, RUNNER, Values, quoted};
use crate::domain::text::one_line;
use crate::ops::Lab;
use crate::runner::process::resolve;
use crate::store;
use crate::store::queue::{BatchQueue, Claimant, QueuedCommand};

/// A worker that always finds other work looks for commands that often.
const LOOK: Duration = Duration::from_secs(5);
/// What is told of a command, in bytes.
const TOLD: usize = 500;

/// Whether somebody has seen the command of a batch and wants it run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// Nobody was asked: the settings decide, and whether the batch was made here.
    #[default]
    None,
    Given,
}

impl Consent {
    pub fn of(given: bool) -> Self {
        if given { Consent::Given } else { Consent::None }
    }
}

/// The commands that a crew may run, by batch.
#[derive(Debug)]
pub(super) struct Commands {
    /// None where there is nothing to judge.
    allowed: Option<Vec<Allowed>>,
    judged: Mutex<Judged>,
}

#[derive(Debug, Default)]
struct Judged {
    /// None for a batch whose command may not run here.
    commands: HashMap<BatchId, Option<Arc<ProcessSpec>>>,
    /// When the queue was looked through.
    looked: Option<Instant>,
    to_tell: Vec<String>,
}

impl Commands {
    /// Of one batch that was decided on by hand.
    pub fn decided(batch: BatchId, command: Option<Arc<ProcessSpec>>) -> Self {
        let commands = [(batch, command)].into_iter().collect();
        Commands { allowed: None, judged: Mutex::new(Judged { commands, ..Judged::default() }) }
    }

    /// Of a worker, which runs what its own settings allow.
    pub fn of_worker(settings: &config::Worker) -> Self {
        Commands { allowed: Some(settings.commands.clone()), judged: Mutex::default() }
    }

    /// The command of a batch, as it was when it was judged.
    pub fn of(&self, batch: BatchId) -> Option<Arc<ProcessSpec>> {
        self.judged().commands.get(&batch).cloned().flatten()
    }

    /// What there is to say about commands that stay in the queue; once.
    pub fn to_tell(&self) -> Vec<String> {
        std::mem::take(&mut self.judged().to_tell)
    }

    /// Claims for a claimant, of commands only those that may run here.
    pub async fn claim(
        &self,
        queue: &dyn BatchQueue,
        from: Option<BatchId>,
        claimant: &Claimant,
        limit: u32,
    ) -> store::Result<Vec<Experiment>> {
        let Some(allowed) = &self.allowed else {
            return queue.claim(from, claimant, limit).await;
        };
        let due = self.judged().looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if due {
            self.look(queue, allowed, claimant.labels.as_deref()).await?;
        }
        let mut claimed = queue.claim(from, &self.restrict(claimant), limit).await?;
        let rest = limit.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
        if !due && rest > 0 && self.look(queue, allowed, claimant.labels.as_deref()).await? {
            claimed.extend(queue.claim(from, &self.restrict(claimant), rest).await?);
        }
        Ok(claimed)
    }

    fn restrict(&self, claimant: &Claimant) -> Claimant {
        let judged = self.judged();
        let permitted = judged.commands.iter().filter(|(_, command)| command.is_some());
        Claimant { commands: Some(permitted.map(|(&batch, _)| batch).collect()), ..claimant.clone() }
    }

    /// Judges what is new in the queue; true when some of it may run here.
    async fn look(
        &self,
        queue: &dyn BatchQueue,
        allowed: &[Allowed],
        labels: Option<&[String]>,
    ) -> store::Result<bool> {
        let known: Vec<BatchId> = self.judged().commands.keys().copied().collect();
        let found = queue.queued_commands(&known).await?;
        let mut judged = self.judged();
        judged.looked = Some(Instant::now());
        let mut some = false;
        for queued in found {
            let command = match judge(&queued, allowed, labels) {
                Ok(command) => command.map(Arc::new),
                Err(why) => {
                    judged.to_tell.push(why);
                    None
                }
            };
            some |= command.is_some();
            judged.commands.insert(queued.batch, command);
        }
        Ok(some)
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command of a batch if it may run here, else what to tell; none where it is for other workers anyway.
fn judge(
    queued: &QueuedCommand,
    allowed: &[Allowed],
    labels: Option<&[String]>,
) -> Result<Option<ProcessSpec>, String> {
    let QueuedCommand { batch, spec, queued } = queued;
    let spec = BatchSpec::from_json(spec).map_err(|error| format!("batch {batch}: {error}"))?;
    if labels.is_some_and(|labels| !spec.labels.iter().all(|label| labels.contains(label))) {
        return Ok(None);
    }
    let command =
        spec.process.ok_or_else(|| format!("batch {batch} has trials of commands and no command"))?;
    if is_allowed(&command, allowed) {
        return Ok(Some(command));
    }
    Err(format!(
        "{queued} queued experiments of batch {batch} need a command that this worker does not allow: {} (the setting \
         worker.commands of this machine names what it may run)",
        one_line(&command.told(), TOLD)
    ))
}

fn is_allowed(command: &ProcessSpec, allowed: &[Allowed]) -> bool {
    allowed.iter().any(|entry| entry.permits(command, &resolve))
}

/// The command of a batch in the store that somebody wants run again here: one that the settings allow, that was queued
/// from here, or that somebody agreed to. None for a batch of another runner. `how` is what to say to agree.
pub(super) fn decide(
    lab: &Lab,
    batch: &Batch,
    consent: Consent,
    how: &str,
) -> Result<Option<Arc<ProcessSpec>>> {
    if batch.spec.get("runner").and_then(Value::as_str) != Some(RUNNER) {
        return Ok(None);
    }
    let spec = BatchSpec::from_json(&batch.spec).map_err(|error| OpsError::Invalid(error.to_string()))?;
    let Some(command) = spec.process else { return Ok(None) };
    if consent == Consent::Given
        || is_allowed(&command, &lab.settings.worker.commands)
        || lab.memory.has(batch, &command)
    {
        return Ok(Some(Arc::new(command)));
    }
    Err(OpsError::Invalid(format!(
        "batch {} was not made here, and this machine's settings (worker.commands) do not allow its command:\n  {}\nIf you \
         know what it does: {how} --allow-command",
        batch.id,
        one_line(&command.told(), TOLD)
    )))
}

/// The command line of one run, as it is kept with it.
pub(super) fn line(command: &ProcessSpec, run: &NewExperiment, key: Uuid, seed: u64) -> Result<String> {
    let values =
        Values { model: &run.model_type, dataset: &run.dataset, seed, key, parameters: &run.parameters };
    let words = command.expand(&values).map_err(OpsError::Invalid)?;
    ProcessSpec::variables(&values).map_err(OpsError::Invalid)?;
    Ok(quoted(&words))
}
