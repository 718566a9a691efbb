//! A result table of any shape, as SQL gives it back: columns as wide as what they hold, moved through sideways.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;

use crate::domain::table::Table as Data;
use crate::domain::text::{one_line, width};
use crate::tui::theme::Theme;

use super::cursor::Cursor;
use super::number::NOTHING;
use super::table::{Align, Cell, Column, Row, Table};

/// Rows that are measured for the widths of columns.
const MEASURED: usize = 200;

/// Widest a column is drawn.
const WIDEST: usize = 40;

/// A table and where one stands in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    data: Data,
    columns: Vec<Column>,
    pub cursor: Cursor,
    first_column: usize,
}

impl Sheet {
    pub fn new(data: Data) -> Self {
        let columns =
            data.columns.iter().enumerate().map(|(index, name)| column(&data, index, name)).collect();
        Sheet { data, columns, cursor: Cursor::default(), first_column: 0 }
    }

    pub fn data(&self) -> &Data {
        &self.data
    }

    pub fn total(&self) -> usize {
        self.data.rows.len()
    }

    /// Shows columns farther right or left.
    pub fn move_sideways(&mut self, right: bool) {
        let last = self.columns.len().saturating_sub(1);
        self.first_column =
            if right { (self.first_column + 1).min(last) } else { self.first_column.saturating_sub(1) };
    }

    /// Columns left of the view.
    pub fn hidden_left(&self) -> usize {
        self.first_column
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, focused: bool) {
        let table = Table {
            columns: self.columns[self.first_column..].to_vec(),
            total: self.total(),
            cursor: self.cursor,
            focused,
            ..Table::default()
        };
        table.draw(area, buffer, theme, |index| {
            let row = self.data.rows.get(index)?;
            Some(Row::new(row.iter().skip(self.first_column).map(|value| match value {
                Value::Null => Cell::styled(NOTHING, theme.dim),
                value => Cell::new(text(value)),
            })))
        });
    }

    /// Header and rows with tabs between, for the clipboard.
    pub fn as_text(&self) -> String {
        let header = self.data.columns.iter().map(|name| flat(name)).collect::<Vec<_>>().join("\t");
        let lines = std::iter::once(header).chain(self.data.rows.iter().map(|row| line(row)));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The selected row alone.
    pub fn selected_text(&self) -> Option<String> {
        self.data.rows.get(self.cursor.selected).map(|row| line(row))
    }
}

fn line(row: &[Value]) -> String {
    let cells = row.iter().map(|value| if value.is_null() { String::new() } else { flat(&text(value)) });
    cells.collect::<Vec<_>>().join("\t")
}

/// Without what would look like the next cell or row.
pub fn flat(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

/// A value as it is read: texts without quotes, the rest as JSON.
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn column(data: &Data, index: usize, name: &str) -> Column {
    let values = || data.rows.iter().take(MEASURED).filter_map(|row| row.get(index));
    // Cut before measuring: a value may be a megabyte.
    let wide = |value: &Value| width(&one_line(&text(value), WIDEST * 4));
    let longest = values().map(wide).max().unwrap_or(0).max(width(&one_line(name, WIDEST * 4)));
    let preferred = longest.clamp(1, WIDEST) as u16;
    let numbers =
        values().all(|value| value.is_number() || value.is_null()) && values().any(Value::is_number);
    let align = if numbers { Align::Right } else { Align::Left };
    // The first is the one that was moved to; those to its right go when there is no room.
    let priority = (index + 1).min(usize::from(u8::MAX)) as u8;
    Column { align, priority, ..Column::new(name).width(preferred.min(12), preferred) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;
    use serde_json::json;

    fn sample() -> Sheet {
        let mut data = Data::new(&["model_name", "avg_accuracy", "note"]);
        data.rows = vec![
            vec![json!("BERT"), json!(0.93), json!("a\tb\nc")],
            vec![json!("日本語"), json!(null), json!({"k": [1, 2]})],
            vec![json!("x".repeat(1 << 20)), json!(12), json!("\u{1b}[2J")],
        ];
        Sheet::new(data)
    }

    fn drawn(sheet: &Sheet, columns: u16) -> String {
        let area = Rect::new(0, 0, columns, 5);
        let mut buffer = Buffer::empty(area);
        sheet.draw(area, &mut buffer, &Theme::default(), true);
        text_of(&buffer)
    }

    #[test]
    fn values_of_any_kind_stay_aligned() {
        insta::assert_snapshot!("wide", drawn(&sample(), 80));
        insta::assert_snapshot!("narrow", drawn(&sample(), 30));
        let mut moved = sample();
        moved.move_sideways(true);
        insta::assert_snapshot!("moved", drawn(&moved, 30));
    }

    #[test]
    fn sideways_stops_at_the_last_column() {
        let mut sheet = sample();
        for _ in 0..9 {
            sheet.move_sideways(true);
        }
        assert_eq!(sheet.hidden_left(), 2);
        let mut empty = Sheet::new(Data::default());
        empty.move_sideways(true);
        assert_eq!(drawn(&empty, 30).trim(), "");
    }

    #[test]
    fn copied_text_has_one_line_a_row() {
        let text = sample().as_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["model_name\tavg_accuracy\tnote", "BERT\t0.93\ta b c", "日本語\t\t{\"k\":[1,2]}"]
        );
    }
}
