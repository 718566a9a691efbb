//! Places for the names of points, so that none covers another or a point.

use ratatui::layout::Rect;

use crate::domain::text::{fit, width};
use crate::tui::charts::braille::Dot;

/// A name in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Of its point.
    pub index: usize,
    pub x: u16,
    pub y: u16,
    pub text: String,
}

/// Which characters of a plot are taken.
#[derive(Clone, Debug)]
pub struct Board {
    area: Rect,
    taken: Vec<bool>,
    /// Better left free: the front passes here.
    lines: Vec<bool>,
    names: Vec<Name>,
    leaders: Vec<(Dot, Dot)>,
    left_out: usize,
}

/// Names that are tried to be placed; behind so many a plot is full anyway.
const MOST: usize = 400;

/// How far from its point a name may be, in lines.
const FAR: i32 = 6;

impl Board {
    pub fn new(area: Rect) -> Self {
        let cells = usize::from(area.width) * usize::from(area.height);
        Board {
            area,
            taken: vec![false; cells],
            lines: vec![false; cells],
            names: Vec::new(),
            leaders: Vec::new(),
            left_out: 0,
        }
    }

    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Lines from a point to a name that had to move away, as dots of the plot.
    pub fn leaders(&self) -> &[(Dot, Dot)] {
        &self.leaders
    }

    /// Points for whose name there was no room.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// A point is here.
    pub fn occupy(&mut self, (x, y): (u16, u16)) {
        if let Some(cell) = self.cell(i32::from(x), i32::from(y)) {
            self.taken[cell] = true;
        }
    }

    pub fn avoid_line(&mut self, from: (u16, u16), to: (u16, u16)) {
        let (x, y) = (f64::from(from.0), f64::from(from.1));
        let (across, down) = (f64::from(to.0) - x, f64::from(to.1) - y);
        let steps = across.abs().max(down.abs()).max(1.0) as u32;
        for step in 0..=steps {
            let part = f64::from(step) / f64::from(steps);
            let place = ((x + across * part).round() as i32, (y + down * part).round() as i32);
            if let Some(cell) = self.cell(place.0, place.1) {
                self.lines[cell] = true;
            }
        }
    }

    /// Finds the best place for the name of the point at `at`: beside it, else farther with a leader, else shortened.
    pub fn name(&mut self, index: usize, at: (u16, u16), name: &str) {
        let point = (i32::from(at.0), i32::from(at.1));
        if self.names.len() >= MOST || name.trim().is_empty() || width(name) == 0 {
            self.left_out += 1;
            return;
        }
        let beside = self.beside(point, name);
        if let Some(place) = beside {
            return self.take(index, place, name.to_owned());
        }
        if let Some(place) = self.farther(point, name) {
            self.lead(at, place, width(name));
            return self.take(index, place, name.to_owned());
        }
        for columns in [12, 8, 5] {
            let short = fit(name, columns);
            if short.len() < name.len()
                && let Some(place) = self.beside(point, &short)
            {
                return self.take(index, place, short);
            }
        }
        self.left_out += 1;
    }

    /// Around the point, first without covering the front.
    fn beside(&self, (x, y): (i32, i32), name: &str) -> Option<(i32, i32)> {
        let wide = width(name) as i32;
        let places = [
            (x + 2, y),
            (x - 1 - wide, y),
            (x - wide / 2, y - 1),
            (x - wide / 2, y + 1),
            (x + 1, y - 1),
            (x + 1, y + 1),
            (x - wide, y - 1),
            (x - wide, y + 1),
        ];
        let free = |over_lines: bool| places.into_iter().find(|place| self.is_free(*place, wide, over_lines));
        free(false).or_else(|| free(true))
    }

    /// The nearest free place within some lines.
    fn farther(&self, (x, y): (i32, i32), name: &str) -> Option<(i32, i32)> {
        let wide = width(name) as i32;
        let reach = wide + 12;
        let mut places: Vec<(i32, (i32, i32))> = (-FAR..=FAR)
            .filter(|down| down.abs() >= 2)
            .flat_map(|down| {
                (-reach..=12).step_by(2).map(move |across| {
                    let middle = across + wide / 2;
                    (down.abs() * 4 + middle.abs(), (x + across, y + down))
                })
            })
            .collect();
        places.sort_unstable();
        places.into_iter().map(|(_, place)| place).find(|place| self.is_free(*place, wide, false))
    }

    fn is_free(&self, (x, y): (i32, i32), wide: i32, over_lines: bool) -> bool {
        let inside = self.cell(x, y).is_some() && self.cell(x + wide - 1, y).is_some();
        // A blank on both sides, so that two names do not read as one.
        inside
            && (x - 1..=x + wide).all(|column| match self.cell(column, y) {
                Some(cell) => !self.taken[cell] && (over_lines || !self.lines[cell]),
                None => true,
            })
    }

    fn take(&mut self, index: usize, (x, y): (i32, i32), text: String) {
        for column in x..x + width(&text) as i32 {
            if let Some(cell) = self.cell(column, y) {
                self.taken[cell] = true;
            }
        }
        self.names.push(Name { index, x: x as u16, y: y as u16, text });
    }

    /// From the point to the nearest end or the middle of the name.
    fn lead(&mut self, at: (u16, u16), place: (i32, i32), wide: usize) {
        let end = i32::from(at.0).clamp(place.0, place.0 + wide as i32 - 1);
        let dot = |x: i32, y: i32| {
            let across = (x - i32::from(self.area.x)).max(0) * 2;
            let down = (y - i32::from(self.area.y)).max(0) * 4 + 2;
            (across as u16, down as u16)
        };
        self.leaders.push((dot(i32::from(at.0), i32::from(at.1)), dot(end, place.1)));
    }

    fn cell(&self, x: i32, y: i32) -> Option<usize> {
        let (x, y) = (x - i32::from(self.area.x), y - i32::from(self.area.y));
        let inside =
            (0..i32::from(self.area.width)).contains(&x) && (0..i32::from(self.area.height)).contains(&y);
        inside.then(|| (y * i32::from(self.area.width) + x) as usize)
    }
}
