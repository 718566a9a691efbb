//! What is done to runs: cancel, rerun, tag, archive, delete, copy.

use std::collections::BTreeSet;

use crate::domain::batch::BatchId;
use crate::domain::experiment::{Edit, ExperimentId};
use crate::tui::action::Action;
use crate::tui::context::{Context, Tone};
use crate::worker::protocol::{Cancel, Write};

use super::marks::Marks;
use super::{Experiments, forms};

/// Archivings that can be taken back.
pub(super) const UNDOABLE: usize = 50;

impl Experiments {
    /// What an action is about: the marked runs, or else the selected one.
    fn targets(&self) -> Vec<ExperimentId> {
        if self.marks.is_empty() {
            self.list.selected().map(|run| run.id).into_iter().collect()
        } else {
            self.marks.iter().collect()
        }
    }

    pub(super) fn act_on_runs(&mut self, action: Action, cx: &mut Context<'_>) {
        if action == Action::NewRun {
            self.follow = true;
            return cx.open(Box::new(forms::new_run(self.list.selected())));
        }
        if action == Action::Undo {
            return self.undo(cx);
        }
        let targets = self.targets();
        if targets.is_empty() {
            return;
        }
        match action {
            Action::Cancel => self.cancel(&targets, cx),
            Action::Rerun if few_enough(targets.len(), "run again", cx) => {
                self.follow = true;
                for id in targets {
                    cx.write(Write::Rerun(id));
                }
            }
            Action::RetryFailed => self.with_batches(&targets, "retried", Write::RetryBatch, cx),
            Action::ResumeBatch => self.with_batches(&targets, "resumed", Write::ResumeBatch, cx),
            Action::EditTags => {
                let known = match targets.as_slice() {
                    [id] => self.list.find(*id).map(|run| run.tags.clone()).unwrap_or_default(),
                    _ => Vec::new(),
                };
                cx.open(Box::new(forms::tags(&targets, known)));
            }
            Action::EditNote => self.edit_note(&targets, cx),
            Action::Archive => self.archive(targets, cx),
            Action::Delete => {
                let goes = targets.iter().map(|id| self.name_of(*id)).collect();
                cx.open(Box::new(forms::delete(&targets, goes)));
            }
            Action::Copy => {
                let ids: Vec<String> = targets.iter().map(ToString::to_string).collect();
                let text = ids.join(" ");
                let what = text.clone();
                cx.copy_and_tell(text, &what);
            }
            Action::CopyLine => {
                let runs = targets.iter().filter_map(|id| self.list.find(*id));
                let lines: Vec<String> =
                    runs.map(|run| self.columns.line(run, &self.aggregates, cx.now)).collect();
                let count = lines.len();
                let what = if count == 1 { "the line".to_owned() } else { format!("{count} lines") };
                cx.copy_and_tell(lines.join("\n"), &what);
            }
            _ => {}
        }
    }

    fn name_of(&self, id: ExperimentId) -> String {
        match self.list.find(id) {
            Some(run) => format!("#{id} {} · {} {}", run.model_type, run.dataset, run.name),
            None => format!("#{id}"),
        }
    }

    fn cancel(&mut self, targets: &[ExperimentId], cx: &mut Context<'_>) {
        let over = |id: &ExperimentId| self.list.find(*id).is_some_and(|run| run.status.is_final());
        let moving: Vec<ExperimentId> = targets.iter().copied().filter(|id| !over(id)).collect();
        if moving.is_empty() {
            return cx.toast(Tone::Plain, "nothing to cancel: it has ended already");
        }
        if !few_enough(moving.len(), "cancelled", cx) {
            return;
        }
        for id in moving {
            cx.cancel(Cancel::Experiment(id));
        }
    }

    /// Of the batches that these runs belong to.
    /// Writes something for each batch that one of the runs belongs to.
    fn with_batches(
        &mut self,
        targets: &[ExperimentId],
        done: &str,
        write: fn(BatchId) -> Write,
        cx: &mut Context<'_>,
    ) {
        let known = targets.iter().filter_map(|id| self.list.find(*id));
        let batches: BTreeSet<BatchId> = known.filter_map(|run| run.batch_id).collect();
        if batches.is_empty() {
            return cx.toast(Tone::Plain, "this run belongs to no batch; rerun it instead");
        }
        if few_enough(batches.len(), done, cx) {
            self.follow = true;
            for batch in batches {
                cx.write(write(batch));
            }
        }
    }

    /// Takes back from the archive when all that is meant lies there.
    fn archive(&mut self, targets: Vec<ExperimentId>, cx: &mut Context<'_>) {
        let lies_there = |id: &ExperimentId| self.list.find(*id).is_some_and(|run| run.archived_at.is_some());
        let away = !targets.iter().all(lies_there);
        let hint = cx.keys.say(if away { "{undo} brings it back" } else { "{undo} archives it again" });
        if cx.write_with_hint(Write::Edit(targets.clone(), Edit::Archive(away)), hint).is_some() {
            if self.undoable.len() == UNDOABLE {
                self.undoable.pop_front();
            }
            self.undoable.push_back((targets, away));
        }
        self.marks = Marks::default();
    }

    fn undo(&mut self, cx: &mut Context<'_>) {
        let Some((ids, away)) = self.undoable.pop_back() else {
            return cx.toast(Tone::Plain, "there is nothing to undo: only archiving can be");
        };
        let write = Write::Edit(ids, Edit::Archive(!away));
        match self.undoable.len() {
            0 => cx.write(write),
            more => cx.write_with_hint(write, cx.keys.say(&format!("{{undo}} undoes {more} more"))),
        };
    }
}

/// Jobs that one key may begin or stop: the worker takes so many requests at once.
const AT_ONCE: usize = 32;

fn few_enough(count: usize, what: &str, cx: &mut Context<'_>) -> bool {
    if count > AT_ONCE {
        cx.toast(Tone::Bad, format!("{count} are too many: {AT_ONCE} at most can be {what} at once"));
    }
    count <= AT_ONCE
}
