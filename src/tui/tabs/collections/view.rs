//! How the collections tab is laid out and drawn.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};

use serde_json::Value;

use crate::domain::collection::{Collection, Hnsw, StoredRecord};
use crate::domain::document::Metadata;
use crate::domain::record_filter::{DOCUMENT_OPERATORS, OPERATORS};
use crate::domain::text::{first_characters, fit};
use crate::tui::context::Look;
use crate::tui::theme::Theme;
use crate::tui::widgets::number::{self, counted};
use crate::tui::widgets::pane::{Pane, put};
use crate::tui::widgets::prose::Prose;
use crate::tui::widgets::table::{self, Cell, Column, Row, Table};
use crate::tui::widgets::{notice, sheet};
use crate::worker::protocol::{BackendState, RoleHealth};

use super::records::Records;
use super::{Collections, Focus, query};

/// Where everything is; `names`, `records` and `detail` are insides of panes, below what is said of a failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    names_pane: Rect,
    pub names: Rect,
    records_pane: Rect,
    /// The line on which a question is typed.
    pub line: Rect,
    /// What is wrong with it, or what is known of the collection.
    note: Rect,
    /// Where a failure is told, and the records below it.
    said: Rect,
    pub records: Rect,
    detail_pane: Rect,
    pub detail: Rect,
}

/// Lines from which records and detail stand over each other; below, the one with the keys is alone.
const HIGH: u16 = 24;

pub(super) fn places(tab: &Collections, area: Rect) -> Places {
    let left = (area.width * 2 / 5).min((area.width / 3).max(44));
    let [names_pane, right] = Layout::horizontal([Constraint::Length(left), Constraint::Min(0)]).areas(area);
    let [records_pane, detail_pane] = if area.height >= HIGH {
        Layout::vertical([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(right)
    } else if tab.focus == Focus::Detail {
        [Rect::default(), right]
    } else {
        [right, Rect::default()]
    };
    let one = Constraint::Length(1);
    let [line, note, records] =
        Layout::vertical([one, one, Constraint::Min(0)]).areas(Pane::inside(records_pane));
    Places {
        names_pane,
        names: notice::below_failure(Pane::inside(names_pane), tab.list.failure()),
        records_pane,
        line,
        note,
        said: records,
        records: notice::below_failure(records, tab.records.failure()),
        detail_pane,
        detail: Pane::inside(detail_pane),
    }
}

pub(super) fn draw(tab: &Collections, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
    let places = places(tab, area);
    draw_names(tab, places.names_pane, frame.buffer_mut(), look);
    if !places.records_pane.is_empty() {
        draw_records(tab, &places, frame, look);
    }
    if !places.detail_pane.is_empty() {
        draw_detail(tab, places.detail_pane, frame.buffer_mut(), look);
    }
}

fn draw_names(tab: &Collections, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let theme = look.theme;
    let focused = tab.focus == Focus::Names && !tab.line.is_typing();
    let total = tab.collections().len();
    // Tenant and database say more than the name of the tab, where there is room for both and the position.
    let place = tab.place.as_deref().filter(|place| place.len() + 16 <= usize::from(area.width));
    // Elsewhere, one must know where in any case.
    let elsewhere =
        tab.at.as_ref().map(|at| fit(&at.to_string(), usize::from(area.width).saturating_sub(16)));
    let pane = Pane::new(elsewhere.as_deref().or(place).unwrap_or("Collections"))
        .focused(focused)
        .loading(tab.list.is_loading())
        .note(table::position(tab.cursor, total), theme.dim);
    let mut inside = pane.draw(area, buffer, look);
    if let Some(failure) = tab.list.failure() {
        inside = notice::draw_failure(inside, buffer, theme, failure);
    }
    match tab.list.data() {
        Some(list) if list.is_empty() && tab.list.failure().is_none() => {
            let lines: &[&str] = if tab.at.is_some() {
                &["No collections yet.", "{create} creates one;", "{databases} looks elsewhere."]
            } else {
                &["No collections yet.", "{create} creates one;", "`{load_demo}` loads the sample", "data."]
            };
            notice::draw_empty(inside, buffer, look, lines);
        }
        None if tab.list.is_loading() => notice::draw_empty(inside, buffer, look, &["reading…"]),
        None => {}
        Some(list) => {
            let stale = tab.list.failure().is_some();
            let columns = vec![
                Column::new("name").width(16, 24).flex(1),
                Column::new("records").width(7, 9).right().priority(1),
                Column::new("dim").width(5, 5).right().priority(2),
                Column::new("space").width(6, 6).priority(3),
            ];
            let table = Table { columns, total, cursor: tab.cursor, focused, ..Table::default() };
            table.draw(inside, buffer, theme, |index| {
                let row = list.get(index).map(|collection| name_row(collection, theme))?;
                Some(if stale { Row { style: theme.dim, ..row } } else { row })
            });
        }
    }
}

fn name_row(collection: &Collection, theme: &Theme) -> Row {
    let dimension =
        collection.dimension.map_or(number::NOTHING.to_owned(), |size| number::count(size as u64));
    Row::new([
        Cell::new(collection.name.as_str()),
        match &collection.problem {
            Some(_) => Cell::styled("broken", theme.bad),
            None => Cell::new(number::count(collection.records)),
        },
        Cell::new(dimension),
        Cell::new(collection.space.as_str()),
    ])
}

fn draw_records(tab: &Collections, places: &Places, frame: &mut Frame<'_>, look: &Look<'_>) {
    let theme = look.theme;
    let records = &tab.records;
    let focused = tab.focus == Focus::Records || tab.line.is_typing();
    let title = records.collection.as_deref().unwrap_or("Records");
    let mut pane =
        Pane::new(title).focused(focused).loading(records.is_loading()).note(position(records), theme.dim);
    if let Some(found) = records.found() {
        pane = pane.note(number::took(found.took), theme.dim);
    }
    if records.marks() > 0 {
        pane = pane.note(format!("{} marked", number::count(records.marks() as u64)), theme.marked);
    }
    pane.draw(places.records_pane, frame.buffer_mut(), look);
    let hint = r#"good sound where {"rating": 5} · like:ID · [0.1, …]"#;
    tab.line.draw(frame, places.line, theme, "/ ", hint);
    let buffer = frame.buffer_mut();
    draw_note(tab, places.note, buffer, look);
    if let Some(failure) = records.failure() {
        notice::draw_failure(places.said, buffer, theme, failure);
    }
    if records.total() > 0 {
        draw_table(tab, places.records, buffer, look);
    } else if records.failure().is_none() {
        draw_nothing(tab, places.records, buffer, look);
    }
}

/// The place of the cursor; `12 of 100+` where more may fit than is known.
fn position(records: &Records) -> String {
    match (records.total(), records.goes_on()) {
        (total, true) => format!("{}+", table::position(records.cursor(), total - 1)),
        (total, false) => table::position(records.cursor(), total),
    }
}

/// Below the line: what is wrong with it, what can be written while it is typed, else what is known of the collection.
fn draw_note(tab: &Collections, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let (text, style) = match (&tab.problem, tab.selected()) {
        (Some(problem), _) => (problem.clone(), look.theme.bad),
        (None, _) if tab.line.is_typing() => (operators(tab.line.value()), look.theme.dim),
        (None, Some(collection)) => (summary(collection), look.theme.dim),
        (None, None) => return,
    };
    put(area, buffer, &text, style);
}

/// Those of the condition that is being typed; the other condition is named behind.
fn operators(line: &str) -> String {
    if query::asks_of_documents(line) {
        DOCUMENT_OPERATORS.join(" ")
    } else {
        format!(r#"{} · where_document {{"$contains": "bass"}}"#, OPERATORS[..10].join(" "))
    }
}

fn summary(collection: &Collection) -> String {
    let dimension = collection.dimension.map(|size| format!(" · {} dimensions", number::count(size as u64)));
    let metadata = if collection.metadata.is_empty() {
        String::new()
    } else {
        format!(" · {}", in_a_line(&collection.metadata))
    };
    format!("{}{}{metadata}", collection.space.as_str(), dimension.unwrap_or_default())
}

/// `rating: 5, category: audio`; only as much as a line could show.
fn in_a_line(metadata: &Metadata) -> String {
    let mut line = String::new();
    for (name, value) in metadata {
        if line.len() > 1024 {
            break;
        }
        let separator = if line.is_empty() { "" } else { ", " };
        let value = sheet::text(value);
        line.push_str(&format!(
            "{separator}{}: {}",
            first_characters(name, 256),
            first_characters(&value, 512)
        ));
    }
    line
}

fn draw_nothing(tab: &Collections, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let lines: &[&str] = if tab.records.is_loading() {
        &["reading…"]
    } else if tab.records.is_narrowed() {
        &["Nothing found.", "{back} shows all records"]
    } else if tab.records.collection.is_some() {
        &["No records yet.", "{add} adds one"]
    } else {
        &[]
    };
    notice::draw_empty(area, buffer, look, lines);
}

fn draw_table(tab: &Collections, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let theme = look.theme;
    let records = &tab.records;
    let mut columns = vec![Column::new("id").width(10, 14)];
    if records.found().is_some() {
        columns.push(Column::new("distance").width(8, 8).right());
    }
    columns.push(Column::new("document").width(20, 24).flex(2));
    columns.push(Column::new("metadata").width(16, 20).flex(1).priority(1));
    let table = Table {
        columns,
        total: records.total(),
        cursor: records.cursor(),
        marks: records.marks() > 0,
        focused: tab.focus == Focus::Records && !tab.line.is_typing(),
        ..Table::default()
    };
    table.draw(area, buffer, theme, |index| {
        let (record, distance) = records.row(index)?;
        let document = record.document.as_deref().unwrap_or(number::NOTHING);
        let mut cells = vec![Cell::new(record.id.as_str())];
        cells.extend(distance.map(|distance| Cell::new(number::distance(distance))));
        cells.push(Cell::new(document));
        cells.push(Cell::styled(in_a_line(&record.metadata), theme.dim));
        let style = if records.is_stale() { theme.dim } else { Style::new() };
        Some(Row { cells, style, marked: records.is_marked(&record.id) })
    });
}

fn draw_detail(tab: &Collections, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let focused = tab.focus == Focus::Detail && !tab.line.is_typing();
    let inside = Pane::new(tab.detail_title.as_str()).focused(focused).draw(area, buffer, look);
    tab.detail.draw(inside, buffer);
}

/// A row of the list for the clipboard, with tabs between.
pub(super) fn collection_line(collection: &Collection) -> String {
    let dimension = collection.dimension.map_or(String::new(), |size| size.to_string());
    [&collection.name, &collection.records.to_string(), &dimension, collection.space.as_str()].join("\t")
}

/// A row of the records for the clipboard, with tabs between.
pub(super) fn record_line(record: &StoredRecord) -> String {
    let metadata = Value::Object(record.metadata.clone()).to_string();
    [sheet::flat(&record.id), sheet::flat(record.document.as_deref().unwrap_or_default()), metadata]
        .join("\t")
}

/// What is known of a collection.
pub(super) fn collection_detail(collection: &Collection) -> Prose {
    let mut prose = Prose::default();
    prose.push(&collection.name, heading());
    prose.push(&counted(collection.records, "record"), Style::new());
    let dimension = match collection.dimension {
        Some(size) => counted(size as u64, "dimension"),
        None => "no dimension until the first record".to_owned(),
    };
    prose.push(&dimension, Style::new());
    prose.push(&format!("space {}", collection.space.as_str()), Style::new());
    if !collection.hnsw.is_default() {
        prose.push(&index_settings(&collection.hnsw), Style::new());
    }
    push_metadata(&mut prose, &collection.metadata);
    prose
}

/// `index: ef_construction 100 · max_neighbors 16 · ef_search 100`
fn index_settings(hnsw: &Hnsw) -> String {
    let told = [
        ("ef_construction", hnsw.ef_construction),
        ("max_neighbors", hnsw.max_neighbors),
        ("ef_search", hnsw.ef_search),
    ];
    let told = told.into_iter().filter_map(|(name, number)| Some(format!("{name} {}", number?)));
    format!("index: {}", told.collect::<Vec<_>>().join(" · "))
}

/// The whole document, then its metadata, and its vector where that was asked for.
pub(super) fn record_detail(record: &StoredRecord, vector: Option<&[f32]>) -> Prose {
    let mut prose = Prose::default();
    prose.push(record.document.as_deref().unwrap_or("no text, only an embedding"), Style::new());
    push_metadata(&mut prose, &record.metadata);
    if let Some(vector) = vector {
        prose.push("", Style::new());
        prose.push(&format!("vector · {}", counted(vector.len() as u64, "dimension")), heading());
        prose.push(&format!("{vector:?}"), Style::new());
    }
    prose
}

/// Tenant and database of the store, where it has them: what its health says behind its address.
pub(super) fn place_of(roles: &[RoleHealth]) -> Option<String> {
    let role = roles.iter().find(|role| role.role == "collections" && role.backend == "Chroma")?;
    match &role.state {
        BackendState::Up { place, .. } => place.rsplit_once(' ').map(|(_, place)| place.to_owned()),
        BackendState::Unknown | BackendState::Down { .. } => None,
    }
}

/// The store is up to no second database.
pub(super) fn is_single(roles: &[RoleHealth]) -> bool {
    roles.iter().any(|role| role.role == "collections" && role.backend == "DuckDB")
}

fn push_metadata(prose: &mut Prose, metadata: &Metadata) {
    prose.push("", Style::new());
    prose.push("metadata", heading());
    for (name, value) in metadata {
        prose.push(&format!("{name}: {}", sheet::text(value)), Style::new());
    }
    if metadata.is_empty() {
        prose.push(number::NOTHING, Style::new());
    }
}

fn heading() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}
