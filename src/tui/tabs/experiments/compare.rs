//! Marked runs against each other: their curves in one chart, and the parameters in which they differ.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::tui::charts::curve::CurveLine;
use crate::tui::charts::thin::Point;
use crate::tui::charts::view::View;
use crate::tui::context::{Context, Look};
use crate::tui::remote::Remote;
use crate::tui::theme::Theme;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::notice::draw_failure;
use crate::tui::widgets::number::{NOTHING, short};
use crate::tui::widgets::pane::Pane;
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::worker::protocol::{Answer, Failure, Read, Slot, Ticket};

use super::curves::{Curves, Live, title_of};
use super::detail::value_text;

/// Runs that can be told apart in one chart.
pub const MOST: usize = 8;

/// Least width of one chart.
const CHART_WIDTH: u16 = 50;

/// One run after the other is read, since a reading replaces the one before it.
#[derive(Clone, Debug)]
pub struct Compare {
    ids: Vec<ExperimentId>,
    runs: Vec<(Experiment, Curves)>,
    /// How many have been read, and the reading of the one after them.
    read: usize,
    next: Remote<()>,
    /// The first metric that is shown.
    metric: usize,
    cursor: Cursor,
}

impl Compare {
    pub fn open(ids: Vec<ExperimentId>, cx: &mut Context<'_>) -> Self {
        let mut compare = Compare {
            ids,
            runs: Vec::new(),
            read: 0,
            next: Remote::default(),
            metric: 0,
            cursor: Cursor::default(),
        };
        compare.read_next(cx);
        compare
    }

    fn read_next(&mut self, cx: &mut Context<'_>) {
        if let Some(id) = self.ids.get(self.read) {
            self.next.load(cx.read(Slot::Detail, Read::Detail(*id)));
        }
    }

    /// Reads all runs again once all have been read; what is shown stays meanwhile.
    pub fn refresh(&mut self, cx: &mut Context<'_>) {
        if !self.is_loading() {
            self.read = 0;
            self.read_next(cx);
        }
    }

    pub fn is_loading(&self) -> bool {
        self.next.is_loading()
    }

    pub fn take(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        live: &Live,
        cx: &mut Context<'_>,
    ) {
        match result {
            Ok(Answer::Detail { experiment, points, .. }) => {
                if self.next.fill(ticket, Ok(())) {
                    let mut curves = Curves::of(points);
                    if let Some(newer) = live.get(experiment.id) {
                        curves.merge(newer);
                    }
                    let run = (experiment.as_ref().clone(), curves);
                    match self.runs.get_mut(self.read) {
                        Some(old) => *old = run,
                        None => self.runs.push(run),
                    }
                    self.read += 1;
                    self.read_next(cx);
                }
            }
            Ok(_) => {}
            Err(failure) => {
                self.next.fill(ticket, Err(failure.clone()));
            }
        }
    }

    pub fn put(&mut self, experiment: &Experiment) {
        if let Some((run, _)) = self.runs.iter_mut().find(|(run, _)| run.id == experiment.id) {
            run.clone_from(experiment);
        }
    }

    pub fn put_points(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        if let Some((_, curves)) = self.runs.iter_mut().find(|(run, _)| run.id == id) {
            curves.add(points);
        }
    }

    /// To the next metric or the one before it.
    pub fn turn(&mut self, right: bool) {
        let count = self.metrics().len().max(1);
        self.metric = if right { (self.metric + 1) % count } else { (self.metric + count - 1) % count };
    }

    pub fn scroll(&mut self, down: bool, by: usize) {
        let total = self.lines().len();
        if down { self.cursor.down(by, total) } else { self.cursor.up(by) }
    }

    /// All metrics that any of the runs has.
    fn metrics(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, curves) in &self.runs {
            for name in curves.names() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look<'_>, view: &View) {
        let title = format!("Compare {} runs", self.ids.len());
        let pane = Pane::new(title).focused(true).loading(self.is_loading());
        let come = format!("{} of {} read", self.runs.len(), self.ids.len());
        let come = if self.runs.len() < self.ids.len() { come } else { String::new() };
        let inside = pane
            .note(come, look.theme.dim)
            .note(view.settings.words(), look.theme.dim)
            .draw(area, buffer, look);
        let mut room = inside;
        if let Some(failure) = self.next.failure() {
            room = draw_failure(inside, buffer, look.theme, failure);
        }
        let lines = self.lines();
        let wanted = u16::try_from(lines.len() + 1).unwrap_or(u16::MAX);
        let [charts, table] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(wanted.min(room.height / 2))])
                .areas(room);
        self.draw_charts(charts, buffer, look.theme, view);
        self.draw_table(table, buffer, look.theme, &lines);
    }

    fn draw_charts(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, view: &View) {
        let metrics = self.metrics();
        let most = if view.settings.large { 1 } else { usize::from((area.width / CHART_WIDTH).max(1)) };
        let across = most.min(metrics.len());
        if across == 0 {
            let text = if self.is_loading() { "" } else { "None of these runs recorded a curve." };
            buffer.set_stringn(area.x, area.y, text, usize::from(area.width), theme.dim);
            return;
        }
        let cells = Layout::horizontal(vec![Constraint::Fill(1); across]).spacing(2).split(area);
        for (index, cell) in cells.iter().enumerate() {
            let name = metrics[(self.metric + index) % metrics.len()];
            self.draw_chart(*cell, buffer, theme, view, name);
        }
    }

    fn draw_chart(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, view: &View, metric: &str) {
        let names: Vec<String> = self.runs.iter().map(|(run, _)| name_of(run)).collect();
        let points = self.points(metric, view);
        let lines = self.runs.iter().zip(&names).zip(&points).enumerate();
        let lines = lines.filter_map(|(series, (((_, curves), name), points))| {
            let not_finite = curves.get(metric)?.not_finite();
            Some(CurveLine { name, points, series, not_finite })
        });
        let title = title_of(metric);
        view.curve(lines.collect(), &title).draw(area, buffer, theme);
    }

    /// The points of a metric in every run, over steps or over the time since each run's own start.
    fn points(&self, metric: &str, view: &View) -> Vec<Cow<'_, [Point]>> {
        let origin = |run, curves: &Curves| view.settings.time.then(|| curves.origin(run));
        self.runs.iter().map(|(run, curves)| curves.points(metric, origin(run, curves))).collect()
    }

    /// Lets `change` act on the view with the points of the first metric that is shown.
    pub fn with_points(&self, view: &mut View, change: impl FnOnce(&mut View, &[&[Point]])) {
        let metrics = self.metrics();
        let points = metrics.get(self.metric).map(|metric| self.points(metric, view)).unwrap_or_default();
        let points: Vec<&[Point]> = points.iter().map(AsRef::as_ref).collect();
        change(view, &points);
    }

    fn draw_table(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, lines: &[Difference]) {
        let mut columns = vec![Column::new("").width(12, 22)];
        columns.extend(self.runs.iter().map(|(run, _)| Column::new(name_of(run)).width(8, 20).flex(1)));
        let table = Table { columns, total: lines.len(), cursor: self.cursor, ..Table::default() };
        table.draw(area, buffer, theme, |index| {
            let line = lines.get(index)?;
            let name = Cell::styled(line.name.as_str(), theme.dim);
            let values = line.values.iter().map(|value| Cell::new(value.as_str()));
            Some(Row::new([name].into_iter().chain(values)))
        });
    }

    /// What differs of what was asked for, then what came of it.
    fn lines(&self) -> Vec<Difference> {
        let mut lines = Vec::new();
        if self.runs.len() < 2 {
            return lines;
        }
        let facts: [Fact; 4] = [
            ("model", |run| run.model_type.clone()),
            ("dataset", |run| run.dataset.clone()),
            ("runner", |run| run.runner.clone()),
            ("seed", |run| run.seed.map_or_else(|| NOTHING.to_owned(), |seed| seed.to_string())),
        ];
        for (name, fact) in facts {
            lines.extend(Difference::of(name, self.runs.iter().map(|(run, _)| fact(run)).collect()));
        }
        let mut names: Vec<&str> = Vec::new();
        for (run, _) in &self.runs {
            names.extend(run.parameters.keys().map(String::as_str));
        }
        names.sort_unstable();
        names.dedup();
        for name in names {
            let value = |run: &Experiment| run.parameters.get(name).map_or(NOTHING.to_owned(), value_text);
            lines.extend(Difference::of(name, self.runs.iter().map(|(run, _)| value(run)).collect()));
        }
        if lines.is_empty() {
            lines.push(Difference { name: "all parameters are equal".to_owned(), values: Vec::new() });
        }
        lines.extend(self.figures());
        lines
    }

    fn figures(&self) -> Vec<Difference> {
        let Some((first, _)) = self.runs.first() else {
            return Vec::new();
        };
        let names = first.figures.named().map(|(name, _)| name);
        let lines = names.into_iter().enumerate().map(|(index, name)| {
            let value = |run: &Experiment| run.figures.named()[index].1;
            let values: Vec<Option<f64>> = self.runs.iter().map(|(run, _)| value(run)).collect();
            (name, values)
        });
        lines
            .filter(|(_, values)| values.iter().any(Option::is_some))
            .map(|(name, values)| Difference {
                name: name.to_owned(),
                values: values.into_iter().map(|value| value.map_or(NOTHING.to_owned(), short)).collect(),
            })
            .collect()
    }
}

/// Something of every run, with its name.
type Fact = (&'static str, fn(&Experiment) -> String);

/// One line of the table: a value for each run.
#[derive(Clone, Debug, PartialEq)]
struct Difference {
    name: String,
    values: Vec<String>,
}

impl Difference {
    /// None where all are equal.
    fn of(name: &str, values: Vec<String>) -> Option<Self> {
        let first = values.first()?;
        let differ = values.iter().any(|value| value != first);
        differ.then(|| Difference { name: name.to_owned(), values })
    }
}

fn name_of(run: &Experiment) -> String {
    format!("#{} {}", run.id, run.model_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn equal_values_are_no_difference() {
        let texts = |values: [&str; 2]| values.map(str::to_owned).to_vec();
        assert_eq!(Difference::of("lr", texts(["1", "1"])), None);
        assert!(Difference::of("lr", texts(["1", "2"])).is_some());
        assert_eq!(value_text(&Value::from(0.001)), "0.001");
    }
}
