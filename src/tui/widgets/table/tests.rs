//! Tests of table.

use proptest::prelude::*;
use ratatui::style::Color;

use super::*;

fn theme() -> Theme {
    Theme::default()
}

fn sample_columns() -> Vec<Column> {
    vec![
        Column::new("id").width(4, 6).right(),
        Column::new("model").width(6, 14).flex(1),
        Column::new("dataset").width(6, 20).flex(2).priority(3),
        Column::new("acc").width(6, 6).right(),
        Column::new("lat ms").width(6, 6).right().priority(1),
        Column::new("note").width(8, 8).priority(2),
    ]
}

fn sample_row(index: usize) -> Option<Row> {
    const MODELS: [&str; 6] = [
        "XGBoost",
        "日本語モデル",
        "e\u{301}tude",
        "\u{1b}[31mred\u{1b}[0m",
        "a\tb\r\nc",
        "A name that is far too long",
    ];
    (index != 3).then(|| {
        let mut row = Row::new([
            Cell::new(index.to_string()),
            Cell::new(MODELS[index % MODELS.len()]),
            Cell::new("sentiment_v3"),
            Cell::new("0.913"),
            Cell::styled("11.9", Style::new().fg(Color::Green)),
            Cell::new("x".repeat(1 << 20)),
        ]);
        row.marked = index == 1;
        row
    })
}

fn drawn(table: &Table, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    table.draw(area, &mut buffer, &theme(), sample_row);
    lines(&buffer)
}

fn lines(buffer: &Buffer) -> String {
    crate::tui::charts::testing::text_of(buffer)
}

fn sample(total: usize) -> Table {
    Table {
        columns: sample_columns(),
        total,
        cursor: Cursor { selected: 2, top: 0 },
        sort: Some((3, true)),
        marks: true,
        focused: true,
    }
}

#[test]
fn wide_and_odd_texts_stay_aligned() {
    insta::assert_snapshot!(drawn(&sample(9), 80, 8));
}

#[test]
fn narrow_tables_drop_the_least_needed_columns() {
    insta::assert_snapshot!(drawn(&sample(9), 40, 8));
    insta::assert_snapshot!(drawn(&sample(9), 24, 12));
}

#[test]
fn only_rows_in_view_are_asked_for() {
    let area = Rect::new(0, 0, 60, 11);
    let mut buffer = Buffer::empty(area);
    let asked = std::cell::RefCell::new(Vec::new());
    let table = Table { total: 1_000_000, cursor: Cursor { selected: 500_000, top: 499_995 }, ..sample(0) };
    table.draw(area, &mut buffer, &theme(), |index| {
        asked.borrow_mut().push(index);
        None
    });
    assert_eq!(asked.into_inner(), (499_995..500_005).collect::<Vec<_>>());
}

#[test]
fn a_click_finds_line_and_title() {
    let area = Rect::new(0, 2, 80, 8);
    assert_eq!(Table::line_at(area, Position::new(5, 2)), None);
    assert_eq!(Table::line_at(area, Position::new(5, 4)), Some(1));
    assert_eq!(Table::line_at(area, Position::new(5, 10)), None);
    let table = sample(9);
    assert_eq!(table.title_at(area, Position::new(12, 2)), Some(1));
    assert_eq!(table.title_at(area, Position::new(12, 3)), None);
}

#[test]
fn the_position_is_told() {
    assert_eq!(position(Cursor { selected: 11, top: 0 }, 1204), "12 of 1,204");
    assert_eq!(position(Cursor::default(), 0), "");
}

#[test]
fn a_row_not_in_focus_is_not_reversed() {
    let area = Rect::new(0, 0, 40, 6);
    for focused in [true, false] {
        let mut buffer = Buffer::empty(area);
        Table { focused, ..sample(4) }.draw(area, &mut buffer, &theme(), sample_row);
        let reversed = buffer[(5, 3)].modifier.contains(ratatui::style::Modifier::REVERSED);
        assert_eq!(reversed, focused);
    }
}

proptest! {
    #[test]
    fn any_text_at_any_size_leaves_the_next_column_in_place(
        text in "\\PC{0,40}", width in 0u16..120, height in 0u16..12,
    ) {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let table = Table {
            columns: vec![Column::new("text").width(3, 12), Column::new("next").width(4, 4)],
            total: 1,
            ..Table::default()
        };
        table.draw(area, &mut buffer, &theme(), |_| Some(Row::new([Cell::new(text.clone()), Cell::new("next")])));
        if width >= 19 && height >= 2 {
            let next: String = (15..19).map(|x| buffer[(x, 1)].symbol()).collect();
            prop_assert_eq!(next, "next");
        }
    }

    #[test]
    fn columns_never_overlap_nor_leave_the_room(
        specs in prop::collection::vec((0u16..40, 0u16..40, 0u16..4, 0u8..4), 0..12),
        x in 0u16..50, width in 0u16..300,
    ) {
        let columns: Vec<Column> = specs
            .iter()
            .map(|&(min, more, flex, priority)| {
                Column::new("").width(min, min + more).flex(flex).priority(priority)
            })
            .collect();
        let room = Rect { x, y: 0, width, height: 1 };
        let places = columns::place(&columns, room);
        for pair in places.windows(2) {
            prop_assert!(pair[0].x + pair[0].width < pair[1].x + pair[1].width);
            prop_assert!(pair[0].x + pair[0].width <= pair[1].x);
        }
        if let Some(last) = places.last() {
            prop_assert!(last.x + last.width <= room.right());
        }
    }
}
