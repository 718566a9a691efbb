//! How the analytics tab is laid out and drawn.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use crate::domain::performance::ModelSummary;
use crate::tui::charts::bars::{Bar, Bars, Order};
use crate::tui::charts::scatter::{Scatter, Spot};
use crate::tui::context::Look;
use crate::tui::widgets::number::{self, counted};
use crate::tui::widgets::pane::{Pane, put, spinner};
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::tui::widgets::{notice, table};

use super::console::Console;
use super::{Analytics, Chart};

/// Where everything is. The first line tells what is averaged.
#[derive(Clone, Debug, PartialEq)]
struct Places {
    heading: Rect,
    /// With the number of the chart.
    charts: Vec<(usize, Rect)>,
    summary: Option<Rect>,
    console: Option<Rect>,
}

/// Room from which all four charts are shown.
const GRID: (u16, u16) = (110, 30);

/// Lines a chart should have before the summary takes any.
const CHART: u16 = 12;

/// Lines the summary takes for its header and frame.
const SUMMARY_FRAME: u16 = 3;

/// Models the summary shows at most.
const SUMMARY_ROWS: u16 = 8;

fn places(tab: &Analytics, area: Rect) -> Places {
    let [heading, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let (rest, console) = share_with_console(tab, rest);
    let models = tab.summaries.data().map_or(0, Vec::len) as u16;
    let wanted = models.min(SUMMARY_ROWS) + SUMMARY_FRAME;
    let grid = !tab.enlarged && area.width >= GRID.0 && rest.height + 1 >= GRID.1;
    let charts_need = if grid { 2 * CHART } else { CHART };
    let with_summary = models > 0 && rest.height >= charts_need + wanted;
    let summary = if with_summary { wanted } else { 0 };
    let [charts, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(summary)]).areas(rest);
    Places {
        heading,
        charts: if grid { four(charts) } else { vec![(tab.page, charts)] },
        summary: with_summary.then_some(below),
        console,
    }
}

/// The console has the lower half, or all of a low screen.
fn share_with_console(tab: &Analytics, rest: Rect) -> (Rect, Option<Rect>) {
    if !tab.console.is_open() {
        return (rest, None);
    }
    if rest.height < 24 {
        return (Rect { height: 0, ..rest }, Some(rest));
    }
    let [charts, console] =
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(rest);
    (charts, Some(console))
}

fn four(area: Rect) -> Vec<(usize, Rect)> {
    let half = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let rows: [Rect; 2] = Layout::vertical(half).areas(area);
    let cells = rows.into_iter().flat_map(|row| {
        let columns: [Rect; 2] = Layout::horizontal(half).areas(row);
        columns
    });
    cells.enumerate().collect()
}

/// Where the console is, when it is open.
pub(super) fn console_place(tab: &Analytics, area: Rect) -> Option<Rect> {
    places(tab, area).console
}

/// Where its result is.
pub(super) fn sheet_place(tab: &Analytics, area: Rect) -> Option<Rect> {
    console_place(tab, area).map(Console::sheet_place)
}

/// Rows of the result in view.
pub(super) fn sheet_height(tab: &Analytics, area: Rect) -> usize {
    sheet_place(tab, area).map_or(0, Table::height)
}

/// The chart under a click.
pub(super) fn chart_at(tab: &Analytics, area: Rect, position: Position) -> Option<usize> {
    places(tab, area).charts.into_iter().find(|(_, place)| place.contains(position)).map(|(chart, _)| chart)
}

pub(super) fn draw(tab: &Analytics, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
    let places = places(tab, area);
    let buffer = frame.buffer_mut();
    draw_heading(tab, places.heading, buffer, look);
    let nothing = tab.summaries.data().is_none_or(Vec::is_empty);
    if nothing {
        draw_nothing(tab, &places, buffer, look);
    } else {
        draw_charts(tab, &places, buffer, look);
        if let Some(place) = places.summary {
            draw_summary(tab, place, buffer, look);
        }
    }
    if let Some(place) = places.console {
        tab.console.draw(frame, place, look);
    }
}

fn simulated(tab: &Analytics) -> &'static str {
    if tab.with_simulated { "includes simulated runs (sim)" } else { "without simulated runs" }
}

fn draw_heading(tab: &Analytics, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let mut parts = Vec::new();
    if let Some(summaries) = tab.summaries.data() {
        let runs = summaries.iter().fold(0u64, |sum, summary| sum.saturating_add(summary.experiment_count));
        parts.push(counted(summaries.len() as u64, "model"));
        parts.push(counted(runs, "run"));
    }
    parts.push(simulated(tab).to_owned());
    if tab.summaries.is_loading() {
        parts.push(spinner(look.tick).to_owned());
    }
    put(area, buffer, &format!(" {}", parts.join(" · ")), look.theme.dim);
}

/// The room of all charts: why there is nothing in it.
fn draw_nothing(tab: &Analytics, places: &Places, buffer: &mut Buffer, look: &Look<'_>) {
    let room = places.charts.iter().map(|(_, place)| *place).reduce(Rect::union).unwrap_or_default();
    if room.is_empty() {
        return;
    }
    let title = if places.charts.len() == 1 { Chart::ALL[tab.page].title() } else { "Analytics" };
    let pane = Pane::new(title).focused(!tab.console.has_keys()).loading(tab.summaries.is_loading());
    let inside = pane.draw(room, buffer, look);
    if let Some(failure) = tab.summaries.failure() {
        notice::draw_failure(inside, buffer, look.theme, failure);
    } else if tab.summaries.data().is_some() && tab.with_simulated {
        let lines = [
            "No finished run has figures yet.",
            "{launch_batch} launches a batch; `{load_demo}` loads the sample data.",
        ];
        notice::draw_empty(inside, buffer, look, &lines);
    } else if tab.summaries.data().is_some() {
        let lines =
            ["All finished runs are simulated, and those are left out.", "{toggle_simulated} includes them."];
        notice::draw_empty(inside, buffer, look, &lines);
    } else {
        notice::draw_empty(inside, buffer, look, &["reading…"]);
    }
}

fn draw_charts(tab: &Analytics, places: &Places, buffer: &mut Buffer, look: &Look<'_>) {
    let alone = places.charts.len() == 1;
    for (number, place) in &places.charts {
        if place.is_empty() {
            continue;
        }
        let chart = Chart::ALL[*number];
        let focused = !tab.console.has_keys() && *number == tab.page;
        let mut pane = Pane::new(chart.title()).focused(focused);
        if alone {
            let pager = format!("{}/{} ◂ ▸", number + 1, Chart::ALL.len());
            pane = pane.note(pager, look.theme.key).note(simulated(tab), look.theme.dim);
        } else {
            let short = if tab.with_simulated { "sim" } else { "without simulated runs" };
            pane = pane.note(short, if tab.with_simulated { look.theme.badge } else { look.theme.dim });
        }
        let mut inside = pane.draw(*place, buffer, look);
        if let Some(failure) = tab.summaries.failure().filter(|_| *number == places.charts[0].0) {
            inside = notice::draw_failure(inside, buffer, look.theme, failure);
        }
        draw_chart(tab, chart, inside, buffer, look);
    }
}

fn draw_chart(tab: &Analytics, chart: Chart, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let summaries = tab.summaries.data().map(Vec::as_slice).unwrap_or_default();
    if chart == Chart::Tradeoff {
        return draw_tradeoff(tab, summaries, area, buffer, look);
    }
    let bars = summaries.iter().map(|summary| Bar {
        name: &summary.model_name,
        value: figure(chart, summary),
        series: tab.names.number(&summary.model_name),
    });
    // The best first: the most accurate, the quickest.
    let (order, format): (Order, fn(Option<f64>) -> String) = match chart {
        Chart::Accuracy => (Order::LargestFirst, number::accuracy),
        _ => (Order::SmallestFirst, number::brief),
    };
    Bars { bars: bars.collect(), order, format, empty: "nothing measured yet" }
        .draw(area, buffer, look.theme);
}

/// What a chart of bars shows of a model.
fn figure(chart: Chart, summary: &ModelSummary) -> Option<f64> {
    match chart {
        Chart::Accuracy | Chart::Tradeoff => summary.avg_accuracy,
        Chart::TrainingTime => summary.avg_training_time,
        Chart::InferenceTime => summary.avg_inference_time,
    }
}

fn draw_tradeoff(
    tab: &Analytics,
    summaries: &[ModelSummary],
    area: Rect,
    buffer: &mut Buffer,
    look: &Look<'_>,
) {
    let spots = summaries.iter().filter_map(|summary| {
        Some(Spot {
            name: &summary.model_name,
            x: summary.avg_inference_time?,
            y: summary.avg_accuracy?,
            series: tab.names.number(&summary.model_name),
        })
    });
    Scatter {
        spots: spots.collect(),
        x_title: "inference time (ms)",
        y_title: "accuracy",
        empty: "no model has both figures yet",
    }
    .draw(area, buffer, look.theme);
}

/// By accuracy, as the published comparison is.
fn ranked(summaries: &[ModelSummary]) -> Vec<&ModelSummary> {
    let mut ranked: Vec<&ModelSummary> = summaries.iter().collect();
    let key = |summary: &ModelSummary| summary.avg_accuracy.filter(|accuracy| !accuracy.is_nan());
    ranked.sort_by(|a, b| {
        let (one, two) = (key(a).unwrap_or(f64::NEG_INFINITY), key(b).unwrap_or(f64::NEG_INFINITY));
        two.total_cmp(&one).then_with(|| a.model_name.cmp(&b.model_name))
    });
    ranked
}

fn figures(summary: &ModelSummary) -> [String; 4] {
    [
        number::accuracy(summary.avg_accuracy),
        number::fixed(summary.avg_training_time, 1),
        number::fixed(summary.avg_inference_time, 2),
        number::count(summary.experiment_count),
    ]
}

fn draw_summary(tab: &Analytics, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let summaries = tab.summaries.data().map(Vec::as_slice).unwrap_or_default();
    let ranked = ranked(summaries);
    let hidden = ranked.len().saturating_sub(usize::from(area.height.saturating_sub(SUMMARY_FRAME)));
    let mut pane = Pane::new("Model Performance Comparison");
    if hidden > 0 {
        pane = pane.note(format!("+{hidden} more"), look.theme.dim);
    }
    let inside = pane.draw(area, buffer, look);
    let columns = vec![
        Column::new("model").width(8, 30).flex(1),
        Column::new("accuracy").width(8, 10).right(),
        Column::new("training s").width(10, 12).right().priority(2),
        Column::new("inference ms").width(12, 14).right().priority(1),
        Column::new("n").width(3, 6).right().priority(3),
    ];
    let table = Table { columns, total: ranked.len() - hidden, ..Table::default() };
    let dim = if tab.summaries.failure().is_some() { look.theme.dim } else { look.theme.text };
    table.draw_plain(inside, buffer, look.theme, |index| {
        let summary = ranked.get(index)?;
        let cells = std::iter::once(summary.model_name.clone()).chain(figures(summary)).map(Cell::new);
        Some(table::Row { style: dim, ..Row::new(cells) })
    });
}

/// The comparison for the clipboard, with tabs between.
pub(super) fn as_text(summaries: &[ModelSummary]) -> String {
    let mut lines = vec!["model\taccuracy\ttraining s\tinference ms\tn".to_owned()];
    lines.extend(ranked(summaries).into_iter().map(|summary| {
        let name = summary.model_name.replace(['\t', '\n', '\r'], " ");
        format!("{name}\t{}", figures(summary).join("\t"))
    }));
    lines.join("\n")
}
