//! Which columns the table shows: every field that occurs, found by typing some of its letters, shown, hidden, moved,
//! made wider or narrower.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use neo_frizbee::{Config, Matcher};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use crate::domain::experiment::Experiment;
use crate::domain::filter::Field;
use crate::domain::survey::Names;
use crate::domain::text::{fit, one_line, width};
use crate::tui::context::{Context, Look};
use crate::tui::popups::{centered, draw_box, wheel};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::input::TextLine;
use crate::worker::protocol::{Answer, Failure, Read, Slot, Ticket};

use super::aggregates::Aggregates;
use super::columns::{Columns, Shown, varies};

const SIZE: (u16, u16) = (78, 24);

/// Lines of the box that are not the list: border, search, note, border.
const AROUND: u16 = 4;

const HINTS: [(&str, &str); 6] = [
    ("enter", "on/off"),
    ("←→", "move"),
    ("<>", "width"),
    ("ctrl+e", "varying"),
    ("ctrl+r", "reset"),
    ("esc", "done"),
];

/// A search line and what it finds: the columns first, in their order, then all other fields.
#[derive(Debug, Default)]
pub struct Chooser {
    names: Remote<Names>,
    line: TextLine,
    cursor: Cursor,
    /// What was shown before columns without variance were hidden.
    before: Option<Vec<Shown>>,
}

/// What the table around it knows.
pub struct Rows<'a> {
    pub runs: &'a [Experiment],
    pub aggregates: &'a Aggregates,
}

impl Chooser {
    pub fn open(cx: &mut Context<'_>) -> Self {
        let mut chooser = Chooser::default();
        chooser.names.load(cx.read(Slot::Names, Read::Names));
        chooser
    }

    pub fn take(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        match result {
            Ok(Answer::Names(names)) => {
                self.names.fill(ticket, Ok(names.clone()));
            }
            Ok(_) => {}
            Err(failure) => {
                self.names.fill(ticket, Err(failure.clone()));
            }
        }
    }

    pub fn is_loading(&self) -> bool {
        self.names.is_loading()
    }

    /// Takes a key; false when it closes the chooser.
    pub fn key(&mut self, key: KeyEvent, screen: Rect, columns: &mut Columns, rows: &Rows<'_>) -> bool {
        let found = self.found(columns);
        let (height, total) = (list_height(screen), found.len());
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let field = found.get(self.cursor.selected).cloned();
        match key.code {
            KeyCode::Esc if !self.line.is_empty() => self.line.clear(),
            KeyCode::Esc => return false,
            KeyCode::Up => self.cursor.up(1),
            KeyCode::Down | KeyCode::Tab => self.cursor.down(1, total),
            KeyCode::PageUp => self.cursor.up(height),
            KeyCode::PageDown => self.cursor.down(height, total),
            KeyCode::Char('e') if control => self.only_varying(columns, rows),
            KeyCode::Char('r') if control => columns.reset(),
            KeyCode::Enter | KeyCode::Char(' ' | '<' | '>') | KeyCode::Left | KeyCode::Right => {
                if let Some(field) = field {
                    change(key.code, &field, columns);
                    self.stay_on(&field, columns);
                }
            }
            _ => {
                if self.line.key(key) {
                    self.cursor = Cursor::default();
                }
            }
        }
        self.cursor.keep_visible(height, self.found(columns).len());
        true
    }

    /// A click shows or hides; the wheel turns the list.
    pub fn mouse(&mut self, mouse: MouseEvent, screen: Rect, columns: &mut Columns) {
        let found = self.found(columns);
        let (height, total) = (list_height(screen), found.len());
        if let Some(lines) = wheel(mouse) {
            self.cursor.scroll(lines > 0, lines.unsigned_abs(), height, total);
        }
        let place = centered(screen, SIZE.0, SIZE.1);
        let first = place.y + 2;
        if mouse.kind == MouseEventKind::Down(MouseButton::Left)
            && place.contains(Position::new(mouse.column, mouse.row))
            && mouse.row >= first
            && self.cursor.click(usize::from(mouse.row - first), height, total)
            && let Some(field) = found.get(self.cursor.selected)
        {
            columns.toggle(field);
            self.stay_on(field, columns);
        }
    }

    /// The list changes its order when a column is shown or moved.
    fn stay_on(&mut self, field: &Field, columns: &Columns) {
        if let Some(place) = self.found(columns).iter().position(|found| found == field) {
            self.cursor.selected = place;
        }
    }

    /// Hides what is equal in all rows that are here; a second time brings it back.
    fn only_varying(&mut self, columns: &mut Columns, rows: &Rows<'_>) {
        match self.before.take() {
            Some(before) => columns.set(before),
            None if rows.runs.len() > 1 => {
                self.before = Some(columns.all().to_vec());
                columns.retain(|field| varies(field, rows.runs, rows.aggregates));
            }
            None => {}
        }
    }

    /// Every field that there is, and what was typed where that names one nobody has seen yet.
    fn found(&self, columns: &Columns) -> Vec<Field> {
        let mut fields: Vec<Field> = columns.all().iter().map(|shown| shown.field.clone()).collect();
        let known = Field::known_names().into_iter().filter_map(|name| Field::parse(&name).ok());
        let occurring = self.names.data().map(Names::fields).unwrap_or_default();
        for field in known.chain(occurring) {
            if columns.position(&field).is_none() {
                fields.push(field);
            }
        }
        let needle = self.line.text().trim();
        if needle.is_empty() {
            return fields;
        }
        let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
        let found = Matcher::new(needle, &Config::default()).match_list(&names);
        let mut found: Vec<Field> =
            found.into_iter().map(|found| fields[found.index as usize].clone()).collect();
        if let Ok(typed) = Field::parse(needle)
            && !found.contains(&typed)
        {
            found.push(typed);
        }
        found
    }

    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, columns: &Columns) {
        let theme = look.theme;
        let title = format!("Columns · {} shown", columns.all().len());
        let inside = draw_box(frame, area, theme, SIZE, &title, &HINTS);
        if inside.is_empty() {
            return;
        }
        frame.buffer_mut().set_stringn(inside.x, inside.y, "/", 1, theme.key);
        let typed = Rect { x: inside.x + 1, width: inside.width - 1, height: 1, ..inside };
        let cursor = self.line.draw(typed, frame.buffer_mut(), theme.text);
        frame.set_cursor_position(cursor);
        let list = Rect { y: inside.y + 1, height: inside.height.saturating_sub(2), ..inside };
        let found = self.found(columns);
        if found.is_empty() {
            let text = "nothing is called so; params.NAME and metrics.NAME add any name";
            frame.buffer_mut().set_stringn(list.x, list.y, text, usize::from(list.width), theme.dim);
        }
        for (y, index) in
            (list.y..list.bottom()).zip(self.cursor.window(usize::from(list.height), found.len()))
        {
            let line = entry(&found[index], columns, usize::from(list.width), look);
            frame.buffer_mut().set_line(list.x, y, &line, list.width);
            if index == self.cursor.selected {
                frame.buffer_mut().set_style(Rect { y, height: 1, ..list }, theme.selected);
            }
        }
        if inside.height > 2 {
            let (text, style) = match &self.names {
                Remote::Failed { failure, .. } => (one_line(&failure.message, 200), theme.bad),
                Remote::Loading { .. } => ("reading what occurs in the store".to_owned(), theme.dim),
                names if names.data().is_some_and(|names| !names.complete) => {
                    ("names of the newest runs and of a sample; others can be typed".to_owned(), theme.dim)
                }
                _ => (String::new(), theme.dim),
            };
            let (y, room) = (inside.bottom() - 1, usize::from(inside.width));
            frame.buffer_mut().set_stringn(inside.x, y, fit(&text, room), room, style);
        }
    }
}

fn change(key: KeyCode, field: &Field, columns: &mut Columns) {
    match key {
        KeyCode::Left => columns.shift(field, false),
        KeyCode::Right => columns.shift(field, true),
        KeyCode::Char('<') => columns.widen(field, -1),
        KeyCode::Char('>') => columns.widen(field, 1),
        _ => columns.toggle(field),
    }
}

fn list_height(screen: Rect) -> usize {
    usize::from(centered(screen, SIZE.0, SIZE.1).height.saturating_sub(AROUND))
}

/// `✓ 3 params.learning_rate            width 12  parameter`
fn entry<'a>(field: &Field, columns: &Columns, room: usize, look: &Look<'_>) -> Line<'a> {
    let theme = look.theme;
    let place = columns.position(field);
    let mark = place.map_or_else(|| "    ".to_owned(), |place| format!("✓{:>2} ", place + 1));
    let own = place.and_then(|place| columns.all()[place].width);
    let kind = match field {
        Field::Param(_) => "parameter",
        Field::Metric(_) => "result",
        Field::Figure(_) => "figure",
        Field::Curve(..) => "of the curve",
        _ => "",
    };
    let right = own.map_or_else(|| kind.to_owned(), |own| format!("width {own}  {kind}"));
    let name = fit(&one_line(&field.to_string(), 400), room.saturating_sub(width(&right) + 6));
    let gap = " ".repeat(room.saturating_sub(4 + width(&name) + width(&right)));
    let style = if place.is_some() { theme.text } else { theme.dim };
    Line::from(vec![
        Span::styled(mark, theme.good),
        Span::styled(name, style),
        Span::raw(gap),
        Span::styled(right, theme.dim),
    ])
}
