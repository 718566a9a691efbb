//! The reaper: runs whose process died are marked `interrupted`, so that they can be resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::presence::Life;
use super::{Lab, Result};
use crate::domain::experiment::Experiment;
use crate::store::StoreError;
use crate::store::queue::UnderWay;

/// A running experiment's worker says that often that it lives.
pub const BEAT: Duration = Duration::from_secs(5);
/// Silence after which a worker of another machine counts as dead: three beats that were missed, and one that is late.
pub const LEASE: Duration = Duration::from_secs(20);

/// What runs under other workers than ours.
#[derive(Clone, Debug, Default)]
pub struct Others {
    runs: Vec<UnderWay>,
}

impl Others {
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Asks no database: true when a worker of this machine has died, or some other has to be looked at anew because
    /// `since` they were read its lease may have run out.
    pub fn need_a_look(&self, lab: &Lab, since: Duration) -> bool {
        self.runs.iter().any(|run| match lab.presence.life(&run.worker) {
            Life::Alive => false,
            Life::Dead => true,
            Life::Elsewhere => run.silent + since >= LEASE,
        })
    }
}

/// Why the worker of a run counts as dead; none while it lives.
fn cause_of_death(lab: &Lab, run: &UnderWay) -> Option<&'static str> {
    match lab.presence.life(&run.worker) {
        Life::Dead => Some("the process that ran it ended"),
        Life::Elsewhere if run.silent >= LEASE => {
            Some("nothing was heard any more of the process that ran it")
        }
        Life::Alive | Life::Elsewhere => None,
    }
}

/// What runs, and what only seems to.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Runs of workers that are alive, and how many workers have them.
    pub alive: u64,
    pub workers: u64,
    pub dead: Vec<UnderWay>,
}

/// Looks and changes nothing.
pub async fn survey(lab: &Lab) -> Result<Survey, StoreError> {
    let under_way = lab.queue.under_way().await?;
    let (dead, alive): (Vec<_>, Vec<_>) =
        under_way.into_iter().partition(|run| cause_of_death(lab, run).is_some());
    let workers: BTreeSet<&str> = alive.iter().map(|run| run.worker.as_str()).collect();
    Ok(Survey { alive: alive.len() as u64, workers: workers.len() as u64, dead })
}

/// Marks what dead workers ran; says what, and what runs elsewhere. Read-only mode leaves that to others.
pub async fn reap(lab: &Lab) -> Result<(Vec<Experiment>, Others)> {
    if lab.settings.read_only {
        return Ok((Vec::new(), Others::default()));
    }
    let ours = &lab.place().worker;
    let mut others: Vec<UnderWay> = lab.queue.under_way().await?;
    others.retain(|run| run.worker != *ours);
    let mut dead: BTreeMap<&'static str, Vec<UnderWay>> = BTreeMap::new();
    let mut alive = Vec::new();
    for run in others {
        match cause_of_death(lab, &run) {
            Some(why) => dead.entry(why).or_default().push(run),
            None => alive.push(run),
        }
    }
    let mut interrupted = Vec::new();
    for (why, runs) in dead {
        interrupted.extend(lab.queue.interrupt(&runs, why).await?);
    }
    Ok((interrupted, Others { runs: alive }))
}
