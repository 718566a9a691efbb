//! A lane: one thread with its own connection, that takes work in order and lets go of the file when idle.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use duckdb::{Connection, InterruptHandle};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::lease::Lease;
use super::usher::Usher;

/// Work that waits for a lane. Beyond that the one who asks waits, which is what slows a runaway producer.
const WAITING: usize = 256;

/// How often a lane that has the file and nothing to do looks whether somebody waits for it.
const LOOK: Duration = Duration::from_millis(5);

/// Nothing came in time.
struct Elapsed;

/// What is done with the connection, or with the error that kept it from being had. The flag says that it was
/// interrupted for somebody else's sake: then it may ask to be done again.
pub type Work = Box<dyn FnMut(Result<&Connection>, &AtomicBool) -> Next + Send>;

/// What is to be done after a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is answered.
    Go,
    /// It was interrupted, and is done again when the file is ours again.
    Again,
    /// DuckDB failed: what it holds in memory is not to be trusted, and the file is opened anew.
    Reopen,
}

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

/// What is sent to the thread.
enum Message {
    Work(Job),
    /// Let go of the file, after what was sent before, and say so.
    LetGo(oneshot::Sender<()>),
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

    /// Back to waiting, unless nobody wants the result any more.
    fn repeat(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Running(_) = &*state {
            *state = State::Waiting;
        }
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
    messages: mpsc::Sender<Message>,
}

impl Lane {
    /// Starts the thread. `idle` is how long it keeps the file without work. One that `yields` has its work interrupted,
    /// and done again later, when another process waits for the file.
    pub fn start(name: &str, lease: Arc<Lease>, idle: Duration, yields: bool) -> Result<Self> {
        let (messages, inbox) = mpsc::channel(WAITING);
        let place = lease.path().to_owned();
        // The thread needs a clock for its idle time and nothing else of a runtime.
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|error| no_thread(&place, &error))?;
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(&clock, inbox, &lease, idle, yields))
            .map_err(|error| no_thread(&place, &error))?;
        Ok(Lane { messages })
    }

    /// Hands over a job; waits while the lane is full.
    pub async fn send(&self, job: Job) -> Result<()> {
        let sent = self.messages.send(Message::Work(job)).await;
        sent.map_err(|_| StoreError::new(ErrorKind::Backend, Backend::DuckDb, "working", "its thread ended"))
    }
}

impl Lane {
    /// Finishes what was handed over and closes the file.
    pub async fn let_go(&self) {
        let (tell, told) = oneshot::channel();
        if self.messages.send(Message::LetGo(tell)).await.is_ok() {
            // A thread that ended has let go as well.
            let _ = told.await;
        }
    }
}

fn no_thread(path: &Path, error: &std::io::Error) -> StoreError {
    let message = format!("{}: no thread could be started: {error}", path.display());
    StoreError::new(ErrorKind::Unavailable, Backend::DuckDb, "opening the DuckDB file", message)
}

fn serve(clock: &Runtime, inbox: mpsc::Receiver<Message>, lease: &Arc<Lease>, idle: Duration, yields: bool) {
    let usher = yields.then(|| Usher::new(lease.clone()));
    Server { lease, inbox, connection: None, waiting: None, usher }.serve(clock, idle);
}

/// The thread's side.
struct Server<'a> {
    lease: &'a Lease,
    inbox: mpsc::Receiver<Message>,
    connection: Option<Connection>,
    /// Since when the file could not be had.
    waiting: Option<Instant>,
    usher: Option<Usher>,
}

impl Server<'_> {
    fn serve(mut self, clock: &Runtime, idle: Duration) {
        loop {
            let next = match &self.connection {
                None => self.inbox.blocking_recv(),
                Some(_) => match clock.block_on(self.next(idle)) {
                    Ok(next) => next,
                    Err(Elapsed) => {
                        self.leave();
                        continue;
                    }
                },
            };
            match next {
                None => break,
                Some(Message::Work(job)) => self.work(job),
                Some(Message::LetGo(tell)) => {
                    self.leave();
                    // Who asked may be gone.
                    let _ = tell.send(());
                }
            }
        }
        self.leave();
    }

    /// The next message, unless none comes for `idle` or somebody else should have the file.
    async fn next(&mut self, idle: Duration) -> Result<Option<Message>, Elapsed> {
        let begun = Instant::now();
        loop {
            if let Ok(next) = timeout(LOOK.min(idle), self.inbox.recv()).await {
                return Ok(next);
            }
            if begun.elapsed() >= idle || self.lease.is_due() {
                return Err(Elapsed);
            }
        }
    }

    fn leave(&mut self) {
        self.connection.take().into_iter().for_each(|open| self.lease.leave(open));
    }

    /// Does one job, again and again if it has to be interrupted for others.
    fn work(&mut self, mut job: Job) {
        let yielded = AtomicBool::new(false);
        for turn in 0.. {
            if !job.ticket.is_wanted() {
                return;
            }
            if let Err(error) = self.enter(&job) {
                (job.work)(Err(error), &yielded);
                self.leave();
                return;
            }
            let next = self.attempt(&mut job, turn);
            if next == Next::Reopen || self.lease.is_due() {
                self.leave();
            }
            if next != Next::Again {
                return;
            }
            job.ticket.repeat();
        }
    }

    /// Has the file open, and the right one.
    fn enter(&mut self, job: &Job) -> Result<()> {
        if self.connection.is_some() {
            return self.lease.check();
        }
        // Jobs wait together: one that was asked for while another waited is not made to wait anew.
        let since = job.asked.max(*self.waiting.get_or_insert_with(Instant::now));
        let patient = || job.ticket.is_wanted() && since.elapsed() < self.lease.wait();
        self.connection = Some(self.lease.enter(&patient)?);
        self.waiting = None;
        Ok(())
    }

    fn attempt(&mut self, job: &mut Job, turn: u32) -> Next {
        let Some(open) = &self.connection else { return Next::Go };
        if !job.ticket.begin(open) {
            return Next::Go;
        }
        let yielded = Arc::new(AtomicBool::new(false));
        if let Some(usher) = &self.usher {
            usher.attend(open.interrupt_handle(), yielded.clone(), turn);
        }
        let next = (job.work)(Ok(open), &yielded);
        if let Some(usher) = &self.usher {
            usher.rest();
        }
        if next != Next::Again {
            job.ticket.end();
        }
        next
    }
}
