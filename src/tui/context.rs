//! What a tab or a popup may do beside changing itself: ask the worker, tell the user, open a popup.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use jiff::Timestamp;
use ratatui::layout::Rect;

use crate::domain::collection::RUN;
use crate::domain::database::Database;
use crate::domain::document::Metadata;
use crate::domain::experiment::ExperimentId;
use crate::worker::protocol::{Cancel, Command, Read, Request, Slot, Ticket, Write};

use super::keymap::Keys;
use super::popups::Popup;
use super::theme::Theme;

/// Longest text for the clipboard, bytes. Terminals take 100,000 characters of base64 at most (xterm, tmux), or say
/// nothing and cut.
const LONGEST_COPY: usize = 74_000;

/// What a key that would change something says in read-only mode.
pub const READ_ONLY: &str = "read-only: nothing is changed (start without --read-only to change things)";

/// Characters of a run's key.
const KEY: usize = 36;

/// What `update` wants done; carried out by the loop.
#[derive(Debug, PartialEq)]
pub enum Effect {
    Send(Box<Request>),
    /// To the clipboard, through the terminal (OSC 52).
    Copy(String),
    Suspend,
    /// Opens a note in the user's editor, which has the terminal meanwhile; comes back as `Message::Edited`.
    EditNote(Box<EditNote>),
    /// Removes the file of a draft that is saved.
    Discard(PathBuf),
    /// Whether the mouse belongs to labtop.
    Mouse(bool),
    Quit(Parting),
}

/// The note of a run, as it was when the user began to edit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditNote {
    pub id: ExperimentId,
    pub before: String,
}

/// Something that another tab shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// An experiment in full. `key` is the run's own, where it is known: the number means another run in another store.
    Run { id: ExperimentId, key: Option<String> },
    /// The records of a collection that a question finds, as it would be typed.
    Records { collection: String, question: String },
    /// The collections of a database.
    Database(Database),
}

impl Goal {
    /// The run that a record or a document is about, as its metadata tell.
    pub fn run_of(id: &str, metadata: &Metadata) -> Option<Goal> {
        let run = metadata.get(RUN).and_then(serde_json::Value::as_i64)?;
        // The documents of a run are called after its key; whatever else names a run does so by its number alone.
        let key = id.split_once('/').map(|(key, _)| key.to_owned());
        Some(Goal::Run { id: run, key: key.filter(|key| key.len() == KEY) })
    }

    /// The section of the tab that shows it.
    pub fn section(&self) -> &'static str {
        match self {
            Goal::Run { .. } => "experiments",
            Goal::Records { .. } | Goal::Database(_) => "collections",
        }
    }
}

/// How the dashboard ended; what becomes of running jobs follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Nothing was running, or all of it has been stopped.
    Idle,
    /// The user left while jobs run: what is queued stays in the store, what runs breaks off.
    Queue,
    /// The terminal went away, or somebody asked the process to end.
    Signal,
}

/// How a toast is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Plain,
    Bad,
}

/// A line that tells a result and goes away by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    pub text: String,
    pub tone: Tone,
    pub at: Timestamp,
}

/// Handed to `update` code. Collects; the app and the loop act.
pub struct Context<'a> {
    /// The time of the message that is being handled.
    pub now: Timestamp,
    /// The room the tab was drawn in last.
    pub area: Rect,
    /// The whole screen, in which popups find their place.
    pub screen: Rect,
    pub read_only: bool,
    /// The keys in force in the tab that is shown.
    pub keys: Keys<'a>,
    pub(super) next_ticket: &'a mut Ticket,
    pub(super) effects: &'a mut Vec<Effect>,
    pub(super) toasts: &'a mut Vec<Toast>,
    pub(super) popups: &'a mut Vec<Box<dyn Popup>>,
    /// What another tab is to show when this message has been handled.
    pub(super) goals: &'a mut Vec<Goal>,
    /// What is added to the sentence of a write when it is done.
    pub(super) hints: &'a mut HashMap<Ticket, String>,
}

impl Context<'_> {
    /// Reads into a slot; keep the ticket in a `Remote`.
    pub fn read(&mut self, slot: Slot, read: Read) -> Ticket {
        self.send(Command::Read(slot, read))
    }

    /// Goes to the tab that shows it.
    pub fn go(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// Changes something; its result comes back as a toast. Refused in read-only mode.
    pub fn write(&mut self, write: Write) -> Option<Ticket> {
        if self.read_only && write.changes_something() {
            self.toast(Tone::Bad, READ_ONLY);
            return None;
        }
        Some(self.send(Command::Write(write)))
    }

    /// As [`Context::write`]; the toast about its end also says `hint`, such as how to undo it.
    pub fn write_with_hint(&mut self, write: Write, hint: impl Into<String>) -> Option<Ticket> {
        let ticket = self.write(write)?;
        self.hints.insert(ticket, hint.into());
        Some(ticket)
    }

    pub fn cancel(&mut self, cancel: Cancel) -> Ticket {
        self.send(Command::Cancel(cancel))
    }

    /// Asks the backends that are down at once; how they stand is told when they have answered.
    pub fn try_now(&mut self) {
        self.send(Command::TryNow);
    }

    pub fn toast(&mut self, tone: Tone, text: impl Into<String>) {
        self.toasts.push(Toast { text: text.into(), tone, at: self.now });
    }

    pub fn open(&mut self, popup: Box<dyn Popup>) {
        self.popups.push(popup);
    }

    /// Copies, and says that `what` was ("copied the line"); a text that terminals cut or ignore is refused instead.
    pub fn copy_and_tell(&mut self, text: String, what: &str) {
        if text.len() <= LONGEST_COPY {
            self.toast(Tone::Good, format!("copied {what}"));
        }
        self.copy(text);
    }

    pub fn copy(&mut self, text: String) {
        if text.len() <= LONGEST_COPY {
            return self.effects.push(Effect::Copy(text));
        }
        let size = text.len().div_ceil(1024);
        self.toast(
            Tone::Bad,
            format!("too long for a terminal's clipboard: {size} KiB, {} at most", LONGEST_COPY / 1024),
        );
    }

    /// Opens a note in the user's editor.
    pub fn edit_note(&mut self, note: EditNote) {
        self.effects.push(Effect::EditNote(Box::new(note)));
    }

    /// The file of a draft is no longer needed.
    pub fn discard(&mut self, path: PathBuf) {
        self.effects.push(Effect::Discard(path));
    }

    fn send(&mut self, command: Command) -> Ticket {
        self.next_ticket.0 += 1;
        let ticket = *self.next_ticket;
        self.effects.push(Effect::Send(Box::new(Request { ticket, command })));
        ticket
    }
}

/// What drawing may know beside the tab itself.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub theme: &'a Theme,
    /// The time of the last message, so that drawing reads no clock.
    pub now: Timestamp,
    /// Advances while something loads; spinners are drawn from it.
    pub tick: u64,
    /// The keys in force in the tab that is shown.
    pub keys: Keys<'a>,
}

impl Look<'static> {
    /// For laying out what is not drawn: places do not depend on colours.
    pub fn plain(now: Timestamp) -> Self {
        static PLAIN: LazyLock<Theme> = LazyLock::new(Theme::default);
        Look { theme: &PLAIN, now, tick: 0, keys: Keys::NONE }
    }
}
