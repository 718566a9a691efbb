//! The experiments tab.

use proptest::prelude::*;
use ratatui::layout::Size;

use crate::domain::experiment::{Edit, Figures, Status};
use crate::domain::filter::Field;
use crate::domain::window::Window;
use crate::tui::app::Message;
use crate::tui::context::Effect;
use crate::tui::testing::Stage;
use crate::tui::testing::data::{Data, at, batch, failure, points, run, running};
use crate::worker::protocol::{
    Cancel, Command, Event, ExperimentsRead, LogLevel, LogLine, Read, Slot, Write,
};

fn stage(width: u16, height: u16) -> Stage {
    Stage::new(width, height, Data::with_runs(1204))
}

fn last_read(stage: &Stage) -> &ExperimentsRead {
    let commands = stage.sent.iter().rev().map(|request| &request.command);
    commands
        .filter_map(|command| match command {
            Command::Read(_, Read::Experiments(read)) => Some(read),
            _ => None,
        })
        .next()
        .unwrap()
}

fn table_reads(stage: &Stage) -> usize {
    stage
        .commands()
        .iter()
        .filter(|command| matches!(command, Command::Read(_, Read::Experiments(_))))
        .count()
}

#[test]
fn a_narrow_screen_shows_the_table() {
    insta::assert_snapshot!(stage(80, 24).screen());
}

#[test]
fn a_wide_screen_shows_table_and_detail() {
    let mut stage = stage(160, 45);
    stage.press("jjj");
    insta::assert_snapshot!(stage.screen());
}

#[test]
fn a_high_screen_shows_the_detail_below() {
    insta::assert_snapshot!(stage(80, 40).press("jj").screen());
}

#[test]
fn enter_opens_the_detail_and_its_sections_turn() {
    let mut stage = stage(80, 24);
    stage.press("<enter>");
    insta::assert_snapshot!("detail_parameters", stage.screen());
    stage.press("l");
    insta::assert_snapshot!("detail_results", stage.screen());
    stage.press("l");
    insta::assert_snapshot!("detail_metrics", stage.screen());
    stage.press("l");
    insta::assert_snapshot!("detail_documents", stage.screen());
    stage.press("l");
    insta::assert_snapshot!("detail_log", stage.screen());
    stage.press("l");
    assert!(stage.screen().contains("No note. N writes one"), "{}", stage.screen());
    stage.press("<esc>");
    assert!(stage.screen().contains("1 of 1,204"));
}

#[test]
fn a_failed_run_says_why() {
    let mut stage = stage(80, 24);
    // 1204 is divisible by 7.
    stage.press("<enter>");
    assert!(stage.screen().contains("ValueError: no data"), "{}", stage.screen());
}

#[test]
fn only_a_window_is_read_and_it_moves_along() {
    let mut stage = stage(80, 24);
    assert_eq!((&last_read(&stage).window, last_read(&stage).limit), (&Window::First, 30));
    let reads = table_reads(&stage);
    stage.press("jjjjjjjj");
    assert_eq!(table_reads(&stage), reads, "what is here is not read again");
    stage.press("G");
    assert_eq!(last_read(&stage).window, Window::Last);
    assert!(stage.screen().contains("1,204 of 1,204"), "{}", stage.screen());
    insta::assert_snapshot!(stage.screen());
}

#[test]
fn rows_on_their_way_are_dots_not_blanks() {
    let mut stage = stage(80, 24);
    stage.silent = true;
    stage.press("G");
    assert!(stage.screen().contains("···"));
}

#[test]
fn sorting_cycles_and_shows_its_arrow() {
    let mut stage = stage(80, 24);
    stage.press("sss");
    assert!(stage.screen().contains("acc ▼"), "{}", stage.screen());
    assert!(last_read(&stage).descending);
    stage.press("S");
    assert!(stage.screen().contains("acc ▲"));
    stage.press("2").press("1");
    assert!(stage.screen().contains("acc ▲"), "remembered for the session");
}

#[test]
fn a_filter_stays_visible_and_esc_clears_it() {
    let mut stage = stage(80, 24);
    stage.press("/accuracy > 0.9");
    insta::assert_snapshot!("filter_typed", stage.screen());
    stage.press("<enter>");
    assert_eq!(last_read(&stage).filter, "accuracy > 0.9");
    insta::assert_snapshot!("filter_holds", stage.screen());
    stage.press("<esc>");
    assert_eq!(last_read(&stage).filter, "");
}

#[test]
fn a_wrong_filter_is_marked_under_its_place() {
    let mut stage = stage(80, 24);
    let message = "accuracy >> 0.9\n          ^\nexpected a value";
    stage.data.bad_filter = Some((">>", failure(message)));
    stage.press("/accuracy >> 0.9<enter>");
    insta::assert_snapshot!("filter_wrong", stage.screen());
    let message = "(accuracy >> 0.9) and runner != 'simulate'\n           ^\nexpected a value";
    stage.data.bad_filter = Some((">>", failure(message)));
    stage.press("H");
    insta::assert_snapshot!("filter_wrong_without_simulated", stage.screen());
}

#[test]
fn simulated_runs_are_marked_and_can_be_hidden() {
    let mut stage = stage(80, 24);
    assert!(stage.screen().contains(" sim"));
    stage.press("H");
    assert_eq!(last_read(&stage).filter, "runner != 'simulate'");
    assert!(!stage.screen().contains(" sim "), "{}", stage.screen());
    assert!(stage.screen().contains("simulated hidden"));
}

#[test]
fn an_empty_lab_teaches_its_keys() {
    insta::assert_snapshot!(Stage::new(80, 24, Data::default()).screen());
}

#[test]
fn what_cannot_be_read_says_why_and_what_to_do() {
    let mut refused = failure("PostgreSQL at localhost:5432 refused the connection");
    refused.remedy = Some("start it with `make services`".to_owned());
    let data = Data { failure: Some(refused), ..Data::default() };
    insta::assert_snapshot!(Stage::new(80, 24, data).screen());
}

#[test]
fn the_selected_run_stays_selected_when_new_ones_come() {
    let mut stage = stage(80, 24);
    stage.press("jjj");
    let reads = table_reads(&stage);
    stage.hear(Event::Experiment(Box::new(running(1205))));
    assert_eq!(table_reads(&stage), reads, "no reading for a row that stands on top");
    insta::assert_snapshot!(stage.screen());
}

#[test]
fn a_new_run_is_followed_until_the_user_moves() {
    let mut stage = stage(160, 45);
    stage.data.runs.insert(0, running(1205));
    stage.hear(Event::Experiment(Box::new(running(1205))));
    insta::assert_snapshot!("live", stage.screen());
    stage.hear(Event::Experiment(Box::new(running(1206))));
    assert!(stage.screen().contains("#1205"), "a run that moves is not left");
    let mut done = running(1205);
    done.status = Status::Completed;
    done.figures = Figures { accuracy: Some(0.913), ..Figures::default() };
    stage.hear(Event::Points { id: 1206, points: points(1206, 1, 2) });
    stage.hear(Event::Experiment(Box::new(done)));
    assert!(stage.screen().contains("#1206 NeuralNet"), "{}", stage.screen());
    stage.press("jjj").hear(Event::Experiment(Box::new(running(1207))));
    assert!(!stage.screen().contains("#1207"));
}

#[test]
fn points_move_row_and_curve_without_a_reading() {
    let mut stage = stage(160, 45);
    stage.hear(Event::Experiment(Box::new(running(1205))));
    let sent = stage.sent.len();
    for step in 1..=30 {
        stage.hear(Event::Points { id: 1205, points: points(1205, step, step) });
    }
    assert_eq!(stage.sent.len(), sent);
    let screen = stage.screen();
    let row = screen.lines().find(|line| line.contains("▌ 1205")).unwrap();
    assert!(row.contains("0.891"), "{row}");
}

#[test]
fn many_changes_in_a_row_do_not_cancel_the_reading_under_way() {
    let mut stage = stage(160, 45);
    stage.silent = true;
    let sent = stage.sent.len();
    for _ in 0..10 {
        stage.hear(Event::Changed);
    }
    assert_eq!(stage.sent.len() - sent, 2, "one for the table, one for the detail");
    let waiting: Vec<_> = stage.sent[sent..].to_vec();
    stage.silent = false;
    for request in waiting {
        for event in stage.data.answer(&request) {
            stage.hear(event);
        }
    }
    assert_eq!(stage.sent.len() - sent, 4, "each is read once more, for what changed meanwhile");
}

#[test]
fn a_run_that_is_read_again_makes_no_stir() {
    let mut stage = stage(160, 45);
    let before = stage.screen();
    stage.silent = true;
    stage.hear(Event::Changed);
    assert!(matches!(stage.last_command(), Command::Read(Slot::Detail, _)), "{:?}", stage.last_command());
    assert_eq!(stage.screen(), before);
}

#[test]
fn the_log_of_a_run_holds_its_own_lines() {
    let mut stage = stage(80, 24);
    for (id, text) in [(1204, "epoch 1 of 3"), (1203, "somebody else")] {
        stage.hear(Event::Log(LogLine {
            at: at(0),
            level: LogLevel::Info,
            source: "run".to_owned(),
            text: format!("experiment {id}: {text}"),
        }));
    }
    stage.press("<enter>hh<pagedown><pagedown>");
    assert!(stage.screen().contains("│epoch 1 of 3"), "{}", stage.screen());
    assert!(!stage.screen().contains("somebody else"));
}

#[test]
fn marked_runs_are_compared() {
    let mut stage = stage(160, 45);
    stage.press("jjj  jj ");
    insta::assert_snapshot!("marked", stage.screen());
    stage.press("c");
    insta::assert_snapshot!("compare_160", stage.screen());
    stage.press("lE<tab>");
    insta::assert_snapshot!("compare_selected", stage.screen());
    stage.tell(Message::Resize(Size::new(80, 24)));
    insta::assert_snapshot!("compare_80", stage.screen());
    stage.press("<esc><esc>");
    assert!(!stage.screen().contains("marked"));
}

#[test]
fn marks_go_with_their_runs() {
    let mut stage = stage(80, 24);
    stage.press("   ");
    assert!(stage.screen().contains("3 marked"), "{}", stage.screen());
    stage.press("D3<enter>");
    assert!(!stage.screen().contains("marked"), "{}", stage.screen());
    stage.press("   ");
    stage.data.runs.retain(|run| run.id != 1200);
    stage.hear(Event::Changed).press("c");
    assert!(stage.screen().contains("1 are gone"), "deleted by another program: {}", stage.screen());
    stage.press("<esc>");
    assert!(stage.screen().contains("2 marked"), "{}", stage.screen());
}

#[test]
fn curves_are_smoothed_read_and_zoomed() {
    let mut stage = stage(160, 45);
    stage.press("j<enter>wi<left><left><left>");
    insta::assert_snapshot!("reading_values", stage.screen());
    assert!(stage.screen().contains("step 27"), "{}", stage.screen());
    stage.press("<home>");
    assert!(stage.screen().contains("step 1"));
    stage.press("<shift+right>");
    assert!(stage.screen().contains("step 11"));
    stage.press("<end>");
    assert!(stage.screen().contains("step 30"));
    stage.press("<esc>");
    assert!(!stage.screen().contains("step 30"), "esc puts the cursor away first");
    stage.press("zTL");
    insta::assert_snapshot!("one_large_over_time", stage.screen());
    stage.press("T+++");
    assert!(!stage.screen().contains(" 10 "), "{}", stage.screen());
    stage.press("<esc>");
    assert!(stage.screen().contains("of 1,204"), "and then the pane");
}

#[test]
fn the_cursor_reads_all_compared_runs() {
    let mut stage = stage(160, 45);
    stage.press("jjj  jj ci<left><left>");
    assert!(stage.screen().contains("step 28"), "{}", stage.screen());
    insta::assert_snapshot!("compare_cursor", stage.screen());
    stage.press("<esc>");
    assert!(stage.screen().contains("Compare 3 runs"), "esc puts the cursor away first");
}

#[test]
fn a_live_run_moves_on_under_a_cursor_that_stays() {
    let mut stage = stage(160, 45);
    stage.data.runs.insert(0, running(1205));
    stage.hear(Event::Experiment(Box::new(running(1205))));
    stage.press("i");
    assert!(stage.screen().contains("step 12"), "{}", stage.screen());
    stage.hear(Event::Points { id: 1205, points: points(1205, 13, 20) });
    assert!(stage.screen().contains("step 20"), "at the newest point it goes along");
    stage.press("<left>").hear(Event::Points { id: 1205, points: points(1205, 21, 25) });
    assert!(stage.screen().contains("step 19"), "{}", stage.screen());
}

#[test]
fn a_value_is_copied_and_a_curve_is_clicked() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut stage = stage(160, 45);
    stage.press("j<enter>jy");
    assert_eq!(stage.effects.last(), Some(&Effect::Copy("32".to_owned())));
    let click = |column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    stage.tell(click(30, 8));
    assert!(stage.screen().contains("  step "), "{}", stage.screen());
    let line = stage.screen().lines().position(|line| line.contains("parameters ·")).unwrap();
    stage.tell(click(20, line as u16));
    assert!(stage.screen().contains("No results."), "{}", stage.screen());
}

#[test]
fn two_hundred_metrics_are_listed_and_chosen_from() {
    let mut stage = stage(160, 45);
    stage.data.runs.insert(0, running(1205));
    stage.hear(Event::Experiment(Box::new(running(1205))));
    let points: Vec<_> = (0..200)
        .flat_map(|metric| {
            points(1, 1, 30).into_iter().filter(|point| point.name == "loss").map(move |mut point| {
                point.name = format!("layer/{metric:03}/gradient_norm");
                point
            })
        })
        .collect();
    stage.hear(Event::Points { id: 1205, points });
    stage.press("<enter>ll");
    assert!(stage.screen().contains("of 203 metrics"), "{}", stage.screen());
    let begun = std::time::Instant::now();
    stage.press("G");
    assert!(stage.screen().contains("layer/199/gradient_norm"), "{}", stage.screen());
    let took = begun.elapsed();
    assert!(took.as_millis() < 200, "{took:?}");
    stage.press(",");
    assert!(stage.screen().lines().take(4).any(|line| line.contains("layer/19")), "{}", stage.screen());
}

#[test]
fn one_mark_is_not_enough_to_compare() {
    let mut stage = stage(80, 24);
    stage.press("c");
    assert!(stage.screen().contains("mark at least two"));
}

#[test]
fn runs_are_archived_and_brought_back() {
    let mut stage = stage(80, 24);
    stage.press("ja");
    assert!(stage.commands().contains(&&Command::Write(Write::Edit(vec![1203], Edit::Archive(true)))));
    assert!(stage.screen().contains("u brings it back"), "{}", stage.screen());
    stage.press("u");
    assert!(stage.commands().contains(&&Command::Write(Write::Edit(vec![1203], Edit::Archive(false)))));
}

#[test]
fn an_archived_run_is_taken_back_by_the_same_key() {
    let mut archived = run(9);
    archived.archived_at = Some(archived.created_at);
    let mut stage = Stage::new(80, 24, Data { runs: vec![archived], ..Data::default() });
    stage.press("Aa");
    assert!(stage.commands().contains(&&Command::Write(Write::Edit(vec![9], Edit::Archive(false)))));
    assert!(last_read(&stage).with_archived);
}

#[test]
fn runs_are_cancelled_rerun_and_retried() {
    let mut stage = stage(80, 24);
    stage.press("xrR");
    let writes: Vec<_> =
        stage.commands().into_iter().filter(|command| !matches!(command, Command::Read(..))).collect();
    assert_eq!(writes, [&Command::Write(Write::Rerun(1204)), &Command::Write(Write::RetryBatch(1))]);
    stage.hear(Event::Experiment(Box::new(running(1205)))).press("gx");
    assert!(stage.commands().contains(&&Command::Cancel(Cancel::Experiment(1205))));
}

#[test]
fn ids_and_lines_are_copied() {
    let mut stage = stage(80, 24);
    stage.press("  yY");
    let copied: Vec<&Effect> = stage.effects.iter().collect();
    assert_eq!(copied[0], &Effect::Copy("1203 1204".to_owned()));
    let Effect::Copy(lines) = copied[1] else {
        panic!("{copied:?}");
    };
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn a_title_sorts_and_a_row_is_chosen_by_a_click() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut stage = stage(80, 24);
    let screen = stage.screen();
    let header = screen.lines().position(|line| line.contains("model")).unwrap();
    let column = screen.lines().nth(header).unwrap().find("model").unwrap();
    let click = |column: usize, row: usize| {
        Message::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: column as u16,
            row: row as u16,
            modifiers: KeyModifiers::NONE,
        })
    };
    stage.tell(click(12, header + 5));
    assert!(stage.screen().contains("5 of 1,204"), "{}", stage.screen());
    stage.tell(click(column - 2, header));
    assert!(stage.screen().contains("model ▲"), "{}", stage.screen());
    let tab = stage.screen().lines().next().unwrap().find("Activity").unwrap();
    stage.tell(click(tab, 0));
    assert!(stage.screen().contains("Jobs of this session"), "{}", stage.screen());
}

#[test]
fn the_orders_that_are_one_key_away_are_named_in_advance() {
    let mut stage = stage(80, 24);
    stage.press("Clearn<enter><esc><esc>");
    let rate = Field::Param("learning_rate".to_owned());
    let next = &last_read(&stage).next;
    assert_eq!(next.first(), Some(&(Field::Id, false)));
    assert_eq!(next.get(1), Some(&(Field::Model, false)));
    assert_eq!(next.last(), Some(&(rate, false)));
    stage.press("s");
    let next = &last_read(&stage).next;
    assert_eq!(next.first(), Some(&(Field::Model, true)));
    assert_eq!(next.last(), Some(&(Field::Id, true)));
}

#[test]
fn any_field_is_found_and_becomes_a_column() {
    let mut stage = stage(80, 24);
    stage.press("Clearn");
    assert!(stage.screen().contains("params.learning_rate"), "{}", stage.screen());
    stage.press("<enter>");
    insta::assert_snapshot!("chooser", stage.screen());
    stage.press("<esc><esc>");
    insta::assert_snapshot!("chosen_column", stage.screen());
    let reads = curve_reads(&stage);
    stage.press("Cbest(loss<enter><esc><esc>");
    assert!(stage.screen().contains("0.50"), "{}", stage.screen());
    assert_eq!(curve_reads(&stage), reads + 1, "all rows in one reading");
    stage.press("sssssss");
    stage.press("C<ctrl+r><esc>");
    assert!(!stage.screen().contains("learning_rate"));
}

fn curve_reads(stage: &Stage) -> usize {
    let is = |command: &&&Command| matches!(command, Command::Read(_, Read::CurveValues { .. }));
    stage.commands().iter().filter(is).count()
}

#[test]
fn a_column_that_nobody_has_seen_can_be_typed() {
    let mut stage = stage(80, 24);
    stage.press("Cparams.`odd-name`<enter><esc><esc>");
    assert!(stage.screen().contains("odd-name"), "{}", stage.screen());
}

#[test]
fn columns_that_do_not_vary_go_and_come_back() {
    let mut stage = stage(80, 24);
    stage.press("C<ctrl+e>");
    let shown = stage.screen();
    assert!(!shown.contains("✓ 3 dataset") && shown.contains("✓ 2 model"), "{shown}");
    stage.press("<ctrl+e>");
    assert!(stage.screen().contains("✓ 3 dataset"), "{}", stage.screen());
}

#[test]
fn columns_scroll_behind_the_first() {
    let mut stage = stage(80, 24);
    stage.press("}}");
    assert!(stage.screen().contains("2 ◂ columns"), "{}", stage.screen());
    assert!(!stage.screen().contains("model"), "{}", stage.screen());
    stage.press("{{");
    assert!(stage.screen().contains("model"));
}

#[test]
fn a_range_and_all_that_the_filter_shows_are_marked() {
    let mut stage = stage(80, 24);
    stage.press("jvjjj");
    insta::assert_snapshot!("range", stage.screen());
    stage.press("v");
    assert!(stage.screen().contains("4 marked"), "{}", stage.screen());
    stage.press("GvU");
    assert!(!stage.screen().contains("marked"), "{}", stage.screen());
    stage.press("gvGv");
    assert!(stage.screen().contains("1,204 marked"), "beyond the rows that are here: {}", stage.screen());
    stage.press("U*");
    assert!(stage.screen().contains("1,204 marked"), "{}", stage.screen());
    let marks = stage.commands().iter().rev().find_map(|command| match command {
        Command::Read(_, Read::Ids(read)) => Some(read.limit),
        _ => None,
    });
    assert_eq!(marks, Some(10_000));
    stage.press("r");
    assert!(stage.screen().contains("are too many"), "{}", stage.screen());
}

#[test]
fn figures_are_measured_against_the_baseline() {
    let mut stage = stage(160, 45);
    stage.press("jjjp");
    insta::assert_snapshot!("baseline", stage.screen());
    stage.press("p");
    assert!(!stage.screen().contains("against #"), "{}", stage.screen());
}

#[test]
fn a_baseline_of_another_store_is_none_here() {
    let mut stage = Stage::before_start(80, 24, Data::with_runs(20));
    let memory = "[experiments]\nsort = 'accuracy'\n[experiments.baseline]\nid = 3\nkey = 'other'";
    assert!(stage.app.recall(&memory.parse().unwrap()).is_empty());
    stage.tell(Message::Start);
    assert!(!stage.screen().contains("against #"), "{}", stage.screen());
    assert!(stage.screen().contains("acc ▲"), "{}", stage.screen());
}

#[test]
fn runs_are_grouped_and_a_group_opens() {
    let mut stage = stage(80, 24);
    stage.press("Zj");
    insta::assert_snapshot!("groups_80", stage.screen());
    stage.press("<tab>");
    insta::assert_snapshot!("group_curves_80", stage.screen());
    stage.press("<tab>s");
    let sorts = stage.commands().iter().rev().find_map(|command| match command {
        Command::Read(_, Read::Groups(read)) => Some((read.sort, read.descending)),
        _ => None,
    });
    assert_eq!(sorts, Some((Some(0), true)));
    stage.press("a");
    assert!(stage.screen().contains("mark the runs of a group"), "{}", stage.screen());
    stage.press("<enter>");
    assert!(last_read(&stage).filter.starts_with("id in ("), "{}", last_read(&stage).filter);
    stage.press("<esc>");
    assert_eq!(last_read(&stage).filter, "");
    assert!(stage.screen().contains("Groups"), "{}", stage.screen());
    stage.press(" ");
    assert!(stage.screen().contains("marked"), "{}", stage.screen());
    stage.tell(Message::Resize(Size::new(160, 45)));
    insta::assert_snapshot!("groups_160", stage.screen());
    stage.press("Z");
    assert!(!stage.screen().contains("Groups"));
}

fn remembered(stage: &Stage) -> Option<&toml::Table> {
    let commands = stage.sent.iter().rev().map(|request| &request.command);
    let mut sections = commands.filter_map(|command| match command {
        Command::Remember(sections) => Some(sections),
        _ => None,
    });
    sections.next()
}

#[test]
fn what_is_arranged_is_kept_a_moment_later_and_comes_back() {
    let mut stage = Stage::before_start(80, 24, Data::with_runs(20));
    assert!(stage.app.recall(&toml::Table::new()).is_empty());
    stage.tell(Message::Start);
    stage.wait(10).press("j");
    assert_eq!(remembered(&stage), None, "nothing was arranged");
    stage.press("Hjjp/accuracy > 0.5<enter>Clearn<enter>>><esc><esc>");
    assert_eq!(remembered(&stage), None, "changes wait for each other");
    stage.wait(3);
    let sections = remembered(&stage).unwrap().clone();
    let sent = stage.sent.len();
    stage.wait(10);
    assert_eq!(stage.sent.len(), sent, "once is enough");

    let mut again = Stage::before_start(80, 24, Data::with_runs(20));
    assert!(again.app.recall(&sections).is_empty());
    again.tell(Message::Start);
    assert_eq!(last_read(&again).filter, "(accuracy > 0.5) and runner != 'simulate'");
    let screen = again.screen();
    assert!(screen.contains("learning_rate") && screen.contains("against #"), "{screen}");
    again.press("s").press("q");
    let kept = remembered(&again).unwrap();
    assert_eq!(kept["experiments"]["sort"].as_str(), Some("model"), "kept before it ends");
    assert_eq!(kept["experiments"]["descending"].as_bool(), Some(false));
    again.press("S").tell(Message::Terminate);
    let kept = remembered(&again).unwrap();
    assert_eq!(kept["experiments"]["descending"].as_bool(), Some(true), "kept before a signal ends it");
}

#[test]
fn a_filter_with_a_mistake_is_not_kept() {
    let mut stage = Stage::before_start(80, 24, Data::with_runs(20));
    assert!(stage.app.recall(&toml::Table::new()).is_empty());
    stage.tell(Message::Start);
    stage.press("/acuracy = 1<enter>S").wait(3);
    assert_eq!(last_read(&stage).filter, "acuracy = 1");
    assert_eq!(remembered(&stage).unwrap()["experiments"]["filter"].as_str(), Some(""));
}

#[test]
fn nothing_is_kept_where_nothing_is_remembered() {
    let mut stage = stage(80, 24);
    stage.press("sHq").wait(10);
    assert_eq!(remembered(&stage), None);
}

#[test]
fn a_view_that_is_not_understood_is_told_and_the_rest_holds() {
    let mut stage = Stage::before_start(80, 24, Data::with_runs(20));
    let memory = "[experiments]\nsort = 'nonsense'\nfilter = 'loss >'\nhide_simulated = true\n[[experiments.columns]]\nfield = 'id'\n\
                  [[experiments.columns]]\nfield = 'acuracy'";
    let problems = stage.app.recall(&memory.parse().unwrap());
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("did you mean accuracy"), "{problems:?}");
    assert!(problems[2].contains("remembered filter 'loss >'"), "{problems:?}");
    stage.tell(Message::Start);
    assert_eq!(last_read(&stage).filter, "runner != 'simulate'");
    let wrong = stage.app.recall(&"[experiments]\nsort = 3".parse().unwrap());
    assert!(wrong[0].contains("[experiments] of the remembered view"), "{wrong:?}");
}

#[derive(Clone, Debug)]
enum Poke {
    Keys(String),
    Size(u16, u16),
    Mouse(u8, u16, u16),
    News(u8, i64),
}

fn poke() -> impl Strategy<Value = Poke> {
    let named = prop::sample::select(vec![
        "<enter>",
        "<esc>",
        "<tab>",
        "<shift+tab>",
        "<space>",
        "<up>",
        "<down>",
        "<pagedown>",
        "<pageup>",
        "<ctrl+d>",
        "<ctrl+u>",
        "<f1>",
        "<backspace>",
        "<home>",
        "<end>",
        "<ctrl+p>",
        "<ctrl+c>",
        "<alt+x>",
        "<left>",
        "<right>",
    ]);
    prop_oneof![
        4 => "[ -;=-~]".prop_map(Poke::Keys),
        1 => "[日é\u{301}\u{202e}]".prop_map(Poke::Keys),
        3 => named.prop_map(|key| Poke::Keys(key.to_owned())),
        1 => (1u16..=300, 1u16..=100).prop_map(|(width, height)| Poke::Size(width, height)),
        1 => (0u8..4, 0u16..300, 0u16..100).prop_map(|(kind, column, row)| Poke::Mouse(kind, column, row)),
        1 => (0u8..4, 0i64..60).prop_map(|(kind, id)| Poke::News(kind, id)),
    ]
}

fn apply(stage: &mut Stage, poke: &Poke) {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    match poke {
        Poke::Keys(keys) => {
            stage.press(keys);
        }
        Poke::Size(width, height) => stage.tell(Message::Resize(Size::new(*width, *height))),
        Poke::Mouse(kind, column, row) => {
            let kind = match kind {
                0 => MouseEventKind::ScrollDown,
                1 => MouseEventKind::ScrollUp,
                2 => MouseEventKind::Drag(MouseButton::Left),
                _ => MouseEventKind::Down(MouseButton::Left),
            };
            let (column, row) = (*column, *row);
            stage.tell(Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
        }
        Poke::News(kind, id) => {
            stage.hear(match kind {
                0 => Event::Experiment(Box::new(running(*id))),
                1 => Event::Points { id: *id, points: points(*id, 1, 5) },
                2 => Event::Changed,
                _ => Event::Batch(batch(1, *id as u64)),
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// 20 times 100: two thousand keys, clicks, sizes and events.
    #[test]
    fn nothing_that_is_pressed_makes_it_fall(pokes in prop::collection::vec(poke(), 100)) {
        let mut stage = Stage::new(80, 24, Data::with_runs(50));
        for poke in &pokes {
            apply(&mut stage, poke);
            stage.screen();
        }
    }
}
