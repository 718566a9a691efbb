//! The worker: takes what is queued, of any batch, and takes up what dead workers left.
//!
//! Trials that a dead worker had in hand are queued again by every worker that lives, without anybody's help, until they
//! were tried three times: one that takes its process down with it would do so for ever. After that `batch resume`
//! tries it again.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::batch::{self, TRIES};
use super::commands::Commands;
use super::crew::Crew;
use super::delivery;
use super::reaper::{self, Others};
use super::{Lab, News, OpsError, Result, Stop, Watcher};
use crate::domain::process;
use crate::domain::worker::{Doing, Kind, NewWorker, State, Worker, check_labels, distinct};
use crate::runner::RUNNERS;
use crate::store::queue::Claimant;

/// How often the locks of workers on this machine are looked at while they run something. No database is asked for that.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after the store could not be asked.
const PAUSE: Duration = Duration::from_secs(2);

/// What a worker offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Experiments running at once.
    pub parallel: u32,
    /// Beside those of the settings.
    pub labels: Vec<String>,
}

/// Who works here, before it begins.
pub fn introduce(lab: &Lab, offer: &Offer) -> Result<NewWorker> {
    let labels = distinct(lab.settings.worker.labels.iter().chain(&offer.labels).cloned());
    check_labels(&labels).map_err(OpsError::Invalid)?;
    let place = lab.place_of_work();
    Ok(NewWorker {
        name: place.worker.clone(),
        host: place.host.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        labels,
        runners: runners().into_iter().filter(|runner| runs_here(lab, runner)).collect(),
        parallel: offer.parallel.max(1),
    })
}

/// Whether anything of a runner may run here, by the settings.
fn runs_here(lab: &Lab, runner: &str) -> bool {
    runner != process::RUNNER || !lab.settings.worker.commands.is_empty()
}

/// Names of all runners there are.
pub(super) fn runners() -> Vec<String> {
    RUNNERS.iter().map(|runner| runner.name().to_owned()).collect()
}

/// Works until it is stopped, or `once`, until nothing is queued any more that it can run; says how many runs ended. A store that is away for a while is waited for; an error
/// means that the worker could not begin, or met something that waiting does not help against. What runs when it is
/// stopped is queued again.
pub async fn work(
    lab: &Lab,
    worker: &NewWorker,
    once: bool,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<u64> {
    lab.queue.enter(worker).await?;
    let claimant = Claimant {
        worker: worker.name.clone(),
        host: worker.host.clone(),
        runners: worker.runners.clone(),
        labels: Some(worker.labels.clone()),
        commands: Some(Vec::new()),
    };
    let commands = Commands::of_worker(&lab.settings.worker);
    let crew = Crew::new(lab, None, claimant, commands, watcher, stop);
    let bell = Bell::default();
    let work = async {
        if once {
            until_nothing_is_queued(lab, &crew, worker.parallel, watcher, stop).await
        } else {
            crew.serve(worker.parallel, &bell).await
        }
    };
    let worked = tokio::select! {
        worked = work => worked,
        never = beat(lab, worker) => match never {},
        never = guard(lab, &bell, watcher) => match never {},
        never = listen(lab, &bell) => match never {},
    };
    leave(lab, &crew, worker, watcher).await;
    worked.map(|()| crew.ended())
}

/// Gives back what it had in hand, and takes itself off the list. Nothing more can be done about what fails here: others
/// notice that the process is gone.
async fn leave(lab: &Lab, crew: &Crew<'_>, worker: &NewWorker, watcher: &dyn Watcher) {
    if let Err(error) = batch::leave(lab, &crew.left()).await {
        let text = format!("What ran stays interrupted until another worker takes it up. {error}");
        watcher.saw(News::Warning { id: None, text });
    }
    if let Err(error) = lab.queue.strike(std::slice::from_ref(&worker.name)).await {
        tracing::warn!("{} stays in the list of workers: {}", worker.name, error.message);
    }
}

async fn until_nothing_is_queued(
    lab: &Lab,
    crew: &Crew<'_>,
    parallel: u32,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<()> {
    take_up(lab, watcher).await?;
    loop {
        crew.work(parallel).await?;
        // What a dead process claimed late: a server carries out what it was asked for, whether or not somebody waits.
        if stop.is_stopped() || take_up(lab, watcher).await?.0 == 0 {
            return Ok(());
        }
    }
}

/// Looks for dead workers and queues what they had in hand; says how much, and who else is at work.
async fn take_up(lab: &Lab, watcher: &dyn Watcher) -> Result<(usize, Others)> {
    let reaped = reaper::reap(lab).await?;
    let again = lab.queue.take_up(None, TRIES).await?;
    for &id in &again {
        let text = "the process that ran it is gone: it is queued again".to_owned();
        watcher.saw(News::Warning { id: Some(id), text });
    }
    for run in reaped.interrupted.iter().filter(|run| run.batch_id.is_some() && !again.contains(&run.id)) {
        if run.attempt >= TRIES {
            let batch = run.batch_id.unwrap_or_default();
            let text = format!(
                "{} processes ended while they ran it: it is not tried again (labtop batch resume {batch} tries it once more)",
                run.attempt
            );
            watcher.saw(News::Warning { id: Some(run.id), text });
        }
    }
    Ok((again.len(), reaped.others))
}

/// Wakes lanes that wait for something to do.
#[derive(Debug)]
pub(super) struct Bell(watch::Sender<()>);

impl Default for Bell {
    fn default() -> Self {
        Bell(watch::Sender::new(()))
    }
}

impl Bell {
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears every ringing from now on, also one that comes before it waits.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Says now and then that the worker lives. A beat that is missed is made up for by the next.
async fn beat(lab: &Lab, worker: &NewWorker) -> Infallible {
    let mut ticks = interval(lab.queue.pulse());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once, and was said when it entered.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Err(error) = lab.queue.enter(worker).await {
            tracing::debug!("no heartbeat: {}", error.message);
        }
    }
}

/// Watches over other workers: what dies is queued again.
async fn guard(lab: &Lab, bell: &Bell, watcher: &dyn Watcher) -> Infallible {
    loop {
        let mut heard = bell.listen();
        let others = match take_up(lab, watcher).await {
            Ok((0, others)) => others,
            Ok((_, others)) => {
                bell.ring();
                others
            }
            Err(error) => {
                tracing::debug!("what other workers run is not known: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        let looked = Instant::now();
        // In a storm of changes it looks once a second.
        sleep(LOOK).await;
        while timeout(LOOK, heard.changed()).await.is_err() {
            if others.need_a_look(lab, looked.elapsed()) {
                break;
            }
        }
    }
}

/// Rings when another process may have queued something.
async fn listen(lab: &Lab, bell: &Bell) -> Infallible {
    let mut changes = lab.changes();
    loop {
        match changes.changed().await {
            Ok(()) => {
                bell.ring();
                delivery::look_again(lab);
            }
            Err(error) => {
                tracing::debug!("no news of changes: {}", error.message);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Everybody who runs experiments or would: the workers in the list, and behind them other processes that run something.
pub async fn list(lab: &Lab) -> Result<Vec<Worker>> {
    let (entered, under_way) = tokio::try_join!(lab.queue.workers(), lab.queue.under_way())?;
    let mut workers: Vec<Worker> = entered
        .into_iter()
        .map(|entry| {
            let state = reaper::state(lab, &entry);
            let NewWorker { name, host, pid, version, labels, runners, parallel } = entry.worker;
            Worker {
                name,
                kind: Kind::Worker,
                state,
                host,
                pid: Some(pid),
                version: Some(version),
                labels,
                runners,
                parallel: Some(parallel),
                started_at: Some(entry.started_at),
                heartbeat_at: Some(entry.heartbeat_at),
                running: Vec::new(),
            }
        })
        .collect();
    for run in under_way {
        match workers.iter_mut().find(|worker| worker.name == run.worker) {
            Some(worker) => worker.running.push(run.doing),
            None => workers.push(session(run.worker, run.host, run.doing)),
        }
    }
    Ok(workers)
}

fn session(name: String, host: Option<String>, doing: Doing) -> Worker {
    // `host:pid:tag`, as labtop names itself.
    let pid = name.rsplit(':').nth(1).and_then(|pid| pid.parse().ok());
    Worker {
        name,
        kind: Kind::Session,
        state: State::Alive,
        host,
        pid,
        version: None,
        labels: Vec::new(),
        runners: Vec::new(),
        parallel: None,
        started_at: None,
        heartbeat_at: None,
        running: vec![doing],
    }
}
