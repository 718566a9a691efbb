//! Where the parts of the tab are, and how they are drawn.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::text::{fit, many_lines, width};
use crate::tui::context::Look;
use crate::tui::widgets::input::TextLine;
use crate::tui::widgets::notice::{draw_empty, draw_failure};
use crate::tui::widgets::number::count;
use crate::tui::widgets::pane::Pane;
use crate::tui::widgets::table::{Table, position};
use crate::worker::protocol::{Failure, LogLine};

use super::columns::{Sight, number, title};
use super::{Experiments, Focus};

/// From here on table and detail stand beside each other.
const WIDE: u16 = 100;

/// From here on the detail stands below the table.
const HIGH: u16 = 34;

/// Lines that an error may take above the rows.
const ERROR_LINES: u16 = 4;

/// Longest filter that the title of the table shows, bytes.
const LONGEST_IN_TITLE: usize = 40;

struct Panes {
    table: Option<Rect>,
    detail: Option<Rect>,
}

impl Experiments {
    fn panes(&self, area: Rect) -> Panes {
        if self.full {
            Panes { table: None, detail: Some(area) }
        } else if area.width >= WIDE {
            let [table, detail] = Layout::horizontal([Constraint::Fill(13), Constraint::Fill(9)]).areas(area);
            Panes { table: Some(table), detail: Some(detail) }
        } else if area.height >= HIGH {
            let [table, detail] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
            Panes { table: Some(table), detail: Some(detail) }
        } else {
            Panes { table: Some(area), detail: None }
        }
    }

    pub(super) fn detail_area(&self, area: Rect) -> Option<Rect> {
        self.panes(area).detail
    }

    /// The header and the rows.
    pub(super) fn rows_area(&self, area: Rect) -> Rect {
        let table = self.panes(area).table.unwrap_or(area);
        let inside = Pane::inside(table);
        let above = (u16::from(self.has_filter_line()) + self.error_lines()).min(inside.height);
        Rect { y: inside.y + above, height: inside.height - above, ..inside }
    }

    /// Rows in view.
    pub(super) fn height(&self, area: Rect) -> usize {
        Table::height(self.rows_area(area))
    }

    /// While it is typed, and afterwards where the title has no room for it or something is wrong with it.
    pub(super) fn has_filter_line(&self) -> bool {
        let long = self.list.filter.len() > LONGEST_IN_TITLE;
        self.typing || long || (!self.list.filter.is_empty() && self.list.failure().is_some())
    }

    fn error_lines(&self) -> u16 {
        match self.list.failure() {
            Some(failure) if self.list.is_known() || self.has_filter_line() => {
                let failure = self.under_filter(failure);
                let lines = failure.message.lines().count() + usize::from(failure.remedy.is_some());
                u16::try_from(lines).unwrap_or(ERROR_LINES).min(ERROR_LINES)
            }
            _ => 0,
        }
    }

    pub(super) fn draw_tab(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        if let Some(compare) = &self.compare {
            let baseline = self.pinned.get().map(|baseline| &baseline.run);
            return compare.draw(area, frame.buffer_mut(), look, &self.view, baseline);
        }
        let panes = self.panes(area);
        if let Some(groups) = self.groups_in_view() {
            let whole = Panes { table: None, detail: Some(area) };
            let Panes { table, detail } = if groups.full { whole } else { panes };
            return self.draw_groups(frame, (area, table, detail), groups, look);
        }
        if let Some(table) = panes.table {
            self.draw_table(frame, table, area, look);
        }
        if let Some(detail) = panes.detail {
            self.with_shown(self.detail.id(), look.now, |shown| {
                self.detail.draw(detail, frame.buffer_mut(), look, &self.view, shown);
            });
            if let Some(run) = self.list.selected().filter(|run| self.detail.id() == Some(run.id)) {
                self.draw_differences(frame, detail, run, look);
            }
        }
    }

    /// `against #7: acc +0.012▲  lat ms -3▲` in the lower border of the detail: the figures that are columns.
    fn draw_differences(&self, frame: &mut Frame<'_>, outer: Rect, run: &Experiment, look: &Look<'_>) {
        let Some(baseline) = self.pinned.get() else {
            return;
        };
        let mut spans = vec![Span::styled(format!(" against #{}: ", baseline.run.id), look.theme.dim)];
        for field in self.columns.all().iter().map(|shown| &shown.field) {
            let value = number(run, field, &self.aggregates);
            if let Some(difference) = baseline.difference(run, field, value) {
                spans.push(Span::styled(format!("{} ", title(field)), look.theme.dim));
                spans.push(Span::styled(format!("{}  ", difference.text()), difference.style(look.theme)));
            }
        }
        if spans.len() > 1 && outer.height > 1 && outer.width > 4 {
            let (x, y) = (outer.x + 1, outer.bottom() - 1);
            frame.buffer_mut().set_line(x, y, &Line::from(spans), outer.width - 2);
        }
    }

    fn draw_table(&self, frame: &mut Frame<'_>, outer: Rect, area: Rect, look: &Look<'_>) {
        let theme = look.theme;
        let focused = self.focus == Focus::Table;
        let total = if self.list.is_known() { count(self.list.total() as u64) } else { String::new() };
        let mut pane =
            Pane::new("Experiments").focused(focused).loading(self.list.is_waiting(self.height(area)));
        pane = pane.note(total, theme.dim);
        if !self.has_filter_line() {
            pane = pane.note(self.list.filter.as_str(), theme.warn);
        }
        if self.list.without_simulated {
            pane = pane.note("simulated hidden", theme.badge);
        }
        if self.list.with_archived {
            pane = pane.note("with archived", theme.dim);
        }
        if self.marks.are_shown() {
            pane = pane.note(format!("{} marked", count(self.marks.len() as u64)), theme.marked);
        }
        if self.columns.position(&self.list.sort).is_none() {
            pane = pane.note(format!("by {}", self.list.sort), theme.dim);
        }
        if let Some(id) = self.pinned.id() {
            pane = pane.note(format!("against #{id}"), theme.badge);
        }
        if let Some(failure) = self.aggregates.failure() {
            pane = pane.note(format!("no curves: {}", failure.message), theme.bad);
        }
        let inside = pane.draw(outer, frame.buffer_mut(), look);
        self.draw_filter(frame, inside, look);
        let rows = self.rows_area(area);
        self.draw_error(frame, inside, look);
        if !self.list.is_known() {
            if let (Some(failure), 0) = (self.list.failure(), self.error_lines()) {
                draw_failure(inside, frame.buffer_mut(), theme, failure);
            }
        } else if self.list.total() == 0 {
            self.draw_nothing(frame, rows, look);
        } else {
            let (aggregates, baseline) = (&self.aggregates, self.pinned.get());
            let sight = Sight { theme, now: look.now, aggregates, baseline };
            let selected = self.list.cursor.selected;
            let table = self.table(focused);
            table.draw(rows, frame.buffer_mut(), theme, |index| {
                let run = self.list.row(index)?;
                let mut row = self.columns.row(run, &sight);
                row.marked = self.marks.shows(run.id, index, selected);
                Some(row)
            });
            if !self.columns.is_usual() || self.columns.scrolled() > 0 {
                draw_hidden(frame, outer, look, &table.left_out(rows, self.columns.scrolled()));
            }
            draw_position(frame, outer, look, &position(self.list.cursor, self.list.total()));
        }
    }

    pub(super) fn draw_filter(&self, frame: &mut Frame<'_>, inside: Rect, look: &Look<'_>) {
        if !self.has_filter_line() || inside.is_empty() {
            return;
        }
        let style = if self.typing { look.theme.focus } else { look.theme.dim };
        frame.buffer_mut().set_stringn(inside.x, inside.y, "/ ", usize::from(inside.width), style);
        let room = Rect { x: inside.x + 2, width: inside.width.saturating_sub(2), height: 1, ..inside };
        if self.typing && self.line.is_empty() {
            let hint = "accuracy > 0.9 and model = 'BERT'";
            let hint = fit(hint, usize::from(room.width));
            frame.buffer_mut().set_stringn(room.x, room.y, hint, usize::from(room.width), look.theme.dim);
        }
        let held = TextLine::new(self.list.filter.as_str());
        let line = if self.typing { &self.line } else { &held };
        let cursor = line.draw(room, frame.buffer_mut(), look.theme.text);
        if self.typing {
            frame.set_cursor_position(cursor);
        }
    }

    /// What is wrong with the filter, its caret under the place; or why the rows could not be read again.
    fn draw_error(&self, frame: &mut Frame<'_>, inside: Rect, look: &Look<'_>) {
        let (Some(failure), height @ 1..) = (self.list.failure(), self.error_lines()) else {
            return;
        };
        let line = u16::from(self.has_filter_line());
        let room = Rect { y: inside.y + line, height, ..inside }.intersection(inside);
        let failure = self.under_filter(failure);
        draw_failure(room, frame.buffer_mut(), look.theme, &failure);
    }

    /// The text of a filter that is wrong stands above already: its copy goes, and the caret moves under it.
    fn under_filter(&self, failure: &Failure) -> Failure {
        let message = many_lines(&failure.message, 4096);
        let sent = self.list.sent_filter();
        let Some((_, marks)) = message.split_once('\n').filter(|(first, _)| *first == sent) else {
            return failure.clone();
        };
        let added = sent.find(self.list.filter.trim()).unwrap_or(0);
        let moved = match marks.get(..added) {
            Some(blanks) if blanks.trim().is_empty() => format!("  {}", &marks[added..]),
            _ => marks.to_owned(),
        };
        Failure { message: moved, ..failure.clone() }
    }

    fn draw_nothing(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let lines: &[&str] = if !self.list.filter.is_empty() {
            &["No run matches this filter.", "{filter} changes it, {back} clears it."]
        } else if self.list.without_simulated {
            &["No runs, or only simulated ones, which are hidden.", "{toggle_simulated} shows them."]
        } else {
            &[
                "No experiments yet",
                "{launch_batch} launches a batch",
                "{new_run} starts a single run",
                "`{load_demo}` loads sample data",
                "{help} shows every key",
            ]
        };
        draw_empty(area, frame.buffer_mut(), look, lines);
    }

    /// Lines of the log about a run.
    pub(super) fn log_of(&self, id: Option<ExperimentId>) -> Vec<LogLine> {
        let Some(id) = id else {
            return Vec::new();
        };
        let start = format!("experiment {id}: ");
        let own = self.log.iter().filter_map(|line| {
            let text = line.text.strip_prefix(&start)?.to_owned();
            Some(LogLine { text, ..line.clone() })
        });
        own.collect()
    }
}

/// `12 of 1,204` in the lower border.
fn draw_position(frame: &mut Frame<'_>, outer: Rect, look: &Look<'_>, text: &str) {
    let wide = u16::try_from(text.len() + 2).unwrap_or(u16::MAX);
    if outer.width > wide + 4 && outer.height > 1 {
        let x = outer.right() - wide - 2;
        let text = format!(" {text} ");
        frame.buffer_mut().set_stringn(x, outer.bottom() - 1, text, usize::from(wide), look.theme.dim);
    }
}

/// `2 ◂ columns ▸ 3` in the lower border: how many are scrolled out, and how many have no room.
fn draw_hidden(frame: &mut Frame<'_>, outer: Rect, look: &Look<'_>, text: &str) {
    let wide = u16::try_from(width(text) + 2).unwrap_or(u16::MAX);
    if !text.is_empty() && outer.width > wide + 24 && outer.height > 1 {
        let text = format!(" {text} ");
        let place = (outer.x + 2, outer.bottom() - 1);
        frame.buffer_mut().set_stringn(place.0, place.1, text, usize::from(wide), look.theme.dim);
    }
}
