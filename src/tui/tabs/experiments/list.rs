//! The rows of the table: a window of any number of them, read around what is in view and found again by their keys.

use std::ops::Range;

use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::filter::Field;
use crate::domain::metric::MetricPoint;
use crate::domain::window::{Key, Window as Part};
use crate::tui::context::Context;
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::worker::protocol::{Answer, ExperimentRows, ExperimentsRead, Failure, Read, Slot, Ticket};

#[cfg(test)]
mod tests;

/// Rows read at once, in heights of the view: it and one more on each side.
const HEIGHTS: usize = 3;

/// Least number of rows read at once.
const LEAST: usize = 60;

/// The rows that have arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    pub rows: Vec<Experiment>,
    /// The key of each row.
    keys: Vec<Key>,
    pub offset: usize,
    /// Rows there are altogether.
    pub total: usize,
}

impl Window {
    fn of(answer: &ExperimentRows) -> Self {
        Window {
            rows: answer.rows.clone(),
            keys: answer.keys.clone(),
            offset: answer.position as usize,
            total: answer.total as usize,
        }
    }

    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.rows.len()
    }

    fn place_of(&self, id: ExperimentId) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id).map(|index| self.offset + index)
    }

    fn key(&self, place: usize) -> Option<&Key> {
        self.keys.get(place.checked_sub(self.offset)?)
    }

    /// How far a row that was known before has moved: the one nearest to `place` that is still here.
    fn moved_by(&self, before: &Window, place: usize) -> Option<isize> {
        let mut known: Vec<(usize, ExperimentId)> =
            before.rows.iter().zip(before.offset..).map(|(row, place)| (place, row.id)).collect();
        known.sort_by_key(|(known, _)| known.abs_diff(place));
        known.into_iter().find_map(|(old, id)| Some(self.place_of(id)?.cast_signed() - old.cast_signed()))
    }
}

/// Which rows, in which order, and where one stands in them.
#[derive(Clone, Debug)]
pub struct List {
    window: Remote<Window>,
    /// What the reading that is under way will bring.
    asked: Range<usize>,
    /// What is shown is of another order or filter.
    restarted: bool,
    /// Something changed while a reading was under way.
    again: bool,
    /// The newest run of all, where the top of the list by id has been seen.
    newest: Option<ExperimentId>,
    pub cursor: Cursor,
    /// Kept across readings, wherever its row went.
    selected: Option<ExperimentId>,
    pub sort: Field,
    pub descending: bool,
    /// As the user typed it.
    pub filter: String,
    pub without_simulated: bool,
    pub with_archived: bool,
    /// Orders that may be next, each with whether it is descending.
    pub next: Vec<(Field, bool)>,
}

impl Default for List {
    fn default() -> Self {
        List {
            window: Remote::default(),
            asked: 0..0,
            restarted: false,
            again: false,
            newest: None,
            cursor: Cursor::default(),
            selected: None,
            sort: Field::Id,
            descending: true,
            filter: String::new(),
            without_simulated: false,
            with_archived: false,
            next: Vec::new(),
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

    /// Something is on its way that the user waits for: another order or filter, or rows in view. Reading again what is
    /// shown already makes no stir.
    pub fn is_waiting(&self, height: usize) -> bool {
        let missing = self.window.data().is_none_or(|window| {
            let view = self.cursor.window(height, window.total);
            view.start < window.offset || view.end > window.range().end
        });
        self.window.is_loading() && (missing || self.restarted)
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
        self.newest = None;
        self.restarted = true;
        self.read(cx, Part::First, 0..rows_at_first(height));
    }

    /// Reads again what is in view; one reading at a time.
    pub fn refresh(&mut self, cx: &mut Context<'_>, height: usize) {
        if self.window.is_loading() {
            self.again = true;
        } else {
            self.read_again(cx, height);
        }
    }

    /// Reads the rows around a run: where it stood, or else among all rows by their ids.
    pub fn seek(&mut self, cx: &mut Context<'_>, height: usize, id: ExperimentId) {
        let limit = rows_at_once(height);
        let known =
            self.place_of(id).and_then(|place| Some((place, self.window.data()?.key(place)?.clone())));
        self.selected = Some(id);
        if let Some((place, key)) = known {
            self.cursor.selected = place;
            let start = place.saturating_sub(limit / 2);
            return self.read(cx, Part::Around(key), start..start + limit);
        }
        self.cursor = Cursor::default();
        self.filter.clear();
        (self.sort, self.descending) = (Field::Id, true);
        self.without_simulated = false;
        self.restarted = true;
        self.read(cx, Part::Around(Key::of_id(id)), 0..limit);
    }

    /// Reads when the view comes near the end of what is here or under way.
    pub fn ensure(&mut self, cx: &mut Context<'_>, height: usize) {
        let Some(window) = self.window.data() else {
            return;
        };
        let view = self.cursor.window(height, window.total);
        let near = view.start.saturating_sub(height / 2)..(view.end + height / 2).min(window.total);
        let covers = |range: &Range<usize>, part: &Range<usize>| {
            range.start <= part.start && part.end <= range.end.min(window.total)
        };
        let coming = self.window.is_loading() && covers(&self.asked, &view);
        if !covers(&window.range(), &near) && !coming {
            let (part, rows) = self.part_in_view(window, height);
            self.read(cx, part, rows);
        }
    }

    /// Which part to ask for so that the view is in its middle, by the key of a row at its edge where one is known, and
    /// which rows these are as far as one can tell.
    fn part_in_view(&self, window: &Window, height: usize) -> (Part, Range<usize>) {
        let view = self.cursor.window(height, window.total);
        let known = window.range();
        let is_far = view.end <= known.start || known.end <= view.start;
        let limit = if is_far { rows_at_first(height) } else { rows_at_once(height) };
        let middle = view.start + view.len() / 2;
        let start = middle.saturating_sub(limit / 2).min(window.total.saturating_sub(limit));
        let end = start + limit;
        let part = if start == 0 {
            Part::First
        } else if end >= window.total {
            Part::Last
        } else if let Some(key) = window.key(start - 1) {
            Part::After(key.clone())
        } else if let Some(key) = window.key(end) {
            Part::Before(key.clone())
        } else {
            Part::At(start as u64)
        };
        (part, start..end)
    }

    /// The same rows, wherever they are now: around the selected one, or another one in view.
    fn read_again(&mut self, cx: &mut Context<'_>, height: usize) {
        let limit = rows_at_once(height);
        let Some(window) = self.window.data() else {
            return self.read(cx, Part::First, 0..rows_at_first(height));
        };
        let view = self.cursor.window(height, window.total);
        let known = std::iter::once(self.cursor.selected).chain(view);
        let anchor = known.into_iter().find_map(|place| Some((place, window.key(place)?.clone())));
        let (part, rows) = match anchor {
            Some((place, key)) => {
                let start = place.saturating_sub(limit / 2).min(window.total.saturating_sub(limit));
                (Part::Around(key), start..start + limit)
            }
            None => self.part_in_view(window, height),
        };
        self.read(cx, part, rows);
    }

    fn read(&mut self, cx: &mut Context<'_>, part: Part, rows: Range<usize>) {
        self.again = false;
        let read = ExperimentsRead {
            filter: self.sent_filter(),
            sort: self.sort.clone(),
            descending: self.descending,
            window: part,
            limit: rows.len() as u64,
            with_archived: self.with_archived,
            next: self.next.clone(),
        };
        self.asked = rows;
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
            Ok(Answer::Experiments(rows)) => Ok(Window::of(rows)),
            Ok(_) => return false,
            Err(failure) => Err(failure.clone()),
        };
        let failed = answer.is_err();
        let before = self.window.data().cloned();
        if !self.window.fill(ticket, answer) {
            return false;
        }
        // Places in the list before mean nothing in another one.
        let before = before.filter(|_| !self.restarted);
        self.restarted = false;
        self.settle(before.as_ref(), height);
        if self.again && !failed {
            self.read_again(cx, height);
        } else if !failed {
            self.ensure(cx, height);
        }
        self.again = false;
        true
    }

    /// Rows may have come or gone above: the selected one stays selected, and on its line.
    fn settle(&mut self, before: Option<&Window>, height: usize) {
        let Some(window) = self.window.data() else {
            return;
        };
        let place = self.selected.and_then(|id| window.place_of(id));
        let moved = place.map(|place| place.cast_signed() - self.cursor.selected.cast_signed());
        let moved = moved
            .or_else(|| window.moved_by(before?, self.cursor.selected))
            .unwrap_or_else(|| window.offset.cast_signed() - self.asked.start.cast_signed());
        self.cursor.selected = self.cursor.selected.saturating_add_signed(moved);
        // At the top, what is new comes into view.
        if self.cursor.top > 0 {
            self.cursor.top = self.cursor.top.saturating_add_signed(moved);
        }
        self.cursor.keep_visible(height, window.total);
        if self.newest_first() && window.offset == 0 {
            self.newest = window.rows.first().map(|row| row.id);
        }
        self.remember_selected();
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
        let (newest_first, newest_known) = (self.newest_first(), self.newest);
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
        match newest_known {
            Some(newest) if newest_first && experiment.id < newest => return false,
            Some(_) if newest_first => {}
            // The list may be empty still.
            None if newest_first && window.total == 0 => {}
            _ => return true,
        }
        self.put_on_top(experiment, height);
        false
    }

    /// One that is newer than all, in the order by id.
    fn put_on_top(&mut self, experiment: &Experiment, height: usize) {
        let Some(window) = self.window.data_mut() else {
            return;
        };
        window.total += 1;
        if window.offset == 0 {
            window.rows.insert(0, experiment.clone());
            window.keys.insert(0, Key::of_id(experiment.id));
        } else {
            window.offset += 1;
        }
        self.newest = Some(experiment.id);
        self.asked = self.asked.start + 1..self.asked.end + 1;
        self.cursor.selected += usize::from(self.selected.is_some() || self.cursor.top > 0);
        if self.cursor.top > 0 {
            self.cursor.top += 1;
        }
        self.follow_selected(height);
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

fn rows_at_once(height: usize) -> usize {
    (height * HEIGHTS).max(LEAST)
}

/// After a jump: what is in view and little more, since rows that lie apart cost their number.
fn rows_at_first(height: usize) -> usize {
    rows_at_once(height) / 2
}
