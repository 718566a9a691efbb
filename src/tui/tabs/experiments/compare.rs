//! Marked runs against each other: their curves in one chart, what was asked of them, and what came of it.
//!
//! One run is selected, in the chart's legend and in the table alike.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::{MetricPoint, is_better_small};
use crate::tui::charts::curve::CurveLine;
use crate::tui::charts::palette;
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

use super::baseline::Difference;
use super::curves::{Curves, Live, title_of};
use super::detail::value_text;

/// Runs that can be told apart in one chart.
pub const MOST: usize = 16;

/// Least width of one chart.
const CHART_WIDTH: u16 = 50;

/// Widths of the names in the table, and of one run.
const NAMES: u16 = 20;
const RUN: u16 = 17;

/// See the module.
#[derive(Clone, Debug)]
pub struct Compare {
    ids: Vec<ExperimentId>,
    /// All in one reading.
    runs: Remote<Vec<(Experiment, Curves)>>,
    /// Something changed while it was under way.
    again: bool,
    /// The run that is selected.
    selected: usize,
    /// The first metric that is shown.
    metric: usize,
    /// Equal values are shown as well.
    all: bool,
    cursor: Cursor,
}

impl Compare {
    pub fn open(ids: Vec<ExperimentId>, cx: &mut Context<'_>) -> Self {
        let mut compare = Compare {
            ids,
            runs: Remote::default(),
            again: false,
            selected: 0,
            metric: 0,
            all: false,
            cursor: Cursor::default(),
        };
        compare.read(cx);
        compare
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        self.again = false;
        self.runs.load(cx.read(Slot::Compare, Read::Runs(self.ids.clone())));
    }

    /// Reads all runs again; what is shown stays meanwhile.
    pub fn refresh(&mut self, cx: &mut Context<'_>) {
        if self.is_loading() {
            self.again = true;
        } else {
            self.read(cx);
        }
    }

    pub fn is_loading(&self) -> bool {
        self.runs.is_loading()
    }

    pub fn take(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        live: &Live,
        cx: &mut Context<'_>,
    ) {
        let answer = match result {
            Ok(Answer::Runs { experiments, curves }) => {
                let run = |run: &Experiment| {
                    let points = curves.iter().find(|curves| curves.id == run.id);
                    let mut curves = points.map(|curves| Curves::of(&curves.points)).unwrap_or_default();
                    if let Some(newer) = live.get(run.id) {
                        curves.merge(newer);
                    }
                    (run.clone(), curves)
                };
                let mut runs: Vec<_> = experiments.iter().map(run).collect();
                runs.sort_by_key(|(run, _)| self.ids.iter().position(|id| *id == run.id));
                Ok(runs)
            }
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        let failed = answer.is_err();
        if self.runs.fill(ticket, answer) && self.again && !failed {
            self.read(cx);
        }
    }

    pub fn put(&mut self, experiment: &Experiment) {
        let runs = self.runs.data_mut().into_iter().flatten();
        for (run, _) in runs.filter(|(run, _)| run.id == experiment.id) {
            run.clone_from(experiment);
        }
    }

    pub fn put_points(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        let runs = self.runs.data_mut().into_iter().flatten();
        for (_, curves) in runs.filter(|(run, _)| run.id == id) {
            curves.add(points);
        }
    }

    /// Those that were not found when they were read.
    pub fn gone(&self) -> Vec<ExperimentId> {
        let found = |id: &ExperimentId| self.runs().iter().any(|(run, _)| run.id == *id);
        self.ids.iter().copied().filter(|id| self.runs.data().is_some() && !found(id)).collect()
    }

    fn runs(&self) -> &[(Experiment, Curves)] {
        self.runs.data().map_or(&[], Vec::as_slice)
    }

    pub fn selected(&self) -> Option<&Experiment> {
        self.runs().get(self.selected).map(|(run, _)| run)
    }

    /// Selects the next run or the one before it.
    pub fn turn(&mut self, right: bool) {
        self.selected = next(self.selected, self.runs().len(), right);
    }

    /// To the next metric or the one before it.
    pub fn turn_metric(&mut self, right: bool) {
        self.metric = next(self.metric, self.metrics().len(), right);
    }

    /// Equal values too, or only what differs.
    pub fn show_all(&mut self) {
        self.all = !self.all;
        self.cursor = Cursor::default();
    }

    pub fn scroll(&mut self, down: bool, by: usize) {
        let total = self.lines(&Theme::default(), None).len();
        if down { self.cursor.down(by, total) } else { self.cursor.up(by) }
    }

    /// All metrics that any of the runs has.
    fn metrics(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, curves) in self.runs() {
            for name in curves.names() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    pub fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        look: &Look<'_>,
        view: &View,
        baseline: Option<&Experiment>,
    ) {
        let title = format!("Compare {} runs", self.ids.len());
        let pane = Pane::new(title).focused(true).loading(self.is_loading());
        let gone = match self.gone().len() {
            0 => String::new(),
            gone => format!("{gone} are gone"),
        };
        let what = if self.all { "all values" } else { "what differs" };
        let inside = pane
            .note(gone, look.theme.warn)
            .note(view.settings.words(), look.theme.dim)
            .note(what, look.theme.dim)
            .draw(area, buffer, look);
        let mut room = inside;
        if let Some(failure) = self.runs.failure() {
            room = draw_failure(inside, buffer, look.theme, failure);
        }
        if self.runs.data().is_none() {
            return;
        }
        let lines = self.lines(look.theme, baseline);
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
            let text = "None of these runs recorded a curve.";
            buffer.set_stringn(area.x, area.y, text, usize::from(area.width), theme.dim);
            return;
        }
        let cells = Layout::horizontal(vec![Constraint::Fill(1); across]).spacing(2).split(area);
        for (index, cell) in cells.iter().enumerate() {
            let name = metrics[(self.metric + index) % metrics.len()];
            self.draw_chart(*cell, buffer, theme, view, name);
        }
    }

    /// The selected run first in the legend and last in the plot, so that nothing hides it.
    fn draw_chart(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, view: &View, metric: &str) {
        let names: Vec<String> =
            self.runs().iter().enumerate().map(|(index, _)| self.name_of(index)).collect();
        let points = self.points(metric, view);
        let line = |series: usize| {
            let not_finite = self.runs()[series].1.get(metric)?.not_finite();
            Some(CurveLine { name: &names[series], points: &points[series], series, not_finite })
        };
        let others = (0..names.len()).filter(|series| *series != self.selected);
        let lines = others.chain(Some(self.selected)).filter_map(line).collect();
        let title = title_of(metric);
        view.curve(lines, &title).draw(area, buffer, theme);
    }

    /// The points of a metric in every run, over steps or over the time since each run's own start.
    fn points(&self, metric: &str, view: &View) -> Vec<Cow<'_, [Point]>> {
        let origin = |run, curves: &Curves| view.settings.time.then(|| curves.origin(run));
        self.runs().iter().map(|(run, curves)| curves.points(metric, origin(run, curves))).collect()
    }

    /// Lets `change` act on the view with the points of the first metric that is shown.
    pub fn with_points(&self, view: &mut View, change: impl FnOnce(&mut View, &[&[Point]])) {
        let metrics = self.metrics();
        let points = metrics.get(self.metric).map(|metric| self.points(metric, view)).unwrap_or_default();
        let points: Vec<&[Point]> = points.iter().map(AsRef::as_ref).collect();
        change(view, &points);
    }

    /// `▶#12 XGBoost` where it is selected.
    fn name_of(&self, index: usize) -> String {
        let run = &self.runs()[index].0;
        let sign = if index == self.selected { "▶" } else { "" };
        format!("{sign}#{} {}", run.id, run.model_type)
    }

    fn draw_table(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, lines: &[Line]) {
        // As many runs as fit, the selected one among them.
        let fit = usize::from(area.width.saturating_sub(NAMES + 2) / (RUN + 2)).max(1);
        let first = (self.selected + 1).saturating_sub(fit);
        let shown = first..(first + fit).min(self.runs().len());
        let mut columns = vec![Column::new("").width(12, NAMES)];
        columns.extend(shown.clone().map(|index| Column::new(self.name_of(index)).width(RUN, RUN).flex(1)));
        let table = Table { columns, total: lines.len(), cursor: self.cursor, ..Table::default() };
        table.draw(area, buffer, theme, |index| {
            let line = lines.get(index)?;
            let name = Cell::styled(line.name.as_str(), theme.dim);
            let cells = line.cells.get(shown.clone()).unwrap_or_default();
            Some(Row::new([name].into_iter().chain(cells.iter().cloned())))
        });
    }

    /// The colour of each run, what was asked for, then what came of it.
    fn lines(&self, theme: &Theme, baseline: Option<&Experiment>) -> Vec<Line> {
        let runs: Vec<&Experiment> = self.runs().iter().map(|(run, _)| run).collect();
        if runs.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![colours(runs.len(), theme)];
        let asked = asked_for(&runs);
        let differing = asked.into_iter().filter(|line| self.all || line.differs());
        lines.extend(differing);
        if lines.len() == 1 {
            lines.push(Line { name: "all parameters are equal".to_owned(), cells: Vec::new() });
        }
        lines.extend(results(&runs, theme, baseline));
        lines
    }
}

fn next(index: usize, count: usize, right: bool) -> usize {
    let count = count.max(1);
    if right { (index + 1) % count } else { (index + count - 1) % count }
}

/// One line of the table: a cell for each run.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    name: String,
    cells: Vec<Cell>,
}

impl Line {
    fn new(name: &str, texts: impl Iterator<Item = String>) -> Self {
        Line { name: name.to_owned(), cells: texts.map(Cell::new).collect() }
    }

    fn differs(&self) -> bool {
        self.cells.windows(2).any(|pair| pair[0].text != pair[1].text)
    }
}

/// The marker and the colour that each has in the charts.
fn colours(count: usize, theme: &Theme) -> Line {
    let cell = |index| {
        let look = palette::look(theme, index);
        Cell::styled(format!("{0}{0}{0}", look.marker), Style::new().fg(look.color))
    };
    Line { name: "in the chart".to_owned(), cells: (0..count).map(cell).collect() }
}

/// Something of every run, with its name.
type Fact = (&'static str, fn(&Experiment) -> String);

fn asked_for(runs: &[&Experiment]) -> Vec<Line> {
    let facts: [Fact; 5] = [
        ("model", |run| run.model_type.clone()),
        ("dataset", |run| run.dataset.clone()),
        ("runner", |run| run.runner.clone()),
        ("seed", |run| run.seed.map_or_else(|| NOTHING.to_owned(), |seed| seed.to_string())),
        ("status", |run| run.status.to_string()),
    ];
    let facts = facts.iter().map(|(name, fact)| Line::new(name, runs.iter().map(|run| fact(run))));
    let names = keys(runs.iter().map(|run| run.parameters.keys()));
    let parameters = names.into_iter().map(|name| {
        let value = |run: &&Experiment| run.parameters.get(name).map_or(NOTHING.to_owned(), value_text);
        Line::new(name, runs.iter().map(value))
    });
    facts.chain(parameters).collect()
}

/// Published figures first, then what else the results hold. The best stands out, and beside each the difference from
/// the baseline, or from the first run where none is pinned.
fn results(runs: &[&Experiment], theme: &Theme, baseline: Option<&Experiment>) -> Vec<Line> {
    let published: Vec<&str> = runs[0].figures.named().into_iter().map(|(name, _)| name).collect();
    let others = keys(runs.iter().map(|run| run.results.keys()));
    let others = others.into_iter().filter(|name| !published.contains(name));
    let names: Vec<&str> = published.iter().copied().chain(others).collect();
    let reference = baseline.unwrap_or(runs[0]);
    let mut lines = Vec::new();
    for name in names {
        let values: Vec<Option<f64>> = runs.iter().map(|run| result(run, name)).collect();
        if values.iter().any(Option::is_some) {
            let small = is_better_small(name);
            let best = best(&values, small);
            let base = result(reference, name);
            let cells = runs.iter().zip(&values).map(|(run, value)| {
                let difference = value.zip(base).filter(|_| run.id != reference.id);
                let difference = difference.and_then(|(value, base)| Difference::between(value, base, small));
                figure(*value, best, difference, theme)
            });
            lines.push(Line { name: name.to_owned(), cells: cells.collect() });
        }
    }
    lines
}

fn result(run: &Experiment, name: &str) -> Option<f64> {
    let figures = run.figures.named();
    let figure = figures.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value);
    figure.or_else(|| run.results.get(name)?.as_f64())
}

/// None where all are equal: then none is better.
fn best(values: &[Option<f64>], small: bool) -> Option<f64> {
    let finite = || values.iter().flatten().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
    (low < high).then_some(if small { low } else { high })
}

fn figure(value: Option<f64>, best: Option<f64>, difference: Option<Difference>, theme: &Theme) -> Cell {
    let Some(number) = value else {
        return Cell::styled(NOTHING, theme.dim);
    };
    let is_best = best == Some(number);
    let star = if is_best { "★" } else { "" };
    let difference_text = difference.map(|difference| format!(" {}", difference.text())).unwrap_or_default();
    let style = if is_best { theme.good } else { Style::new() };
    Cell::styled(format!("{}{star}{difference_text}", short(number)), style)
}

fn keys<'a>(maps: impl Iterator<Item = serde_json::map::Keys<'a>>) -> Vec<&'a str> {
    let mut names: Vec<&str> = maps.flatten().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::experiment::Figures;
    use crate::tui::testing::data::run;

    #[test]
    fn equal_values_are_no_difference() {
        let line = |texts: [&str; 2]| Line::new("lr", texts.into_iter().map(str::to_owned));
        assert!(!line(["1", "1"]).differs());
        assert!(line(["1", "2"]).differs());
    }

    #[test]
    fn the_best_is_lit_and_the_others_measured_against_the_baseline() {
        let with = |id, accuracy, time| Experiment {
            figures: Figures {
                accuracy: Some(accuracy),
                inference_time_ms: Some(time),
                ..Figures::default()
            },
            results: serde_json::Map::new(),
            ..run(id)
        };
        let (one, other) = (with(1, 0.8, 5.0), with(2, 0.9, 6.0));
        let texts = |baseline: Option<&Experiment>| -> Vec<String> {
            let lines = results(&[&one, &other], &Theme::default(), baseline);
            lines.iter().flat_map(|line| line.cells.iter().map(|cell| cell.text.clone())).collect()
        };
        assert_eq!(texts(None), ["0.8", "0.9★ +0.1▲", "5★", "6 +1▼"]);
        assert_eq!(texts(Some(&other)), ["0.8 -0.1▼", "0.9★", "5★ -1▲", "6"]);
    }

    #[test]
    fn none_is_best_where_all_are_equal() {
        assert_eq!(best(&[Some(1.0), Some(1.0), None], true), None);
        assert_eq!(best(&[Some(1.0), Some(f64::NAN), Some(2.0)], true), Some(1.0));
    }
}
