//! Actions that are the app's own, and those it hands to the tab.

use crate::tui::action::Action;
use crate::tui::context::{Effect, Parting, READ_ONLY, Tone};
use crate::tui::popups::Leave;
use crate::tui::popups::batches::Batches;
use crate::tui::popups::help::Help;
use crate::tui::popups::palette::Palette;
use crate::tui::popups::quit::Quit;
use crate::tui::theme::Theme;
use crate::worker::protocol::{Cancel, Ticket, Write};

use super::App;

impl App {
    pub(super) fn act(&mut self, action: Action) {
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
            Action::Refresh => {
                if self.is_anything_down() {
                    self.with_tab(|_, cx| cx.try_now());
                }
                self.refresh();
            }
            Action::TryNow => self.try_now(),
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
    pub(super) fn act_anywhere(&mut self, action: Action) {
        let known = |section: &str| !self.keymap.keys_of(section, action).is_empty();
        if !known(self.section())
            && let Some(other) = self.tabs.iter().position(|tab| known(tab.section()))
        {
            self.show(other);
        }
        self.act(action);
    }

    fn try_now(&mut self) {
        if self.is_anything_down() {
            self.with_tab(|_, cx| cx.try_now());
            self.toast(Tone::Plain, "asking again");
        } else {
            self.toast(Tone::Good, "nothing is down");
        }
    }

    fn go(&mut self, section: &str) {
        if let Some(index) = self.tabs.iter().position(|tab| tab.section() == section) {
            self.show(index);
        }
    }

    /// Shows what one tab asked another for.
    pub(super) fn follow_goals(&mut self) {
        for goal in std::mem::take(&mut self.goals) {
            self.go(goal.section());
            self.with_tab(|tab, cx| tab.reach(&goal, cx));
        }
    }

    pub(super) fn show(&mut self, index: usize) {
        if index != self.active {
            self.with_tab(|tab, _| tab.hide());
            self.active = index;
            self.refresh();
        }
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

    pub(super) fn quit(&mut self) {
        if self.leaving {
            self.effects.push(Effect::Quit(Parting::Queue));
        } else if self.jobs.is_running() {
            let jobs = self.jobs.running().map(|job| job.update.what.clone()).collect();
            self.popups.push(Box::new(Quit::new(jobs)));
        } else {
            self.effects.push(Effect::Quit(Parting::Idle));
        }
    }

    pub(super) fn leave(&mut self, leave: Leave) {
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
}
