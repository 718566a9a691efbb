//! The processes of one run: told to end, and found wherever they went.
//!
//! A run has a process group of its own. What left it (`setsid`) or outlived a labtop that was killed is found by the
//! run's key in its environment; only Linux shows that, elsewhere the group is all there is.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Between two looks at processes that were told to end.
const LOOK: Duration = Duration::from_millis(20);
/// Looks at processes that were killed: one that the kernel cannot end soon is not waited for.
const LOOKS: usize = 100;

/// Kills what is left of a run when it is dropped.
#[derive(Debug)]
pub(super) struct Group {
    /// The leader's number; none once everything has ended, when another may have it.
    leader: Option<Pid>,
    key: Uuid,
}

impl Group {
    pub fn of(child: &Child, key: Uuid) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Group { leader, key }
    }

    /// Asks everything of the run to end and waits for that a while.
    pub async fn stop(&mut self, child: &mut Child, grace: Duration) {
        self.signal_group(Signal::TERM);
        signal_marked(self.key, Signal::TERM).await;
        let gone = async {
            // That it cannot be waited for means that it is gone.
            let _ = child.wait().await;
            while is_there(self.leader, self.key).await {
                sleep(LOOK).await;
            }
        };
        // Who is still there when the time is over is killed by `finish`.
        let _ = timeout(grace, gone).await;
    }

    /// Ends what is left, and gives back how the leader ended.
    pub async fn finish(&mut self, child: &mut Child) -> Option<ExitStatus> {
        self.signal_group(Signal::KILL);
        let status = child.wait().await.ok();
        kill_marked(self.key).await;
        self.leader = None;
        status
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(leader) = self.leader
            && let Err(error) = kill_process_group(leader, signal)
        {
            // Everybody is gone, most of the time.
            tracing::trace!("process group {leader:?}: {error}");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.leader.is_some() {
            self.signal_group(Signal::KILL);
            marked::signal(self.key, Signal::KILL);
        }
    }
}

/// Ends what an earlier try of the run left on this machine; says how many processes that were.
pub(super) async fn kill_marked(key: Uuid) -> usize {
    let mut killed = 0;
    for _ in 0..LOOKS {
        match signal_marked(key, Signal::KILL).await {
            0 => break,
            found => killed = killed.max(found),
        }
        sleep(LOOK).await;
    }
    killed
}

/// How many were found. Looking through all processes takes some milliseconds.
async fn signal_marked(key: Uuid, signal: Signal) -> usize {
    tokio::task::spawn_blocking(move || marked::signal(key, signal)).await.unwrap_or_default()
}

async fn is_there(leader: Option<Pid>, key: Uuid) -> bool {
    tokio::task::spawn_blocking(move || marked::is_there(leader, key)).await.unwrap_or_default()
}

#[cfg(target_os = "linux")]
mod marked {
    use std::fs;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    use uuid::Uuid;

    use crate::domain::process::MARK;

    /// Signals every process of this user that has the key in its environment; says how many there were.
    pub fn signal(key: Uuid, signal: Signal) -> usize {
        let mark = format!("{MARK}={key}");
        let hit = |pid: &Pid| {
            if !has(*pid, &mark) {
                return false;
            }
            let Ok(handle) = pidfd_open(*pid, PidfdFlags::empty()) else { return false };
            // Looked at once more: only now can its number not become another's.
            has(*pid, &mark) && pidfd_send_signal(handle, signal).is_ok()
        };
        pids().filter(hit).count()
    }

    /// Whether one is alive; those that have ended show no environment.
    pub fn is_there(_: Option<Pid>, key: Uuid) -> bool {
        let mark = format!("{MARK}={key}");
        pids().any(|pid| has(pid, &mark))
    }

    fn pids() -> impl Iterator<Item = Pid> {
        let own = std::process::id();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(move |pid| i64::from(*pid) != i64::from(own))
            .filter_map(Pid::from_raw)
    }

    fn has(pid: Pid, mark: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    }
}

#[cfg(not(target_os = "linux"))]
mod marked {
    use rustix::process::{Pid, Signal, test_kill_process_group};
    use uuid::Uuid;

    pub fn signal(_: Uuid, _: Signal) -> usize {
        0
    }

    pub fn is_there(leader: Option<Pid>, _: Uuid) -> bool {
        leader.is_some_and(|leader| test_kill_process_group(leader).is_ok())
    }
}
