//! Runs that are marked: one by one, by range, or all that the filter shows.

use std::collections::BTreeSet;

use crate::domain::experiment::ExperimentId;
use crate::tui::context::{Context, Tone};
use crate::tui::remote::Remote;
use crate::tui::widgets::number::{count, counted};
use crate::worker::protocol::{Answer, Failure, IdsRead, Read, Slot, Ticket};

use super::Experiments;

/// Runs that can be marked. What is done to marked runs is done to each, so more would be a mistake or a night's work.
pub const MOST: usize = 10_000;

/// The marked runs. Ids, so that a mark stays with its run wherever its row goes.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Sorted, so that comparisons keep their order.
    ids: BTreeSet<ExperimentId>,
    /// Where a range begins.
    anchor: Option<Anchor>,
    coming: Remote<()>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    id: ExperimentId,
    place: usize,
    /// Of the list; another one later says that places have moved.
    total: usize,
}

impl Marks {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether the table keeps a column for marks.
    pub fn are_shown(&self) -> bool {
        !self.ids.is_empty() || self.anchor.is_some()
    }

    pub fn contains(&self, id: ExperimentId) -> bool {
        self.ids.contains(&id)
    }

    /// Whether a row shows as marked: it is, or it lies in the range that is being made.
    pub fn shows(&self, id: ExperimentId, place: usize, selected: usize) -> bool {
        let in_range =
            |anchor: Anchor| (anchor.place.min(selected)..=anchor.place.max(selected)).contains(&place);
        self.contains(id) || self.anchor.is_some_and(in_range)
    }

    pub fn iter(&self) -> impl Iterator<Item = ExperimentId> {
        self.ids.iter().copied()
    }

    /// Gives up the range that is being made, or else all marks; false when there was neither.
    pub fn clear(&mut self) -> bool {
        if self.anchor.take().is_some() {
            return true;
        }
        let any = !self.ids.is_empty();
        self.ids.clear();
        any
    }

    /// These are gone for good.
    pub fn forget(&mut self, gone: &[ExperimentId]) {
        for id in gone {
            self.ids.remove(id);
        }
        self.anchor = self.anchor.filter(|anchor| !gone.contains(&anchor.id));
    }

    pub fn is_loading(&self) -> bool {
        self.coming.is_loading()
    }

    /// Marks all of these, or unmarks them when they are marked already.
    pub fn toggle_all(&mut self, ids: &[ExperimentId]) {
        if ids.iter().all(|id| self.contains(*id)) {
            self.ids.retain(|id| !ids.contains(id));
        } else {
            self.add(ids.iter().copied());
        }
    }

    fn add(&mut self, ids: impl IntoIterator<Item = ExperimentId>) {
        for id in ids {
            if self.ids.len() >= MOST {
                break;
            }
            self.ids.insert(id);
        }
    }
}

impl Experiments {
    pub(super) fn mark(&mut self, cx: &mut Context<'_>) {
        if self.marks.anchor.is_some() {
            return self.mark_range(cx);
        }
        if let Some(id) = self.list.selected().map(|run| run.id) {
            if !self.marks.ids.remove(&id) {
                if self.marks.len() >= MOST {
                    return cx
                        .toast(Tone::Bad, format!("{} runs are marked; no more can be", count(MOST as u64)));
                }
                self.marks.ids.insert(id);
            }
            self.go(true, 1, cx);
        }
    }

    /// Begins a range at the selected row, or marks from where it began to here.
    pub(super) fn mark_range(&mut self, cx: &mut Context<'_>) {
        let Some(id) = self.list.selected().map(|run| run.id) else {
            return;
        };
        let (place, total) = (self.list.cursor.selected, self.list.total());
        let Some(anchor) = self.marks.anchor.take() else {
            self.marks.anchor = Some(Anchor { id, place, total });
            return cx.toast(Tone::Plain, "a range begins here: move, and mark its end in the same way");
        };
        let begin = self.list.place_of(anchor.id).or(Some(anchor.place).filter(|_| anchor.total == total));
        let Some(begin) = begin else {
            return cx.toast(Tone::Bad, "the list has changed since the range began: nothing was marked");
        };
        let (first, last) = (begin.min(place), begin.max(place));
        let here: Vec<ExperimentId> =
            (first..=last).map_while(|place| self.list.row(place)).map(|run| run.id).collect();
        if here.len() == last - first + 1 {
            self.marks.add(here);
        } else {
            self.read_marks(first, last - first + 1, cx);
        }
    }

    /// All that the filter shows, whether their rows are here or not.
    pub(super) fn mark_all(&mut self, cx: &mut Context<'_>) {
        self.marks.anchor = None;
        self.read_marks(0, MOST, cx);
    }

    fn read_marks(&mut self, first: usize, wanted: usize, cx: &mut Context<'_>) {
        let read = IdsRead {
            filter: self.list.sent_filter(),
            sort: self.list.sort.clone(),
            descending: self.list.descending,
            with_archived: self.list.with_archived,
            skip: first as u64,
            limit: wanted.min(MOST) as u64,
        };
        self.marks.coming.load(cx.read(Slot::Marks, Read::Ids(read)));
    }

    pub(super) fn take_marks(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        cx: &mut Context<'_>,
    ) {
        match result {
            Ok(Answer::Ids(ids)) => {
                if self.marks.coming.fill(ticket, Ok(())) {
                    let all = ids.ids.len() as u64 == ids.total;
                    self.marks.add(ids.ids.iter().copied());
                    let marked = counted(self.marks.len() as u64, "run");
                    let text = match all || self.marks.len() < MOST {
                        true => format!("{marked} marked"),
                        false => format!("{marked} marked of {}: no more can be", count(ids.total)),
                    };
                    cx.toast(Tone::Plain, text);
                }
            }
            Ok(_) => {}
            Err(failure) => {
                if self.marks.coming.fill(ticket, Err(failure.clone())) {
                    cx.toast(Tone::Bad, format!("nothing was marked: {}", failure.message));
                }
            }
        }
    }

    pub(super) fn unmark_all(&mut self, cx: &mut Context<'_>) {
        self.marks.anchor = None;
        if !self.marks.clear() {
            cx.toast(Tone::Plain, "nothing is marked");
        }
    }
}
