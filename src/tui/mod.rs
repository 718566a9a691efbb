//! The dashboard: one owner of state, drawn when it changed.
//!
//! A key becomes an [`action::Action`] by the keymap, the app turns it into effects, the loop carries them out. Answers
//! come back as events with the ticket of their asking. Drawing changes nothing.

pub mod action;
pub mod app;
pub mod charts;
pub mod context;
pub mod editor;
pub mod jobs;
pub mod keymap;
pub mod keys;
pub mod popups;
pub mod remote;
pub mod render;
pub mod run;
pub mod tabs;
pub mod terminal;
#[cfg(test)]
pub(crate) mod testing;
pub mod theme;
pub mod widgets;

pub use app::{App, Message, Options};
pub use context::Parting;
pub use run::run;
