//! A table of any number of rows that asks for, and draws, only those in view.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::domain::text::{first_characters, fit, one_line, width};
use crate::tui::theme::Theme;

use super::cursor::Cursor;

mod columns;
#[cfg(test)]
mod tests;

pub use columns::{Align, Column};

/// One cell; its text may be anything, it is made safe and cut when drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub text: String,
    /// Laid over the style of the row.
    pub style: Style,
}

/// More characters than the widest screen shows; a cell is made at each drawing, and its text may be a megabyte.
const LONGEST: usize = 4096;

impl Cell {
    pub fn new(text: impl AsRef<str>) -> Self {
        Cell::styled(text, Style::new())
    }

    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Cell { text: first_characters(text.as_ref(), LONGEST).to_owned(), style }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::new(text)
    }
}

/// One row, with a cell for each column; what is missing stays empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub style: Style,
    pub marked: bool,
}

impl Row {
    pub fn new(cells: impl IntoIterator<Item = Cell>) -> Self {
        Row { cells: cells.into_iter().collect(), ..Row::default() }
    }
}

/// What the table looks like. Lines from the top: the header, then the rows; a bar at the right edge when there are
/// more rows than lines.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    /// Rows there are, whether they have arrived or not.
    pub total: usize,
    pub cursor: Cursor,
    /// Index into `columns`, and whether the largest stands first.
    pub sort: Option<(usize, bool)>,
    /// Keeps a column free for marks.
    pub marks: bool,
    /// The pane has the keys: the selected row stands out.
    pub focused: bool,
}

/// Columns at the left edge for the bar of the selected row, and for marks.
const GUTTER: u16 = 1;

impl Table {
    /// Rows that fit into `area` below the header.
    pub fn height(area: Rect) -> usize {
        usize::from(area.height.saturating_sub(1))
    }

    /// The line of the view under a click, if it is one of the rows' lines.
    pub fn line_at(area: Rect, position: Position) -> Option<usize> {
        let body = body(area);
        body.contains(position).then(|| usize::from(position.y - body.y))
    }

    /// The column whose title is under a click.
    pub fn title_at(&self, area: Rect, position: Position) -> Option<usize> {
        if position.y != area.y || !area.contains(position) {
            return None;
        }
        let places = columns::place(&self.columns, self.room(area));
        places
            .iter()
            .find(|place| (place.x..place.x + place.width).contains(&position.x))
            .map(|place| place.column)
    }

    /// `2 ◂ columns ▸ 3`: how many are scrolled out on the left, and how many have no room; empty for none.
    pub fn left_out(&self, area: Rect, scrolled: usize) -> String {
        let without_room = self.columns.len() - columns::place(&self.columns, self.room(area)).len();
        match (scrolled, without_room) {
            (0, 0) => String::new(),
            (0, more) => format!("columns ▸ {more}"),
            (less, 0) => format!("{less} ◂ columns"),
            (less, more) => format!("{less} ◂ columns ▸ {more}"),
        }
    }

    /// Follows a click or a drag on the bar; true when it was one.
    pub fn drag(area: Rect, mouse: MouseEvent, cursor: &mut Cursor, total: usize) -> bool {
        drag_scrollbar(body(area), mouse, cursor, total)
    }

    /// Draws the header and the rows in view. `row` is asked only for those; `None` is one that has not arrived.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, row: impl Fn(usize) -> Option<Row>) {
        self.draw_plain(area, buffer, theme, row);
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let body = body(area);
        let window = self.cursor.window(Table::height(area), self.total);
        if let Some(line) = self.cursor.selected.checked_sub(window.start).filter(|line| *line < window.len())
        {
            self.draw_selected(Rect { y: body.y + line as u16, height: 1, ..body }, buffer, theme);
        }
    }

    /// As [`Table::draw`], for a table to read in which nothing is selected.
    pub fn draw_plain(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        theme: &Theme,
        row: impl Fn(usize) -> Option<Row>,
    ) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let places = columns::place(&self.columns, self.room(area));
        self.draw_header(area, buffer, theme, &places);
        let body = body(area);
        let window = self.cursor.window(Table::height(area), self.total);
        for (y, index) in (body.y..body.bottom()).zip(window) {
            let line = Rect { y, height: 1, ..body };
            match row(index) {
                Some(row) => self.draw_row(line, buffer, theme, &places, &row),
                None => draw_placeholder(line, buffer, theme, &places),
            }
        }
        draw_scrollbar(body, buffer, theme, self.cursor, self.total);
    }

    /// Where columns may be: right of the gutter and left of the scroll bar.
    fn room(&self, area: Rect) -> Rect {
        let gutter = GUTTER + u16::from(self.marks);
        let bar = u16::from(self.total > Table::height(area));
        Rect { x: area.x.saturating_add(gutter), width: area.width.saturating_sub(gutter + bar), ..area }
    }

    fn draw_header(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, places: &[columns::Place]) {
        for place in places {
            let title = &self.columns[place.column].title;
            let sorted = self.sort.filter(|(column, _)| *column == place.column);
            let text = match sorted {
                Some((_, descending)) => {
                    let arrow = if descending { "▼" } else { "▲" };
                    let room = usize::from(place.width).saturating_sub(2);
                    format!("{} {arrow}", fit(&one_line(title, 256), room)).trim_start().to_owned()
                }
                None => title.clone(),
            };
            put(buffer, area.y, *place, &text, theme.dim.patch(theme.title));
        }
    }

    fn draw_row(&self, line: Rect, buffer: &mut Buffer, theme: &Theme, places: &[columns::Place], row: &Row) {
        let base = theme.text.patch(row.style);
        buffer.set_style(line, base);
        if self.marks && row.marked && line.width > GUTTER {
            buffer[(line.x + GUTTER, line.y)].set_symbol("•").set_style(theme.marked);
        }
        for place in places {
            if let Some(cell) = row.cells.get(place.column) {
                let marked = if row.marked { theme.marked } else { Style::new() };
                put(buffer, line.y, *place, &cell.text, base.patch(marked).patch(cell.style));
            }
        }
    }

    /// After the cells, so that the row is one bar whatever they wrote; the scroll bar stays as it is.
    fn draw_selected(&self, line: Rect, buffer: &mut Buffer, theme: &Theme) {
        if self.focused {
            buffer.set_style(line, theme.selected);
        }
        let bar = if self.focused { theme.focus } else { theme.dim };
        buffer[(line.x, line.y)].set_symbol("▌").set_style(bar);
    }
}

/// `12 of 1,204`, for a title; empty when there is nothing.
pub fn position(cursor: Cursor, total: usize) -> String {
    use super::number::count;
    if total == 0 {
        return String::new();
    }
    format!("{} of {}", count(cursor.selected as u64 + 1), count(total as u64))
}

/// A bar at the right edge of `body` that shows which part of `total` lines is in view; nothing when all of it is.
pub fn draw_scrollbar(body: Rect, buffer: &mut Buffer, theme: &Theme, cursor: Cursor, total: usize) {
    let height = usize::from(body.height);
    if height == 0 || total <= height || body.width < 2 {
        return;
    }
    let window = cursor.window(height, total);
    let length = (height * height / total).max(1);
    let free = height - length;
    let start = free * window.start / (total - height);
    for line in 0..body.height {
        let within = (start..start + length).contains(&usize::from(line));
        let symbol = if within { "┃" } else { "│" };
        buffer[(body.right() - 1, body.y + line)].set_symbol(symbol).set_style(theme.border);
    }
}

/// Follows a click or a drag on the bar of [`draw_scrollbar`]; true when it was one. A drag that leaves the bar by an end
/// stays at that end.
pub fn drag_scrollbar(body: Rect, mouse: MouseEvent, cursor: &mut Cursor, total: usize) -> bool {
    let height = usize::from(body.height);
    let on_bar = body.width >= 2 && mouse.column == body.right() - 1 && total > height && height > 0;
    let held = match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => (body.y..body.bottom()).contains(&mouse.row),
        MouseEventKind::Drag(MouseButton::Left) => true,
        _ => false,
    };
    if !on_bar || !held {
        return false;
    }
    let line = usize::from(mouse.row.clamp(body.y, body.bottom() - 1) - body.y);
    // The last line is the end, whatever is left over in dividing.
    let top = ((total - height) as u128 * line as u128 / (height - 1).max(1) as u128) as usize;
    let start = cursor.window(height, total).start;
    cursor.scroll(top > start, top.abs_diff(start), height, total);
    true
}

/// The room of the rows: all but the header.
pub fn body(area: Rect) -> Rect {
    Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area }
}

/// One text in its place: safe, cut, aligned by the terminal columns it takes.
fn put(buffer: &mut Buffer, y: u16, place: columns::Place, text: &str, style: Style) {
    let room = usize::from(place.width);
    // Combining characters take bytes but no columns: enough for several on each letter, and never a megabyte.
    let shown = fit(&one_line(text, room * 16 + 64), room);
    let indent = match place.align {
        Align::Left => 0,
        Align::Right => room.saturating_sub(width(&shown)),
    };
    let x = place.x + u16::try_from(indent).unwrap_or(0);
    buffer.set_stringn(x, y, &shown, room - indent.min(room), style);
}

/// Stands for a row that is on its way.
fn draw_placeholder(line: Rect, buffer: &mut Buffer, theme: &Theme, places: &[columns::Place]) {
    for place in places {
        let room = usize::from(place.width);
        let dots = "·".repeat(room.min(3));
        put(buffer, line.y, *place, &dots, theme.dim);
    }
}
