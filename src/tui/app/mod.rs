//! The one owner of the dashboard's state. [`App::update`] turns a message into effects, without I/O and without a
//! clock; [`App::draw`] changes nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;
use keybinds::KeyInput;
use ratatui::layout::{Rect, Size};

use crate::config::Settings;
use crate::domain::filter::Field;
use crate::worker::protocol::{BackendState, Event, Failure, Request, RoleHealth, Ticket};

use super::action::Action;
use super::context::{Context, EditNote, Effect, Goal, Parting, Toast, Tone};
use super::editor::Draft;
use super::jobs::Jobs;
use super::keymap::{GLOBAL, Keymap, Keys};
use super::popups::message::Message as MessagePopup;
use super::popups::{Popup, Stay};
use super::tabs::{self, Tab};
use super::theme::Theme;

mod actions;
mod answers;
mod draw;
mod input;
mod memory;
#[cfg(test)]
mod tests;

/// What the app knows of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the profile, as in the status bar.
    pub profile: String,
    pub read_only: bool,
    /// Whether the mouse belongs to labtop at first.
    pub mouse: bool,
    /// Where batch files are looked for.
    pub batches: PathBuf,
    /// Columns of the experiments at first; the usual ones when none.
    pub columns: Vec<Field>,
}

impl Options {
    pub fn of(settings: &Settings) -> Self {
        Options {
            profile: settings.profile.clone(),
            read_only: settings.read_only,
            mouse: settings.ui.mouse,
            batches: settings.batches.clone(),
            columns: settings.ui.columns.clone(),
        }
    }
}

/// Something the app is told.
#[derive(Clone, Debug)]
pub enum Message {
    /// The first of all; asks for what the first tab shows.
    Start,
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(Size),
    Worker(Box<Event>),
    /// A request found the queue full.
    Refused(Box<Request>),
    Tick,
    /// The editor is closed: what came of the note, or why nothing did.
    Edited(Box<EditNote>, Result<Draft, Failure>),
    /// A signal ends the dashboard, or its terminal is gone.
    Terminate,
}

/// Everything there is to show.
#[derive(Debug)]
pub struct App {
    options: Options,
    keymap: Keymap,
    theme: Theme,
    tabs: Vec<Box<dyn Tab>>,
    /// Of the keymap, one for each tab; known also while the tabs are out of our hands.
    sections: Vec<&'static str>,
    active: usize,
    /// The last lies on top.
    popups: Vec<Box<dyn Popup>>,
    goals: Vec<Goal>,
    toasts: Vec<Toast>,
    health: Vec<RoleHealth>,
    jobs: Jobs,
    /// The beginning of a sequence of keys, and when its last key came.
    begun: Vec<KeyInput>,
    begun_at: Timestamp,
    asked: Vec<answers::Asked>,
    hints: HashMap<Ticket, String>,
    next_ticket: Ticket,
    effects: Vec<Effect>,
    memory: memory::Memory,
    /// The user wants to leave as soon as the jobs have stopped.
    leaving: bool,
    mouse: bool,
    now: Timestamp,
    tick: u64,
    screen: Rect,
    /// The column where a mouse button went down that is still held.
    held: Option<u16>,
}

/// How often spinners turn.
const SPIN: Duration = Duration::from_millis(100);

/// How often clocks and countdowns change.
const SECOND: Duration = Duration::from_secs(1);

/// Until a sequence of keys that was begun is forgotten.
const SEQUENCE: Duration = Duration::from_secs(1);

impl App {
    pub fn new(options: Options, keymap: Keymap, theme: Theme) -> Self {
        let mouse = options.mouse;
        let tabs = tabs::all(&options.columns);
        let sections = tabs.iter().map(|tab| tab.section()).collect();
        App {
            options,
            keymap,
            theme,
            tabs,
            sections,
            active: 0,
            popups: Vec::new(),
            goals: Vec::new(),
            toasts: Vec::new(),
            health: Vec::new(),
            jobs: Jobs::default(),
            begun: Vec::new(),
            begun_at: Timestamp::UNIX_EPOCH,
            asked: Vec::new(),
            hints: HashMap::new(),
            next_ticket: Ticket::default(),
            effects: Vec::new(),
            memory: memory::Memory::default(),
            leaving: false,
            mouse,
            now: Timestamp::UNIX_EPOCH,
            tick: 0,
            screen: Rect::new(0, 0, 80, 24),
            held: None,
        }
    }

    /// Tells what is wrong with the files of keys and colours, over the first screen.
    pub fn greet(&mut self, problems: &[String]) {
        if !problems.is_empty() {
            let failure = Failure {
                message: problems.join("\n"),
                remedy: Some("The rest of these files is in force. `labtop keys` lists the keys.".to_owned()),
                unavailable: false,
            };
            self.popups
                .push(Box::new(MessagePopup::of("Not everything in your settings is in force", &failure)));
        }
    }

    /// Takes a message that came at `at`; what is to be done about it.
    pub fn update(&mut self, at: Timestamp, message: Message) -> Vec<Effect> {
        self.now = at;
        self.toasts.retain(|toast| toast.until() > at);
        if self.is_sequence_stale() {
            self.begun.clear();
        }
        let by_user = matches!(message, Message::Key(_) | Message::Mouse(_) | Message::Paste(_));
        let may_send = !matches!(message, Message::Refused(_));
        match message {
            Message::Start => self.refresh(),
            Message::Key(key) => self.key(key),
            Message::Mouse(mouse) => self.mouse(mouse),
            Message::Paste(text) => self.paste(&text),
            Message::Resize(size) => {
                self.screen = Rect::from((ratatui::layout::Position::ORIGIN, size));
                self.with_tab(|tab, cx| tab.resized(cx));
            }
            Message::Worker(event) => self.hear(&event),
            Message::Refused(request) => self.refused(&request),
            Message::Tick => self.tick += 1,
            Message::Edited(note, result) => self.with_tabs(|tabs, cx| {
                for tab in tabs {
                    tab.note_edited(&note, &result, cx);
                }
            }),
            Message::Terminate => self.effects.push(Effect::Quit(Parting::Signal)),
        }
        self.follow_goals();
        if may_send {
            self.keep_arrangement(by_user);
        }
        self.remember_asked();
        std::mem::take(&mut self.effects)
    }

    pub fn theme(&self) -> &Theme {
        &self.theme
    }

    /// Whether the mouse belongs to labtop.
    pub fn has_mouse(&self) -> bool {
        self.mouse
    }

    /// Nothing was asked that is not answered, and no job runs.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && !self.jobs.is_running()
    }

    /// How the backends stand has been heard.
    pub fn knows_health(&self) -> bool {
        !self.health.is_empty() && self.health.iter().all(|role| !matches!(role.state, BackendState::Unknown))
    }

    /// When a [`Message::Tick`] is due; none while nothing on the screen moves by itself.
    pub fn next_tick(&self) -> Option<Duration> {
        let spins =
            self.tabs[self.active].is_busy() || self.popups.last().is_some_and(|popup| popup.is_busy());
        let spins = spins || self.is_writing();
        let counts = self.jobs.is_running() || self.is_anything_down() || !self.begun.is_empty();
        let toast = self.toasts.iter().map(Toast::until).min();
        let toast = toast.map(|until| Duration::try_from(until.duration_since(self.now)).unwrap_or_default());
        [spins.then_some(SPIN), counts.then_some(SECOND), toast, self.until_kept()]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_anything_down(&self) -> bool {
        self.health.iter().any(|role| matches!(role.state, BackendState::Down { .. }))
    }

    fn is_sequence_stale(&self) -> bool {
        let age = Duration::try_from(self.now.duration_since(self.begun_at)).unwrap_or_default();
        age >= SEQUENCE
    }

    fn section(&self) -> &'static str {
        self.sections[self.active]
    }

    fn refresh(&mut self) {
        self.with_tab(|tab, cx| tab.refresh(cx));
    }

    /// Whatever a popup answered; `index` is where it stood in the stack.
    fn settle(&mut self, popup: Box<dyn Popup>, index: usize, stay: Stay) {
        match stay {
            Stay::Open => self.popups.insert(index.min(self.popups.len()), popup),
            Stay::Close => {}
            Stay::Act(action) => self.act_anywhere(action),
            Stay::Leave(leave) => self.leave(leave),
        }
    }

    fn toast(&mut self, tone: Tone, text: impl Into<String>) {
        self.toasts.push(Toast { text: text.into(), tone, at: self.now });
    }

    fn with_tab(&mut self, act: impl FnOnce(&mut dyn Tab, &mut Context<'_>)) {
        let active = self.active;
        self.with_tabs(|tabs, cx| act(tabs[active].as_mut(), cx));
    }

    fn with_tabs(&mut self, act: impl FnOnce(&mut [Box<dyn Tab>], &mut Context<'_>)) {
        let mut tabs = std::mem::take(&mut self.tabs);
        act(&mut tabs, &mut self.context());
        self.tabs = tabs;
    }

    fn context(&mut self) -> Context<'_> {
        let section = self.section();
        Context {
            now: self.now,
            area: self.areas().body,
            screen: self.screen,
            read_only: self.options.read_only,
            keys: Keys::new(&self.keymap, section),
            next_ticket: &mut self.next_ticket,
            effects: &mut self.effects,
            toasts: &mut self.toasts,
            popups: &mut self.popups,
            goals: &mut self.goals,
            hints: &mut self.hints,
        }
    }
}

/// An action's place in the keymap, for hints.
fn first_key(keymap: &Keymap, section: &str, action: Action) -> Option<String> {
    let keys = keymap.keys_of(section, action);
    keys.into_iter().next().or_else(|| keymap.keys_of(GLOBAL, action).into_iter().next())
}
