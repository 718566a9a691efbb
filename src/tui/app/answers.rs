//! What was asked of the worker and is not answered yet, and what it tells.

use std::time::Duration;

use jiff::Timestamp;

use crate::tui::context::{Effect, Parting, Tone};
use crate::tui::popups::message::Message as MessagePopup;
use crate::worker::protocol::{Command, Event, Failure, Request, Slot, Ticket};

use super::App;

/// From so long on, somebody who waits should see that work is being done.
const NOTICEABLE: Duration = Duration::from_millis(500);

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    ticket: Ticket,
    /// None for writes and cancels.
    slot: Option<Slot>,
    /// Its failure is told to the user; that of a read is shown by the tab.
    is_write: bool,
    at: Timestamp,
}

impl App {
    /// A short write is on its way; jobs tell of themselves.
    pub(super) fn is_writing(&self) -> bool {
        !self.jobs.is_running() && self.asked.iter().any(|asked| asked.is_write)
    }

    /// Since when the oldest short write is on its way, if that is long enough to be told.
    pub(super) fn writing_for(&self) -> Option<Duration> {
        let oldest = self.asked.iter().filter(|asked| asked.is_write).map(|asked| asked.at).min()?;
        let age = Duration::try_from(self.now.duration_since(oldest)).unwrap_or_default();
        (self.is_writing() && age >= NOTICEABLE).then_some(age)
    }

    pub(super) fn hear(&mut self, event: &Event) {
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
            Event::Removed(_) | Event::Changed | Event::Outbox(_) => {}
        }
        self.with_tabs(|tabs, cx| {
            for tab in tabs {
                tab.hear(event, cx);
            }
        });
        for index in (0..self.popups.len()).rev() {
            let mut popup = self.popups.remove(index);
            let stay = popup.hear(event, &mut self.context());
            self.settle(popup, index, stay);
        }
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
    pub(super) fn refused(&mut self, request: &Request) {
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

    /// Notes the tickets that were handed out; a read replaces the older one of its slot.
    pub(super) fn remember_asked(&mut self) {
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
}
