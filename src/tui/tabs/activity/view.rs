//! Where the panes are, and how they are drawn.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use crate::domain::outbox::OutboxState;
use crate::domain::text::one_line;
use crate::tui::context::Look;
use crate::tui::jobs::{Job, clock, per_time};
use crate::tui::theme::Theme;
use crate::tui::widgets::notice::draw_empty;
use crate::tui::widgets::number::{counted, took};
use crate::tui::widgets::pane::Pane;
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::statusbar::meter;
use crate::tui::widgets::table::{self, Cell, Column, Row, Table, draw_scrollbar};
use crate::worker::protocol::{BackendState, JobState, LogLevel, LogLine, RoleHealth};

use super::{Activity, Focus};

/// From here on jobs and health stand beside each other.
const WIDE: u16 = 130;

/// Lines below the roles about the selected one.
const HEALTH_LINES: u16 = 2;

/// Answers in the sparkline of a role.
const LATELY: usize = 8;

/// Longest log line that is looked at, bytes.
const LONGEST: usize = 4096;

impl Activity {
    /// The pane with its frame.
    pub(super) fn pane(&self, pane: Focus, area: Rect) -> Rect {
        let roles = u16::try_from(self.health.len().max(4)).unwrap_or(4) + 3 + HEALTH_LINES;
        let workers = self.workers_height(area);
        let (jobs, workers, health, log) = if area.width >= WIDE {
            let heights = [
                Constraint::Length((area.height / 3).max(roles)),
                Constraint::Length(workers),
                Constraint::Fill(1),
            ];
            let [upper, workers, log] = Layout::vertical(heights).areas(area);
            let [jobs, health] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(upper);
            (jobs, workers, health, log)
        } else {
            // With four panes each has less, and the jobs and the log as much as each other.
            let (most, log) = if workers > 0 { (area.height * 3 / 8, 2) } else { (area.height / 2, 3) };
            let heights = [
                Constraint::Fill(2),
                Constraint::Length(workers),
                Constraint::Length(roles.min(most)),
                Constraint::Fill(log),
            ];
            let [jobs, workers, health, log] = Layout::vertical(heights).areas(area);
            (jobs, workers, health, log)
        };
        match pane {
            Focus::Jobs => jobs,
            Focus::Workers => workers,
            Focus::Health => health,
            Focus::Log => log,
        }
    }

    /// A line for each worker, as far as there is room; none without any.
    fn workers_height(&self, area: Rect) -> u16 {
        match u16::try_from(self.workers.all().len()).unwrap_or(u16::MAX) {
            0 => 0,
            workers => workers.saturating_add(3).min((area.height / 4).max(4)),
        }
    }

    /// Lines in view.
    pub(super) fn height(&self, pane: Focus, area: Rect) -> usize {
        let inside = Pane::inside(self.pane(pane, area));
        match pane {
            Focus::Jobs | Focus::Workers => Table::height(inside),
            Focus::Health => Table::height(roles_area(inside).0),
            Focus::Log => usize::from(inside.height),
        }
    }

    pub(super) fn draw_tab(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        self.draw_jobs(frame, self.pane(Focus::Jobs, area), look);
        if !self.workers.all().is_empty() {
            let focused = self.focus == Focus::Workers;
            self.workers.draw(frame, self.pane(Focus::Workers, area), look, self.worker, focused);
        }
        self.draw_health(frame, self.pane(Focus::Health, area), look);
        self.draw_log(frame, self.pane(Focus::Log, area), look);
    }

    fn draw_jobs(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let focused = self.focus == Focus::Jobs;
        let running = self.jobs.running().count();
        let note = if running > 0 { format!("{running} running") } else { String::new() };
        let pane = Pane::new("Jobs of this session").focused(focused).note(note, theme.running);
        let inside = pane.draw(area, frame.buffer_mut(), look);
        if self.jobs.all().is_empty() {
            let lines = [
                "Nothing has been started yet.",
                "{launch_batch} launches a batch; what runs is shown here with its progress.",
            ];
            return draw_empty(inside, frame.buffer_mut(), look, &lines);
        }
        let table = Table {
            columns: vec![
                Column::new("what").width(24, 24).flex(1),
                Column::new("state").width(11, 11),
                Column::new("progress").width(18, 18).priority(1),
                Column::new("time").width(7, 7).right(),
                Column::new("left").width(7, 7).right().priority(2),
                Column::new("rate").width(7, 8).right().priority(3),
            ],
            total: self.jobs.all().len(),
            cursor: self.job,
            focused,
            ..Table::default()
        };
        table.draw(inside, frame.buffer_mut(), theme, |index| {
            self.jobs.all().iter().rev().nth(index).map(|job| job_row(job, look))
        });
    }

    fn draw_health(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let focused = self.focus == Focus::Health;
        let pane = Pane::new("Health").focused(focused).note(waiting(&self.outbox), theme.warn);
        let inside = pane.draw(area, frame.buffer_mut(), look);
        let table = Table {
            columns: vec![
                Column::new("role").width(11, 12),
                Column::new("backend").width(10, 11).priority(3),
                Column::new("state").width(16, 26).flex(1),
                Column::new("p50").width(6, 6).right().priority(1),
                Column::new("p95").width(6, 6).right().priority(2),
                Column::new("p99").width(6, 6).right().priority(4),
                Column::new("lately").width(LATELY as u16, LATELY as u16).priority(5),
            ],
            total: self.health.len(),
            cursor: self.role,
            focused,
            ..Table::default()
        };
        let (roles, below) = roles_area(inside);
        table.draw(roles, frame.buffer_mut(), theme, |index| {
            self.health.get(index).map(|role| self.health_row(role, look))
        });
        if let Some(role) = self.health.get(self.role.selected) {
            let mut prose = Prose::default();
            // Before the selected role: it is what somebody may have to see to.
            if !self.outbox.is_empty() {
                prose.push(&one_line(&about_outbox(&self.outbox, look.now), LONGEST), theme.warn);
            }
            prose.push(&one_line(&self.about(role, look), LONGEST), theme.dim);
            prose.draw(below, frame.buffer_mut());
        }
    }

    fn health_row(&self, role: &RoleHealth, look: &Look<'_>) -> Row {
        let (state, style) = state_of(role, look);
        let figure = |share| self.latencies.percentile(role.role, share).map(took).unwrap_or_default();
        Row::new([
            Cell::new(role.role),
            Cell::new(role.backend),
            Cell::styled(state, style),
            Cell::new(figure(0.5)),
            Cell::new(figure(0.95)),
            Cell::new(figure(0.99)),
            Cell::styled(self.latencies.sparkline(role.role, LATELY), look.theme.dim),
        ])
    }

    /// Where it is and how it answered, or why it is down and what to do.
    fn about(&self, role: &RoleHealth, look: &Look<'_>) -> String {
        match &role.state {
            BackendState::Unknown => String::new(),
            BackendState::Up { since, place, version, latency } => {
                let (answered, failed) = self.latencies.counts(role.role).unwrap_or_default();
                let since = since.strftime("%H:%M:%S");
                format!(
                    "{}: {version} at {place} · up since {since}, greeted in {} · {}, {}",
                    role.role,
                    took(*latency),
                    counted(answered, "answer"),
                    counted(failed, "error"),
                )
            }
            BackendState::Down { .. } => {
                let now = look.keys.say("{try_now} tries now");
                format!("{}: {} · {now}", role.role, why(role))
            }
        }
    }

    fn draw_log(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let focused = self.focus == Focus::Log;
        let held =
            if self.log_is_held { look.keys.say("{bottom} goes to the newest") } else { String::new() };
        let pane = Pane::new("Log").focused(focused).note(held, theme.dim);
        let inside = pane.draw(area, frame.buffer_mut(), look);
        if self.log.is_empty() {
            let lines = ["Nothing has been logged yet.", "What goes wrong in the background is told here."];
            return draw_empty(inside, frame.buffer_mut(), look, &lines);
        }
        let buffer = frame.buffer_mut();
        let window = self.line.window(usize::from(inside.height), self.log.len());
        for (y, index) in (inside.y..inside.bottom()).zip(window) {
            let style = match self.log[index].level {
                LogLevel::Error => theme.bad,
                LogLevel::Warn => theme.warn,
                LogLevel::Info => theme.text,
                LogLevel::Debug => theme.dim,
            };
            let text = one_line(&log_text(&self.log[index]), LONGEST);
            buffer.set_stringn(inside.x, y, text, usize::from(inside.width), style);
            if focused && index == self.line.selected {
                buffer.set_style(Rect { y, height: 1, ..inside }, theme.selected);
            }
        }
        draw_scrollbar(inside, buffer, theme, self.line, self.log.len());
    }
}

/// The table of roles, and the lines about the selected one, as far as all four roles leave room for them.
fn roles_area(inside: Rect) -> (Rect, Rect) {
    let below = HEALTH_LINES.min(inside.height.saturating_sub(5));
    let roles = Rect { height: inside.height - below, ..inside };
    (roles, Rect { y: roles.bottom(), height: below, ..inside })
}

/// Where the lines of a pane's list are.
pub(super) fn list_area(pane: Focus, area: Rect) -> Rect {
    let inside = Pane::inside(area);
    match pane {
        Focus::Jobs | Focus::Workers => table::body(inside),
        Focus::Health => table::body(roles_area(inside).0),
        Focus::Log => inside,
    }
}

/// The line of a pane's list under a click.
pub(super) fn line_at(pane: Focus, area: Rect, place: Position) -> Option<usize> {
    let list = list_area(pane, area);
    list.contains(place).then(|| usize::from(place.y - list.y))
}

fn job_row(job: &Job, look: &Look<'_>) -> Row {
    let theme = look.theme;
    let (state, style) = match job.update.state {
        JobState::Waiting => ("◌ waiting", theme.dim),
        JobState::Running => ("● running", theme.running),
        JobState::Completed => ("✓ done", theme.good),
        JobState::Failed => ("✗ failed", theme.bad),
        JobState::Cancelled => ("⊘ cancelled", theme.warn),
    };
    let failed = if job.update.failed > 0 { format!(" {}✗", job.update.failed) } else { String::new() };
    let progress = match job.share() {
        Some(share) => format!("{} {}/{}{failed}", meter(share, 8), job.update.done, job.update.total),
        None => String::new(),
    };
    Row::new([
        Cell::new(job.update.what.as_str()),
        Cell::styled(state, style),
        Cell::styled(progress, style),
        Cell::new(clock(job.elapsed(look.now))),
        Cell::new(job.left(look.now).map(clock).unwrap_or_default()),
        Cell::styled(job.rate().map(per_time).unwrap_or_default(), theme.dim),
    ])
}

/// Up with its version and place; down since when, why, what to do, and when it is tried again.
fn state_of(role: &RoleHealth, look: &Look<'_>) -> (String, ratatui::style::Style) {
    let theme: &Theme = look.theme;
    match &role.state {
        BackendState::Unknown => ("○ not asked yet".to_owned(), theme.dim),
        BackendState::Up { version, .. } => {
            // The name stands in the column before.
            let version = version.strip_prefix(role.backend).unwrap_or(version).trim_start();
            (format!("● up · {version}"), theme.good)
        }
        BackendState::Down { since, next_try, .. } => {
            let wait = next_try.as_second().saturating_sub(look.now.as_second()).max(0);
            let next = if wait > 0 { format!("next {wait}s") } else { "trying".to_owned() };
            let down = Duration::try_from(look.now.duration_since(*since)).unwrap_or_default();
            (format!("✗ {} · {next}", clock(down)), theme.bad)
        }
    }
}

/// "outbox: 12 wait, 1 refused"; empty when it is.
fn waiting(outbox: &OutboxState) -> String {
    let counts = [(outbox.waiting, "wait"), (outbox.refused, "refused")];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() { String::new() } else { format!("outbox: {}", counts.join(", ")) }
}

/// Since when, and what went wrong last.
fn about_outbox(outbox: &OutboxState, now: Timestamp) -> String {
    let mut text = waiting(outbox);
    if let Some(oldest) = outbox.oldest {
        let age = Duration::try_from(now.duration_since(oldest)).unwrap_or_default();
        text.push_str(&format!(", the oldest for {}", clock(age)));
    }
    if let Some(why) = &outbox.last_error {
        text.push_str(&format!(": {why}"));
    }
    text
}

fn why(role: &RoleHealth) -> String {
    match &role.state {
        BackendState::Down { why, .. } => match &why.remedy {
            Some(remedy) => format!("{} ({remedy})", why.message),
            None => why.message.clone(),
        },
        BackendState::Unknown | BackendState::Up { .. } => String::new(),
    }
}

/// For the clipboard.
pub(super) fn health_text(role: &RoleHealth) -> String {
    match &role.state {
        BackendState::Unknown => format!("{} {}: not asked yet", role.role, role.backend),
        BackendState::Up { place, version, .. } => {
            format!("{} {} {version} at {place}", role.role, role.backend)
        }
        BackendState::Down { since, .. } => {
            format!("{} {} down since {since}: {}", role.role, role.backend, why(role))
        }
    }
}

/// `12:34:56 ERROR postgres  text`, in UTC.
pub(super) fn log_text(line: &LogLine) -> String {
    let level = match line.level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN ",
        LogLevel::Info => "INFO ",
        LogLevel::Debug => "DEBUG",
    };
    let time = line.at.strftime("%H:%M:%S");
    format!("{time} {level} {} {}", line.source, line.text)
}
