//! What lies over a tab until it is answered or closed: a stack, the topmost gets the keys.

use std::fmt::Debug;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Margin, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use crate::domain::text::{fit, width};
use crate::worker::protocol::Event;

use super::action::Action;
use super::context::{Context, Look};
use super::keys;
use super::theme::Theme;
use super::widgets::cursor::Cursor;
use super::widgets::table::Table;

pub mod batches;
pub mod confirm;
pub mod form;
pub mod help;
pub mod message;
pub mod palette;
pub mod quit;
#[cfg(test)]
mod tests;

/// Whether a popup stays after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stay {
    Open,
    Close,
    /// Closes and carries out an action, as chosen in the palette.
    Act(Action),
    /// Closes and leaves labtop.
    Leave(Leave),
}

/// What becomes of jobs when the user leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// They are cancelled; labtop ends when they have stopped.
    Stop,
    /// labtop ends at once; what is queued stays in the store for later.
    Queue,
}

/// Something over the tab.
pub trait Popup: Debug {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay;

    fn mouse(&mut self, _mouse: MouseEvent, _cx: &mut Context<'_>) -> Stay {
        Stay::Open
    }

    /// Its box and the keys named in the lower border, which can be clicked.
    fn framing(&self, _screen: Rect) -> Option<Framing> {
        None
    }

    /// What it waited for may have come: keys that were typed too early act now.
    fn hear(&mut self, _event: &Event, _cx: &mut Context<'_>) -> Stay {
        Stay::Open
    }

    /// True while something loads, so that a spinner turns.
    fn is_busy(&self) -> bool {
        false
    }

    /// `area` is the whole screen; the popup chooses its place.
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>);
}

/// The box of a popup, and what its lower border says: keys and what they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    pub place: Rect,
    pub hints: Vec<(&'static str, &'static str)>,
}

impl Framing {
    /// In the middle of `screen`, `size` columns and lines if there are so many.
    pub fn new(screen: Rect, size: (u16, usize), hints: Vec<(&'static str, &'static str)>) -> Self {
        let high = u16::try_from(size.1).unwrap_or(u16::MAX);
        Framing { place: centered(screen, size.0, high), hints }
    }

    /// The key that is named under a click.
    pub fn key_at(&self, position: Position) -> Option<KeyEvent> {
        let place = self.place;
        if place.height < 2 || position.y != place.bottom() - 1 || !place.contains(position) {
            return None;
        }
        let room = usize::from(place.width.saturating_sub(4));
        let mut end = usize::from(place.x) + 1;
        let mut used = 0;
        for (key, what) in &self.hints {
            let wide = hint_width(key, what);
            used += wide;
            if used > room {
                return None;
            }
            let begin = end;
            end += wide;
            if (begin..end).contains(&usize::from(position.x)) {
                let named = if key.chars().count() == 1 { (*key).to_owned() } else { format!("<{key}>") };
                return keys::parse(&named).ok().filter(|keys| keys.len() == 1)?.pop();
            }
        }
        None
    }
}

/// Draws the empty box of a popup; its inside.
pub fn draw_framed(frame: &mut Frame<'_>, framing: &Framing, theme: &Theme, title: &str) -> Rect {
    let size = (framing.place.width, framing.place.height);
    draw_box(frame, framing.place, theme, size, title, &framing.hints)
}

/// Draws an empty box with a title in the middle of `area`, at most as large as it; its inside.
///
/// `hints` stand in the lower border: keys and what they do.
pub fn draw_box(
    frame: &mut Frame<'_>,
    area: Rect,
    theme: &Theme,
    size: (u16, u16),
    title: &str,
    hints: &[(&str, &str)],
) -> Rect {
    let place = centered(area, size.0, size.1);
    let room = usize::from(place.width.saturating_sub(4));
    let block = Block::bordered()
        .border_style(theme.focus)
        .style(theme.text)
        .title(Line::styled(format!(" {} ", fit(title, room)), theme.title))
        .title_bottom(hint_line(hints, theme, room));
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    place.inner(Margin::new(2, 1))
}

/// `enter launch  esc close`, as many as fit into `room` columns.
fn hint_line<'a>(hints: &[(&'a str, &'a str)], theme: &Theme, room: usize) -> Line<'a> {
    let mut line = Line::default();
    for (key, what) in hints {
        if line.width() + hint_width(key, what) > room {
            break;
        }
        line.spans.extend([Span::raw(" "), Span::styled(*key, theme.key), Span::raw(format!(" {what} "))]);
    }
    line
}

fn hint_width(key: &str, what: &str) -> usize {
    width(key) + width(what) + 3
}

/// A place in the middle, no larger than `area`.
pub fn centered(area: Rect, wide: u16, high: u16) -> Rect {
    let (wide, high) = (wide.min(area.width), high.min(area.height));
    Rect {
        x: area.x + (area.width - wide) / 2,
        y: area.y + (area.height - high) / 2,
        width: wide,
        height: high,
    }
}

/// Keys of a list that has no keymap of its own; true when the key was one of them.
pub fn step(cursor: &mut Cursor, key: KeyEvent, height: usize, total: usize) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let page = height.max(1);
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => cursor.up(1),
        KeyCode::Down | KeyCode::Char('j') => cursor.down(1, total),
        KeyCode::Char('u') if control => cursor.up(page.div_ceil(2)),
        KeyCode::Char('d') if control => cursor.down(page.div_ceil(2), total),
        KeyCode::PageUp => cursor.up(page),
        KeyCode::PageDown => cursor.down(page, total),
        KeyCode::Home | KeyCode::Char('g') => cursor.top(),
        KeyCode::End | KeyCode::Char('G') => cursor.bottom(total),
        _ => return false,
    }
    cursor.keep_visible(height, total);
    true
}

/// The wheel, the scroll bar and a click in a list that has no more to it than its cursor.
pub fn point(cursor: &mut Cursor, mouse: MouseEvent, list: Rect, total: usize) {
    let height = Table::height(list);
    if let Some(lines) = wheel(mouse) {
        cursor.scroll(lines > 0, lines.unsigned_abs(), height, total);
    }
    if Table::drag(list, mouse, cursor, total) {
        return;
    }
    if mouse.kind == MouseEventKind::Down(MouseButton::Left)
        && let Some(line) = Table::line_at(list, Position::new(mouse.column, mouse.row))
    {
        cursor.click(line, height, total);
    }
}

/// Lines that the wheel turns by, downwards positive; none for other mouse events.
pub fn wheel(mouse: MouseEvent) -> Option<isize> {
    match mouse.kind {
        MouseEventKind::ScrollDown => Some(3),
        MouseEventKind::ScrollUp => Some(-3),
        _ => None,
    }
}
