//! What the table shows: which runs, by what they are sorted, in which columns.

use ratatui::layout::{Position, Rect};

use crate::domain::experiment::ExperimentId;
use crate::domain::filter::Field;
use crate::tui::context::{Context, Tone};
use crate::tui::widgets::table::Table;

use super::Experiments;
use super::chooser::{Chooser, Rows};
use super::columns;

impl Experiments {
    pub(super) fn sort_by(&mut self, field: Field, cx: &mut Context<'_>) {
        if self.list.sort == field {
            self.list.descending = !self.list.descending;
        } else {
            self.list.descending = columns::begins_descending(&field);
            self.list.sort = field;
        }
        self.restart(cx);
    }

    /// The next column to the right that has a title.
    pub(super) fn sort_by_next(&mut self, cx: &mut Context<'_>) {
        let next = self.columns.sortable_from(&self.list.sort).next().cloned();
        if let Some(next) = next {
            self.sort_by(next, cx);
        }
    }

    /// The orders one key away, and those that the same key comes to later.
    pub(super) fn next_orders(&self) -> Vec<(Field, bool)> {
        let now = &self.list.sort;
        let others = self.columns.sortable_from(now).filter(|field| *field != now);
        let others = others.map(|field| (field.clone(), columns::begins_descending(field)));
        std::iter::once((now.clone(), !self.list.descending)).chain(others).collect()
    }

    pub(super) fn scroll_columns(&mut self, by: isize) {
        self.columns.scroll(by);
    }

    pub(super) fn choose_columns(&mut self, cx: &mut Context<'_>) {
        self.chooser = Some(Chooser::open(cx));
    }

    /// Lets the chooser change the columns, then reads what the new ones need.
    pub(super) fn with_chooser(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Chooser, &mut columns::Columns, &Rows<'_>) -> bool,
    ) {
        let Some(mut chooser) = self.chooser.take() else {
            return;
        };
        let before = self.columns.all().to_vec();
        let rows = Rows { runs: self.list.rows(), aggregates: &self.aggregates };
        if act(&mut chooser, &mut self.columns, &rows) {
            self.chooser = Some(chooser);
        }
        if self.columns.all() != before {
            // Behind the rows come the curves' values and the orders that are possible now.
            self.reread(cx);
        }
    }

    pub(super) fn read_aggregates(&mut self, cx: &mut Context<'_>) {
        let ids = self.list.rows().iter().map(|run| run.id).collect();
        self.aggregates.read(cx, self.columns.all().iter().map(|shown| &shown.field), ids);
    }

    /// The column whose title is under a click, by which can be sorted.
    pub(super) fn sortable_at(&self, rows: Rect, place: Position) -> Option<Option<Field>> {
        let column = self.table(true).title_at(rows, place)?;
        let field = self.columns.in_view().nth(column).map(|shown| shown.field.clone());
        Some(field.filter(|field| !columns::title(field).is_empty()))
    }

    /// The table without its rows.
    pub(super) fn table(&self, focused: bool) -> Table {
        // As long as the longest there may be, so that the columns stay where they are as one scrolls.
        let longest_id = self.list.rows().iter().map(|run| run.id).max().unwrap_or(0);
        let longest_id = longest_id.max(self.list.total() as ExperimentId);
        let sorted = self.columns.in_view().position(|shown| shown.field == self.list.sort);
        Table {
            columns: self.columns.layout(self.pinned.get().is_some(), longest_id),
            total: self.list.total(),
            cursor: self.list.cursor,
            sort: sorted.map(|column| (column, self.list.descending)),
            marks: self.marks.are_shown(),
            focused,
        }
    }

    pub(super) fn set_filter(&mut self, filter: String, cx: &mut Context<'_>) {
        if filter != self.list.filter {
            self.list.filter = filter;
            self.restart(cx);
        }
    }

    pub(super) fn toggle_simulated(&mut self, cx: &mut Context<'_>) {
        self.list.without_simulated = !self.list.without_simulated;
        let text = if self.list.without_simulated {
            "simulated runs are hidden"
        } else {
            "simulated runs are shown"
        };
        cx.toast(Tone::Plain, text);
        self.restart(cx);
    }

    pub(super) fn toggle_archived(&mut self, cx: &mut Context<'_>) {
        self.list.with_archived = !self.list.with_archived;
        let text =
            if self.list.with_archived { "archived runs are shown" } else { "archived runs are hidden" };
        cx.toast(Tone::Plain, text);
        self.restart(cx);
    }
}
