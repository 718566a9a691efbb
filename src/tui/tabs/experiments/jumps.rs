//! From a run to its documents and to runs like it, and to a run that another tab asks for.

use crate::domain::collection::{KIND, RUN, collection_name, run_document};
use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::filter::Field;
use crate::tui::context::{Context, Goal, Tone};

use super::{Experiments, Focus};

#[cfg(test)]
mod tests;

/// The document by which runs are compared: how the run went.
const COURSE: &str = "course";

/// A run that is looked for among all rows.
#[derive(Clone, Debug)]
pub(super) struct Sought {
    id: ExperimentId,
    key: Option<String>,
    /// How the list was arranged, for when the run is gone.
    before: Arrangement,
}

#[derive(Clone, Debug, PartialEq)]
struct Arrangement {
    filter: String,
    sort: Field,
    descending: bool,
    without_simulated: bool,
    with_archived: bool,
}

impl Experiments {
    /// Goes to the documents of the selected run.
    pub(super) fn go_to_records(&self, cx: &mut Context<'_>) {
        if let Some(run) = self.with_documents(cx) {
            let question = format!("where {{\"{RUN}\": {}}}", run.id);
            cx.go(Goal::Records { collection: collection_name(&run.model_type, &run.dataset), question });
        }
    }

    /// Looks for other runs of the same collection whose course was like that of the selected one.
    pub(super) fn similar_runs(&self, cx: &mut Context<'_>) {
        if let Some(run) = self.with_documents(cx) {
            let document = run_document(&run.key, COURSE);
            let others = format!("{{\"{RUN}\": {{\"$ne\": {}}}}}", run.id);
            let question =
                format!("like:{document} where {{\"$and\": [{others}, {{\"{KIND}\": \"{COURSE}\"}}]}}");
            cx.go(Goal::Records { collection: collection_name(&run.model_type, &run.dataset), question });
        }
    }

    /// The run in view, if it is one that left documents.
    fn with_documents(&self, cx: &mut Context<'_>) -> Option<&Experiment> {
        let run = self.list.selected();
        if run.is_none_or(|run| run.status != Status::Completed) {
            cx.toast(Tone::Plain, "select a completed run: only those leave documents");
        }
        run.filter(|run| run.status == Status::Completed)
    }

    /// Selects a run and shows it in full, wherever it stands.
    pub(super) fn look_for(&mut self, id: ExperimentId, key: Option<String>, cx: &mut Context<'_>) {
        self.compare = None;
        self.groups = None;
        self.chooser = None;
        self.typing = false;
        self.follow = false;
        self.full = false;
        self.focus = Focus::Table;
        self.sought = Some(Sought { id, key, before: self.arrangement() });
        let height = self.height(cx.area);
        self.list.seek(cx, height, id);
    }

    /// The rows around the run that is looked for are here.
    pub(super) fn find_sought(&mut self, cx: &mut Context<'_>) {
        let Some(sought) = self.sought.take() else {
            return;
        };
        let height = self.height(cx.area);
        let id = sought.id;
        let found = self.list.find(id).map(|run| run.key.to_string());
        match (found, &sought.key) {
            (Some(key), Some(wanted)) if key != *wanted => {
                let text = format!("experiment {id} of this store is another run: that one is not here");
                self.give_up(&sought, text, cx);
            }
            (Some(_), _) => {
                self.list.select(id, height);
                if self.arrangement() != sought.before {
                    self.line.clear();
                    cx.toast(Tone::Plain, format!("filter and order made way for experiment {id}"));
                }
                self.open(cx);
            }
            (None, _) if self.list.failure().is_some() => {}
            (None, _) if !self.list.with_archived || !self.is_plain() => {
                // Not among these: without a filter first, then among the archived ones.
                self.list.with_archived |= self.is_plain();
                self.list.seek(cx, height, id);
                self.sought = Some(sought);
            }
            (None, _) => self.give_up(&sought, format!("experiment {id} is gone"), cx),
        }
    }

    fn give_up(&mut self, sought: &Sought, told: String, cx: &mut Context<'_>) {
        cx.toast(Tone::Bad, told);
        if self.arrangement() != sought.before {
            let Arrangement { filter, sort, descending, without_simulated, with_archived } =
                sought.before.clone();
            self.list.filter = filter;
            (self.list.sort, self.list.descending) = (sort, descending);
            (self.list.without_simulated, self.list.with_archived) = (without_simulated, with_archived);
            self.restart(cx);
        }
    }

    /// Every run that is not archived, the newest first.
    fn is_plain(&self) -> bool {
        let list = &self.list;
        list.filter.is_empty() && list.sort == Field::Id && list.descending && !list.without_simulated
    }

    fn arrangement(&self) -> Arrangement {
        let list = &self.list;
        Arrangement {
            filter: list.filter.clone(),
            sort: list.sort.clone(),
            descending: list.descending,
            without_simulated: list.without_simulated,
            with_archived: list.with_archived,
        }
    }
}
