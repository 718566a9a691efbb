//! The worker behind the dashboard: takes requests, calls `ops`, answers with events.
//!
//! Reads fill slots and the newest wins; short writes go one after another; runs and batches are jobs of their own that
//! end when they are done or told to. What jobs tell is merged in `live`, so that a slow screen slows nothing.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ops::{Lab, view};

mod deliveries;
mod elsewhere;
mod follow;
mod health;
mod jobs;
mod live;
mod pace;
pub mod protocol;
mod reads;
mod reaper;
mod slots;
mod timings;
mod writes;

use elsewhere::Elsewhere;
use jobs::Jobs;
use live::Live;
use protocol::{Command, Event, LogLevel, LogLine, Request};
use slots::Slots;

/// Requests that wait: more than a person types while a frame is drawn. When it is full the screen says "busy".
const REQUESTS: usize = 64;
/// Events that wait: a burst of answers after a change; the worker then waits and merges what is live.
const EVENTS: usize = 256;
/// Short writes that wait their turn.
const WRITES: usize = 64;

/// The dashboard's end of the conversation. Dropping `requests` ends the worker; `ended` tells when it has.
pub struct Worker {
    pub requests: mpsc::Sender<Request>,
    pub events: mpsc::Receiver<Event>,
    pub ended: tokio::task::JoinHandle<()>,
}

/// Starts the worker on the current runtime.
pub fn start(lab: Arc<Lab>, logs: Option<mpsc::Receiver<LogLine>>) -> Worker {
    let (requests, inbox) = mpsc::channel(REQUESTS);
    let (outbox, events) = mpsc::channel(EVENTS);
    let ended = tokio::spawn(serve(lab, inbox, outbox, logs));
    Worker { requests, events, ended }
}

/// What every part of the worker shares.
#[derive(Clone)]
struct Shared {
    lab: Arc<Lab>,
    events: mpsc::Sender<Event>,
    live: Arc<Live>,
    /// Wakes the health check: somebody wants to know now.
    try_now: Arc<tokio::sync::Notify>,
    /// Wakes the watch over runs of other processes: they may have begun some.
    outside: Arc<tokio::sync::Notify>,
    /// Counts the changes of other processes, for whoever follows one of their runs.
    news: tokio::sync::watch::Sender<u64>,
}

impl Shared {
    /// Sends an event; once the dashboard is gone nobody needs it.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

async fn serve(
    lab: Arc<Lab>,
    mut inbox: mpsc::Receiver<Request>,
    events: mpsc::Sender<Event>,
    logs: Option<mpsc::Receiver<LogLine>>,
) {
    let shared = Shared {
        lab,
        events,
        live: Arc::default(),
        try_now: Arc::default(),
        outside: Arc::default(),
        news: tokio::sync::watch::Sender::default(),
    };
    let background = CancellationToken::new();
    let tasks = TaskTracker::new();
    spawn_background(&shared, &tasks, &background, logs);

    let jobs = Jobs::default();
    let (writer, queue) = mpsc::channel(WRITES);
    let writing = tokio::spawn(writes::one_after_another(queue));
    let mut slots = Slots::default();
    let mut elsewhere = Elsewhere::default();
    while let Some(Request { ticket, command }) = inbox.recv().await {
        match command {
            Command::Read(slot, read) => match elsewhere.read(&shared, read) {
                Ok((there, read)) => slots.read(&there, &jobs, ticket, slot, read),
                Err(error) => {
                    let result = Err(reads::failure(&error));
                    shared.tell(Event::Answer { ticket, slot, result }).await;
                }
            },
            Command::Write(write) => match elsewhere.write(&shared, write) {
                Ok((there, write)) => match jobs::Job::of(write) {
                    Ok(job) => jobs.begin(&there, ticket, job),
                    Err(write) => {
                        // The queue is as long as the inbox, so this waits only when a write hangs; reads wait with it.
                        let _ = writer.send((there, ticket, *write)).await;
                    }
                },
                Err(error) => {
                    let result = Err(reads::failure(&error));
                    shared.tell(Event::Done { ticket, result }).await;
                }
            },
            Command::Remember(sections) => remember(&shared, sections).await,
            Command::TryNow => shared.try_now.notify_one(),
            Command::Cancel(cancel) => jobs.cancel(&shared, ticket, cancel),
        }
    }

    // The dashboard is gone. Writes are finished, jobs are left: what they had queued and what ran waits for later.
    drop(slots);
    drop(writer);
    jobs.leave(&shared).await;
    let _ = writing.await;
    background.cancel();
    tasks.close();
    tasks.wait().await;
}

/// A small file; whoever quits right afterwards finds it written. That it could not be is no reason to bother anybody
/// but the reader of the log.
async fn remember(shared: &Shared, sections: toml::Table) {
    if let Err(error) = view::remember(sections).await {
        let at = jiff::Timestamp::now();
        let (level, source) = (LogLevel::Warn, "view".to_owned());
        shared.tell(Event::Log(LogLine { at, level, source, text: error.to_string() })).await;
    }
}

fn spawn_background(
    shared: &Shared,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    logs: Option<mpsc::Receiver<LogLine>>,
) {
    let until = |stop: &CancellationToken| stop.clone().cancelled_owned();
    let (pump, watch, feed, wake) = (shared.clone(), shared.clone(), shared.clone(), shared.clone());
    let (post, stopped_post) = (shared.clone(), until(stop));
    tasks.spawn(async move {
        tokio::select! { () = deliveries::keep_going(&post) => {}, () = stopped_post => {} }
    });
    let (stopped_pump, stopped_watch, stopped_feed, stopped_wake) =
        (until(stop), until(stop), until(stop), until(stop));
    let (times, stopped_times) = (shared.clone(), until(stop));
    tasks.spawn(async move {
        tokio::select! { () = timings::watch(&times) => {}, () = stopped_times => {} }
    });
    tasks.spawn(async move {
        tokio::select! { () = reaper::watch(&wake) => {}, () = stopped_wake => {} }
    });
    tasks.spawn(async move {
        tokio::select! { () = live::pump(&pump) => {}, () = stopped_pump => {} }
    });
    tasks.spawn(async move {
        tokio::select! { () = health::watch(&watch) => {}, () = stopped_watch => {} }
    });
    tasks.spawn(async move {
        tokio::select! { () = follow::changes(&feed) => {}, () = stopped_feed => {} }
    });
    if let Some(mut logs) = logs {
        let (shared, stopped) = (shared.clone(), until(stop));
        tasks.spawn(async move {
            let forward = async {
                while let Some(line) = logs.recv().await {
                    shared.tell(Event::Log(line)).await;
                }
            };
            tokio::select! { () = forward => {}, () = stopped => {} }
        });
    }
}
