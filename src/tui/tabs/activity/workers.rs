//! The pane of workers: who runs experiments or would, and what each is doing.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::domain::worker::{Doing, State, Worker};
use crate::tui::context::{Context, Look};
use crate::tui::remote::Remote;
use crate::tui::theme::Theme;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::pane::Pane;
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::worker::protocol::{Answer, Event, Read, Slot};

/// Who is there, read anew while the tab is shown.
#[derive(Debug, Default)]
pub(super) struct Workers {
    list: Remote<Vec<Worker>>,
    shown: bool,
    /// Something changed while it was read.
    stale: bool,
}

impl Workers {
    pub fn all(&self) -> &[Worker] {
        self.list.data().map_or(&[], Vec::as_slice)
    }

    /// While many changes come, one reading follows the other and none is broken off for the next.
    pub fn read(&mut self, cx: &mut Context<'_>) {
        self.shown = true;
        self.stale = self.list.is_loading();
        if !self.stale {
            self.list.load(cx.read(Slot::Workers, Read::Workers));
        }
    }

    pub fn hide(&mut self) {
        self.shown = false;
    }

    pub fn hear(&mut self, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Answer { ticket, slot: Slot::Workers, result } => {
                let answer = match result {
                    Ok(Answer::Workers(workers)) => Ok(workers.clone()),
                    Ok(_) => return,
                    Err(failure) => Err(failure.clone()),
                };
                let well = answer.is_ok();
                if self.list.fill(*ticket, answer) && well && self.stale && self.shown {
                    self.read(cx);
                }
            }
            // A run of this session began or ended.
            Event::Experiment(_) if self.shown => self.read(cx),
            _ => {}
        }
    }

    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, cursor: Cursor, focused: bool) {
        let theme = look.theme;
        let running: usize = self.all().iter().map(|worker| worker.running.len()).sum();
        let note = if running > 0 { format!("{running} running") } else { String::new() };
        let pane = Pane::new("Workers").focused(focused).note(note, theme.running);
        let inside = pane.draw(area, frame.buffer_mut(), look);
        let table = Table {
            columns: vec![
                Column::new("worker").width(20, 28),
                Column::new("state").width(9, 10),
                Column::new("labels").width(8, 20).priority(2),
                Column::new("doing").width(20, 20).flex(1),
                Column::new("version").width(7, 8).priority(3),
            ],
            total: self.all().len(),
            cursor,
            focused,
            ..Table::default()
        };
        table.draw(inside, frame.buffer_mut(), theme, |index| {
            self.all().get(index).map(|worker| row(worker, theme))
        });
    }
}

fn row(worker: &Worker, theme: &Theme) -> Row {
    let (state, style) = state(worker, theme);
    Row::new([
        Cell::new(&worker.name),
        Cell::styled(state, style),
        Cell::new(worker.labels.join(" ")),
        Cell::new(doing(worker)),
        Cell::styled(worker.version.as_deref().unwrap_or_default(), theme.dim),
    ])
}

fn state(worker: &Worker, theme: &Theme) -> (String, Style) {
    match (worker.state, worker.running.len(), worker.parallel) {
        (State::Lost, ..) => ("✗ lost".to_owned(), theme.bad),
        (State::Alive, 0, _) => ("○ idle".to_owned(), theme.dim),
        (State::Alive, running, Some(parallel)) => (format!("● {running}/{parallel}"), theme.running),
        (State::Alive, running, None) => (format!("● {running}"), theme.running),
    }
}

fn doing(worker: &Worker) -> String {
    let one = |run: &Doing| format!("#{} {} · {}", run.experiment, run.model, run.dataset);
    worker.running.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// For the clipboard.
pub(super) fn text(worker: &Worker) -> String {
    let (state, _) = state(worker, &Theme::default());
    [worker.name.as_str(), &state, &worker.labels.join(" "), &doing(worker)].join(" ").trim().to_owned()
}
