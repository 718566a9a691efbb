//! Results that show themselves for a while in the lower right corner.

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::text::{fit, one_line, width};
use crate::tui::context::{Toast, Tone};
use crate::tui::theme::Theme;

/// Toasts shown at once; the newest.
const SHOWN: usize = 3;

impl Toast {
    /// When it has been shown long enough; bad news stays longer.
    pub fn until(&self) -> Timestamp {
        let seconds = if self.tone == Tone::Bad { 8 } else { 5 };
        self.at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(self.at)
    }
}

/// Draws the newest toasts above the lower edge of `area`.
pub fn draw(area: Rect, buffer: &mut Buffer, theme: &Theme, toasts: &[Toast]) {
    let area = area.intersection(buffer.area);
    let newest = toasts.iter().rev().take(SHOWN);
    for (y, toast) in (area.y..area.bottom()).rev().zip(newest) {
        let (sign, style) = match toast.tone {
            Tone::Good => ("✓", theme.good),
            Tone::Plain => ("·", theme.text),
            Tone::Bad => ("✗", theme.bad),
        };
        let text = fit(&one_line(&toast.text, 1024), usize::from(area.width).saturating_sub(5));
        let text = format!(" {sign} {text} ");
        let wide = u16::try_from(width(&text)).unwrap_or(u16::MAX).min(area.width);
        let place = Rect { x: area.right() - wide, y, width: wide, height: 1 };
        // What lies under it shows through neither by its letters nor by its style.
        for cell in place.positions() {
            buffer[cell].reset();
        }
        buffer.set_stringn(place.x, y, &text, usize::from(wide), theme.selected.patch(style));
    }
}
