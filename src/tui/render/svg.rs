//! A frame as a picture that any browser shows, with letters that stay letters.

use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::style::{Color, Modifier};

use crate::tui::theme::Theme;

use super::ansi::{cells, index};

/// Size of a cell, pixels.
const WIDE: f64 = 8.4;
const HIGH: f64 = 17.0;
/// From the top of a cell to the line on which letters stand.
const BASELINE: f64 = 13.0;
const MARGIN: f64 = 10.0;

/// Of the screen where the theme leaves it to the terminal.
const BACKGROUND: &str = "#1b1f27";
const FOREGROUND: &str = "#d4d8e0";

/// What the sixteen colours look like in the picture.
const SIXTEEN: [&str; 16] = [
    "#2b303b", "#e0626c", "#98c379", "#e5c07b", "#61a0ee", "#c678dd", "#56b6c2", "#c5cad3", "#6b7280",
    "#ef7a83", "#b0d894", "#f0d399", "#82b8f5", "#d79aea", "#76ced9", "#ffffff",
];

/// The frame on the ground of `theme`.
pub fn to_svg(buffer: &Buffer, theme: &Theme) -> String {
    let background = theme.text.bg.map_or_else(|| ground(theme).0.to_owned(), |color| hex(color, BACKGROUND));
    let foreground = theme.text.fg.map_or_else(|| ground(theme).1.to_owned(), |color| hex(color, FOREGROUND));
    let wide = f64::from(buffer.area.width) * WIDE + 2.0 * MARGIN;
    let high = f64::from(buffer.area.height) * HIGH + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
         viewBox=\"0 0 {wide:.1} {high:.1}\" font-family=\"'DejaVu Sans Mono','Menlo','Consolas',monospace\" \
         font-size=\"14\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{background}\"/>\n"
    );
    for y in buffer.area.top()..buffer.area.bottom() {
        for run in runs(buffer, y) {
            svg.push_str(&run.picture(y - buffer.area.top(), &background, &foreground));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A theme with a dark text is for a light ground.
fn ground(theme: &Theme) -> (&'static str, &'static str) {
    match theme.text.fg {
        Some(Color::Rgb(r, g, b)) if u16::from(r) + u16::from(g) + u16::from(b) < 384 => {
            ("#ffffff", FOREGROUND)
        }
        _ => (BACKGROUND, FOREGROUND),
    }
}

/// Cells of one style beside each other.
struct Run {
    x: u16,
    columns: u16,
    text: String,
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

fn runs(buffer: &Buffer, y: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (x, cell) in cells(buffer, y) {
        let columns = cell.symbol().cell_width().max(1);
        match runs.last_mut() {
            Some(run) if run.is_like(cell) => {
                run.text.push_str(cell.symbol());
                run.columns += columns;
            }
            _ => runs.push(Run {
                x: x - buffer.area.left(),
                columns,
                text: cell.symbol().to_owned(),
                fg: cell.fg,
                bg: cell.bg,
                modifier: cell.modifier,
            }),
        }
    }
    runs
}

impl Run {
    fn is_like(&self, cell: &Cell) -> bool {
        (self.fg, self.bg, self.modifier) == (cell.fg, cell.bg, cell.modifier)
    }

    fn picture(&self, line: u16, background: &str, foreground: &str) -> String {
        let (mut fg, mut bg) = (hex(self.fg, foreground), hex(self.bg, background));
        if self.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut fg, &mut bg);
        }
        let (x, y) = (MARGIN + f64::from(self.x) * WIDE, MARGIN + f64::from(line) * HIGH);
        let wide = f64::from(self.columns) * WIDE;
        let mut picture = String::new();
        if bg != background {
            picture.push_str(&format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{HIGH}\" fill=\"{bg}\"/>\n"
            ));
        }
        if self.text.trim().is_empty() {
            return picture;
        }
        let mut style = String::new();
        for (modifier, attribute) in [
            (Modifier::BOLD, " font-weight=\"bold\""),
            (Modifier::ITALIC, " font-style=\"italic\""),
            (Modifier::UNDERLINED, " text-decoration=\"underline\""),
            (Modifier::DIM, " opacity=\"0.65\""),
        ] {
            if self.modifier.contains(modifier) {
                style.push_str(attribute);
            }
        }
        let text = escaped(&self.text);
        let baseline = y + BASELINE;
        picture.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" textLength=\"{wide:.1}\" fill=\"{fg}\"{style}>{text}</text>\n"
        ));
        picture
    }
}

/// What XML cannot hold; blanks are kept by their own entity, since not every viewer heeds `xml:space`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            ' ' => escaped.push('\u{a0}'),
            other if other.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

fn hex(color: Color, otherwise: &str) -> String {
    match color {
        Color::Reset => otherwise.to_owned(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(number) => indexed(number),
        named => SIXTEEN[usize::from(index(named))].to_owned(),
    }
}

/// The 256 colours of xterm: the sixteen, a cube of 6x6x6, and 24 greys.
fn indexed(number: u8) -> String {
    match number {
        0..16 => SIXTEEN[usize::from(number)].to_owned(),
        16..232 => {
            let level = |value: u8| if value == 0 { 0 } else { 55 + 40 * value };
            let cube = number - 16;
            format!("#{:02x}{:02x}{:02x}", level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        232.. => {
            let grey = 8 + 10 * (number - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}
