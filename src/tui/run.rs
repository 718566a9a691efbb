//! The loop: messages in, effects out, a frame when something changed. The one place in `tui` that waits.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream, KeyCode, MouseEventKind};
use futures_util::StreamExt;
use jiff::Timestamp;
use ratatui::layout::Size;
use rustix::process::{Signal as Stop, kill_current_process_group};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, sleep_until, timeout};

use crate::worker::protocol::{Event, Failure, Request};

use super::app::{App, Message};
use super::context::{EditNote, Effect, Parting};
use super::editor::{self, EditorError};
use super::terminal::Screen;

/// Least time between two frames.
const FRAME: Duration = Duration::from_millis(16);

/// Worker events taken in one go before looking at the keyboard again.
const DRAIN: usize = 256;

/// Refusals that one message may lead to: each pane that is refused may ask for something else instead.
const REFUSALS: usize = 64;

/// How long a stop may take to arrive; a process without a shell above it is never stopped.
const STOP: Duration = Duration::from_millis(200);

/// Why the dashboard could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The worker is gone, which is a bug: it outlives the dashboard.
    #[error("the worker has stopped; its log says why (--log)")]
    WorkerGone,
}

/// Shows the dashboard until the user leaves it; how that was.
///
/// `requests` and `events` lead to the worker, which is not waited for: the first frame is drawn at once.
pub async fn run(app: App, requests: Sender<Request>, events: Receiver<Event>) -> Result<Parting, RunError> {
    let screen = Screen::take(app.has_mouse())?;
    let dashboard = Dashboard {
        app,
        screen,
        requests,
        parting: None,
        keyboard: EventStream::new(),
        next: VecDeque::new(),
    };
    dashboard.run(events).await
}

struct Dashboard {
    app: App,
    screen: Screen,
    requests: Sender<Request>,
    parting: Option<Parting>,
    keyboard: EventStream,
    /// What the app is told next, before anything else.
    next: VecDeque<Message>,
}

/// Signals that matter to a terminal program.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    resume: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            resume: signal(SignalKind::from_raw(Stop::CONT.as_raw()))?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Forgets a ctrl-c, a ctrl-\ and a stop that were meant for another program of this terminal.
    fn forget(&mut self) -> io::Result<()> {
        self.resume = signal(SignalKind::from_raw(Stop::CONT.as_raw()))?;
        self.interrupt = signal(SignalKind::interrupt())?;
        self.quit = signal(SignalKind::quit())?;
        Ok(())
    }
}

impl Dashboard {
    async fn run(mut self, mut events: Receiver<Event>) -> Result<Parting, RunError> {
        let mut signals = Signals::listen()?;
        let size = self.screen.size()?;
        self.tell(Message::Resize(size), &mut signals).await?;
        self.screen.draw(&self.app)?;
        self.tell(Message::Start, &mut signals).await?;
        let mut drawn = Instant::now();
        let mut dirty = true;
        let mut tick = None;
        let mut heard = Vec::with_capacity(DRAIN);
        loop {
            if dirty && drawn.elapsed() >= FRAME {
                self.screen.draw(&self.app)?;
                (drawn, dirty) = (Instant::now(), false);
            }
            let wake = if dirty { Some(drawn + FRAME) } else { None };
            // A tick that is due stays due, however much else happens meanwhile.
            let soonest = self.app.next_tick().map(|wait| Instant::now() + wait.max(FRAME));
            tick = soonest.map(|soonest| tick.map_or(soonest, |due: Instant| due.min(soonest)));
            tokio::select! {
                biased;
                _ = signals.terminate.recv() => self.next.push_back(Message::Terminate),
                _ = signals.hang_up.recv() => self.next.push_back(Message::Terminate),
                _ = signals.interrupt.recv() => self.next.push_back(Message::Terminate),
                _ = signals.quit.recv() => self.next.push_back(Message::Terminate),
                _ = signals.resume.recv() => { self.screen.enter()?; }
                event = self.keyboard.next() => match event {
                    Some(event) => match message(event?) {
                        Some(message) => {
                            if matches!(message, Message::Resize(_)) {
                                self.screen.resized();
                            }
                            panic_on_purpose(&message);
                            self.tell(message, &mut signals).await?;
                        }
                        None => continue,
                    },
                    // The terminal went away.
                    None => self.next.push_back(Message::Terminate),
                },
                count = events.recv_many(&mut heard, DRAIN) => {
                    if count == 0 {
                        return Err(RunError::WorkerGone);
                    }
                    for event in heard.drain(..) {
                        self.tell(Message::Worker(Box::new(event)), &mut signals).await?;
                    }
                }
                () = at(wake) => continue,
                () = at(tick) => {
                    tick = None;
                    self.tell(Message::Tick, &mut signals).await?;
                }
            }
            while let Some(message) = self.next.pop_front() {
                self.tell(message, &mut signals).await?;
            }
            dirty = true;
            if let Some(parting) = self.parting {
                return Ok(parting);
            }
        }
    }

    /// Never waits for the worker: a full queue is told to the app as "busy", and what that leads to is carried out too.
    async fn tell(&mut self, message: Message, signals: &mut Signals) -> io::Result<()> {
        let mut effects = VecDeque::from(self.app.update(Timestamp::now(), message));
        let mut refusals = 0;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send(request) => match self.requests.try_send(*request) {
                    Ok(()) => {}
                    // The events end with the worker, and so does the loop.
                    Err(TrySendError::Closed(_)) => {}
                    Err(TrySendError::Full(request)) if refusals < REFUSALS => {
                        refusals += 1;
                        effects
                            .extend(self.app.update(Timestamp::now(), Message::Refused(Box::new(request))));
                    }
                    Err(TrySendError::Full(request)) => {
                        tracing::error!(?request, "asked again and again of a worker that is busy");
                    }
                },
                Effect::Copy(text) => self.screen.copy(&text)?,
                Effect::Mouse(on) => self.screen.set_mouse(on)?,
                Effect::Suspend => self.suspend(signals).await?,
                Effect::EditNote(note) => self.edit(note, signals).await?,
                Effect::Discard(path) => editor::discard(&path),
                Effect::Quit(parting) => self.parting = Some(parting),
            }
        }
        Ok(())
    }

    /// Gives the terminal to the user's editor until it ends. The worker goes on meanwhile.
    async fn edit(&mut self, note: Box<EditNote>, signals: &mut Signals) -> io::Result<()> {
        let Some(command) = editor::command() else {
            let failure = failure(&EditorError::None);
            self.next.push_back(Message::Edited(note, Err(failure)));
            return Ok(());
        };
        // Dropping the old one ends its thread, which would take keys from the editor.
        self.keyboard = EventStream::new();
        self.screen.leave();
        let (name, text) = (format!("labtop-note-{}", note.id), note.before.clone());
        let work = tokio::task::spawn_blocking(move || {
            editor::edit(Some(&command), &std::env::temp_dir(), &name, &text)
        });
        let result = tokio::select! {
            result = work => Some(result.map_err(io::Error::other)?),
            _ = signals.terminate.recv() => None,
            _ = signals.hang_up.recv() => None,
        };
        let Some(result) = result else {
            self.next.push_back(Message::Terminate);
            return Ok(());
        };
        signals.forget()?;
        self.screen.enter()?;
        self.next.push_back(Message::Resize(self.screen.size()?));
        self.next.push_back(Message::Edited(note, result.map_err(|error| failure(&error))));
        Ok(())
    }

    /// Stops the whole group, as the terminal itself would at ctrl-z, and comes back when it is continued.
    async fn suspend(&mut self, signals: &mut Signals) -> io::Result<()> {
        self.screen.leave();
        kill_current_process_group(Stop::TSTP)?;
        // Times out where nothing can stop us, as when labtop is the first process of its terminal.
        let stopped = timeout(STOP, signals.resume.recv()).await;
        tracing::debug!(resumed = stopped.is_ok(), "back from the background");
        self.screen.enter()
    }
}

/// In a debug build with the variable `LABTOP_PANIC`, `!` panics: how else could a test see what becomes of the terminal?
fn panic_on_purpose(message: &Message) {
    let is_bang = matches!(message, Message::Key(key) if key.code == KeyCode::Char('!'));
    if cfg!(debug_assertions) && is_bang && std::env::var_os("LABTOP_PANIC").is_some() {
        panic!("on purpose");
    }
}

/// Why the editor gave no text, in the words of a popup.
fn failure(error: &EditorError) -> Failure {
    let remedy = "Set VISUAL or EDITOR to an editor that waits until it is closed, as in EDITOR=vim.";
    Failure { message: error.to_string(), remedy: Some(remedy.to_owned()), unavailable: false }
}

/// Waits for ever where there is no time given.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn message(event: TerminalEvent) -> Option<Message> {
    match event {
        TerminalEvent::Key(key) => Some(Message::Key(key)),
        TerminalEvent::Mouse(mouse) if mouse.kind == MouseEventKind::Moved => None,
        TerminalEvent::Mouse(mouse) => Some(Message::Mouse(mouse)),
        TerminalEvent::Paste(text) => Some(Message::Paste(text)),
        TerminalEvent::Resize(width, height) => Some(Message::Resize(Size::new(width, height))),
        TerminalEvent::FocusGained | TerminalEvent::FocusLost => None,
    }
}
