//! A lane: one thread with its own connection, that takes work in order and lets go of the file when idle.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use duckdb::{Connection, InterruptHandle};
use tokio::sync::mpsc;

use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::lease::Lease;

/// Work that waits for a lane. Beyond that the one who asks waits, which is what slows a runaway producer.
const WAITING: usize = 256;

/// What is done with the connection, or with the error that kept it from being had.
pub type Work = Box<dyn FnOnce(Result<&Connection>) + Send>;

/// A piece of work and the switch that ends it early.
pub struct Job {
    ticket: Ticket,
    asked: Instant,
    work: Work,
}

impl Job {
    pub fn new(ticket: Ticket, work: Work) -> Self {
        Job { ticket, asked: Instant::now(), work }
    }
}

/// Ends a job: skips it while it waits, interrupts it while it runs.
#[derive(Clone, Default)]
pub struct Ticket(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Running(Arc<InterruptHandle>),
    /// Done, or not wanted any more.
    Over,
}

impl Ticket {
    pub fn cancel(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Running(handle) = &*state {
            handle.interrupt();
        }
        *state = State::Over;
    }

    fn is_wanted(&self) -> bool {
        !matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Over)
    }

    /// False when nobody wants the result any more.
    fn begin(&self, connection: &Connection) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = matches!(*state, State::Waiting);
        if wanted {
            *state = State::Running(connection.interrupt_handle());
        }
        wanted
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Over;
    }
}

/// The sending half; the thread ends when it is dropped.
#[derive(Debug)]
pub struct Lane {
    jobs: mpsc::Sender<Job>,
}

impl Lane {
    /// Starts the thread. `idle` is how long it keeps the file without work.
    pub fn start(name: &str, lease: Arc<Lease>, idle: Duration) -> Result<Self> {
        let (jobs, inbox) = mpsc::channel(WAITING);
        let place = lease.path().to_owned();
        // The thread needs a clock for its idle time and nothing else of a runtime.
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|error| no_thread(&place, &error))?;
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(&clock, inbox, &lease, idle))
            .map_err(|error| no_thread(&place, &error))?;
        Ok(Lane { jobs })
    }

    /// Hands over a job; waits while the lane is full.
    pub async fn send(&self, job: Job) -> Result<()> {
        let sent = self.jobs.send(job).await;
        sent.map_err(|_| StoreError::new(ErrorKind::Backend, Backend::DuckDb, "working", "its thread ended"))
    }
}

fn no_thread(path: &Path, error: &std::io::Error) -> StoreError {
    let message = format!("{}: no thread could be started: {error}", path.display());
    StoreError::new(ErrorKind::Unavailable, Backend::DuckDb, "opening the DuckDB file", message)
}

fn serve(clock: &tokio::runtime::Runtime, mut inbox: mpsc::Receiver<Job>, lease: &Lease, idle: Duration) {
    let mut connection: Option<Connection> = None;
    // Since when the file could not be had.
    let mut waiting: Option<Instant> = None;
    loop {
        let next = match &connection {
            None => inbox.blocking_recv(),
            Some(_) => match clock.block_on(async { tokio::time::timeout(idle, inbox.recv()).await }) {
                Ok(next) => next,
                Err(_) => {
                    connection.take().into_iter().for_each(|open| lease.leave(open));
                    continue;
                }
            },
        };
        let Some(job) = next else { break };
        if !job.ticket.is_wanted() {
            continue;
        }
        if connection.is_none() {
            // Jobs wait together: one that was asked for while another waited is not made to wait anew.
            let since = job.asked.max(*waiting.get_or_insert_with(Instant::now));
            match lease.enter(&|| job.ticket.is_wanted() && since.elapsed() < lease.wait()) {
                Ok(open) => {
                    connection = Some(open);
                    waiting = None;
                }
                Err(error) => {
                    (job.work)(Err(error));
                    continue;
                }
            }
        }
        if let Some(open) = &connection
            && job.ticket.begin(open)
        {
            (job.work)(Ok(open));
            job.ticket.end();
        }
        if lease.is_wanted() {
            connection.take().into_iter().for_each(|open| lease.leave(open));
        }
    }
    connection.into_iter().for_each(|open| lease.leave(open));
}
