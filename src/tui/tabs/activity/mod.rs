//! The activity tab: jobs of this session, who else is at work, how the backends stand, and the log.

use std::collections::VecDeque;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::domain::outbox::OutboxState;
use crate::tui::action::Action;
use crate::tui::context::{Context, Look, Tone};
use crate::tui::jobs::Jobs;
use crate::tui::popups::wheel;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::table::drag_scrollbar;
use crate::worker::protocol::{Cancel, Event, LogLine, RoleHealth};

use super::Tab;
use latency::Latencies;
use workers::Workers;

mod latency;
#[cfg(test)]
mod tests;
mod view;
mod workers;

/// Lines of the log that are kept.
const LOG_LINES: usize = 1000;

/// Which pane has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Jobs,
    /// There only while there are workers.
    Workers,
    Health,
    Log,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Activity {
    jobs: Jobs,
    job: Cursor,
    workers: Workers,
    worker: Cursor,
    health: Vec<RoleHealth>,
    role: Cursor,
    latencies: Latencies,
    outbox: OutboxState,
    log: VecDeque<LogLine>,
    line: Cursor,
    focus: Focus,
    /// Scrolled away from the newest line of the log.
    log_is_held: bool,
}

impl Tab for Activity {
    fn title(&self) -> &'static str {
        "Activity"
    }

    fn section(&self) -> &'static str {
        "activity"
    }

    /// Workers are read; everything else is heard.
    fn refresh(&mut self, cx: &mut Context<'_>) {
        self.workers.read(cx);
    }

    fn hide(&mut self) {
        self.workers.hide();
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        let height = self.height(self.focus, cx.area).max(1);
        let by = match action {
            Action::Up => (false, 1),
            Action::Down => (true, 1),
            Action::HalfPageUp => (false, height.div_ceil(2)),
            Action::HalfPageDown => (true, height.div_ceil(2)),
            Action::PageUp => (false, height),
            Action::PageDown => (true, height),
            Action::Top => (false, usize::MAX),
            Action::Bottom => (true, usize::MAX),
            Action::NextPane => return self.turn(1),
            Action::PreviousPane => return self.turn(self.panes().len() - 1),
            Action::Cancel => return self.cancel(cx),
            Action::Copy | Action::CopyLine => return self.copy(cx),
            _ => return,
        };
        self.go(by.0, by.1, cx.area);
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        let place = Position::new(mouse.column, mouse.row);
        let panes = self.panes();
        let Some(under) = panes.into_iter().find(|pane| self.pane(*pane, cx.area).contains(place)) else {
            return;
        };
        let list = view::list_area(under, self.pane(under, cx.area));
        let total = self.total(under);
        if drag_scrollbar(list, mouse, self.cursor(under), total) {
            self.focus = under;
            self.log_is_held = self.line.selected + 1 < self.log.len();
        } else if let Some(lines) = wheel(mouse) {
            let focus = std::mem::replace(&mut self.focus, under);
            self.go(lines > 0, lines.unsigned_abs(), cx.area);
            self.focus = focus;
        } else if mouse.kind == MouseEventKind::Down(MouseButton::Left) {
            self.focus = under;
            let (height, total) = (self.height(under, cx.area), self.total(under));
            if let Some(line) = view::line_at(under, self.pane(under, cx.area), place) {
                self.cursor(under).click(line, height, total);
            }
        }
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) {
        self.workers.hear(event, cx);
        if self.focus == Focus::Workers && self.workers.all().is_empty() {
            self.focus = Focus::Jobs;
        }
        match event {
            Event::Job(update) => self.jobs.hear(update, cx.now),
            Event::Health(health) => {
                self.latencies.add(health);
                self.health.clone_from(health);
            }
            Event::Outbox(state) => self.outbox.clone_from(state),
            Event::Log(line) => {
                if self.log.len() >= LOG_LINES {
                    self.log.pop_front();
                }
                self.log.push_back(line.clone());
                if !self.log_is_held {
                    self.line.bottom(self.log.len());
                }
            }
            Event::Answer { .. }
            | Event::Done { .. }
            | Event::Experiment(_)
            | Event::Points { .. }
            | Event::Batch(_)
            | Event::Removed(_)
            | Event::Changed => {}
        }
    }

    fn hints(&self) -> &'static [Action] {
        match self.focus {
            Focus::Jobs => &[Action::Cancel, Action::NextPane, Action::Down, Action::Palette],
            Focus::Workers | Focus::Health | Focus::Log => {
                &[Action::NextPane, Action::Down, Action::Bottom, Action::Copy, Action::Palette]
            }
        }
    }

    fn is_busy(&self) -> bool {
        false
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        self.draw_tab(frame, area, look);
    }
}

impl Activity {
    /// Those that are on the screen, in their order.
    fn panes(&self) -> Vec<Focus> {
        let all = [Focus::Jobs, Focus::Workers, Focus::Health, Focus::Log];
        let there = |pane: &Focus| *pane != Focus::Workers || !self.workers.all().is_empty();
        all.into_iter().filter(there).collect()
    }

    /// So many panes further, round and round.
    fn turn(&mut self, by: usize) {
        let panes = self.panes();
        let now = panes.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        self.focus = panes[(now + by) % panes.len()];
    }

    fn total(&self, pane: Focus) -> usize {
        match pane {
            Focus::Jobs => self.jobs.all().len(),
            Focus::Workers => self.workers.all().len(),
            Focus::Health => self.health.len(),
            Focus::Log => self.log.len(),
        }
    }

    fn cursor(&mut self, pane: Focus) -> &mut Cursor {
        match pane {
            Focus::Jobs => &mut self.job,
            Focus::Workers => &mut self.worker,
            Focus::Health => &mut self.role,
            Focus::Log => &mut self.line,
        }
    }

    fn go(&mut self, down: bool, by: usize, area: Rect) {
        let pane = self.focus;
        let (height, total) = (self.height(pane, area), self.total(pane));
        let cursor = self.cursor(pane);
        if down {
            cursor.down(by, total)
        } else {
            cursor.up(by)
        }
        cursor.keep_visible(height, total);
        if pane == Focus::Log {
            self.log_is_held = self.line.selected + 1 < total;
        }
    }

    fn cancel(&mut self, cx: &mut Context<'_>) {
        // The newest job stands first.
        let selected = self.jobs.all().iter().rev().nth(self.job.selected);
        match selected {
            Some(job) if job.is_running() => {
                cx.cancel(Cancel::Job(job.update.ticket));
            }
            _ => cx.toast(Tone::Plain, "nothing to cancel here"),
        }
    }

    fn copy(&mut self, cx: &mut Context<'_>) {
        let text = match self.focus {
            Focus::Jobs => {
                self.jobs.all().iter().rev().nth(self.job.selected).map(|job| job.update.what.clone())
            }
            Focus::Workers => self.workers.all().get(self.worker.selected).map(workers::text),
            Focus::Health => self.health.get(self.role.selected).map(view::health_text),
            Focus::Log => self.log.get(self.line.selected).map(view::log_text),
        };
        match text {
            Some(text) => cx.copy_and_tell(text, "the line"),
            None => cx.toast(Tone::Plain, "nothing is selected to copy"),
        }
    }
}
