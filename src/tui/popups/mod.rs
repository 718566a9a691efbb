//! What lies over a tab until it is answered or closed: a stack, the topmost gets the keys.

use std::fmt::Debug;

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::worker::protocol::Event;

use super::action::Action;
use super::context::{Context, Look};

/// Whether a popup stays after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stay {
    Open,
    Close,
    /// Closes and carries out an action, as chosen in the palette.
    Act(Action),
}

/// Something over the tab.
pub trait Popup: Debug {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay;

    fn mouse(&mut self, _mouse: MouseEvent, _cx: &mut Context<'_>) -> Stay {
        Stay::Open
    }

    fn hear(&mut self, _event: &Event, _cx: &mut Context<'_>) {}

    /// `area` is the whole screen; the popup chooses its place.
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>);
}
