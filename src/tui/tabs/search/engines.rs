//! The answers of several engines to one question, side by side.

use std::collections::HashMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::domain::text::one_line;
use crate::tui::context::Look;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::number;
use crate::tui::widgets::pane::put;
use crate::tui::widgets::table::{Cell, Column, Row, Table};
use crate::worker::protocol::EngineSide;

/// What is said of each side: a line, the first without a comparison.
fn summary(sides: &[EngineSide], number: usize) -> String {
    let side = &sides[number];
    let head = format!("{} {}, {}, {}", letter(number), side.place, side.how, number::took(side.took));
    let Ok(hits) = &side.hits else {
        return head;
    };
    let mut parts = vec![head];
    let ids = |hits: &[(String, f64)]| hits.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let shared = |other: &[(String, f64)]| {
        let other = ids(other);
        hits.iter().filter(|(id, _)| other.contains(id)).count()
    };
    if number > 0
        && let Ok(first) = &sides[0].hits
    {
        parts.push(format!("{} of {} as in A", shared(first), first.len().max(hits.len())));
    }
    // How much of the truth one that may miss something has found.
    let truth = sides.iter().find(|other| other.exact).and_then(|other| other.hits.as_ref().ok());
    if let Some(truth) = truth.filter(|truth| !side.exact && !truth.is_empty()) {
        parts.push(format!("recall {:.2}", shared(truth) as f64 / truth.len() as f64));
    }
    parts.join(" · ")
}

fn letter(number: usize) -> char {
    char::from(b'A'.saturating_add(u8::try_from(number).unwrap_or(u8::MAX)))
}

/// How far up or down a document is from its place in the first answer.
fn moved(rank: usize, first: Option<&usize>) -> String {
    match first {
        None => "new".to_owned(),
        Some(first) if *first > rank => format!("↑{}", first - rank),
        Some(first) if *first < rank => format!("↓{}", rank - first),
        Some(_) => "=".to_owned(),
    }
}

pub(super) fn draw(sides: &[EngineSide], cursor: Cursor, area: Rect, buffer: &mut Buffer, look: &Look<'_>) {
    let theme = look.theme;
    let lines = u16::try_from(sides.len()).unwrap_or(u16::MAX);
    let [told, list] = Layout::vertical([Constraint::Length(lines), Constraint::Min(0)]).areas(area);
    for (number, (side, row)) in sides.iter().zip(told.rows()).enumerate() {
        match &side.hits {
            Ok(_) => put(row, buffer, &format!(" {}", one_line(&summary(sides, number), 400)), theme.text),
            Err(failure) => {
                let text = format!(" {}: {}", summary(sides, number), failure.message);
                put(row, buffer, &one_line(&text, 400), theme.bad);
            }
        }
    }
    let hits = |side: &EngineSide| side.hits.as_ref().map_or(0, Vec::len);
    let total = sides.iter().map(hits).max().unwrap_or(0);
    let first: HashMap<&str, usize> = match sides.first().map(|side| &side.hits) {
        Some(Ok(hits)) => hits.iter().zip(0..).map(|((id, _), rank)| (id.as_str(), rank)).collect(),
        _ => HashMap::new(),
    };
    let mut columns = vec![Column::new("#").width(2, 3).right()];
    // One that failed has said so above.
    let answered: Vec<usize> = (0..sides.len()).filter(|number| sides[*number].hits.is_ok()).collect();
    for number in answered.iter().copied() {
        if number > 0 {
            columns.push(Column::new("").width(3, 4));
        }
        columns.push(Column::new(letter(number).to_string()).width(8, 20).flex(1));
        columns.push(Column::new("far").width(6, 9).right());
    }
    let cursor = Cursor { selected: cursor.selected.min(total.saturating_sub(1)), ..cursor };
    let table = Table { columns, total, cursor, ..Table::default() };
    table.draw(list, buffer, theme, |rank| {
        let mut cells = vec![Cell::styled((rank + 1).to_string(), theme.dim)];
        for number in answered.iter().copied() {
            let hit = sides[number].hits.as_ref().ok().and_then(|hits| hits.get(rank));
            if number > 0 {
                let place = hit.map(|(id, _)| moved(rank, first.get(id.as_str())));
                cells.push(Cell::styled(place.unwrap_or_default(), theme.dim));
            }
            cells.push(Cell::new(hit.map_or("", |(id, _)| id.as_str())));
            cells.push(Cell::new(hit.map(|(_, distance)| number::distance(*distance)).unwrap_or_default()));
        }
        Some(Row::new(cells))
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn side(place: &str, exact: bool, ids: &str) -> EngineSide {
        EngineSide {
            place: place.to_owned(),
            how: "h".to_owned(),
            exact,
            took: Duration::from_millis(2),
            hits: Ok(ids.chars().zip(1..).map(|(id, rank)| (id.to_string(), f64::from(rank))).collect()),
        }
    }

    #[test]
    fn recall_is_measured_on_what_compares_all() {
        let sides = [side("index", false, "abx"), side("all", true, "abcd"), side("notes", false, "dcba")];
        assert_eq!(summary(&sides, 0), "A index, h, 2.0 ms · recall 0.50");
        assert_eq!(summary(&sides, 1), "B all, h, 2.0 ms · 2 of 4 as in A");
        assert_eq!(summary(&sides, 2), "C notes, h, 2.0 ms · 2 of 4 as in A · recall 1.00");
    }

    #[test]
    fn places_are_told_from_the_first_answer() {
        assert_eq!(moved(0, Some(&2)), "↑2");
        assert_eq!(moved(3, Some(&2)), "↓1");
        assert_eq!((moved(1, Some(&1)), moved(1, None)), ("=".to_owned(), "new".to_owned()));
    }
}
