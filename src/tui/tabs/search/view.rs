//! How the search tab is laid out and drawn.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};

use crate::domain::document::{Distance, DocumentHit, EmbeddingModel};
use crate::tui::action::Action;
use crate::tui::context::Look;
use crate::tui::remote::Remote;
use crate::tui::widgets::number::{self, counted};
use crate::tui::widgets::pane::{Pane, put};
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::table::{self, Cell, Column, Row, Table};
use crate::tui::widgets::{notice, sheet};
use crate::worker::protocol::SearchQuery;

use super::{Focus, Found, Search, map};
use crate::tui::tabs::Tab;

/// Where everything is; `hits` and `detail` are the insides of their panes, below what is said of a failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    line_pane: Rect,
    pub line: Rect,
    hits_pane: Rect,
    pub hits: Rect,
    map_pane: Rect,
    pub map: Rect,
    detail_pane: Rect,
    pub detail: Rect,
}

/// Words that were asked for, in the text of a hit.
pub(super) const LIT: Style = Style::new().add_modifier(Modifier::BOLD).add_modifier(Modifier::UNDERLINED);

/// Cells of the bar of similarity.
const BAR: usize = 6;

/// Columns from which hits and detail stand side by side.
const WIDE: u16 = 110;

/// Lines from which they stand over each other; below, the one with the keys is alone.
const HIGH: u16 = 18;

/// Lines from which map and detail stand over each other; below, the map stands alone until the detail has the keys.
const BOTH: u16 = 24;

pub(super) fn places(tab: &Search, area: Rect) -> Places {
    let [line_pane, rest] = Layout::vertical([Constraint::Length(3), Constraint::Min(0)]).areas(area);
    let [hits_pane, beside] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(rest)
    } else if area.height >= HIGH {
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(rest)
    } else if tab.focus == Focus::Hits {
        [rest, Rect::default()]
    } else {
        [Rect::default(), rest]
    };
    let [map_pane, detail_pane] = match tab.map.shown {
        false => [Rect::default(), beside],
        // Without a document to show, the map has all the room.
        true if tab.selected().is_none() => [beside, Rect::default()],
        true if beside.height >= BOTH => {
            Layout::vertical([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(beside)
        }
        true if tab.focus == Focus::Detail => [Rect::default(), beside],
        true => [beside, Rect::default()],
    };
    Places {
        line_pane,
        line: Pane::inside(line_pane),
        hits_pane,
        hits: notice::below_failure(Pane::inside(hits_pane), tab.found.failure()),
        map_pane,
        map: map::inside(tab, map_pane),
        detail_pane,
        detail: Pane::inside(detail_pane),
    }
}

pub(super) fn draw(tab: &Search, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
    let mut places = places(tab, area);
    let nothing = tab.found.data().is_none_or(|found| found.hits.is_empty());
    if nothing {
        // One pane for what is to be said.
        let panes = [places.hits_pane, places.detail_pane].into_iter().filter(|pane| !pane.is_empty());
        places.hits_pane = panes.reduce(Rect::union).unwrap_or_default();
        places.detail_pane = Rect::default();
    }
    draw_line(tab, frame, places.line_pane, look);
    let buffer = frame.buffer_mut();
    draw_hits(tab, places.hits_pane, buffer, look);
    if !places.map_pane.is_empty() {
        map::draw(tab, places.map_pane, buffer, look);
    }
    if !places.detail_pane.is_empty() {
        draw_detail(tab, places.detail_pane, buffer, look);
    }
}

fn draw_line(tab: &Search, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
    let dim = look.theme.dim;
    let pane = Pane::new("Search")
        .focused(tab.is_typing())
        .note(format!("k {}", tab.limit), dim)
        .note(tab.distance.as_str(), dim)
        .note(if tab.exact { "exact" } else { "" }, dim)
        .note(tab.ef_search.map(|candidates| format!("ef {candidates}")).unwrap_or_default(), dim)
        .note(if tab.words { "meaning and words" } else { "" }, dim)
        .note(tab.model.as_deref().unwrap_or_default(), dim)
        .note(tab.filter.to_string(), look.theme.warn);
    let inside = pane.draw(area, frame.buffer_mut(), look);
    if tab.narrow.is_typing() {
        return tab.narrow.draw(frame, inside, look.theme, "where ", "year >= 2020 and topic = science");
    }
    let like = match &tab.query {
        Some(SearchQuery::Document { id, model }) if tab.line.value().is_empty() => {
            Some(format!("like {id} ({model})"))
        }
        _ => None,
    };
    let hint = like.unwrap_or_else(|| "what the documents should be about".to_owned());
    tab.line.draw(frame, inside, look.theme, "/ ", &crate::domain::text::one_line(&hint, 1024));
}

fn draw_hits(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    if area.is_empty() {
        return;
    }
    let theme = look.theme;
    let focused = tab.focus == Focus::Hits && !tab.is_typing();
    if tab.versus && !matches!(tab.engines, Remote::Idle) {
        return draw_engines(tab, area, buffer, look);
    }
    let mut pane = Pane::new("Nearest documents").focused(focused).loading(tab.is_loading());
    if let Some(found) = tab.found.data() {
        pane = pane
            .note(table::position(tab.cursor, found.hits.len()), theme.dim)
            .note(number::took(found.took), theme.dim)
            .note(found.scan.to_string(), theme.dim);
    }
    let mut inside = pane.draw(area, buffer, look);
    if let Some(failure) = tab.found.failure() {
        inside = notice::draw_failure(inside, buffer, theme, failure);
    }
    match tab.found.data() {
        Some(found) if !found.hits.is_empty() => draw_table(tab, found, inside, buffer, look),
        _ if tab.found.failure().is_some() => {}
        _ if tab.found.is_loading() => notice::draw_empty(inside, buffer, look, &["searching…"]),
        Some(_) => draw_nothing_found(tab, inside, buffer, look),
        None => draw_models(tab, inside, buffer, look),
    }
}

fn draw_table(tab: &Search, found: &Found, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let theme = look.theme;
    let (hybrid, bars) = (!found.ranks.is_empty(), tab.distance == Distance::Cosine);
    let mut columns = vec![Column::new("#").width(2, 3).right(), Column::new("document").width(10, 20)];
    if hybrid {
        columns.push(Column::new("meaning").width(7, 7).right());
        columns.push(Column::new("words").width(5, 5).right());
    } else {
        columns.push(Column::new("distance").width(8, 9).right());
        if bars {
            columns.push(Column::new("").width(6, 6).priority(2));
        }
    }
    columns.push(Column::new("text").width(12, 24).flex(1));
    columns.push(Column::new("model").width(8, 22).priority(1));
    let focused = tab.focus == Focus::Hits && !tab.is_typing();
    let table = Table { columns, total: found.hits.len(), cursor: tab.cursor, focused, ..Table::default() };
    let fresh = !tab.found.is_loading() && tab.found.failure().is_none();
    table.draw(area, buffer, theme, |index| {
        let hit = found.hits.get(index)?;
        let mut cells =
            vec![Cell::styled((index + 1).to_string(), theme.dim), Cell::new(hit.document_id.as_str())];
        let rank =
            |rank: Option<usize>| Cell::new(rank.map_or(number::NOTHING.to_owned(), |rank| rank.to_string()));
        match found.ranks.get(index) {
            Some(ranks) => cells.extend([rank(ranks.meaning), rank(ranks.words)]),
            None => {
                cells.push(Cell::new(number::distance(hit.distance)));
                if bars {
                    cells.push(Cell::styled(bar(1.0 - hit.distance), theme.dim));
                }
            }
        }
        cells.extend([Cell::new(&hit.content), Cell::styled(hit.model_name.as_str(), theme.dim)]);
        let row = Row::new(cells);
        Some(if fresh { row } else { Row { style: theme.dim, ..row } })
    });
}

/// A similarity from nothing to one, in eighths of a cell.
fn bar(similarity: f64) -> String {
    const PARTS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    // NaN is nothing.
    let eighths = (similarity.clamp(0.0, 1.0) * (BAR * PARTS.len()) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / PARTS.len());
    if !eighths.is_multiple_of(PARTS.len()) {
        bar.push(PARTS[eighths % PARTS.len() - 1]);
    }
    bar
}

fn draw_engines(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let focused = tab.focus == Focus::Hits && !tab.is_typing();
    let pane = Pane::new("Side by side").focused(focused).loading(tab.engines.is_loading());
    let mut inside = pane.draw(area, buffer, look);
    if let Some(failure) = tab.engines.failure() {
        inside = notice::draw_failure(inside, buffer, look.theme, failure);
    }
    match tab.engines.data() {
        Some(sides) => super::engines::draw(sides, tab.cursor, inside, buffer, look),
        None if tab.engines.is_loading() => {
            notice::draw_empty(inside, buffer, look, &["asking every engine…"])
        }
        None => {}
    }
}

fn draw_nothing_found(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let hint = match &tab.query {
        Some(SearchQuery::Text(_)) => {
            "Texts are searched among documents of one model: {next_model} takes the next, {add} adds one."
        }
        _ => "No other document of its model is stored.",
    };
    notice::draw_empty(area, buffer, look, &["Nothing found.", hint, "{back} begins anew."]);
}

/// Before any search: what there is to search in.
fn draw_models(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let theme = look.theme;
    if let Some(failure) = tab.models.failure() {
        notice::draw_failure(area, buffer, theme, failure);
        return;
    }
    let models: &[EmbeddingModel] = tab.models.data().map_or(&[], Vec::as_slice);
    let documents = models.iter().fold(0u64, |sum, model| sum.saturating_add(model.documents));
    if documents == 0 {
        let first = if tab.models.is_loading() { "reading…" } else { "No documents yet." };
        let lines =
            [first, "{add} adds one, {add_file} those of a file; `{load_demo}` loads the sample data."];
        return notice::draw_empty(area, buffer, look, &lines);
    }
    let [note, list] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(area);
    let text = format!(
        " {} under {}. {} searches by text.",
        counted(documents, "document"),
        counted(models.len() as u64, "embedding model"),
        look.keys.of(Action::Filter)
    );
    put(note, buffer, &text, theme.text);
    let columns = vec![
        Column::new("embedding model").width(12, 34).flex(1),
        Column::new("documents").width(9, 12).right(),
        Column::new("dimension").width(9, 10).right().priority(2),
        Column::new("distance").width(8, 9).priority(3),
    ];
    let table = Table { columns, total: models.len(), ..Table::default() };
    table.draw_plain(list, buffer, theme, |index| {
        let model = models.get(index)?;
        Some(Row::new([
            Cell::new(model.name.as_str()),
            Cell::new(number::count(model.documents)),
            Cell::new(number::count(model.dimension as u64)),
            Cell::new(model.distance.as_str()),
        ]))
    });
}

fn draw_detail(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let title = tab.selected().map_or("", |hit| hit.document_id.as_str());
    let focused = tab.focus == Focus::Detail && !tab.is_typing();
    let mut pane = Pane::new(title).focused(focused);
    if let Some(hit) = tab.selected() {
        pane = pane.note(format!("distance {}", number::distance(hit.distance)), look.theme.dim);
    }
    let inside = pane.draw(area, buffer, look);
    tab.detail.draw(inside, buffer);
}

/// The whole text, then what is known about it.
pub(super) fn detail_of(hit: &DocumentHit) -> Prose {
    let heading = Style::new().add_modifier(Modifier::BOLD);
    let mut prose = Prose::default();
    prose.push(&hit.content, Style::new());
    prose.push("", Style::new());
    prose.push("metadata", heading);
    for (name, value) in &hit.metadata {
        prose.push(&format!("{name}: {}", sheet::text(value)), Style::new());
    }
    if hit.metadata.is_empty() {
        prose.push(number::NOTHING, Style::new());
    }
    prose.push("model", heading);
    prose.push(&hit.model_name, Style::new());
    prose.push("size", heading);
    prose.push(&number::bytes(hit.content.len() as u64), Style::new());
    prose
}

/// A row of the table for the clipboard, with tabs between.
pub(super) fn as_line(hit: &DocumentHit) -> String {
    let cells = [&hit.document_id, &number::distance(hit.distance), &hit.content, &hit.model_name]
        .map(|text| sheet::flat(text));
    cells.join("\t")
}

impl Search {
    fn is_loading(&self) -> bool {
        self.found.is_loading()
    }
}
