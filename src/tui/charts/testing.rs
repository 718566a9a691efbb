//! What tests of drawing share.

use ratatui::buffer::{Buffer, CellWidth};

/// The characters of a buffer, line by line, without trailing blanks.
pub(crate) fn text_of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut lines = Vec::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += symbol.cell_width().max(1);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}
