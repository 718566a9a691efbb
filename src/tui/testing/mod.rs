//! A stage for tests: an app, a worker that answers at once from fixed data, keys as a string, the screen as text.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Size;

use crate::worker::protocol::{BackendState, Command, Event, Failure, Request, RoleHealth};

use super::app::{App, Message, Options};
use super::context::Effect;
use super::keymap::Keymap;
use super::theme::Theme;
use super::{keys, render};

pub(crate) mod data;

use data::Data;

/// The app between a keyboard of strings and a worker of fixed data.
pub(crate) struct Stage {
    pub app: App,
    pub data: Data,
    pub now: Timestamp,
    pub size: Size,
    /// Everything that was asked of the worker.
    pub sent: Vec<Request>,
    /// Effects that are not for the worker.
    pub effects: Vec<Effect>,
    /// Requests are noted, not answered, while this is set.
    pub silent: bool,
}

impl Stage {
    /// Healthy, started, with `data`.
    pub fn new(width: u16, height: u16, data: Data) -> Self {
        let mut stage = Stage::before_start(width, height, data);
        stage.tell(Message::Start);
        let up = health(["experiments", "documents", "collections", "analytics"]);
        stage.hear(Event::Health(up));
        stage
    }

    /// Nothing was asked and nothing heard yet.
    pub fn before_start(width: u16, height: u16, data: Data) -> Self {
        let options = Options {
            profile: "embedded".to_owned(),
            read_only: false,
            mouse: true,
            batches: PathBuf::from("config/batches"),
            columns: Vec::new(),
        };
        let app = App::new(options, Keymap::load(None), Theme::default());
        let now = data::at(0);
        let size = Size::new(width, height);
        let mut stage = Stage { app, data, now, size, sent: vec![], effects: vec![], silent: false };
        stage.tell(Message::Resize(size));
        stage
    }

    pub fn tell(&mut self, message: Message) {
        if let Message::Resize(size) = message {
            self.size = size;
        }
        let mut waiting = self.app.update(self.now, message);
        while !waiting.is_empty() {
            let mut answers = Vec::new();
            for effect in waiting.drain(..) {
                match effect {
                    Effect::Send(request) => {
                        if !self.silent {
                            answers.extend(self.data.answer(&request));
                        }
                        self.sent.push(*request);
                    }
                    other => self.effects.push(other),
                }
            }
            for event in answers {
                waiting.extend(self.app.update(self.now, Message::Worker(Box::new(event))));
            }
        }
    }

    /// See [`keys::parse`].
    pub fn press(&mut self, text: &str) -> &mut Self {
        for key in keys::parse(text).unwrap() {
            self.tell(Message::Key(key));
        }
        self
    }

    pub fn hear(&mut self, event: Event) -> &mut Self {
        self.tell(Message::Worker(Box::new(event)));
        self
    }

    /// Time goes by, and the app is told.
    pub fn wait(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self.tell(Message::Tick);
        self
    }

    pub fn screen(&self) -> String {
        render::to_text(&render::draw(&self.app, self.size))
    }

    /// The commands that were sent, without their tickets.
    pub fn commands(&self) -> Vec<&Command> {
        self.sent.iter().map(|request| &request.command).collect()
    }

    pub fn last_command(&self) -> &Command {
        &self.sent.last().unwrap().command
    }
}

/// All roles up.
pub(crate) fn health<const N: usize>(roles: [&'static str; N]) -> Vec<RoleHealth> {
    let state = |index: u64| BackendState::Up {
        since: data::at(0),
        place: "data/labtop.duckdb".to_owned(),
        version: "1.5.6".to_owned(),
        latency: Duration::from_millis(index + 1),
    };
    roles
        .iter()
        .zip(0..)
        .map(|(role, index)| RoleHealth { role, backend: "DuckDB", state: state(index) })
        .collect()
}

/// A role that is down since `seconds`, tried again in three.
pub(crate) fn down(role: &'static str, backend: &'static str, now: Timestamp, seconds: i64) -> RoleHealth {
    let why = Failure {
        message: "connection refused at localhost:5432".to_owned(),
        remedy: Some("start it with `make services`".to_owned()),
        unavailable: true,
    };
    let state = BackendState::Down {
        since: now - SignedDuration::from_secs(seconds),
        why,
        next_try: now + SignedDuration::from_secs(3),
    };
    RoleHealth { role, backend, state }
}
