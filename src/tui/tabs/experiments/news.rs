//! News of the runs of this process, as they go on.

use crate::domain::batch::Batch;
use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::metric::MetricPoint;
use crate::tui::context::Context;

use super::Experiments;

impl Experiments {
    pub(super) fn hear_run(&mut self, run: &Experiment, cx: &mut Context<'_>) {
        let height = self.height(cx.area);
        if run.status == Status::Queued {
            self.live.forget(run.id);
        }
        if self.list.put(run, height) {
            self.list.refresh(cx, height);
        }
        self.detail.put(run);
        if let Some(compare) = &mut self.compare {
            compare.put(run);
        }
        if self.follow && self.is_free_to_follow() {
            // The next one may have begun before the news that the last one ended.
            let is_ours = |id: ExperimentId| id == run.id || self.live.get(id).is_some();
            if let Some(next) = self.list.newest_running(is_ours) {
                self.list.select(next, height);
            }
        }
        self.show_selected(cx);
    }

    /// The trials of a new batch are rows of the table before they run.
    pub(super) fn hear_batch(&mut self, batch: &Batch, cx: &mut Context<'_>) {
        if self.batches.insert(batch.id) {
            let height = self.height(cx.area);
            self.list.refresh(cx, height);
        }
    }

    /// A run that still moves is not left for a newer one.
    fn is_free_to_follow(&self) -> bool {
        !self.list.selected().is_some_and(|run| run.status == Status::Running)
    }

    pub(super) fn hear_points(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        self.live.add(id, points);
        self.list.put_points(id, points);
        self.detail.put_points(id, points);
        if let Some(compare) = &mut self.compare {
            compare.put_points(id, points);
        }
    }
}
