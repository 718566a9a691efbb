//! A grid of dots, two wide and four high in each character.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::palette::Pattern;

/// A dot: columns from the left, rows from the top.
pub type Dot = (u16, u16);

/// Dots over an area; the last series that touched a character styles it.
#[derive(Clone, Debug)]
pub struct Dots {
    area: Rect,
    cells: Vec<(u8, Style)>,
}

impl Dots {
    pub fn new(area: Rect) -> Self {
        Dots { area, cells: vec![(0, Style::new()); usize::from(area.width) * usize::from(area.height)] }
    }

    /// Dots in a line.
    pub fn width(&self) -> u16 {
        self.area.width.saturating_mul(2)
    }

    /// Lines of dots.
    pub fn height(&self) -> u16 {
        self.area.height.saturating_mul(4)
    }

    /// Sets one dot; outside the area nothing happens.
    pub fn set(&mut self, (x, y): Dot, style: Style) {
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        if x >= self.width() || y >= self.height() {
            return;
        }
        let cell = usize::from(y / 4) * usize::from(self.area.width) + usize::from(x / 2);
        let (bits, shade) = &mut self.cells[cell];
        *bits |= BITS[usize::from(x % 2)][usize::from(y % 4)];
        *shade = style;
    }

    /// A straight line of dots (Bresenham). `phase` counts them on, so that a pattern runs through a curve of many lines.
    pub fn line(&mut self, from: Dot, to: Dot, style: Style, pattern: Pattern, phase: &mut u32) {
        let (mut x, mut y) = (i32::from(from.0), i32::from(from.1));
        let (end_x, end_y) = (i32::from(to.0), i32::from(to.1));
        let (across, down) = ((end_x - x).abs(), -(end_y - y).abs());
        let (step_x, step_y) = ((end_x - x).signum(), (end_y - y).signum());
        let mut error = across + down;
        loop {
            if pattern.shows(*phase) {
                self.set((x as u16, y as u16), style);
            }
            if x == end_x && y == end_y {
                return;
            }
            *phase = phase.wrapping_add(1);
            let twice = 2 * error;
            if twice >= down {
                error += down;
                x += step_x;
            }
            if twice <= across {
                error += across;
                y += step_y;
            }
        }
    }

    /// Writes the characters that have dots; others stay as they are.
    pub fn draw(&self, buffer: &mut Buffer) {
        let width = usize::from(self.area.width);
        for (index, (bits, style)) in self.cells.iter().enumerate() {
            let place = (self.area.x + (index % width) as u16, self.area.y + (index / width) as u16);
            if *bits == 0 {
                continue;
            }
            let symbol = char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' ');
            if let Some(cell) = buffer.cell_mut(place) {
                cell.set_char(symbol).set_style(*style);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;

    #[test]
    fn lines_in_all_directions() {
        let area = Rect::new(0, 0, 6, 3);
        let mut dots = Dots::new(area);
        let mut phase = 0;
        dots.line((0, 11), (11, 0), Style::new(), Pattern::Solid, &mut phase);
        dots.line((11, 11), (0, 11), Style::new(), Pattern::Dashed, &mut phase);
        let mut buffer = Buffer::empty(area);
        dots.draw(&mut buffer);
        insta::assert_snapshot!(text_of(&buffer));
    }
}
