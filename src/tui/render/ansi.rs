//! A frame as plain text, and as text with the terminal's own colours.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::style::{Color, Modifier};

/// The characters, line by line, without trailing blanks.
pub fn to_text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let line: String = cells(buffer, y).map(|(_, cell)| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// With SGR sequences; each line ends without style, so that it can be cut anywhere.
pub fn to_ansi(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut current = String::new();
        for (_, cell) in cells(buffer, y) {
            let style = sgr(cell);
            if style != current {
                text.push_str("\u{1b}[0");
                text.push_str(&style);
                text.push('m');
                current = style;
            }
            text.push_str(cell.symbol());
        }
        text.push_str("\u{1b}[0m\n");
    }
    text
}

/// The cells of a line with their columns, without those that a wide character covers.
pub(super) fn cells(buffer: &Buffer, y: u16) -> impl Iterator<Item = (u16, &Cell)> {
    let mut x = buffer.area.left();
    std::iter::from_fn(move || {
        if x >= buffer.area.right() {
            return None;
        }
        let cell = &buffer[(x, y)];
        let column = x;
        x += cell.symbol().cell_width().max(1);
        Some((column, cell))
    })
}

fn sgr(cell: &Cell) -> String {
    let mut codes = String::new();
    for (modifier, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
        (Modifier::CROSSED_OUT, 9),
    ] {
        if cell.modifier.contains(modifier) {
            push(&mut codes, format_args!(";{code}"));
        }
    }
    color(&mut codes, cell.fg, 30);
    color(&mut codes, cell.bg, 40);
    codes
}

/// `base` is 30 for the foreground, 40 for the background.
fn color(codes: &mut String, color: Color, base: u8) {
    match color {
        Color::Reset => {}
        Color::Rgb(r, g, b) => push(codes, format_args!(";{};2;{r};{g};{b}", base + 8)),
        Color::Indexed(index) => push(codes, format_args!(";{};5;{index}", base + 8)),
        named => {
            let index = index(named);
            let code = if index < 8 { base + index } else { base + 60 + index - 8 };
            push(codes, format_args!(";{code}"));
        }
    }
}

/// The number of a named colour among the sixteen.
pub(super) fn index(color: Color) -> u8 {
    match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Gray | Color::Reset | Color::Rgb(..) | Color::Indexed(_) => 7,
    }
}

fn push(codes: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let written = codes.write_fmt(text);
    debug_assert!(written.is_ok());
}
