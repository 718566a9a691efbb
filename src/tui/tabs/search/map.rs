//! The map of the documents: where the hits lie among the others, and which lie together.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Modifier, Style};

use super::*;
use crate::domain::embedding_map::{EmbeddingMap, Spot};
use crate::domain::text::{fit, one_line, width};
use crate::tui::charts::cloud::{Beacon, Cloud, Mote};
use crate::tui::charts::palette;
use crate::tui::widgets::number::{self, counted};
use crate::tui::widgets::pane::{Pane, put};
use crate::tui::widgets::{notice, sheet};
use crate::worker::protocol::MapRead;

/// No marker of a group, so that a hit is told without colours too.
const HIT: &str = "★";

/// Values of a field that have a colour each: the most frequent ones.
const COLOURED: usize = 6;

/// Fields of the metadata that are looked at.
const FIELDS: usize = 50;

/// The pane and what it knows.
#[derive(Debug, Default)]
pub(super) struct MapPane {
    pub shown: bool,
    chart: Remote<EmbeddingMap>,
    /// Fields by which it can be coloured, the most telling first.
    fields: Vec<Groups>,
    /// The name of the one in force.
    colour: Colour,
    /// The spot that the user went to; the selected hit when none.
    spot: Option<String>,
}

/// By what the map is coloured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Colour {
    /// The most telling field.
    #[default]
    Best,
    Field(String),
    None,
}

/// A field of the metadata, and how many documents have each of its values, the most frequent first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Groups {
    name: String,
    values: Vec<(String, usize)>,
}

impl Groups {
    /// The fields whose values come again and again, so that they make groups.
    fn of(spots: &[&Spot]) -> Vec<Groups> {
        let mut counts: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
        for (name, value) in spots.iter().flat_map(|spot| &spot.metadata) {
            if counts.len() < FIELDS || counts.contains_key(name.as_str()) {
                *counts.entry(name).or_default().entry(sheet::text(value).into_owned()).or_default() += 1;
            }
        }
        let groups = |(name, values): (&str, BTreeMap<String, usize>)| {
            let documents: usize = values.values().sum();
            let mut values: Vec<(String, usize)> = values.into_iter().collect();
            values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let tells = values.len() > 1 && values.len() * 2 <= documents;
            tells.then(|| Groups { name: name.to_owned(), values })
        };
        let mut fields: Vec<Groups> = counts.into_iter().filter_map(groups).collect();
        fields.sort_by_key(|field| std::cmp::Reverse(field.coloured()));
        fields
    }

    /// Documents whose value has a colour.
    fn coloured(&self) -> usize {
        self.values.iter().take(COLOURED).map(|(_, count)| count).sum()
    }

    fn series(&self, spot: &Spot) -> Option<usize> {
        let value = sheet::text(spot.metadata.get(&self.name)?);
        self.values.iter().take(COLOURED).position(|(known, _)| *known == value)
    }
}

impl MapPane {
    pub fn is_loading(&self) -> bool {
        self.chart.is_loading()
    }

    fn field(&self) -> Option<&Groups> {
        match &self.colour {
            Colour::Best => self.fields.first(),
            Colour::Field(name) => self.fields.iter().find(|field| field.name == *name),
            Colour::None => None,
        }
    }

    /// Those that are drawn as dots, then the hits.
    fn spots(&self) -> Vec<&Spot> {
        self.chart.data().map_or(Vec::new(), |map| map.spots.iter().chain(&map.hits).collect())
    }
}

impl Search {
    pub(super) fn toggle_map(&mut self, cx: &mut Context<'_>) {
        self.map.shown = !self.map.shown;
        if self.map.shown {
            self.read_map(cx);
        } else {
            self.map.chart.clear();
            self.map.spot = None;
            if self.focus == Focus::Map {
                self.focus = Focus::Hits;
            }
        }
    }

    /// Reads the map with what was found; nothing while it is put away.
    pub(super) fn read_map(&mut self, cx: &mut Context<'_>) {
        if !self.map.shown {
            return;
        }
        let found = self.found.data().filter(|_| self.query.is_some());
        let of_hits = found.and_then(|found| found.hits.first()).map(|hit| hit.model_name.clone());
        let read = MapRead {
            model: of_hits.or_else(|| self.model.clone()),
            // What could not be searched for has no place either.
            query: found.and_then(|_| self.query.clone()),
            hits: self.hits().iter().map(|hit| hit.document_id.clone()).collect(),
        };
        self.map.chart.load(cx.read(Slot::Map, Read::Map(read)));
    }

    pub(super) fn fill_map(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        let result = match result {
            Ok(Answer::Map(map)) => Ok(map.as_ref().clone()),
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        if self.map.chart.fill(ticket, result) {
            let spots = self.map.spots();
            let fields = Groups::of(&spots);
            let gone = |id: &String| spots.iter().all(|spot| spot.document_id != *id);
            if self.map.spot.as_ref().is_some_and(gone) {
                self.map.spot = None;
            }
            self.map.fields = fields;
        }
    }

    pub(super) fn next_colour(&mut self, cx: &mut Context<'_>) {
        if !self.map.shown {
            return cx.toast(Tone::Plain, "the map is coloured: show it first");
        }
        let Some(first) = self.map.fields.first() else {
            return cx.toast(Tone::Plain, "no field of the metadata makes groups of these documents");
        };
        let place = self.map.field().and_then(|now| self.map.fields.iter().position(|field| field == now));
        let next = match place {
            None => Some(first),
            Some(place) => self.map.fields.get(place + 1),
        };
        self.map.colour = next.map_or(Colour::None, |field| Colour::Field(field.name.clone()));
    }

    /// The spot that is named: where the user went, else the selected hit.
    pub(super) fn spot(&self) -> Option<&Spot> {
        let id = match &self.map.spot {
            Some(id) => id,
            None => &self.selected()?.document_id,
        };
        self.map.spots().into_iter().find(|spot| spot.document_id == *id)
    }

    /// The selected hit is named again.
    pub(super) fn forget_spot(&mut self) {
        self.map.spot = None;
    }

    /// The model whose documents are on the map.
    pub(super) fn map_model(&self) -> Option<&str> {
        self.map.chart.data().map(|map| map.model_name.as_str())
    }

    /// Goes to a spot; the list follows where it is a hit.
    fn go_to_spot(&mut self, id: String) {
        if let Some(place) = self.hits().iter().position(|hit| hit.document_id == id) {
            self.cursor.selected = place;
            self.show_selected();
        }
        self.map.spot = Some(id);
    }

    /// To the nearest spot that lies more in that direction than beside it.
    pub(super) fn move_on_map(&mut self, action: Action) {
        let spots = self.map.spots();
        let from = match self.spot() {
            Some(spot) => spot.at,
            None => match spots.first() {
                Some(first) => first.at,
                None => return,
            },
        };
        // Steps are those of the screen: both axes fill it.
        let span = |of: fn(&Spot) -> f64| {
            let values = spots.iter().map(|spot| of(spot));
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
            if high > low { high - low } else { 1.0 }
        };
        let (wide, high) = (span(|spot| spot.at.0), span(|spot| spot.at.1));
        let far = |spot: &&&Spot| {
            let (right, up) = ((spot.at.0 - from.0) / wide, (spot.at.1 - from.1) / high);
            let (along, beside) = match action {
                Action::Left => (-right, up),
                Action::Right => (right, up),
                Action::Up => (up, right),
                _ => (-up, right),
            };
            (along > 0.0 && along >= beside.abs()).then_some(along.hypot(beside))
        };
        let nearest = spots.iter().filter_map(|spot| Some((far(&spot)?, spot)));
        let nearest =
            nearest.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, spot)| spot.document_id.clone());
        if let Some(id) = nearest {
            self.go_to_spot(id);
        }
    }

    pub(super) fn click_map(&mut self, area: Rect, position: Position) {
        self.focus = Focus::Map;
        let [chart, ..] = parts(area);
        let spots = self.map.spots();
        let places = spots.iter().map(|spot| Mote { at: spot.at, series: None }).collect();
        let cloud = Cloud { motes: places, ..Cloud::default() };
        let clicked = cloud.at(chart, (position.x, position.y)).and_then(|index| spots.get(index));
        if let Some(id) = clicked.map(|spot| spot.document_id.clone()) {
            self.go_to_spot(id);
        }
    }
}

/// The chart, the legend, and the line about the spot that is named.
fn parts(area: Rect) -> [Rect; 3] {
    let told = u16::from(area.height > 6);
    Layout::vertical([Constraint::Min(0), Constraint::Length(told), Constraint::Length(told)]).areas(area)
}

/// The inside of the pane, below what is said of a failure.
pub(super) fn inside(tab: &Search, pane: Rect) -> Rect {
    notice::below_failure(Pane::inside(pane), tab.map.chart.failure())
}

pub(super) fn draw(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let theme = look.theme;
    let focused = tab.focus == Focus::Map && !tab.is_typing();
    let mut pane = Pane::new("Map").focused(focused).loading(tab.map.is_loading());
    if let Some(map) = tab.map.chart.data() {
        let drawn = (map.spots.len() + map.hits.len()) as u64;
        let of_all = match drawn < map.documents {
            true => format!("{} of {}", number::count(drawn), counted(map.documents, "document")),
            false => counted(map.documents, "document"),
        };
        let percent = |share: f64| format!("{:.0}", share * 100.0);
        pane = pane
            .note(of_all, theme.dim)
            .note(
                format!("axes {} + {} % of the variance", percent(map.shares[0]), percent(map.shares[1])),
                theme.dim,
            )
            .note(one_line(&map.model_name, 64), theme.dim);
    }
    let mut inside = pane.draw(area, buffer, look);
    if let Some(failure) = tab.map.chart.failure() {
        inside = notice::draw_failure(inside, buffer, theme, failure);
    }
    let Some(map) = tab.map.chart.data() else {
        if tab.map.is_loading() {
            notice::draw_empty(inside, buffer, look, &["reading vectors…"]);
        }
        return;
    };
    let [chart, legend, told] = parts(inside);
    cloud(tab, map, look).draw(chart, buffer, theme);
    draw_legend(tab, legend, buffer, look);
    if let Some(spot) = tab.spot() {
        let text = format!(" {}  {}", one_line(&spot.document_id, 100), one_line(&spot.excerpt, 400));
        put(told, buffer, &text, theme.text);
    }
}

fn cloud<'a>(tab: &'a Search, map: &'a EmbeddingMap, look: &Look<'_>) -> Cloud<'a> {
    let theme = look.theme;
    let field = tab.map.field();
    let series = |spot: &Spot| field.and_then(|field| field.series(spot));
    let motes = map.spots.iter().map(|spot| Mote { at: spot.at, series: series(spot) }).collect();
    let lit = theme.text.add_modifier(Modifier::BOLD);
    let hit = |spot: &'a Spot| {
        let coloured =
            series(spot).map_or(Style::new(), |series| Style::new().fg(palette::look(theme, series).color));
        Beacon { at: spot.at, marker: HIT, style: lit.patch(coloured), name: "" }
    };
    let mut beacons: Vec<Beacon<'a>> = map.hits.iter().map(hit).collect();
    if let Some(at) = map.query {
        beacons.push(Beacon { at, marker: "✚", style: theme.warn.add_modifier(Modifier::BOLD), name: "" });
    }
    if let Some(spot) = tab.spot() {
        beacons.push(Beacon { at: spot.at, marker: "◉", style: theme.selected, name: &spot.document_id });
    }
    Cloud { motes, beacons, empty: "No documents to draw." }
}

fn draw_legend(tab: &Search, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    if area.is_empty() {
        return;
    }
    let theme = look.theme;
    let mut x = area.x + 1;
    let mut write = |text: &str, style: Style| {
        let room = area.right().saturating_sub(x);
        buffer.set_stringn(x, area.y, fit(text, usize::from(room)), usize::from(room), style);
        x = x.saturating_add(width(text) as u16).min(area.right());
    };
    if tab.map.chart.data().is_some_and(|map| map.query.is_some()) {
        write("✚ ", theme.warn);
        write("question  ", theme.dim);
    }
    if tab.map.chart.data().is_some_and(|map| !map.hits.is_empty()) {
        write(&format!("{HIT} "), theme.text.add_modifier(Modifier::BOLD));
        write("hits  ", theme.dim);
    }
    let Some(field) = tab.map.field() else { return };
    write(&format!("{}: ", one_line(&field.name, 40)), theme.text);
    for (series, (value, count)) in field.values.iter().take(COLOURED).enumerate() {
        let group = palette::look(theme, series);
        write(&format!("{} ", group.marker), Style::new().fg(group.color));
        write(&format!("{} {}  ", one_line(value, 24), number::count(*count as u64)), theme.dim);
    }
    let others: usize = field.values.iter().skip(COLOURED).map(|(_, count)| count).sum();
    if others > 0 {
        write(&format!("others {}", number::count(others as u64)), theme.dim);
    }
}
