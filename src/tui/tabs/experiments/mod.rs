//! The experiments tab: a table of any number of runs, and beside it the selected one with its live curves.

use std::collections::{BTreeSet, VecDeque};

use crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::domain::batch::BatchId;
use crate::domain::experiment::ExperimentId;
use crate::domain::filter::Field;
use crate::tui::action::Action;
use crate::tui::charts::view::View;
use crate::tui::context::{Context, EditNote, Goal, Look, Tone};
use crate::tui::editor::Draft;
use crate::tui::widgets::input::TextLine;
use crate::worker::protocol::{Event, Failure, LogLine, Slot};

use super::Tab;
use aggregates::Aggregates;
use baseline::Pinned;
use chooser::Chooser;
use columns::Columns;
use compare::Compare;
use curves::Live;
use detail::Detail;
use groups::Groups;
use list::List;
use marks::Marks;

mod actions;
mod aggregates;
mod baseline;
mod chooser;
mod columns;
mod compare;
mod curves;
mod detail;
mod forms;
mod groups;
mod groups_view;
mod jumps;
mod list;
mod marks;
mod memory;
mod moves;
mod news;
mod note;
mod order;
mod reading;
#[cfg(test)]
mod tests;
mod view;

/// Lines of the log that are kept for the runs.
const LOG_LINES: usize = 1000;

/// Which part has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Table,
    Detail,
}

/// See the module.
#[derive(Debug)]
pub struct Experiments {
    list: List,
    columns: Columns,
    aggregates: Aggregates,
    chooser: Option<Chooser>,
    marks: Marks,
    pinned: Pinned,
    detail: Detail,
    live: Live,
    compare: Option<Compare>,
    groups: Option<Groups>,
    focus: Focus,
    /// The detail takes the whole tab.
    full: bool,
    line: TextLine,
    typing: bool,
    /// A run that another tab asked for.
    sought: Option<jumps::Sought>,
    /// The newest running one is selected as long as the user does not move.
    follow: bool,
    /// What the last archiving put away.
    undoable: VecDeque<(Vec<ExperimentId>, bool)>,
    log: VecDeque<LogLine>,
    /// Batches of this process that were heard of.
    batches: BTreeSet<BatchId>,
    /// Notes on their way to the store, and the files their texts are in until they are there.
    drafts: Vec<note::Saving>,
    /// How curves are looked at, in the detail and in comparisons.
    view: View,
}

impl Default for Experiments {
    fn default() -> Self {
        Experiments {
            list: List::default(),
            columns: Columns::default(),
            aggregates: Aggregates::default(),
            chooser: None,
            marks: Marks::default(),
            pinned: Pinned::default(),
            detail: Detail::default(),
            live: Live::default(),
            compare: None,
            groups: None,
            focus: Focus::default(),
            full: false,
            line: TextLine::default(),
            typing: false,
            sought: None,
            follow: true,
            undoable: VecDeque::new(),
            log: VecDeque::new(),
            batches: BTreeSet::new(),
            drafts: Vec::new(),
            view: View::default(),
        }
    }
}

impl Tab for Experiments {
    fn title(&self) -> &'static str {
        "Experiments"
    }

    fn section(&self) -> &'static str {
        "experiments"
    }

    fn refresh(&mut self, cx: &mut Context<'_>) {
        self.reread(cx);
        self.pinned.refresh(cx);
        self.read_groups(cx);
        match &mut self.compare {
            Some(compare) => compare.refresh(cx),
            None => self.detail.refresh(cx),
        }
    }

    fn reach(&mut self, goal: &Goal, cx: &mut Context<'_>) {
        if let Goal::Run { id, key } = goal {
            self.look_for(*id, key.clone(), cx);
        }
    }

    fn resized(&mut self, cx: &mut Context<'_>) {
        let height = self.height(cx.area);
        self.list.moved(cx, height);
        self.show_selected(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        if self.compare.is_none() && self.act_on_groups(action, cx) {
            return;
        }
        if self.act_on_curves(action, cx) {
            return;
        }
        let by = self.step(action, cx.area);
        match (action, by) {
            (_, Some((down, by))) => self.go(down, by, cx),
            (Action::Left | Action::Right, _) => self.turn(action == Action::Right, cx),
            (Action::NextPane | Action::PreviousPane, _) => {
                self.other_pane(action == Action::NextPane, cx.area)
            }
            (Action::Open, _) => self.open(cx),
            (Action::Back, _) => self.back(cx),
            (Action::Filter, _) => {
                self.typing = true;
                self.line.set(self.list.filter.clone());
            }
            (Action::Sort, _) => self.sort_by_next(cx),
            (Action::ReverseSort, _) => {
                self.list.descending = !self.list.descending;
                self.restart(cx);
            }
            (Action::ToggleSimulated, _) => self.toggle_simulated(cx),
            (Action::ToggleArchived, _) => self.toggle_archived(cx),
            (Action::Mark, _) => self.mark(cx),
            (Action::MarkRange, _) => self.mark_range(cx),
            (Action::MarkAll, _) => self.mark_all(cx),
            (Action::UnmarkAll, _) => self.unmark_all(cx),
            (Action::Compare, _) => self.compare(cx),
            (Action::Copy, _) if self.compare.is_none() && self.has_detail_keys() => {
                let room = self.detail_area(cx.area).unwrap_or_default();
                self.with_detail(cx.now, |detail, shown| detail.copy(cx, room, shown));
            }
            (Action::Columns, _) => self.choose_columns(cx),
            (Action::ColumnsLeft, _) => self.scroll_columns(-1),
            (Action::ColumnsRight, _) => self.scroll_columns(1),
            (Action::Pin, _) => self.pin(cx),
            (Action::Group, _) if self.compare.is_none() => self.toggle_groups(cx),
            (Action::ShowAll, _) => {
                if let Some(compare) = &mut self.compare {
                    compare.show_all();
                }
            }
            (Action::LaunchBatch, _) => self.follow = true,
            (Action::GoRecords, _) => self.go_to_records(cx),
            (Action::SimilarRuns, _) => self.similar_runs(cx),
            _ => self.act_on_runs(action, cx),
        }
    }

    fn is_typing(&self) -> bool {
        self.typing || self.chooser.is_some()
    }

    fn type_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        if self.chooser.is_some() {
            let area = cx.area;
            return self.with_chooser(cx, |chooser, columns, rows| chooser.key(key, area, columns, rows));
        }
        match key.code {
            KeyCode::Enter => {
                self.typing = false;
                self.set_filter(self.line.text().trim().to_owned(), cx);
            }
            KeyCode::Esc => {
                self.typing = false;
                self.line.clear();
                self.set_filter(String::new(), cx);
            }
            _ => {
                self.line.key(key);
            }
        }
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        self.click(mouse, cx);
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Answer { ticket, slot: Slot::Experiments, result } => {
                let height = self.height(cx.area);
                if self.list.take(*ticket, result, cx, height) {
                    self.find_sought(cx);
                    self.show_selected(cx);
                    self.read_aggregates(cx);
                }
            }
            Event::Answer { ticket, slot: Slot::CurveValues, result } => {
                self.aggregates.take(*ticket, result)
            }
            Event::Answer { ticket, slot: Slot::Marks, result } => self.take_marks(*ticket, result, cx),
            Event::Answer { ticket, slot: Slot::Baseline, result } => self.pinned.take(*ticket, result),
            Event::Answer { ticket, slot: Slot::Names, result } => {
                if let Some(chooser) = &mut self.chooser {
                    chooser.take(*ticket, result);
                }
            }
            Event::Answer { ticket, slot: Slot::Detail, result } => {
                self.detail.take(*ticket, result, &self.live, cx);
            }
            Event::Answer { ticket, slot: Slot::Compare, result } => {
                if let Some(compare) = &mut self.compare {
                    compare.take(*ticket, result, &self.live, cx);
                    self.marks.forget(&compare.gone());
                }
                self.take_group_curves(*ticket, result);
            }
            Event::Answer { ticket, slot: Slot::Groups, result } => self.take_groups(*ticket, result, cx),
            Event::Answer { ticket, slot: Slot::Documents, result } => {
                self.detail.take(*ticket, result, &self.live, cx);
            }
            Event::Experiment(experiment) => self.hear_run(experiment, cx),
            Event::Points { id, points } => self.hear_points(*id, points),
            Event::Log(line) => {
                if self.log.len() >= LOG_LINES {
                    self.log.pop_front();
                }
                self.log.push_back(line.clone());
            }
            Event::Done { ticket, result } => self.note_saved(*ticket, result.is_ok(), cx),
            Event::Batch(batch) => self.hear_batch(batch, cx),
            Event::Removed(ids) => self.marks.forget(ids),
            Event::Answer { .. } | Event::Job(_) | Event::Changed => {}
            Event::Health(_) | Event::Outbox(_) | Event::Timings(_) => {}
        }
    }

    fn note_edited(&mut self, note: &EditNote, result: &Result<Draft, Failure>, cx: &mut Context<'_>) {
        Experiments::note_edited(self, note, result, cx);
    }

    fn hints(&self) -> &'static [Action] {
        if self.compare.is_some() {
            &[
                Action::Right,
                Action::ReadValues,
                Action::NextMetric,
                Action::ShowAll,
                Action::Pin,
                Action::Back,
            ]
        } else if self.groups_in_view().is_some() {
            &[Action::Open, Action::NextPane, Action::Sort, Action::Mark, Action::Filter, Action::Back]
        } else if self.full {
            &[
                Action::Right,
                Action::Back,
                Action::ReadValues,
                Action::NextMetric,
                Action::NextSmoothing,
                Action::ToggleLog,
                Action::EditNote,
                Action::GoRecords,
                Action::SimilarRuns,
                Action::Copy,
            ]
        } else {
            &[
                Action::LaunchBatch,
                Action::NewRun,
                Action::Filter,
                Action::Sort,
                Action::Mark,
                Action::Compare,
                Action::Cancel,
                Action::Rerun,
                Action::Archive,
                Action::Columns,
                Action::Palette,
            ]
        }
    }

    fn is_busy(&self) -> bool {
        self.list.is_loading()
            || self.aggregates.is_loading()
            || self.groups.as_ref().is_some_and(Groups::is_loading)
            || self.marks.is_loading()
            || self.chooser.as_ref().is_some_and(Chooser::is_loading)
            || self.detail.is_waiting()
            || self.compare.as_ref().is_some_and(Compare::is_loading)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        self.draw_tab(frame, area, look);
        if let Some(chooser) = &self.chooser {
            chooser.draw(frame, area, look, &self.columns);
        }
    }

    fn remembered(&self) -> toml::Table {
        self.memory()
    }

    fn recall(&mut self, section: &toml::Table) -> Vec<String> {
        self.recall_memory(section)
    }
}

impl Experiments {
    /// With these columns at first, the usual ones when none.
    pub fn new(columns: Vec<Field>) -> Self {
        Experiments { columns: Columns::new(columns), ..Experiments::default() }
    }

    /// The rows in view anew.
    fn reread(&mut self, cx: &mut Context<'_>) {
        self.list.next = self.next_orders();
        let height = self.height(cx.area);
        self.list.refresh(cx, height);
    }

    fn restart(&mut self, cx: &mut Context<'_>) {
        self.list.next = self.next_orders();
        let height = self.height(cx.area);
        self.list.restart(cx, height);
        if let Some(groups) = &mut self.groups {
            groups.found.clear();
        }
        self.read_groups(cx);
    }

    fn compare(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<ExperimentId> = self.marks.iter().take(compare::MOST).collect();
        if ids.len() < 2 {
            let text = cx.keys.say("mark at least two runs with {mark}, then compare them");
            return cx.toast(Tone::Plain, text);
        }
        if self.marks.len() > ids.len() {
            let text = format!("the first {} of {} marked runs are compared", ids.len(), self.marks.len());
            cx.toast(Tone::Plain, text);
        }
        self.compare = Some(Compare::open(ids, cx));
    }
}
