//! The screen without a terminal: keys are fed to an app, and the frame becomes text, ANSI or SVG.

use std::time::Duration;

use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, timeout_at};

use crate::worker::protocol::{Event, Request};

use super::app::{App, Message};
use super::context::Effect;

mod ansi;
mod svg;
#[cfg(test)]
mod tests;

pub use ansi::{to_ansi, to_text};
pub use svg::to_svg;

/// Feeds `keys` to the app, each after everything that the one before asked for has been answered, and draws it.
///
/// Waits no longer than `patience` for the answers to one key; then what has come is drawn.
pub async fn frame(
    app: &mut App,
    keys: &[KeyEvent],
    size: Size,
    requests: &Sender<Request>,
    events: &mut Receiver<Event>,
    patience: Duration,
) -> Buffer {
    let messages = [Message::Resize(size), Message::Start];
    for message in messages {
        tell(app, message, requests).await;
    }
    settle(app, requests, events, patience).await;
    for key in keys {
        tell(app, Message::Key(*key), requests).await;
        settle(app, requests, events, patience).await;
    }
    draw(app, size)
}

/// One frame as it stands.
pub fn draw(app: &App, size: Size) -> Buffer {
    // A backend of cells cannot fail.
    match Terminal::new(TestBackend::new(size.width, size.height)) {
        Ok(mut terminal) => match terminal.draw(|frame| app.draw(frame)) {
            Ok(frame) => frame.buffer.clone(),
            Err(never) => match never {},
        },
        Err(never) => match never {},
    }
}

async fn tell(app: &mut App, message: Message, requests: &Sender<Request>) {
    for effect in app.update(Timestamp::now(), message) {
        if let Effect::Send(request) = effect
            && requests.send(*request).await.is_err()
        {
            tracing::debug!("the worker has stopped");
        }
    }
}

async fn settle(app: &mut App, requests: &Sender<Request>, events: &mut Receiver<Event>, patience: Duration) {
    let end = Instant::now() + patience;
    while !(app.is_idle() && app.knows_health()) {
        match timeout_at(end, events.recv()).await {
            Ok(Some(event)) => tell(app, Message::Worker(Box::new(event)), requests).await,
            Ok(None) | Err(_) => return,
        }
    }
}
