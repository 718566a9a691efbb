//! What a pane says when it has nothing to show, or why it cannot.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Widget};

use crate::domain::text::{first_characters, one_line};
use crate::tui::context::Look;
use crate::tui::theme::Theme;
use crate::worker::protocol::Failure;

use super::prose::Prose;

/// Longest error that is shown, characters.
const LONGEST: usize = 4096;

/// Lines in the middle of an area; the first stands out, the others are hints.
pub fn draw_empty(area: Rect, buffer: &mut Buffer, look: &Look<'_>, lines: &[&str]) {
    let area = area.intersection(buffer.area);
    let height = (lines.len() as u16).min(area.height);
    let place = Rect { y: area.y + (area.height - height) / 2, height, ..area };
    let styled = lines.iter().enumerate().map(|(index, line)| {
        let style = if index == 0 { look.theme.text } else { look.theme.dim };
        Line::from(one_line(&look.keys.say(line), LONGEST)).style(style)
    });
    Paragraph::new(styled.collect::<Text<'_>>()).alignment(Alignment::Center).render(place, buffer);
}

/// The part of `area` that a failure leaves below itself: for drawing and for clicks alike.
pub fn below_failure(area: Rect, failure: Option<&Failure>) -> Rect {
    let needed = failure.map_or(0, |failure| told(failure, Style::new(), Style::new()).lines(area.width));
    let height = u16::try_from(needed).unwrap_or(u16::MAX).min(area.height);
    Rect { y: area.y + height, height: area.height - height, ..area }
}

/// Why something failed and what the user can do about it, from the top of the area; gives the room left below.
pub fn draw_failure(area: Rect, buffer: &mut Buffer, theme: &Theme, failure: &Failure) -> Rect {
    let area = area.intersection(buffer.area);
    told(failure, theme.bad, theme.text).draw(area, buffer);
    below_failure(area, Some(failure))
}

fn told(failure: &Failure, message: Style, remedy: Style) -> Prose {
    let mut prose = Prose::default();
    prose.push(first_characters(&failure.message, LONGEST), message);
    if let Some(text) = &failure.remedy {
        prose.push(first_characters(text, LONGEST), remedy);
    }
    prose
}
