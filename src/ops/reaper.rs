//! The reaper: runs whose process died are marked `interrupted`, so that they can be resumed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::presence::Life;
use super::{Lab, Result};
use crate::domain::batch::BatchId;
use crate::domain::experiment::Experiment;
use crate::domain::worker::{Entered, State};
use crate::store::queue::UnderWay;

/// A running experiment's worker says that often that it lives.
pub const BEAT: Duration = Duration::from_secs(5);
/// Silence after which a worker of another machine counts as dead: three beats that were missed, and one that is late.
pub const LEASE: Duration = Duration::from_secs(20);
/// How long a lost worker stays in the list of workers: long enough for somebody to notice.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// What runs under other workers than ours or was lost, and the workers that were alive.
#[derive(Clone, Debug, Default)]
pub struct Others {
    runs: Vec<UnderWay>,
    /// Under our own name, but not in hand.
    lost: Vec<UnderWay>,
    workers: Vec<Entered>,
    /// How long a worker that runs nothing may be silent.
    pulses: Duration,
}

impl Others {
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.lost.is_empty() && self.workers.is_empty()
    }

    /// Asks no database: true when a worker of this machine has died, or some other has to be looked at anew because
    /// `since` they were read its lease may have run out.
    pub fn need_a_look(&self, lab: &Lab, since: Duration) -> bool {
        let gone = |worker: &str, silent: Duration, lease: Duration| match lab.presence.life(worker) {
            Life::Alive => false,
            Life::Dead => true,
            Life::Elsewhere => silent + since >= lease,
        };
        self.runs.iter().any(|run| gone(&run.worker, run.silent, LEASE))
            || self.lost.iter().any(|run| run.silent + since >= LEASE)
            || self.workers.iter().any(|entry| gone(&entry.worker.name, entry.silent, self.pulses))
    }
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Reaped {
    pub interrupted: Vec<Experiment>,
    /// Names of the workers in the list that are lost.
    pub lost: Vec<String>,
    pub others: Others,
}

/// Marks what dead workers ran and what nobody here has in hand, and strikes out workers that were lost long ago.
/// Read-only mode leaves that to others.
pub async fn reap(lab: &Lab) -> Result<Reaped> {
    look(lab, None).await
}

/// The same at the end of a batch that this process ran: what it does not have in hand of it by now, it lost.
pub(super) async fn reap_after(lab: &Lab, batch: BatchId) -> Result<Reaped> {
    look(lab, Some(batch)).await
}

async fn look(lab: &Lab, ended: Option<BatchId>) -> Result<Reaped> {
    if lab.settings.read_only {
        return Ok(Reaped::default());
    }
    let (lost, workers) = look_at_workers(lab).await?;
    let ours = &lab.place().worker;
    let mut dead: BTreeMap<&'static str, Vec<UnderWay>> = BTreeMap::new();
    let (mut alive, mut ours_lost) = (Vec::new(), Vec::new());
    for run in lab.queue.under_way().await? {
        if run.worker == *ours {
            // A claim may be on its way that is not in hand yet: it is waited for.
            let over = run.silent >= LEASE || (ended.is_some() && run.doing.batch == ended);
            match lab.hands.has(run.doing.experiment) {
                true => {}
                false if over => dead.entry("the process that claimed it lost it").or_default().push(run),
                false => ours_lost.push(run),
            }
            continue;
        }
        match lab.presence.life(&run.worker) {
            Life::Dead => dead.entry("the process that ran it ended").or_default().push(run),
            Life::Elsewhere if run.silent >= LEASE => {
                dead.entry("nothing was heard any more of the process that ran it").or_default().push(run);
            }
            Life::Alive | Life::Elsewhere => alive.push(run),
        }
    }
    let mut interrupted = Vec::new();
    for (why, runs) in dead {
        interrupted.extend(lab.queue.interrupt(&runs, why).await?);
    }
    let others = Others { runs: alive, lost: ours_lost, workers, pulses: pulses(lab) };
    Ok(Reaped { interrupted, lost, others })
}

/// The workers that are lost, and those of others that are alive.
async fn look_at_workers(lab: &Lab) -> Result<(Vec<String>, Vec<Entered>)> {
    let (mut alive, mut lost, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    for entry in lab.queue.workers().await? {
        match state(lab, &entry) {
            State::Alive if entry.worker.name != lab.place().worker => alive.push(entry),
            State::Alive => {}
            State::Lost if entry.silent >= REMEMBERED => forgotten.push(entry.worker.name),
            State::Lost => lost.push(entry.worker.name),
        }
    }
    if !forgotten.is_empty() {
        lab.queue.strike(&forgotten).await?;
    }
    Ok((lost, alive))
}

/// How a worker in the list is.
pub(super) fn state(lab: &Lab, entry: &Entered) -> State {
    match lab.presence.life(&entry.worker.name) {
        Life::Dead => State::Lost,
        Life::Elsewhere if entry.silent >= pulses(lab) => State::Lost,
        Life::Alive | Life::Elsewhere => State::Alive,
    }
}

/// Three heartbeats that were missed, and one that is late.
fn pulses(lab: &Lab) -> Duration {
    lab.queue.pulse() * 4
}
