//! The dashboard: one owner of state, drawn when it changed.
//!
//! A key becomes an [`action::Action`] by the keymap, the app turns it into effects, the loop carries them out. Answers
//! come back as events with the ticket of their asking. Drawing changes nothing.

pub mod action;
pub mod charts;
pub mod context;
pub mod popups;
pub mod remote;
pub mod tabs;
pub mod theme;
pub mod widgets;
