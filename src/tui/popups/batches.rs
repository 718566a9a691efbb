//! The batch picker: the batch files there are, what each would run, and Enter to launch one.

use std::path::{Path, PathBuf};

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::text::{fit, one_line};
use crate::tui::context::{Context, Look, Tone};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::notice::{draw_empty, draw_failure};
use crate::tui::widgets::pane::spinner;
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::worker::protocol::{Answer, BatchFile, Event, Read, Slot, Write};

use super::{Framing, Popup, Stay, draw_framed, point, step};

const SIZE: (u16, usize) = (78, 20);

/// Lines for what is said about the selected file.
const PREVIEW: u16 = 4;

/// Keys that are kept until the files are here.
const EARLY: usize = 64;

/// A list of files.
#[derive(Debug)]
pub struct Batches {
    folder: PathBuf,
    files: Remote<Vec<BatchFile>>,
    /// Typed before the files were here.
    early: Vec<KeyEvent>,
    cursor: Cursor,
}

impl Batches {
    /// Asks for the files in `folder`, which is where the worker looks.
    pub fn open(folder: &Path, cx: &mut Context<'_>) -> Self {
        let mut files = Remote::default();
        files.load(cx.read(Slot::BatchFiles, Read::BatchFiles));
        Batches { folder: folder.to_owned(), files, early: Vec::new(), cursor: Cursor::default() }
    }

    fn list(&self) -> &[BatchFile] {
        self.files.data().map_or(&[], Vec::as_slice)
    }

    fn launch(&mut self, cx: &mut Context<'_>) -> Stay {
        let Some(file) = self.list().get(self.cursor.selected) else {
            return Stay::Open;
        };
        match &file.summary {
            Ok(_) => {
                cx.write(Write::LaunchBatch(file.path.clone()));
                Stay::Close
            }
            Err(_) => {
                cx.toast(Tone::Bad, "this file has to be mended first");
                Stay::Open
            }
        }
    }

    /// The list and what is below it, in the popup as it is drawn on `screen`.
    fn parts(screen: Rect) -> (Rect, Rect) {
        let place = Framing::new(screen, SIZE, Vec::new()).place;
        let inside = place.inner(ratatui::layout::Margin::new(2, 1));
        let preview = PREVIEW.min(inside.height.saturating_sub(3));
        let list = Rect { height: inside.height - preview, ..inside };
        (list, Rect { y: list.bottom(), height: preview, ..inside })
    }

    fn draw_list(&self, area: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        let theme = look.theme;
        let table = Table {
            columns: vec![
                Column::new("name").width(10, 24).flex(1),
                Column::new("what").width(10, 36).flex(2),
            ],
            total: self.list().len(),
            cursor: self.cursor,
            focused: true,
            ..Table::default()
        };
        table.draw(area, frame.buffer_mut(), theme, |index| {
            let file = self.list().get(index)?;
            let what = match &file.summary {
                Ok(summary) => Cell::styled(summary.as_str(), theme.dim),
                Err(problem) => Cell::styled(problem.as_str(), theme.bad),
            };
            Some(Row::new([Cell::new(file.name.as_str()), what]))
        });
    }

    fn draw_preview(&self, area: Rect, frame: &mut Frame<'_>, look: &Look<'_>) {
        let Some(file) = self.list().get(self.cursor.selected) else {
            return;
        };
        let mut prose = Prose::default();
        let path = file.path.display().to_string();
        prose.push(&fit(&one_line(&path, 4096), usize::from(area.width)), look.theme.dim);
        match &file.summary {
            Ok(summary) => prose.push(summary, look.theme.text),
            Err(problem) => prose.push(problem, look.theme.bad),
        }
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }.intersection(area);
        prose.draw(below, frame.buffer_mut());
    }
}

impl Popup for Batches {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        let closes = matches!(key.code, KeyCode::Esc | KeyCode::Char('q'));
        if self.files.is_loading() && !closes {
            if self.early.len() < EARLY {
                self.early.push(key);
            }
            return Stay::Open;
        }
        let height = Table::height(Batches::parts(cx.screen).0);
        let total = self.list().len();
        if step(&mut self.cursor, key, height, total) {
            return Stay::Open;
        }
        match key.code {
            KeyCode::Enter => self.launch(cx),
            _ if closes => Stay::Close,
            _ => Stay::Open,
        }
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        let (list, _) = Batches::parts(cx.screen);
        let total = self.list().len();
        point(&mut self.cursor, mouse, list, total);
        Stay::Open
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) -> Stay {
        let Event::Answer { ticket, slot: Slot::BatchFiles, result } = event else {
            return Stay::Open;
        };
        let files = result.clone().map(|answer| match answer {
            Answer::BatchFiles(files) => files,
            _ => Vec::new(),
        });
        if !self.files.fill(*ticket, files) {
            return Stay::Open;
        }
        let early = std::mem::take(&mut self.early);
        early.into_iter().map(|key| self.key(key, cx)).find(|stay| *stay != Stay::Open).unwrap_or(Stay::Open)
    }

    fn is_busy(&self) -> bool {
        self.files.is_loading()
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        let hints = vec![("enter", "launch"), ("j/k", "choose"), ("esc", "close")];
        Some(Framing::new(screen, SIZE, hints))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let Some(framing) = self.framing(area) else { return };
        let inside = draw_framed(frame, &framing, look.theme, "Launch a batch");
        let (list, preview) = Batches::parts(area);
        if let Some(failure) = self.files.failure() {
            draw_failure(inside, frame.buffer_mut(), look.theme, failure);
        } else if self.files.data().is_none() {
            frame.buffer_mut().set_stringn(
                inside.x,
                inside.y,
                format!("{} reading", spinner(look.tick)),
                usize::from(inside.width),
                look.theme.dim,
            );
        } else if self.list().is_empty() {
            let place = format!("They are looked for in {} (*.toml).", self.folder.display());
            let lines =
                ["No batch files yet.", place.as_str(), "The setting `batches` names another folder."];
            draw_empty(inside, frame.buffer_mut(), look, &lines);
        } else {
            self.draw_list(list, frame, look);
            self.draw_preview(preview, frame, look);
        }
    }
}
