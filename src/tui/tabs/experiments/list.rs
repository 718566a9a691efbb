//! The rows of the table: a window of any number of them, read around what is in view.

use std::ops::Range;

use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::filter::Field;
use crate::domain::metric::MetricPoint;
use crate::tui::context::Context;
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::worker::protocol::{Answer, ExperimentsRead, Failure, Read, Slot, Ticket};

/// Rows read beyond the view on each side, in heights of the view.
const MARGIN: usize = 2;

/// Least number of rows read at once.
const LEAST: usize = 100;

/// The rows that have arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    pub rows: Vec<Experiment>,
    pub offset: usize,
    /// Rows there are altogether.
    pub total: usize,
}

impl Window {
    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.rows.len()
    }

    fn place_of(&self, id: ExperimentId) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id).map(|index| self.offset + index)
    }
}

/// Which rows, in which order, and where one stands in them.
#[derive(Clone, Debug)]
pub struct List {
    window: Remote<Window>,
    /// What the reading that is under way will bring.
    asked: Range<usize>,
    /// Something changed while a reading was under way.
    again: bool,
    pub cursor: Cursor,
    /// Kept across readings, wherever its row went.
    selected: Option<ExperimentId>,
    pub sort: Field,
    pub descending: bool,
    /// As the user typed it.
    pub filter: String,
    pub without_simulated: bool,
    pub with_archived: bool,
}

impl Default for List {
    fn default() -> Self {
        List {
            window: Remote::default(),
            asked: 0..0,
            again: false,
            cursor: Cursor::default(),
            selected: None,
            sort: Field::Id,
            descending: true,
            filter: String::new(),
            without_simulated: false,
            with_archived: false,
        }
    }
}

impl List {
    pub fn total(&self) -> usize {
        self.window.data().map_or(0, |window| window.total)
    }

    pub fn is_known(&self) -> bool {
        self.window.data().is_some()
    }

    pub fn is_loading(&self) -> bool {
        self.window.is_loading()
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.window.failure()
    }

    /// The row at a place of the whole list, if it has arrived.
    pub fn row(&self, index: usize) -> Option<&Experiment> {
        let window = self.window.data()?;
        window.rows.get(index.checked_sub(window.offset)?)
    }

    /// All rows that have arrived.
    pub fn rows(&self) -> &[Experiment] {
        self.window.data().map_or(&[], |window| &window.rows)
    }

    /// Where a run stands in the whole list, if its row has arrived.
    pub fn place_of(&self, id: ExperimentId) -> Option<usize> {
        self.window.data()?.place_of(id)
    }

    pub fn selected(&self) -> Option<&Experiment> {
        self.row(self.cursor.selected)
    }

    pub fn find(&self, id: ExperimentId) -> Option<&Experiment> {
        self.window.data()?.rows.iter().find(|row| row.id == id)
    }

    /// The first row that runs, among those that `counts`.
    pub fn newest_running(&self, counts: impl Fn(ExperimentId) -> bool) -> Option<ExperimentId> {
        let rows = &self.window.data()?.rows;
        rows.iter().find(|row| row.status == Status::Running && counts(row.id)).map(|row| row.id)
    }

    /// The filter that is sent: the user's, and what the switches add.
    pub fn sent_filter(&self) -> String {
        let typed = self.filter.trim();
        match (typed.is_empty(), self.without_simulated) {
            (_, false) => typed.to_owned(),
            (true, true) => "runner != 'simulate'".to_owned(),
            (false, true) => format!("({typed}) and runner != 'simulate'"),
        }
    }

    /// New rows stand at the top of the table.
    fn newest_first(&self) -> bool {
        self.sort == Field::Id && self.descending && self.filter.trim().is_empty()
    }

    /// Another order or another filter: from the top.
    pub fn restart(&mut self, cx: &mut Context<'_>, height: usize) {
        self.cursor = Cursor::default();
        self.selected = None;
        self.read(cx, height);
    }

    /// Reads again what is in view; one reading at a time.
    pub fn refresh(&mut self, cx: &mut Context<'_>, height: usize) {
        if self.window.is_loading() {
            self.again = true;
        } else {
            self.read(cx, height);
        }
    }

    /// Reads when the view has left what is here or under way.
    pub fn ensure(&mut self, cx: &mut Context<'_>, height: usize) {
        let Some(window) = self.window.data() else {
            return;
        };
        let view = self.cursor.window(height, window.total);
        let covers = |range: &Range<usize>| range.start <= view.start && view.end <= range.end;
        let coming = self.window.is_loading() && covers(&self.asked);
        if !covers(&window.range()) && !coming {
            self.read(cx, height);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, height: usize) {
        let limit = (height * (1 + 2 * MARGIN)).max(LEAST);
        // Around the middle of the view; the total may have changed, so nothing here depends on it.
        let middle = self.cursor.top + height / 2;
        let offset = middle.saturating_sub(limit / 2);
        self.asked = offset..offset + limit;
        self.again = false;
        let read = ExperimentsRead {
            filter: self.sent_filter(),
            sort: self.sort.clone(),
            descending: self.descending,
            offset: offset as u64,
            limit: limit as u64,
            with_archived: self.with_archived,
        };
        let ticket = cx.read(Slot::Experiments, Read::Experiments(read));
        self.window.load(ticket);
    }

    /// Takes an answer; true when it was the one waited for.
    pub fn take(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        cx: &mut Context<'_>,
        height: usize,
    ) -> bool {
        let answer = match result {
            Ok(Answer::Experiments { rows, total, offset }) => {
                Ok(Window { rows: rows.clone(), offset: *offset as usize, total: *total as usize })
            }
            Ok(_) => return false,
            Err(failure) => Err(failure.clone()),
        };
        let failed = answer.is_err();
        if !self.window.fill(ticket, answer) {
            return false;
        }
        self.follow_selected(height);
        if self.again && !failed {
            self.read(cx, height);
        } else if !failed {
            self.ensure(cx, height);
        }
        self.again = false;
        true
    }

    /// The selected row is where its id is now; without one, what stands at the cursor is selected.
    fn follow_selected(&mut self, height: usize) {
        let Some(window) = self.window.data() else {
            return;
        };
        if let Some(place) = self.selected.and_then(|id| window.place_of(id)) {
            self.cursor.selected = place;
        }
        self.cursor.keep_visible(height, window.total);
        self.remember_selected();
    }

    /// After a step of the cursor.
    pub fn moved(&mut self, cx: &mut Context<'_>, height: usize) {
        self.cursor.keep_visible(height, self.total());
        self.remember_selected();
        self.ensure(cx, height);
    }

    fn remember_selected(&mut self) {
        self.selected = self.selected().map(|row| row.id);
    }

    /// Moves to a run if its row is here.
    pub fn select(&mut self, id: ExperimentId, height: usize) {
        self.selected = Some(id);
        self.follow_selected(height);
    }

    /// A run of this process changed: its row changes in place, a new one stands on top; true when the rows have to be
    /// read again because its place among them is not known here.
    pub fn put(&mut self, experiment: &Experiment, height: usize) -> bool {
        let newest_first = self.newest_first();
        let hidden = self.without_simulated && experiment.is_simulated();
        let Some(window) = self.window.data_mut() else {
            return false;
        };
        if let Some(row) = window.rows.iter_mut().find(|row| row.id == experiment.id) {
            let ended = experiment.status.is_final() && !row.status.is_final();
            row.clone_from(experiment);
            return ended && !newest_first;
        }
        if hidden {
            return false;
        }
        let newest = window.rows.first().is_none_or(|row| row.id < experiment.id);
        if !(newest_first && newest && window.offset == 0) {
            return true;
        }
        window.rows.insert(0, experiment.clone());
        window.total += 1;
        self.follow_selected(height);
        false
    }

    /// The newest figures of a running one show in its row.
    pub fn put_points(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        let Some(window) = self.window.data_mut() else {
            return;
        };
        let Some(row) = window.rows.iter_mut().find(|row| row.id == id && !row.status.is_final()) else {
            return;
        };
        for point in points {
            let figure = match point.name.as_str() {
                "accuracy" => &mut row.figures.accuracy,
                "precision" => &mut row.figures.precision,
                "recall" => &mut row.figures.recall,
                "f1_score" => &mut row.figures.f1_score,
                "training_time_seconds" => &mut row.figures.training_time_seconds,
                "inference_time_ms" => &mut row.figures.inference_time_ms,
                "memory_usage_mb" => &mut row.figures.memory_usage_mb,
                _ => continue,
            };
            *figure = Some(point.value);
        }
    }
}
