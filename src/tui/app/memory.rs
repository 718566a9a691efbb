//! How the tabs are arranged, kept between sessions: asked of the tabs, and handed to the worker a moment after it changed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use toml::{Table, Value};

use crate::tui::context::Effect;
use crate::tui::popups::message::Message;
use crate::worker::protocol::{Command, Failure, Request};

use super::App;

/// How long a change waits for the next one before both are kept.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// What is kept already.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// None while nothing is remembered, as in tests and pictures.
    kept: Option<Table>,
    due: Option<Timestamp>,
}

impl App {
    /// Arranges the tabs as they were left, and remembers from now on how they are. What was not understood is the answer.
    pub fn recall(&mut self, sections: &Table) -> Vec<String> {
        let mut problems = Vec::new();
        for tab in &mut self.tabs {
            if let Some(Value::Table(section)) = sections.get(tab.section()) {
                problems.extend(tab.recall(section));
            }
        }
        self.memory.kept = Some(self.arrangement());
        problems
    }

    /// Says over the first screen what of it could not be understood.
    pub fn tell_problems(&mut self, problems: impl IntoIterator<Item = String>) {
        let problems: Vec<String> = problems.into_iter().collect();
        if !problems.is_empty() {
            let remedy =
                "All else is as it was left. `ui.remember = false` in the settings turns remembering off.";
            let failure =
                Failure { message: problems.join("\n"), remedy: Some(remedy.to_owned()), unavailable: false };
            self.popups.push(Box::new(Message::of("The view of last time is not whole", &failure)));
        }
    }

    fn arrangement(&self) -> Table {
        let sections = self.tabs.iter().map(|tab| (tab.section().to_owned(), Value::Table(tab.remembered())));
        sections
            .filter(|(_, section)| section.as_table().is_some_and(|section| !section.is_empty()))
            .collect()
    }

    /// After a message: notes what the user changed, and sends it when it is time, or at the end.
    pub(super) fn keep_arrangement(&mut self, by_user: bool) {
        if self.options.read_only {
            return;
        }
        let Some(kept) = &self.memory.kept else {
            return;
        };
        let leaves = self.effects.iter().position(|effect| matches!(effect, Effect::Quit(_)));
        if by_user && self.memory.due.is_none() && self.arrangement() != *kept {
            self.memory.due = Some(self.now + PAUSE);
        }
        let due = self.memory.due.is_some_and(|due| leaves.is_some() || due <= self.now);
        if !due {
            return;
        }
        let now = self.arrangement();
        let changed = now.iter().filter(|(name, section)| kept.get(*name) != Some(section));
        let changed: Table = changed.map(|(name, section)| (name.clone(), section.clone())).collect();
        self.memory = Memory { kept: Some(now), due: None };
        if !changed.is_empty() {
            self.next_ticket.0 += 1;
            let request = Request { ticket: self.next_ticket, command: Command::Remember(changed) };
            let place = leaves.unwrap_or(self.effects.len());
            self.effects.insert(place, Effect::Send(Box::new(request)));
        }
    }

    /// The worker was too busy: it is asked again a moment later.
    pub(super) fn keep_later(&mut self, refused: &Table) {
        if let Some(kept) = &mut self.memory.kept {
            kept.retain(|name, _| !refused.contains_key(name));
            self.memory.due = Some(self.now + PAUSE);
        }
    }

    /// Until something is to be kept.
    pub(super) fn until_kept(&self) -> Option<Duration> {
        let wait = self.memory.due?.duration_since(self.now);
        Some(Duration::try_from(wait).unwrap_or_default())
    }
}
