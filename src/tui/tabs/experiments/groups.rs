//! Runs by everything but their seed: one row for each configuration, with how many there are, mean and deviation.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use crate::domain::experiment::ExperimentId;
use crate::domain::filter::{Field, Figure};
use crate::domain::survey::{Group, Groups as Found, Spread};
use crate::tui::action::Action;
use crate::tui::context::{Context, Tone};
use crate::tui::popups::wheel;
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::number::{NOTHING, count, short};
use crate::tui::widgets::table::Table;
use crate::worker::protocol::{Answer, Failure, GroupsRead, Read, Slot, Ticket};

use super::Experiments;
use super::columns::{begins_descending, is_number, number_text};
use super::curves::Curves;
use super::detail::value_text;

/// Groups that are listed; the title says when there are more.
const MOST: u64 = 1_000;

/// Runs of a group whose curves are averaged, the newest.
pub const CURVES: usize = 64;

/// The grouped table.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    pub found: Remote<Found>,
    /// The parameters that tell the configurations apart, and their values in the order of the groups.
    pub names: String,
    pub labels: Vec<String>,
    pub figures: Vec<Field>,
    /// An index into `figures`; the newest first without.
    pub sort: Option<usize>,
    pub descending: bool,
    pub cursor: Cursor,
    /// Curves of the completed runs of the group that is shown.
    pub curves: Remote<Vec<Curves>>,
    shown: Vec<ExperimentId>,
    /// The curves take the whole tab.
    pub full: bool,
    pub metric: usize,
    /// The filter of the list before one group was opened; none while the groups are in view.
    pub opened: Option<String>,
}

impl Groups {
    pub fn rows(&self) -> &[Group] {
        self.found.data().map_or(&[], |found| &found.rows)
    }

    pub fn selected(&self) -> Option<&Group> {
        self.rows().get(self.cursor.selected)
    }

    pub fn is_loading(&self) -> bool {
        self.found.is_loading() || self.curves.is_loading()
    }

    fn take_groups(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) -> bool {
        let answer = match result {
            Ok(Answer::Groups(found)) => Ok(found.clone()),
            Ok(_) => return false,
            Err(failure) => Err(failure.clone()),
        };
        let ours = self.found.fill(ticket, answer);
        (self.names, self.labels) = labels(self.rows());
        self.cursor.selected = self.cursor.selected.min(self.rows().len().saturating_sub(1));
        ours
    }

    /// The curves of the selected group, read when it is another one than before.
    fn show_selected(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<ExperimentId> =
            self.selected().map(|group| group.ids.iter().copied().take(CURVES).collect()).unwrap_or_default();
        if ids != self.shown {
            self.shown.clone_from(&ids);
            self.curves.clear();
            self.curves.load(cx.read(Slot::Compare, Read::Runs(ids)));
        }
    }

    fn take_curves(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        let answer = match result {
            Ok(Answer::Runs { experiments, curves }) => {
                let completed = |id: ExperimentId| {
                    let status = experiments.iter().find(|run| run.id == id).map(|run| run.status);
                    status == Some(crate::domain::experiment::Status::Completed)
                };
                let curves = curves.iter().filter(|run| completed(run.id));
                Ok(curves.map(|run| Curves::of(&run.points)).collect())
            }
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        self.curves.fill(ticket, answer);
    }

    /// All metrics of the curves that are shown.
    pub fn metrics(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.curves.data().into_iter().flatten().flat_map(Curves::names) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn sort_by_next(&mut self) {
        self.sort = match self.sort {
            None => Some(0),
            Some(index) => Some(index + 1),
        };
        self.sort = self.sort.filter(|index| *index < self.figures.len());
        self.descending = self.sort.is_none_or(|index| begins_descending(&self.figures[index]));
    }
}

/// `0.912 ±0.004`; the deviation of one run is none.
pub fn spread_text(field: &Field, spread: &Spread) -> String {
    match (spread.mean, spread.deviation) {
        (None, _) => NOTHING.to_owned(),
        (mean, None) => number_text(field, mean),
        (mean, Some(deviation)) => format!("{} ±{}", number_text(field, mean), two_digits(deviation)),
    }
}

/// A deviation is no better known than by its first two digits.
fn two_digits(value: f64) -> String {
    short(format!("{value:.1e}").parse().unwrap_or(value))
}

/// The names of the parameters in which groups differ, and the values of each group: `lr · depth` and `0.1 · 3`.
fn labels(groups: &[Group]) -> (String, Vec<String>) {
    let mut names: Vec<&String> = groups.iter().flat_map(|group| group.parameters.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differs = |name: &&String| {
        groups.windows(2).any(|pair| pair[0].parameters.get(*name) != pair[1].parameters.get(*name))
    };
    let names: Vec<&String> = names.into_iter().filter(differs).collect();
    let value = |group: &Group, name: &str| group.parameters.get(name).map_or(NOTHING.to_owned(), value_text);
    let label = |group: &Group| names.iter().map(|name| value(group, name)).collect::<Vec<_>>().join(" · ");
    let title = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" · ");
    (title, groups.iter().map(label).collect())
}

impl Experiments {
    /// The groups, while they are what is in view.
    pub(super) fn groups_in_view(&self) -> Option<&Groups> {
        self.groups.as_ref().filter(|groups| groups.opened.is_none())
    }

    pub(super) fn toggle_groups(&mut self, cx: &mut Context<'_>) {
        match self.groups.take() {
            Some(groups) => {
                if let Some(filter) = groups.opened {
                    self.set_filter(filter, cx);
                }
            }
            None => {
                self.groups = Some(Groups { descending: true, ..Groups::default() });
                self.read_groups(cx);
            }
        }
    }

    pub(super) fn read_groups(&mut self, cx: &mut Context<'_>) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        let numbers = self.columns.all().iter().map(|shown| &shown.field).filter(|field| is_number(field));
        let mut figures: Vec<Field> = numbers.cloned().collect();
        if figures.is_empty() {
            figures.push(Field::Figure(Figure::Accuracy));
        }
        groups.sort = groups.sort.filter(|index| *index < figures.len());
        groups.figures.clone_from(&figures);
        let read = GroupsRead {
            filter: self.list.sent_filter(),
            with_archived: self.list.with_archived,
            figures,
            sort: groups.sort,
            descending: groups.descending,
            limit: MOST,
        };
        // An open group is a filter of its own; the groups are read again when one comes back to them.
        if groups.opened.is_none() && !groups.found.is_loading() {
            groups.found.load(cx.read(Slot::Groups, Read::Groups(read)));
        }
    }

    pub(super) fn take_groups(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        cx: &mut Context<'_>,
    ) {
        if let Some(groups) = &mut self.groups
            && groups.take_groups(ticket, result)
        {
            groups.show_selected(cx);
        }
    }

    pub(super) fn take_group_curves(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        if let Some(groups) = &mut self.groups {
            groups.take_curves(ticket, result);
        }
    }

    /// While the groups are in view most actions are about them; false for one that is not.
    pub(super) fn act_on_groups(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let height = self.height(cx.area);
        let Some(groups) = self.groups.as_mut().filter(|groups| groups.opened.is_none()) else {
            return false;
        };
        let total = groups.rows().len();
        match action {
            Action::Sort | Action::ReverseSort => {
                if action == Action::Sort {
                    groups.sort_by_next();
                } else {
                    groups.descending = !groups.descending;
                }
                groups.cursor = Cursor::default();
                groups.found.clear();
                self.read_groups(cx);
            }
            Action::Open => self.open_group(cx),
            Action::Back if groups.full => groups.full = false,
            Action::Back => self.toggle_groups(cx),
            Action::NextPane | Action::PreviousPane => groups.full = !groups.full,
            Action::Left | Action::Right => {
                let count = groups.metrics().len().max(1);
                let step = if action == Action::Right { 1 } else { count - 1 };
                groups.metric = (groups.metric + step) % count;
            }
            Action::Mark => {
                let ids = groups.selected().map(|group| group.ids.clone()).unwrap_or_default();
                groups.cursor.act(Action::Down, height, total);
                groups.show_selected(cx);
                self.marks.toggle_all(&ids);
            }
            Action::Cancel
            | Action::Rerun
            | Action::RetryFailed
            | Action::ResumeBatch
            | Action::EditTags
            | Action::EditNote
                if self.marks.is_empty() =>
            {
                cx.toast(Tone::Plain, "mark the runs of a group with space first, or open it");
            }
            Action::Archive | Action::Delete | Action::Copy | Action::CopyLine | Action::Pin
                if self.marks.is_empty() =>
            {
                cx.toast(Tone::Plain, "mark the runs of a group with space first, or open it");
            }
            _ => {
                let before = groups.cursor;
                groups.cursor.act(action, height, total);
                groups.show_selected(cx);
                return groups.cursor != before || is_move(action);
            }
        }
        true
    }

    /// Shows the runs of the selected group as a list, which Back leaves again.
    fn open_group(&mut self, cx: &mut Context<'_>) {
        let Some(group) = self.groups.as_ref().and_then(Groups::selected) else {
            return;
        };
        let ids: Vec<String> = group.ids.iter().map(ToString::to_string).collect();
        if group.runs > ids.len() as u64 {
            let all = count(group.runs);
            cx.toast(Tone::Plain, format!("the newest {} of {all} runs are shown", ids.len()));
        }
        let filter = format!("id in ({})", ids.join(", "));
        let before = std::mem::take(&mut self.list.filter);
        if let Some(groups) = &mut self.groups {
            groups.opened = Some(before);
        }
        self.set_filter(filter, cx);
    }

    /// Back from the runs of one group to all groups; false when no group is open.
    pub(super) fn close_group(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(filter) = self.groups.as_mut().and_then(|groups| groups.opened.take()) else {
            return false;
        };
        self.set_filter(filter, cx);
        self.read_groups(cx);
        true
    }

    pub(super) fn click_groups(&mut self, mouse: MouseEvent, rows: Rect, cx: &mut Context<'_>) {
        let height = Table::height(rows);
        let Some(groups) = &mut self.groups else {
            return;
        };
        let total = groups.rows().len();
        if let Some(lines) = wheel(mouse) {
            groups.cursor.scroll(lines > 0, lines.unsigned_abs(), height, total);
        } else if mouse.kind == MouseEventKind::Down(MouseButton::Left)
            && let Some(line) = Table::line_at(rows, Position::new(mouse.column, mouse.row))
        {
            groups.cursor.click(line, height, total);
        }
        groups.show_selected(cx);
    }
}

fn is_move(action: Action) -> bool {
    use Action::{Bottom, Down, HalfPageDown, HalfPageUp, PageDown, PageUp, Top, Up};
    matches!(action, Up | Down | HalfPageUp | HalfPageDown | PageUp | PageDown | Top | Bottom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_as_exact_as_it_is_known() {
        let spread = |mean, deviation| Spread { n: 2, mean, deviation };
        let accuracy = Field::Figure(Figure::Accuracy);
        assert_eq!(spread_text(&accuracy, &spread(Some(0.91234), Some(0.004_321))), "0.912 ±0.0043");
        assert_eq!(spread_text(&accuracy, &spread(Some(0.9), None)), "0.900");
        assert_eq!(spread_text(&accuracy, &Spread::default()), "–");
    }
}
