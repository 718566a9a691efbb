//! How groups of runs are drawn: their table, and the mean of their curves with a band around it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;

use crate::domain::survey::Group;
use crate::domain::text::one_line;
use crate::tui::charts::band::mean_and_band;
use crate::tui::charts::curve::{Curve, CurveLine};
use crate::tui::context::Look;
use crate::tui::widgets::notice::{draw_empty, draw_failure};
use crate::tui::widgets::number::count;
use crate::tui::widgets::pane::{Pane, put};
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::Experiments;
use super::columns::title;
use super::curves::title_of;
use super::groups::{CURVES, Groups, spread_text};

impl Experiments {
    /// `whole` is the tab; without a table the group has all of it.
    pub(super) fn draw_groups(
        &self,
        frame: &mut Frame<'_>,
        (whole, table, detail): (Rect, Option<Rect>, Option<Rect>),
        groups: &Groups,
        look: &Look<'_>,
    ) {
        if let Some(table) = table {
            self.draw_group_table(frame, table, self.rows_area(whole), groups, look);
        }
        if let Some(detail) = detail {
            draw_group(frame, detail, groups, look);
        }
    }

    fn draw_group_table(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        rows: Rect,
        groups: &Groups,
        look: &Look<'_>,
    ) {
        let theme = look.theme;
        let mut pane = Pane::new("Groups").focused(true).loading(groups.is_loading());
        if let Some(found) = groups.found.data() {
            let shown = found.rows.len() as u64;
            let total = match shown == found.total {
                true => count(found.total),
                false => format!("{} of {}", count(shown), count(found.total)),
            };
            pane = pane.note(total, theme.dim);
        }
        pane = pane.note("all but the seed", theme.badge);
        if !self.has_filter_line() {
            pane = pane.note(self.list.filter.as_str(), theme.warn);
        }
        if !self.marks.is_empty() {
            pane = pane.note(format!("{} marked", count(self.marks.len() as u64)), theme.marked);
        }
        let inside = pane.draw(area, frame.buffer_mut(), look);
        self.draw_filter(frame, inside, look);
        let mut inside = rows;
        if let Some(failure) = groups.found.failure() {
            inside = draw_failure(inside, frame.buffer_mut(), theme, failure);
        } else if groups.found.data().is_some() && groups.rows().is_empty() {
            return draw_empty(inside, frame.buffer_mut(), look, &["No runs to group."]);
        }
        let mut columns = vec![
            Column::new("model").width(9, 14).flex(1),
            Column::new("dataset").width(8, 14).flex(1).priority(9),
            Column::new("").width(3, 3),
            Column::new(groups.names.as_str()).width(13, 20).flex(4),
            Column::new("n").width(7, 9).right(),
        ];
        for (figure, priority) in groups.figures.iter().zip(0..) {
            columns.push(Column::new(title(figure)).width(13, 15).right().priority(priority));
        }
        let table = Table {
            columns,
            total: groups.rows().len(),
            cursor: groups.cursor,
            sort: groups.sort.map(|figure| (figure + 5, groups.descending)),
            marks: self.marks.are_shown(),
            focused: true,
        };
        table.draw(inside, frame.buffer_mut(), theme, |index| {
            let mut row = row(groups, index, theme.badge)?;
            row.marked = groups.rows()[index].ids.iter().any(|id| self.marks.contains(*id));
            Some(row)
        });
    }
}

fn row(groups: &Groups, index: usize, badge: Style) -> Option<Row> {
    let group = groups.rows().get(index)?;
    let figures = groups.figures.iter().zip(&group.figures);
    let cells = [
        Cell::new(&group.model_type),
        Cell::new(&group.dataset),
        Cell::styled(if group.runner == "simulate" { "sim" } else { "" }, badge),
        Cell::new(groups.labels.get(index).map_or("", String::as_str)),
        Cell::new(completed(group)),
    ];
    let figures = figures.map(|(figure, spread)| Cell::new(spread_text(figure, spread)));
    Some(Row::new(cells.into_iter().chain(figures)))
}

/// `3`, or `3/4` where not all completed.
fn completed(group: &Group) -> String {
    if group.completed == group.runs {
        count(group.runs)
    } else {
        format!("{}/{}", count(group.completed), count(group.runs))
    }
}

fn draw_group(frame: &mut Frame<'_>, area: Rect, groups: &Groups, look: &Look<'_>) {
    let theme = look.theme;
    let Some(group) = groups.selected() else {
        let inside = Pane::new("Group").draw(area, frame.buffer_mut(), look);
        return draw_empty(inside, frame.buffer_mut(), look, &["No group is selected."]);
    };
    let name = format!("{} · {}", one_line(&group.model_type, 100), one_line(&group.dataset, 100));
    let curves = groups.curves.data().map_or(&[][..], Vec::as_slice);
    let pane = Pane::new(name).focused(groups.full).loading(groups.curves.is_loading());
    let newest = if group.ids.len() > CURVES { format!("newest {CURVES}") } else { String::new() };
    let inside = pane.note(newest, theme.dim).draw(area, frame.buffer_mut(), look);
    let metrics = groups.metrics();
    let most = usize::from(inside.height / 9).clamp(1, 3);
    let shown = metrics.len().min(most);
    if shown == 0 {
        let text =
            if groups.curves.is_loading() { "" } else { "None of its completed runs recorded a curve." };
        return put(inside, frame.buffer_mut(), text, theme.dim);
    }
    let rooms = Layout::vertical(vec![Constraint::Fill(1); shown]).split(inside);
    for (place, room) in rooms.iter().enumerate() {
        let metric = &metrics[(groups.metric + place) % metrics.len()];
        let points: Vec<_> =
            curves.iter().filter_map(|curves| curves.get(metric)).map(|series| series.points()).collect();
        let (mean, band) = mean_and_band(&points);
        let legend = format!("{} of {}, mean ± deviation", title_of(metric), points.len());
        let curve = Curve {
            lines: vec![CurveLine { name: &legend, points: &mean, series: 0, not_finite: 0 }],
            bands: vec![&band],
            x_title: "step",
            empty: "no figure can be drawn",
            ..Curve::default()
        };
        curve.draw(*room, frame.buffer_mut(), theme);
    }
}
