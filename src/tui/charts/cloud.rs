//! Many points in the plane, as dots, and a few among them that are lit.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::domain::text::{fit, one_line, width};
use crate::tui::theme::Theme;

use super::braille::{Dot, Dots};
use super::{palette, plot};

/// One of many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mote {
    pub at: (f64, f64),
    /// See [`palette::look`]; dim when none.
    pub series: Option<usize>,
}

/// One of few. Later ones cover earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beacon<'a> {
    pub at: (f64, f64),
    pub marker: &'a str,
    pub style: Style,
    /// Written beside it; empty for none.
    pub name: &'a str,
}

/// The chart. Both axes are stretched to the room there is: what counts is who lies beside whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cloud<'a> {
    pub motes: Vec<Mote>,
    pub beacons: Vec<Beacon<'a>>,
    /// Shown while there is no point.
    pub empty: &'a str,
}

impl Cloud<'_> {
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if plot::is_too_small(area) {
            return plot::draw_too_small(area, buffer, theme);
        }
        let Some(frame) = Frame::around(self.places(), area) else {
            return plot::draw_note(area, buffer, theme, self.empty);
        };
        if palette::is_coloured(theme) {
            let mut dots = Dots::new(area);
            // Dim ones first: a cell has one colour, and the last to touch it gives it.
            let (dim, coloured): (Vec<&Mote>, Vec<&Mote>) =
                self.motes.iter().partition(|mote| mote.series.is_none());
            for mote in dim.into_iter().chain(coloured) {
                if let Some(dot) = frame.dot(mote.at) {
                    dots.set(dot, style(theme, mote.series));
                }
            }
            dots.draw(buffer);
        } else {
            self.draw_markers(&frame, buffer, theme);
        }
        for beacon in &self.beacons {
            draw_beacon(beacon, &frame, buffer, theme);
        }
    }

    /// Without colours a group is told by its marker.
    fn draw_markers(&self, frame: &Frame, buffer: &mut Buffer, theme: &Theme) {
        for mote in &self.motes {
            let symbol = mote.series.map_or("·", |series| palette::look(theme, series).marker);
            if let Some(cell) = frame.cell(mote.at).and_then(|place| buffer.cell_mut(place)) {
                cell.set_symbol(symbol).set_style(style(theme, mote.series));
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = (f64, f64)> {
        let motes = self.motes.iter().map(|mote| mote.at);
        motes.chain(self.beacons.iter().map(|beacon| beacon.at))
    }

    /// The index of the point that lies nearest to a cell, of motes first, then of beacons; none where there is none
    /// within two columns and a line.
    pub fn at(&self, area: Rect, (x, y): (u16, u16)) -> Option<usize> {
        let frame = Frame::around(self.places(), area)?;
        let near = self.places().enumerate().filter_map(|(index, at)| {
            let (column, row) = frame.cell(at)?;
            let (across, down) = (column.abs_diff(x), row.abs_diff(y));
            (across <= 2 && down <= 1).then_some((across + 2 * down, index))
        });
        // Of two in one cell the later is drawn over the earlier.
        near.min_by_key(|(far, index)| (*far, usize::MAX - index)).map(|(_, index)| index)
    }
}

fn style(theme: &Theme, series: Option<usize>) -> Style {
    series.map_or(theme.dim, |series| Style::new().fg(palette::look(theme, series).color))
}

fn draw_beacon(beacon: &Beacon<'_>, frame: &Frame, buffer: &mut Buffer, theme: &Theme) {
    let Some((x, y)) = frame.cell(beacon.at) else { return };
    if let Some(cell) = buffer.cell_mut((x, y)) {
        cell.set_symbol(beacon.marker).set_style(beacon.style);
    }
    let name = one_line(beacon.name, 256);
    let area = frame.area;
    let wide = width(&name) as u16;
    if wide == 0 {
        return;
    }
    // To the right, or to the left where that is cut; cut itself where there is no room either way.
    let (right, left) = (area.right().saturating_sub(x + 2), x.saturating_sub(area.x + 1));
    let (start, room) = match () {
        () if wide <= right || right >= left => (x + 2, right),
        () => (x.saturating_sub(1 + wide.min(left)), left),
    };
    let name = fit(&name, usize::from(room));
    let bold = theme.text.add_modifier(Modifier::BOLD);
    buffer.set_stringn(start, y, &name, usize::from(room), bold);
}

/// What the chart covers.
struct Frame {
    area: Rect,
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    /// None without a finite point.
    fn around(points: impl Iterator<Item = (f64, f64)>, area: Rect) -> Option<Frame> {
        let mut frame =
            Frame { area, x: (f64::INFINITY, f64::NEG_INFINITY), y: (f64::INFINITY, f64::NEG_INFINITY) };
        for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
            frame.x = (frame.x.0.min(x), frame.x.1.max(x));
            frame.y = (frame.y.0.min(y), frame.y.1.max(y));
        }
        (frame.x.0 <= frame.x.1).then_some(frame)
    }

    fn dot(&self, (x, y): (f64, f64)) -> Option<Dot> {
        if !(x.is_finite() && y.is_finite()) {
            return None;
        }
        // All in one place: in the middle.
        let part = |value: f64, (low, high): (f64, f64)| match high - low {
            span if span > 0.0 => (value - low) / span,
            _ => 0.5,
        };
        let place = |part: f64, dots: u16| (part * f64::from(dots.saturating_sub(1))).round() as u16;
        let across = place(part(x, self.x), self.area.width.saturating_mul(2));
        Some((across, place(1.0 - part(y, self.y), self.area.height.saturating_mul(4))))
    }

    fn cell(&self, at: (f64, f64)) -> Option<(u16, u16)> {
        let (across, down) = self.dot(at)?;
        Some((self.area.x + across / 2, self.area.y + down / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;

    fn cloud() -> Cloud<'static> {
        let mote = |x: f64, y: f64, series| Mote { at: (x, y), series };
        let motes = vec![
            mote(0.0, 0.0, None),
            mote(1.0, 1.0, Some(0)),
            mote(0.1, 0.1, Some(1)),
            mote(f64::NAN, 0.0, Some(1)),
        ];
        let hit = Beacon { at: (0.9, 0.5), marker: "●", style: Style::new(), name: "a hit that is named" };
        Cloud {
            motes,
            beacons: vec![hit, Beacon { at: (0.3, 0.9), marker: "✚", name: "question", ..hit }],
            empty: "nothing",
        }
    }

    fn drawn(cloud: &Cloud<'_>, area: Rect, theme: &Theme) -> String {
        let mut buffer = Buffer::empty(area);
        cloud.draw(area, &mut buffer, theme);
        text_of(&buffer)
    }

    #[test]
    fn dots_beacons_and_names() {
        let area = Rect::new(0, 0, 40, 8);
        insta::assert_snapshot!("coloured", drawn(&cloud(), area, &Theme::default()));
        let plain = Theme { series: Vec::new(), ..Theme::default() };
        insta::assert_snapshot!("without_colours", drawn(&cloud(), area, &plain));
        assert!(drawn(&Cloud { empty: "nothing", ..Cloud::default() }, area, &plain).contains("nothing"));
    }

    #[test]
    fn a_click_finds_what_is_drawn_there() {
        let area = Rect::new(0, 0, 40, 8);
        let cloud = cloud();
        assert_eq!(cloud.at(area, (0, 7)), Some(0));
        assert_eq!(cloud.at(area, (39, 0)), Some(1));
        assert_eq!(cloud.at(area, (12, 1)), Some(5));
        assert_eq!(cloud.at(area, (20, 4)), None);
    }

    #[test]
    fn no_room_and_no_spread_are_no_harm() {
        let point = Mote { at: (2.0, 2.0), series: None };
        let cloud = Cloud { motes: vec![point; 3], ..Cloud::default() };
        for (wide, high) in [(0, 0), (1, 1), (9, 2), (10, 3), (80, 1), (3, 40), (300, 100)] {
            drawn(&cloud, Rect::new(0, 0, wide, high), &Theme::default());
        }
        assert_eq!(cloud.at(Rect::new(0, 0, 11, 5), (5, 2)), Some(2));
    }
}
