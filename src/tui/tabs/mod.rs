//! The tabs. Adding one is a folder, a line here, a keymap section and a snapshot.

use std::fmt::Debug;

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use toml::Table;

use crate::domain::filter::Field;
use crate::worker::protocol::{Event, Failure};

use super::action::Action;
use super::context::{Context, EditNote, Goal, Look};
use super::editor::Draft;

pub mod activity;
pub mod analytics;
pub mod collections;
pub mod experiments;
pub mod search;

#[cfg(test)]
pub(crate) mod testing;

/// All tabs, in the order of the bar; `columns` are those of the experiments at first, the usual ones when none.
pub fn all(columns: &[Field]) -> Vec<Box<dyn Tab>> {
    vec![
        Box::new(experiments::Experiments::new(columns.to_vec())),
        Box::new(search::Search::default()),
        Box::new(collections::Collections::default()),
        Box::new(analytics::Analytics::default()),
        Box::new(activity::Activity::default()),
    ]
}

/// One screen of the dashboard. `update` code is everything that takes `&mut self`; it does no I/O and reads no clock.
pub trait Tab: Debug {
    /// As in the tab bar.
    fn title(&self) -> &'static str;

    /// Its section in the keymap.
    fn section(&self) -> &'static str;

    /// It became visible, or what it shows may be out of date: reads what it needs.
    fn refresh(&mut self, cx: &mut Context<'_>);

    /// Another tab is shown from now on: nothing need be kept fresh until the next [`Tab::refresh`].
    fn hide(&mut self) {}

    /// Shows what another tab asked for; it is visible already.
    fn reach(&mut self, _goal: &Goal, _cx: &mut Context<'_>) {}

    /// An action that the app did not handle itself.
    fn act(&mut self, action: Action, cx: &mut Context<'_>);

    /// While true, keys are text for [`Tab::type_key`] and not looked up in the keymap.
    fn is_typing(&self) -> bool {
        false
    }

    /// A key for the text line that has the focus.
    fn type_key(&mut self, _key: KeyEvent, _cx: &mut Context<'_>) {}

    /// The room changed; more may be in view now.
    fn resized(&mut self, _cx: &mut Context<'_>) {}

    /// A click or the wheel inside `cx.area`.
    fn mouse(&mut self, _mouse: MouseEvent, _cx: &mut Context<'_>) {}

    /// Something happened. Every tab hears everything, visible or not; it takes only answers to its own tickets.
    fn hear(&mut self, event: &Event, cx: &mut Context<'_>);

    /// The user's editor was closed: the text it left, or why there is none. Every tab hears it.
    fn note_edited(&mut self, _note: &EditNote, _result: &Result<Draft, Failure>, _cx: &mut Context<'_>) {}

    /// The actions named in the footer, the most useful first.
    fn hints(&self) -> &'static [Action];

    /// True while something is loading or moving, so that spinners turn.
    fn is_busy(&self) -> bool;

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>);

    /// How it is arranged: its section of the view file, the same as long as nothing was changed. Empty for none.
    fn remembered(&self) -> Table {
        Table::new()
    }

    /// Arranges itself as it was left, before anything is read; what it did not understand.
    fn recall(&mut self, _section: &Table) -> Vec<String> {
        Vec::new()
    }
}
