//! The reaper: runs whose process died are marked `interrupted`, so that they can be resumed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::presence::Life;
use super::{Lab, Result};
use crate::domain::experiment::Experiment;
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
    Ok((interrupted, Others { runs: alive }))
}
