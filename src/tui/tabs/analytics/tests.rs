//! Tests of analytics.

use std::time::Duration;

use crossterm::event::KeyCode;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::experiment::Experiment;
use crate::domain::table::Table;
use crate::tui::context::Effect;
use crate::tui::tabs::testing::{Desk, body, down, tumble};
use crate::tui::testing::Stage;
use crate::tui::testing::data::Data;
use crate::worker::protocol::Command;

fn summary(name: &str, accuracy: f64, training: f64, inference: f64, count: u64) -> ModelSummary {
    ModelSummary {
        model_name: name.to_owned(),
        avg_accuracy: Some(accuracy),
        avg_training_time: Some(training),
        avg_inference_time: Some(inference),
        experiment_count: count,
    }
}

fn published() -> Vec<ModelSummary> {
    vec![
        summary("BERT", 0.93, 3500.0, 43.65, 2),
        summary("XGBoost", 0.89, 177.5, 12.1, 2),
        summary("RandomForest", 0.86, 122.5, 15.15, 2),
    ]
}

fn desk(width: u16, height: u16) -> Desk<Analytics> {
    let mut desk = Desk::new(Analytics::default(), width, height);
    desk.refresh().answer(Slot::Analytics, Ok(Answer::ModelSummaries(published())));
    desk.requests();
    desk
}

fn console(width: u16, height: u16) -> Desk<Analytics> {
    let mut desk = desk(width, height);
    desk.act(Action::Sql).submit("select 1");
    desk
}

fn table() -> Answer {
    let mut table = Table::new(&["model_name", "avg(accuracy)"]);
    table.rows =
        (0..40).map(|row| vec![json!(format!("model {row}")), json!(f64::from(row) / 40.0)]).collect();
    table.truncated = true;
    Answer::Table { table, took: Duration::from_millis(12) }
}

#[test]
fn one_chart_at_a_time_on_a_small_screen() {
    let mut desk = desk(80, 21);
    insta::assert_snapshot!("small_1", desk.screen());
    desk.act(Action::Right).act(Action::Right).act(Action::Right);
    insta::assert_snapshot!("small_4", desk.screen());
    desk.act(Action::Right);
    assert!(desk.screen().contains("1/4"));
}

#[test]
fn four_charts_and_the_comparison_on_a_large_one() {
    insta::assert_snapshot!(desk(160, 42).screen());
}

#[test]
fn enter_enlarges_a_chart_and_gives_the_room_back() {
    let mut desk = desk(160, 42);
    desk.act(Action::Right).act(Action::Open);
    assert!(
        desk.screen()
            .contains("Average Training Time by Model (s) ─ 2/4 ◂ ▸ ─ includes simulated runs (sim)")
    );
    desk.act(Action::Back);
    assert!(desk.screen().contains("Accuracy vs Inference Time"));
}

#[test]
fn before_the_first_answer_and_without_any_run() {
    let mut desk = Desk::new(Analytics::default(), 80, 21);
    desk.refresh();
    insta::assert_snapshot!("loading", desk.screen());
    desk.answer(Slot::Analytics, Ok(Answer::ModelSummaries(Vec::new())));
    insta::assert_snapshot!("empty", desk.screen());
    desk.act(Action::ToggleSimulated).answer(Slot::Analytics, Ok(Answer::ModelSummaries(Vec::new())));
    insta::assert_snapshot!("empty_without_simulated", desk.screen());
}

#[test]
fn a_failure_is_told_and_the_old_charts_stay() {
    let mut desk = desk(80, 21);
    desk.refresh().answer(Slot::Analytics, Err(down()));
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn simulated_runs_can_be_left_out() {
    let mut desk = desk(160, 42);
    desk.act(Action::ToggleSimulated);
    assert_eq!(desk.reads(), [Read::ModelSummaries { with_simulated: false }]);
    let screen = desk.screen();
    assert!(screen.contains("without simulated runs") && !screen.contains("(sim)"), "{screen}");
}

#[test]
fn many_changes_lead_to_one_read_at_a_time() {
    let mut desk = desk(80, 21);
    for _ in 0..5 {
        desk.refresh();
    }
    assert!(desk.tab.is_busy());
    assert_eq!(desk.effects.len(), 1);
    desk.answer(Slot::Analytics, Ok(Answer::ModelSummaries(published())));
    assert_eq!(desk.effects.len(), 2);
    desk.answer(Slot::Analytics, Ok(Answer::ModelSummaries(published())));
    assert_eq!(desk.effects.len(), 2);
    assert!(!desk.tab.is_busy());
}

#[test]
fn a_run_that_ends_is_seen_at_once_but_only_where_somebody_looks() {
    let completed = Experiment { status: Status::Completed, ..Data::with_runs(1).runs[0].clone() };
    let event = Event::Experiment(Box::new(completed));
    let mut desk = desk(80, 21);
    desk.hear(&event);
    assert_eq!(desk.reads(), [Read::ModelSummaries { with_simulated: true }]);
    let mut hidden = self::desk(80, 21);
    hidden.with(|tab, _| tab.hide()).hear(&event);
    assert_eq!(hidden.reads(), []);
}

#[test]
fn the_answer_to_an_older_choice_is_dropped() {
    let mut desk = desk(80, 21);
    desk.refresh();
    let old = desk.requests()[0].ticket;
    desk.act(Action::ToggleSimulated);
    let stale = Ok(Answer::ModelSummaries(Vec::new()));
    desk.hear(&Event::Answer { ticket: old, slot: Slot::Analytics, result: stale });
    assert!(desk.tab.is_busy());
    assert_eq!(desk.tab.summaries.data().map(Vec::len), Some(3));
}

#[test]
fn a_model_keeps_its_colour_when_others_come() {
    let mut desk = desk(160, 42);
    let before = desk.tab.names.number("XGBoost");
    let mut more = published();
    more.insert(0, summary("Ada", 0.99, 1.0, 1.0, 1));
    desk.refresh().answer(Slot::Analytics, Ok(Answer::ModelSummaries(more)));
    assert_eq!(desk.tab.names.number("XGBoost"), before);
}

#[test]
fn sql_shows_its_table_beside_the_charts_or_alone() {
    let mut small = console(80, 21);
    insta::assert_snapshot!("sql_asked", small.screen());
    small.answer(Slot::Sql, Ok(table()));
    small.act(Action::PageDown);
    insta::assert_snapshot!("sql_small", small.screen());
    let mut large = console(160, 42);
    large.answer(Slot::Sql, Ok(table()));
    insta::assert_snapshot!("sql_large", large.screen());
}

#[test]
fn an_error_shows_its_place() {
    let mut desk = console(80, 21);
    let message =
        "Parser Error: syntax error at or near \"form\"\nLINE 1: select * form x\n                 ^";
    let failure = Failure { message: message.to_owned(), remedy: None, unavailable: false };
    desk.answer(Slot::Sql, Err(failure));
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn the_console_opens_types_and_closes() {
    let mut desk = desk(80, 21);
    desk.act(Action::Sql);
    assert!(desk.tab.is_typing());
    desk.key(KeyCode::Esc);
    assert!(!desk.tab.is_typing() && !desk.tab.console.is_open());
    desk.act(Action::Sql).submit("select 1");
    assert_eq!(desk.reads(), [Read::Sql("select 1".to_owned())]);
    assert!(!desk.tab.is_typing() && desk.tab.console.has_keys());
    desk.act(Action::Back);
    assert!(!desk.tab.console.is_open());
}

#[test]
fn the_wheel_and_clicks_reach_the_result() {
    let mut desk = console(80, 21);
    desk.answer(Slot::Sql, Ok(table()));
    desk.mouse(MouseEventKind::ScrollDown, 10, 10);
    assert!(desk.screen().contains("4 of 40"), "{}", desk.screen());
    desk.click(10, 5);
    assert!(desk.screen().contains("5 of 40"), "{}", desk.screen());
}

#[test]
fn the_comparison_is_copied() {
    let mut desk = desk(80, 21);
    desk.act(Action::Copy);
    let Some(Effect::Copy(text)) = desk.effects.pop() else { panic!("nothing was copied") };
    assert_eq!(text.lines().nth(1), Some("BERT\t0.930\t3500.0\t43.65\t2"));
}

#[test]
fn odd_names_and_figures_are_shown_safely() {
    let mut odd = vec![
        summary("\u{1b}[31mred\u{1b}[0m\ttab\nline", f64::NAN, 1.0, 2.0, 1),
        summary("日本語モデル", 0.5, 1e12, f64::INFINITY, 1),
        summary(&"e\u{301}".repeat(1 << 19), 0.7, 3.0, 9.0, u64::MAX),
    ];
    odd[1].avg_training_time = None;
    let mut desk = desk(160, 42);
    desk.refresh().answer(Slot::Analytics, Ok(Answer::ModelSummaries(odd)));
    insta::assert_snapshot!(desk.screen());
    desk.resize(60, 15);
    insta::assert_snapshot!("odd_small", desk.screen());
}

#[test]
fn the_keys_of_the_whole_screen_lead_here() {
    let mut stage = Stage::new(160, 45, Data::default());
    stage.silent = true;
    stage.press("4");
    let ticket = stage.sent.last().unwrap().ticket;
    stage.hear(Event::Answer {
        ticket,
        slot: Slot::Analytics,
        result: Ok(Answer::ModelSummaries(published())),
    });
    insta::assert_snapshot!("whole_screen", body(&stage.screen()));
    stage.press("H");
    assert_eq!(*stage.last_command(), read(Read::ModelSummaries { with_simulated: false }));
    stage.press("sselect 1<enter>");
    let sql = Command::Read(Slot::Sql, Read::Sql("select 1".to_owned()));
    assert_eq!(*stage.last_command(), sql);
}

fn read(read: Read) -> Command {
    Command::Read(Slot::Analytics, read)
}

fn by_chance(read: &Read, number: u16) -> Result<Answer, Failure> {
    match (read, number % 4) {
        (_, 0) => Err(down()),
        (Read::Sql(_), _) => Ok(table()),
        (_, 1) => Ok(Answer::ModelSummaries(Vec::new())),
        _ => Ok(Answer::ModelSummaries(published())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_happens_is_a_panic(steps in prop::collection::vec((0u8..6, 0u16..400, 0u16..400), 0..60)) {
        tumble(Analytics::default(), &steps, by_chance);
    }
}
