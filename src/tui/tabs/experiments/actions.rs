//! What is done to runs: cancel, rerun, tag, archive, delete, copy.

use crate::domain::experiment::{Edit, ExperimentId};
use crate::tui::action::Action;
use crate::tui::context::{Context, Tone};
use crate::worker::protocol::{Cancel, Write};

use super::{Experiments, columns, forms};

impl Experiments {
    /// What an action is about: the marked runs, or else the selected one.
    fn targets(&self) -> Vec<ExperimentId> {
        if self.marks.is_empty() {
            self.list.selected().map(|run| run.id).into_iter().collect()
        } else {
            self.marks.iter().copied().collect()
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
            Action::Rerun => {
                self.follow = true;
                for id in targets {
                    cx.write(Write::Rerun(id));
                }
            }
            Action::RetryFailed => self.retry_failed(cx),
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
                cx.toast(Tone::Good, format!("copied {text}"));
                cx.copy(text);
            }
            Action::CopyLine => {
                let runs = targets.iter().filter_map(|id| self.list.find(*id));
                let lines: Vec<String> = runs.map(|run| columns::line(run, cx.now)).collect();
                let count = lines.len();
                cx.toast(
                    Tone::Good,
                    if count == 1 { "copied the line".to_owned() } else { format!("copied {count} lines") },
                );
                cx.copy(lines.join("\n"));
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
        for id in moving {
            cx.cancel(Cancel::Experiment(id));
        }
    }

    fn retry_failed(&mut self, cx: &mut Context<'_>) {
        match self.list.selected().map(|run| run.batch_id) {
            Some(Some(batch)) => {
                self.follow = true;
                cx.write(Write::RetryBatch(batch));
            }
            _ => cx.toast(Tone::Plain, "this run belongs to no batch; rerun it instead"),
        }
    }

    /// Takes back from the archive when all that is meant lies there.
    fn archive(&mut self, targets: Vec<ExperimentId>, cx: &mut Context<'_>) {
        let lies_there = |id: &ExperimentId| self.list.find(*id).is_some_and(|run| run.archived_at.is_some());
        if targets.iter().all(lies_there) {
            cx.write(Write::Edit(targets, Edit::Archive(false)));
        } else if cx
            .write_with_hint(Write::Edit(targets.clone(), Edit::Archive(true)), "u brings it back")
            .is_some()
        {
            self.archived = targets;
        }
        self.marks.clear();
    }

    fn undo(&mut self, cx: &mut Context<'_>) {
        let ids = std::mem::take(&mut self.archived);
        if ids.is_empty() {
            cx.toast(Tone::Plain, "there is nothing to undo");
        } else {
            cx.write(Write::Edit(ids, Edit::Archive(false)));
        }
    }
}
