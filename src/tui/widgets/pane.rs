//! The frame around a part of a tab: its title, and whether it has the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Widget};

use crate::domain::text::{fit, one_line, width};
use crate::tui::context::Look;

/// What is drawn around a pane.
#[derive(Clone, Debug, Default)]
pub struct Pane {
    title: String,
    /// After the title, each with its own style.
    notes: Vec<(String, Style)>,
    focused: bool,
    loading: bool,
}

/// One turn of a spinner.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// The picture of the spinner at `tick`.
pub fn spinner(tick: u64) -> &'static str {
    SPINNER[(tick % SPINNER.len() as u64) as usize]
}

/// Writes one line of any text, made safe and cut, where there is a line to write on.
pub fn put(area: Rect, buffer: &mut Buffer, text: &str, style: Style) {
    let area = area.intersection(buffer.area);
    if !area.is_empty() {
        let room = usize::from(area.width);
        let text = fit(&one_line(text, room * 16 + 64), room);
        buffer.set_stringn(area.x, area.y, text, room, style);
    }
}

impl Pane {
    pub fn new(title: impl Into<String>) -> Self {
        Pane { title: title.into(), ..Pane::default() }
    }

    /// The pane has the keys.
    pub fn focused(self, focused: bool) -> Self {
        Pane { focused, ..self }
    }

    /// A spinner behind the title.
    pub fn loading(self, loading: bool) -> Self {
        Pane { loading, ..self }
    }

    /// Something after the title, left out when empty and when there is no room.
    pub fn note(mut self, text: impl Into<String>, style: Style) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.notes.push((text, style));
        }
        self
    }

    /// Where the content goes; the same for drawing and for clicks.
    pub fn inside(area: Rect) -> Rect {
        Block::bordered().inner(area)
    }

    /// Draws the frame and gives the room inside.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look<'_>) -> Rect {
        let border = if self.focused { look.theme.focus } else { look.theme.border };
        let block = Block::bordered().border_style(border);
        block.title(self.line(area, look)).render(area, buffer);
        Pane::inside(area)
    }

    fn line(&self, area: Rect, look: &Look<'_>) -> Line<'static> {
        let room = usize::from(area.width).saturating_sub(4);
        let title = fit(&one_line(&self.title, 512), room);
        let mut used = width(&title);
        let mut spans = vec![Span::raw(" "), Span::styled(title, look.theme.title)];
        let spin = self.loading.then(|| (spinner(look.tick).to_owned(), look.theme.running));
        for (text, style) in spin.into_iter().chain(self.notes.iter().cloned()) {
            let text = one_line(&text, 512);
            used += 3 + width(&text);
            if used > room {
                break;
            }
            spans.push(Span::styled(" ─ ", look.theme.border));
            spans.push(Span::styled(text, style));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }
}
