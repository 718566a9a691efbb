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

use super::prose::{Prose, breaks};

/// Longest error that is shown, characters.
const LONGEST: usize = 4096;

/// Draws centered lines, the first in the style of text, the others dim; the names of actions become the keys in force
/// (see `Keys::say`). What is too long goes on in the next line, and where there are too few lines, all becomes one text.
pub fn draw_empty(area: Rect, buffer: &mut Buffer, look: &Look<'_>, lines: &[&str]) {
    let area = area.intersection(buffer.area);
    let columns = usize::from(area.width);
    let styled = |index: usize| if index == 0 { look.theme.text } else { look.theme.dim };
    let safe: Vec<String> = lines.iter().map(|line| one_line(&look.keys.say(line), LONGEST)).collect();
    let broken = |texts: &[String]| -> Vec<Line<'static>> {
        let parts = texts.iter().enumerate().flat_map(|(index, text)| {
            breaks(text, columns).map(move |part| Line::from(part.to_owned()).style(styled(index)))
        });
        parts.collect()
    };
    let mut text = broken(&safe);
    if text.len() > usize::from(area.height) {
        text = broken(&[safe.join(" · ")]);
    }
    let height = u16::try_from(text.len()).unwrap_or(u16::MAX).min(area.height);
    let place = Rect { y: area.y + (area.height - height) / 2, height, ..area };
    Paragraph::new(Text::from(text)).alignment(Alignment::Center).render(place, buffer);
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
