//! The database switch: the databases of a tenant, as far as the server tells of them, and a line for those it does not.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent};
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};

use crate::domain::collection::check_name_of;
use crate::domain::database::{Database, KnownDatabase};
use crate::domain::text::one_line;
use crate::tui::context::{Context, Goal, Look, Tone};
use crate::tui::popups::confirm::Confirm;
use crate::tui::popups::{Framing, Popup, Stay, draw_framed, point};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::input::TextLine;
use crate::tui::widgets::notice::{draw_empty, draw_failure};
use crate::tui::widgets::number::{self, counted};
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::worker::protocol::{Answer, DatabaseChange, Event, Read, Slot, Write};

const SIZE: (u16, usize) = (66, 16);

/// What a read of the databases gave.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    /// That of the settings.
    home: Database,
    tenant: String,
    databases: Vec<KnownDatabase>,
}

/// The popup. What is typed narrows the list, or names what it does not have: `database`, or `tenant/database`.
#[derive(Debug)]
pub(super) struct Databases {
    /// Where the tab is; the settings' where none.
    at: Option<Database>,
    known: Remote<Known>,
    /// The tenant that was asked for last; the settings' where none.
    asked: Option<String>,
    line: TextLine,
    cursor: Cursor,
    /// What is wrong with the line.
    problem: Option<String>,
}

impl Databases {
    pub fn open(at: Option<Database>, cx: &mut Context<'_>) -> Self {
        let asked = at.as_ref().map(|at| at.tenant.clone());
        let mut popup = Databases {
            at,
            known: Remote::default(),
            asked,
            line: TextLine::default(),
            cursor: Cursor::default(),
            problem: None,
        };
        popup.read(cx);
        popup
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        self.known.load(cx.read(Slot::Databases, Read::Databases { tenant: self.asked.clone() }));
    }

    /// The tenant that is meant, where one is known.
    fn tenant(&self) -> Option<&str> {
        self.asked.as_deref().or_else(|| self.known.data().map(|known| known.tenant.as_str()))
    }

    /// A tenant that was typed, and what is looked for in it.
    fn typed(&self) -> (Option<&str>, &str) {
        let text = self.line.text().trim();
        match text.split_once('/') {
            Some((tenant, name)) => (Some(tenant.trim()), name.trim()),
            None => (None, text),
        }
    }

    /// Those of the tenant that is meant whose names fit what was typed.
    fn shown(&self) -> Vec<&KnownDatabase> {
        let (typed, part) = self.typed();
        let Some(known) = self.known.data().filter(|known| self.tenant() == Some(known.tenant.as_str()))
        else {
            return Vec::new();
        };
        if typed.is_some_and(|typed| typed != known.tenant) {
            return Vec::new();
        }
        known.databases.iter().filter(|known| known.database.name.contains(part)).collect()
    }

    /// The selected one, or where nothing fits, the one that was typed.
    fn meant(&self) -> Result<Database, String> {
        if let Some(known) = self.shown().get(self.cursor.selected) {
            return Ok(known.database.clone());
        }
        self.named()
    }

    /// The one that was typed in full.
    fn named(&self) -> Result<Database, String> {
        let (typed, name) = self.typed();
        let tenant = typed.or(self.tenant()).unwrap_or_default();
        if name.is_empty() {
            return Err("type a database, or tenant/database".to_owned());
        }
        if tenant.is_empty() {
            return Err(format!("whose '{}'? type tenant/database", one_line(name, 60)));
        }
        check_name_of("a database", name)?;
        Ok(Database::new(tenant, name))
    }

    fn choose(&mut self, cx: &mut Context<'_>) -> Stay {
        // A tenant that was typed is looked into; only then is it known what Enter means.
        let typed = self.typed().0.filter(|tenant| !tenant.is_empty() && self.tenant() != Some(*tenant));
        if let (Some(tenant), true) = (typed, self.typed().1.is_empty()) {
            self.asked = Some(tenant.to_owned());
            self.cursor = Cursor::default();
            self.read(cx);
            return Stay::Open;
        }
        match self.meant() {
            Ok(database) if self.is_missing(&database) => {
                let name = one_line(&database.name, 60);
                self.problem = Some(format!(
                    "{} has no database {name}: ctrl+n creates it",
                    one_line(&database.tenant, 60)
                ));
                Stay::Open
            }
            Ok(database) => {
                cx.go(Goal::Database(database));
                Stay::Close
            }
            Err(problem) => {
                self.problem = Some(problem);
                Stay::Open
            }
        }
    }

    /// The server told the databases of its tenant, and this one is not among them.
    fn is_missing(&self, database: &Database) -> bool {
        match &self.known {
            Remote::Ready(known) if known.tenant == database.tenant => {
                known.databases.iter().all(|known| known.database != *database)
            }
            _ => false,
        }
    }

    /// Makes the one that was typed; the list is read again when it is there.
    fn create(&mut self, cx: &mut Context<'_>) -> Stay {
        match self.named() {
            Ok(database) => {
                cx.write(Write::Database(DatabaseChange::Create(database)));
            }
            Err(problem) => self.problem = Some(problem),
        }
        Stay::Open
    }

    fn delete(&mut self, cx: &mut Context<'_>) -> Stay {
        let shown = self.shown();
        let Some(KnownDatabase { database, collections }) = shown.get(self.cursor.selected).copied() else {
            cx.toast(Tone::Plain, "no database is selected");
            return Stay::Open;
        };
        let what = collections.map_or_else(
            || "its collections".to_owned(),
            |count| format!("its {}", counted(count, "collection")),
        );
        let question =
            format!("Delete the database with {what} and all their records? This cannot be undone.");
        let write = Write::Database(DatabaseChange::Remove(database.clone()));
        let confirm =
            Confirm::new("Delete a database", question, vec![database.to_string()], "delete", write)
                .by_typing(database.name.as_str());
        cx.open(Box::new(confirm));
        Stay::Open
    }

    /// The line and the list below it, in the popup as it is drawn on `screen`.
    fn parts(screen: Rect) -> (Rect, Rect) {
        let inside = Framing::new(screen, SIZE, Vec::new()).place.inner(Margin::new(2, 1));
        let line = Rect { height: inside.height.min(1), ..inside };
        let below = Rect { y: inside.y + 2, height: inside.height.saturating_sub(2), ..inside };
        (line, below.intersection(inside))
    }

    fn draw_list(&self, area: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        let shown = self.shown();
        let known = self.known.data();
        let table = Table {
            columns: vec![
                Column::new("database").width(16, 30).flex(1),
                Column::new("collections").width(11, 11).right(),
                Column::new("").width(12, 12).priority(1),
            ],
            total: shown.len(),
            cursor: self.cursor,
            focused: true,
            ..Table::default()
        };
        table.draw(area, frame.buffer_mut(), look.theme, |index| {
            let KnownDatabase { database, collections } = shown.get(index)?;
            let home = known.is_some_and(|known| known.home == *database);
            let here = self.at.as_ref().map_or(home, |at| at == database);
            let said = if here {
                "here"
            } else if home {
                "in settings"
            } else {
                ""
            };
            let count = collections.map_or_else(|| number::NOTHING.to_owned(), number::count);
            Some(Row::new([
                Cell::new(database.name.as_str()),
                Cell::new(count),
                Cell::styled(said, look.theme.dim),
            ]))
        });
    }

    fn draw_below(&self, area: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        let buffer = frame.buffer_mut();
        let room = usize::from(area.width);
        if let Some(problem) = &self.problem {
            buffer.set_stringn(area.x, area.y, one_line(problem, 300), room, look.theme.bad);
        } else if let Some(failure) = self.known.failure() {
            let rest = draw_failure(area, buffer, look.theme, failure);
            draw_empty(rest, buffer, look, &["A database can be named in full:", "tenant/database"]);
        } else if self.known.is_loading() && self.shown().is_empty() {
            draw_empty(area, buffer, look, &["reading…"]);
        } else if self.shown().is_empty() {
            let tenant = self.typed().0.or(self.tenant()).unwrap_or_default();
            let lines = if self.tenant() == Some(tenant) {
                [format!("{} has no such database.", one_line(tenant, 40)), "ctrl+n creates it".to_owned()]
            } else {
                [
                    "Behind / a database, or".to_owned(),
                    format!("enter lists those of {}", one_line(tenant, 40)),
                ]
            };
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            draw_empty(area, buffer, look, &lines);
        } else {
            self.draw_list(area, frame, look);
        }
    }
}

impl Popup for Databases {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        let height = Table::height(Databases::parts(cx.screen).1);
        let total = self.shown().len();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Stay::Close,
            KeyCode::Enter => return self.choose(cx),
            KeyCode::Char('n') if control => return self.create(cx),
            KeyCode::Char('d') if control => return self.delete(cx),
            KeyCode::Down | KeyCode::Up => {
                if key.code == KeyCode::Down {
                    self.cursor.down(1, total);
                } else {
                    self.cursor.up(1);
                }
                self.cursor.keep_visible(height, total);
            }
            _ => {
                if self.line.key(key) {
                    self.problem = None;
                    self.cursor = Cursor::default();
                }
            }
        }
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        let total = self.shown().len();
        point(&mut self.cursor, mouse, Databases::parts(cx.screen).1, total);
        Stay::Open
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) -> Stay {
        match event {
            Event::Answer { ticket, slot: Slot::Databases, result } => {
                let known = result.clone().map(|answer| match answer {
                    Answer::Databases { home, tenant, databases } => Known { home, tenant, databases },
                    _ => Known::default(),
                });
                if self.known.fill(*ticket, known) {
                    let height = Table::height(Databases::parts(cx.screen).1);
                    self.cursor.keep_visible(height, self.shown().len());
                }
            }
            Event::Changed if !self.known.is_loading() => self.read(cx),
            _ => {}
        }
        Stay::Open
    }

    fn is_busy(&self) -> bool {
        self.known.is_loading()
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        let hints =
            vec![("enter", "look there"), ("ctrl+n", "create"), ("ctrl+d", "delete"), ("esc", "close")];
        Some(Framing::new(screen, SIZE, hints))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let Some(framing) = self.framing(area) else { return };
        let title = match self.tenant() {
            Some(tenant) => format!("Databases of {}", one_line(tenant, 200)),
            None => "Databases".to_owned(),
        };
        draw_framed(frame, &framing, look.theme, &title);
        let (line, below) = Databases::parts(area);
        if line.width > 2 {
            frame.buffer_mut().set_stringn(line.x, line.y, "> ", 2, look.theme.dim);
            let room = Rect { x: line.x + 2, width: line.width - 2, ..line };
            if self.line.is_empty() {
                let hint = "database, or tenant/database; tenant/ lists another tenant's";
                frame.buffer_mut().set_stringn(room.x, room.y, hint, usize::from(room.width), look.theme.dim);
            }
            let cursor = self.line.draw(room, frame.buffer_mut(), look.theme.text);
            frame.set_cursor_position(cursor);
        }
        self.draw_below(below, frame, look);
    }
}
