//! What stays where it is while rows come and go.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::domain::window::Window;
use crate::tui::app::Message;
use crate::tui::testing::Stage;
use crate::tui::testing::data::{Data, run, running};
use crate::worker::protocol::{Command, Event, Read};

fn stage() -> Stage {
    Stage::new(80, 24, Data::with_runs(1204))
}

fn windows(stage: &Stage) -> Vec<&Window> {
    let read = |command| match command {
        &Command::Read(_, Read::Experiments(ref read)) => Some(&read.window),
        _ => None,
    };
    stage.commands().into_iter().filter_map(read).collect()
}

/// The ids in view, and which of them is selected.
fn view(stage: &Stage) -> (Vec<i64>, Option<i64>) {
    let screen = stage.screen();
    let rows: Vec<(bool, i64)> = screen
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix('│')?;
            let id = line.trim_start_matches('▌').split_whitespace().next()?.parse().ok()?;
            Some((line.starts_with('▌'), id))
        })
        .collect();
    let selected = rows.iter().find(|(selected, _)| *selected).map(|(_, id)| *id);
    (rows.into_iter().map(|(_, id)| id).collect(), selected)
}

fn mouse(kind: MouseEventKind, column: u16, row: u16) -> Message {
    Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
}

#[test]
fn the_selected_run_keeps_its_line_when_others_arrive_elsewhere() {
    let mut stage = stage();
    stage.press("<pagedown><pagedown><pagedown>jjk");
    let before = view(&stage);
    let newer: Vec<_> = (1205..1305).rev().map(run).collect();
    stage.data.runs.splice(0..0, newer);
    stage.hear(Event::Changed);
    assert_eq!(view(&stage), before);
    let Window::Around(key) = windows(&stage).last().unwrap() else { panic!("{:?}", windows(&stage)) };
    assert_eq!(Some(key.id), before.1);
    assert!(stage.screen().contains("of 1,304"), "{}", stage.screen());
}

#[test]
fn at_the_top_a_new_run_comes_into_view_and_the_selection_stays() {
    let mut stage = stage();
    stage.hear(Event::Experiment(Box::new(run(1205))));
    let (ids, selected) = view(&stage);
    assert_eq!((ids[0], selected), (1205, Some(1204)));
    assert_eq!(windows(&stage).len(), 1, "its place is known without reading");
}

#[test]
fn a_new_run_above_the_view_moves_nothing_and_reads_nothing() {
    let mut stage = stage();
    stage.press("<pagedown><pagedown><pagedown><pagedown><pagedown>");
    let (before, reads) = (view(&stage), windows(&stage).len());
    stage.hear(Event::Experiment(Box::new(running(1205))));
    assert_eq!((view(&stage), windows(&stage).len()), (before.clone(), reads));
    assert!(stage.screen().contains("of 1,205"), "{}", stage.screen());
    // News of an old run out of view is no reason to read either.
    stage.hear(Event::Experiment(Box::new(run(1203))));
    assert_eq!((view(&stage), windows(&stage).len()), (before, reads));
}

#[test]
fn when_the_selected_run_goes_the_one_below_is_selected() {
    let mut stage = stage();
    stage.press("<pagedown><pagedown>");
    let (ids, selected) = view(&stage);
    let place = ids.iter().position(|id| Some(*id) == selected).unwrap();
    stage.data.runs.retain(|run| Some(run.id) != selected);
    stage.hear(Event::Changed);
    assert_eq!(view(&stage).1, Some(ids[place] - 1));
}

#[test]
fn scrolling_asks_for_what_comes_next_by_key_and_misses_nothing() {
    let mut stage = stage();
    let mut seen = Vec::new();
    while seen.last() != Some(&1) {
        seen.extend(view(&stage).1);
        assert!(!stage.screen().contains("···"), "rows in view are here before they are reached");
        stage.press("j");
    }
    assert_eq!(seen, (1..=1204).rev().collect::<Vec<_>>());
    let asked = windows(&stage);
    assert!(asked.iter().any(|window| matches!(window, Window::After(_))), "{asked:?}");
    assert!(asked.len() < 1204 / 10, "{}", asked.len());
    stage.press("k".repeat(200).as_str());
    let asked = windows(&stage);
    assert!(asked.iter().any(|window| matches!(window, Window::Before(_))), "{asked:?}");
    assert_eq!(view(&stage).1, Some(201));
}

#[test]
fn rows_that_came_while_another_part_was_read_shift_the_view_with_its_rows() {
    let mut stage = stage();
    stage.press("<pagedown>");
    let newer: Vec<_> = (1205..1215).rev().map(run).collect();
    stage.data.runs.splice(0..0, newer);
    // Nobody told of them; the next part that is read stands ten rows lower.
    stage.press("<pagedown><pagedown><pagedown>");
    let (ids, selected) = view(&stage);
    assert_eq!(ids, (ids[0] - ids.len() as i64 + 1..=ids[0]).rev().collect::<Vec<_>>());
    assert_eq!(selected, Some(1204 - 4 * ids.len() as i64));
}

#[test]
fn the_scroll_bar_is_dragged() {
    let mut stage = stage();
    let screen = stage.screen();
    let line = screen.lines().nth(5).unwrap();
    let column = line.chars().position(|character| character == '┃').unwrap_or(78) as u16;
    let down = MouseEventKind::Down(MouseButton::Left);
    stage.tell(mouse(down, column, 12));
    let (ids, _) = view(&stage);
    assert!((400..800).contains(&ids[0]), "{ids:?}\n{}", stage.screen());
    assert!(matches!(windows(&stage).last(), Some(Window::At(_))), "{:?}", windows(&stage));
    stage.tell(mouse(MouseEventKind::Drag(MouseButton::Left), column, 22));
    assert_eq!(view(&stage).0.last(), Some(&1));
}

#[test]
fn a_refresh_without_the_key_of_the_selected_row_stays_in_place() {
    let mut stage = stage();
    stage.silent = true;
    stage.press("G");
    stage.silent = false;
    let first = windows(&stage).len();
    // The reading of the end was lost; what comes now is asked for anew.
    stage.hear(Event::Changed);
    assert_eq!(windows(&stage).len(), first, "one reading at a time");
    stage.press("kk");
    assert_eq!(windows(&stage).len(), first);
    stage.press("g");
    assert_eq!(view(&stage), ((1186..=1204).rev().collect(), Some(1204)));
}
