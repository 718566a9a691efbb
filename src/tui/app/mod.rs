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
use crate::worker::protocol::{
    BackendState, Cancel, Command, Event, Failure, Request, RoleHealth, Slot, Ticket, Write,
};

use super::action::Action;
use super::context::{Context, EditNote, Effect, Parting, READ_ONLY, Toast, Tone};
use super::editor::Draft;
use super::jobs::Jobs;
use super::keymap::{GLOBAL, Keymap, Keys};
use super::popups::batches::Batches;
use super::popups::help::Help;
use super::popups::message::Message as MessagePopup;
use super::popups::palette::Palette;
use super::popups::quit::Quit;
use super::popups::{Leave, Popup, Stay};
use super::tabs::{self, Tab};
use super::theme::Theme;

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
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    ticket: Ticket,
    /// None for writes and cancels.
    slot: Option<Slot>,
    /// Its failure is told to the user; that of a read is shown by the tab.
    is_write: bool,
    at: Timestamp,
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
    toasts: Vec<Toast>,
    health: Vec<RoleHealth>,
    jobs: Jobs,
    /// The beginning of a sequence of keys, and when its last key came.
    begun: Vec<KeyInput>,
    begun_at: Timestamp,
    asked: Vec<Asked>,
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

/// From so long on, somebody who waits should see that work is being done.
const NOTICEABLE: Duration = Duration::from_millis(500);

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
        }
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

    /// A short write is on its way; jobs tell of themselves.
    fn is_writing(&self) -> bool {
        !self.jobs.is_running() && self.asked.iter().any(|asked| asked.is_write)
    }

    /// Since when the oldest short write is on its way, if that is long enough to be told.
    fn writing_for(&self) -> Option<Duration> {
        let oldest = self.asked.iter().filter(|asked| asked.is_write).map(|asked| asked.at).min()?;
        let age = Duration::try_from(self.now.duration_since(oldest)).unwrap_or_default();
        (self.is_writing() && age >= NOTICEABLE).then_some(age)
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

    fn act(&mut self, action: Action) {
        if self.options.read_only && action.changes_something() {
            return self.toast(Tone::Bad, format!("{}: {READ_ONLY}", action.label()));
        }
        match action {
            Action::Quit => self.quit(),
            Action::Help => {
                let tab = &self.tabs[self.active];
                self.popups.push(Box::new(Help::new(&self.keymap, tab.section(), tab.title())));
            }
            Action::Palette => {
                self.popups.push(Box::new(Palette::new(&self.keymap, self.section())));
            }
            Action::GoExperiments => self.go("experiments"),
            Action::GoSearch => self.go("search"),
            Action::GoCollections => self.go("collections"),
            Action::GoAnalytics => self.go("analytics"),
            Action::GoActivity => self.go("activity"),
            Action::NextTab => self.show((self.active + 1) % self.tabs.len()),
            Action::PreviousTab => self.show((self.active + self.tabs.len() - 1) % self.tabs.len()),
            Action::Suspend => self.effects.push(Effect::Suspend),
            Action::ToggleMouse => self.toggle_mouse(),
            Action::Refresh => self.refresh(),
            Action::NextTheme => self.next_theme(),
            Action::LoadDemo => self.with_tab(|_, cx| {
                cx.write(Write::LoadDemo);
            }),
            Action::LaunchBatch => {
                let folder = self.options.batches.clone();
                self.with_tab(|tab, cx| {
                    let picker = Batches::open(&folder, cx);
                    cx.open(Box::new(picker));
                    tab.act(action, cx);
                });
            }
            _ => self.with_tab(|tab, cx| tab.act(action, cx)),
        }
    }

    /// Carries out what was chosen by name: first goes to the tab that knows it.
    fn act_anywhere(&mut self, action: Action) {
        let known = |section: &str| !self.keymap.keys_of(section, action).is_empty();
        if !known(self.section())
            && let Some(other) = self.tabs.iter().position(|tab| known(tab.section()))
        {
            self.show(other);
        }
        self.act(action);
    }

    fn go(&mut self, section: &str) {
        if let Some(index) = self.tabs.iter().position(|tab| tab.section() == section) {
            self.show(index);
        }
    }

    fn show(&mut self, index: usize) {
        if index != self.active {
            self.with_tab(|tab, _| tab.hide());
            self.active = index;
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        self.with_tab(|tab, cx| tab.refresh(cx));
    }

    /// Tries a theme for this session. Which one is in force by name is known by its looks.
    fn next_theme(&mut self) {
        let names: Vec<&str> = Theme::names().collect();
        let current = names.iter().position(|name| Theme::named(name).as_ref() == Some(&self.theme));
        let name = names[current.map_or(0, |index| (index + 1) % names.len())];
        if let Some(theme) = Theme::named(name) {
            self.theme = theme;
            self.toast(
                Tone::Plain,
                format!("theme {name}; `ui.theme = \"{name}\"` in the settings keeps it"),
            );
        }
    }

    fn toggle_mouse(&mut self) {
        self.mouse = !self.mouse;
        self.effects.push(Effect::Mouse(self.mouse));
        let text = if self.mouse {
            "the mouse belongs to labtop"
        } else {
            "the mouse belongs to the terminal: select text as usual"
        };
        self.toast(Tone::Plain, text);
    }

    fn quit(&mut self) {
        if self.leaving {
            self.effects.push(Effect::Quit(Parting::Queue));
        } else if self.jobs.is_running() {
            let jobs = self.jobs.running().map(|job| job.update.what.clone()).collect();
            self.popups.push(Box::new(Quit::new(jobs)));
        } else {
            self.effects.push(Effect::Quit(Parting::Idle));
        }
    }

    fn leave(&mut self, leave: Leave) {
        if leave == Leave::Queue || !self.jobs.is_running() {
            let parting = if self.jobs.is_running() { Parting::Queue } else { Parting::Idle };
            return self.effects.push(Effect::Quit(parting));
        }
        self.leaving = true;
        let tickets: Vec<Ticket> = self.jobs.running().map(|job| job.update.ticket).collect();
        self.with_tab(|_, cx| {
            for ticket in tickets {
                cx.cancel(Cancel::Job(ticket));
            }
        });
        self.toast(Tone::Plain, "stopping; labtop ends when all has stopped");
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

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Answer { ticket, .. } => self.asked.retain(|asked| asked.ticket != *ticket),
            Event::Done { ticket, result } => self.hear_done(*ticket, result),
            Event::Job(update) => {
                self.jobs.hear(update, self.now);
                if self.leaving && !self.jobs.is_running() {
                    self.effects.push(Effect::Quit(Parting::Idle));
                }
            }
            Event::Health(health) => self.health.clone_from(health),
            Event::Experiment(_) | Event::Points { .. } | Event::Batch(_) | Event::Log(_) => {}
            Event::Changed => {}
        }
        self.with_tabs(|tabs, cx| {
            for tab in tabs {
                tab.hear(event, cx);
            }
        });
        self.with_popups(|popup, cx| popup.hear(event, cx));
        if matches!(event, Event::Changed | Event::Done { result: Ok(_), .. }) {
            self.refresh();
        }
    }

    fn hear_done(&mut self, ticket: Ticket, result: &Result<String, Failure>) {
        let ours = self.asked.iter().any(|asked| asked.ticket == ticket && asked.is_write);
        self.asked.retain(|asked| asked.ticket != ticket);
        let hint = self.hints.remove(&ticket);
        match result {
            Ok(sentence) => {
                let text = match hint {
                    Some(hint) => format!("{sentence} · {hint}"),
                    None => sentence.clone(),
                };
                self.toast(Tone::Good, text);
            }
            Err(failure) if ours && (failure.remedy.is_some() || failure.message.len() > 60) => {
                self.popups.push(Box::new(MessagePopup::of("That did not work", failure)));
            }
            Err(failure) => self.toast(Tone::Bad, failure.message.clone()),
        }
    }

    /// The worker is too busy to take a request: told as its answer, so that nothing waits for ever.
    fn refused(&mut self, request: &Request) {
        let ticket = request.ticket;
        let failure =
            Failure { message: "busy: try again in a moment".to_owned(), remedy: None, unavailable: false };
        let event = match &request.command {
            Command::Read(slot, _) => Event::Answer { ticket, slot: *slot, result: Err(failure) },
            Command::Remember(sections) => return self.keep_later(sections),
            Command::Write(_) | Command::Cancel(_) => Event::Done { ticket, result: Err(failure) },
        };
        if let Event::Answer { .. } = event {
            self.toast(Tone::Bad, "busy: not everything could be read");
        }
        self.hear(&event);
    }

    fn toast(&mut self, tone: Tone, text: impl Into<String>) {
        self.toasts.push(Toast { text: text.into(), tone, at: self.now });
    }

    /// Notes the tickets that were handed out; a read replaces the older one of its slot.
    fn remember_asked(&mut self) {
        for effect in &self.effects {
            let Effect::Send(request) = effect else {
                continue;
            };
            let slot = match &request.command {
                Command::Read(slot, _) => Some(*slot),
                Command::Remember(_) => continue,
                Command::Write(_) | Command::Cancel(_) => None,
            };
            self.asked.retain(|asked| slot.is_none() || asked.slot != slot);
            self.asked.push(Asked { ticket: request.ticket, slot, is_write: slot.is_none(), at: self.now });
        }
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

    fn with_popups(&mut self, mut act: impl FnMut(&mut dyn Popup, &mut Context<'_>)) {
        let mut popups = std::mem::take(&mut self.popups);
        let mut cx = self.context();
        for popup in &mut popups {
            act(popup.as_mut(), &mut cx);
        }
        // What was opened meanwhile lies on top.
        popups.append(&mut self.popups);
        self.popups = popups;
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
            hints: &mut self.hints,
        }
    }
}

/// An action's place in the keymap, for hints.
fn first_key(keymap: &Keymap, section: &str, action: Action) -> Option<String> {
    let keys = keymap.keys_of(section, action);
    keys.into_iter().next().or_else(|| keymap.keys_of(GLOBAL, action).into_iter().next())
}
