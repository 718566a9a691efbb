//! The app from key strings: screens as snapshots, and that nothing typed does harm.

use ratatui::layout::Size;

use super::*;
use crate::tui::testing::data::Data;
use crate::tui::testing::{Stage, down, health};
use crate::worker::protocol::{Cancel, Command, JobState, JobUpdate, Write};

fn stage() -> Stage {
    Stage::new(80, 24, Data::with_runs(40))
}

fn job(ticket: u64, state: JobState, done: u64) -> Event {
    let what = format!("batch sentiment v{ticket}");
    Event::Job(JobUpdate { ticket: Ticket(ticket), what, state, done, total: 12, failed: 0 })
}

fn down_now(stage: &mut Stage) {
    let mut roles = health(["experiments", "documents", "collections", "analytics"]);
    roles[0] = down("experiments", "PostgreSQL", stage.now, 42);
    roles[1] = down("documents", "PostgreSQL", stage.now, 42);
    stage.hear(Event::Health(roles));
}

#[test]
fn the_first_frame_waits_for_nothing() {
    let stage = Stage::before_start(80, 24, Data::default());
    assert!(stage.sent.is_empty());
    insta::assert_snapshot!(stage.screen());
}

#[test]
fn what_is_down_is_told_and_the_rest_works() {
    let mut stage = stage();
    down_now(&mut stage);
    insta::assert_snapshot!("down_80", stage.screen());
    stage.tell(Message::Resize(Size::new(160, 20)));
    insta::assert_snapshot!("down_160", stage.screen());
    assert_eq!(stage.app.next_tick(), Some(SECOND));
}

#[test]
fn what_is_back_is_told_once_and_can_be_asked_for() {
    let mut stage = stage();
    stage.press("5r");
    assert!(stage.screen().contains("nothing is down") && !stage.commands().contains(&&Command::TryNow));
    stage.wait(10);
    down_now(&mut stage);
    stage.press("r");
    assert_eq!(stage.last_command(), &Command::TryNow);
    stage.press("1<ctrl+r>");
    assert_eq!(stage.commands().iter().filter(|command| ***command == Command::TryNow).count(), 2);
    stage.wait(3).hear(Event::Health(health(["experiments", "documents", "collections", "analytics"])));
    assert!(stage.screen().contains("experiments: DuckDB is back after 0:45"), "{}", stage.screen());
    stage.wait(10).hear(Event::Health(health(["experiments", "documents", "collections", "analytics"])));
    assert!(!stage.screen().contains("is back"), "{}", stage.screen());
}

#[test]
fn backends_are_named_where_there_is_room() {
    let mut stage = stage();
    let mut roles = health(["experiments", "documents", "collections", "analytics"]);
    roles[0].backend = "PostgreSQL";
    roles[1].backend = "PostgreSQL";
    roles[2] = down("collections", "Chroma", stage.now, 42);
    stage.hear(Event::Health(roles));
    insta::assert_snapshot!("backends_80", stage.screen());
    stage.tell(Message::Resize(Size::new(160, 45)));
    insta::assert_snapshot!("backends_160", stage.screen());
    stage.hear(job(900, JobState::Running, 0));
    stage.wait(42).hear(job(900, JobState::Running, 7));
    let first = stage.screen().lines().next().unwrap().to_owned();
    assert!(first.contains("batch 7/12") && first.contains("Chroma ✗"), "{first}");
}

#[test]
fn an_idle_app_wants_no_tick() {
    let mut stage = stage();
    assert_eq!(stage.app.next_tick(), None);
    stage.press("y");
    assert_eq!(stage.app.next_tick(), Some(Duration::from_secs(5)));
    stage.wait(5);
    assert_eq!(stage.app.next_tick(), None);
    stage.silent = true;
    stage.press("<ctrl+r>");
    assert_eq!(stage.app.next_tick(), Some(SPIN));
}

#[test]
fn a_running_batch_shows_its_meter_where_there_is_room() {
    let mut stage = stage();
    stage.hear(job(900, JobState::Running, 0));
    stage.wait(42).hear(job(900, JobState::Running, 7));
    insta::assert_snapshot!("meter_80", last_and_first(&stage));
    stage.tell(Message::Resize(Size::new(120, 24)));
    insta::assert_snapshot!("meter_120", last_and_first(&stage));
}

fn last_and_first(stage: &Stage) -> String {
    let screen = stage.screen();
    let lines: Vec<&str> = screen.lines().collect();
    [lines[0], lines[lines.len() - 1]].join("\n")
}

#[test]
fn quitting_asks_while_jobs_run() {
    let mut stage = stage();
    stage.press("q");
    assert_eq!(stage.effects, [Effect::Quit(Parting::Idle)]);
    stage.effects.clear();
    stage.hear(job(900, JobState::Running, 7)).press("q");
    insta::assert_snapshot!(stage.screen());
    stage.press("<esc>");
    assert!(stage.effects.is_empty());
    stage.press("qs");
    assert!(stage.commands().contains(&&Command::Cancel(Cancel::Job(Ticket(900)))));
    assert!(stage.effects.is_empty(), "labtop ends when the job has stopped");
    stage.hear(job(900, JobState::Cancelled, 7));
    assert_eq!(stage.effects, [Effect::Quit(Parting::Idle)]);
}

#[test]
fn leaving_now_leaves_the_queue() {
    let mut stage = stage();
    stage.hear(job(900, JobState::Running, 7)).press("ql");
    assert_eq!(stage.effects, [Effect::Quit(Parting::Queue)]);
}

#[test]
fn a_full_queue_is_told_and_nothing_waits_for_ever() {
    let mut stage = stage();
    stage.silent = true;
    stage.press("<ctrl+r>");
    for request in std::mem::take(&mut stage.sent) {
        stage.tell(Message::Refused(Box::new(request)));
    }
    assert!(stage.app.is_idle());
    assert!(stage.screen().contains("busy"));
}

#[test]
fn an_error_with_a_remedy_is_shown_whole() {
    let mut stage = stage();
    stage.silent = true;
    stage.press("r");
    let ticket = stage.sent.last().unwrap().ticket;
    let failure = Failure {
        message: "Error creating experiment: PostgreSQL at localhost:5432 refused the connection".to_owned(),
        remedy: Some(
            "Start it with `make services`, or use the embedded profile: labtop --profile embedded"
                .to_owned(),
        ),
        unavailable: true,
    };
    stage.hear(Event::Done { ticket, result: Err(failure) });
    insta::assert_snapshot!(stage.screen());
    stage.press("<esc>");
    assert!(!stage.screen().contains("did not work"));
}

#[test]
fn esc_and_a_fast_key_are_two_keys() {
    let mut stage = stage();
    stage.press("/acc<alt+j>");
    assert!(!stage.screen().contains("/ acc"), "esc left the filter, j moved on");
    assert!(stage.screen().contains("2 of 40"), "{}", stage.screen());
}

#[test]
fn the_palette_finds_by_some_letters() {
    let mut stage = stage();
    stage.press(":lddm");
    insta::assert_snapshot!(stage.screen());
    stage.press("<enter>");
    assert!(stage.commands().contains(&&Command::Write(Write::LoadDemo)));
}

#[test]
fn the_palette_goes_to_the_tab_that_knows_the_action() {
    let mut stage = stage();
    stage.press("5:Start a single<enter>");
    assert!(stage.screen().contains("New run"), "{}", stage.screen());
}

#[test]
fn help_is_made_from_the_keymap() {
    let mut stage = stage();
    stage.press("?");
    insta::assert_snapshot!("help", stage.screen());
    stage.press("G");
    insta::assert_snapshot!("help_end", stage.screen());
}

#[test]
fn read_only_changes_nothing() {
    let mut stage = stage();
    stage.app.options.read_only = true;
    assert!(stage.screen().contains("read-only"), "the footer says so");
    assert!(!stage.screen().contains("n new"), "{}", stage.screen());
    let sent = stage.sent.len();
    for key in ["r", "n", "b", "x", "a", "D", "t", "N", "u", "R"] {
        stage.press(key);
        assert_eq!(stage.sent.len(), sent, "{key}");
        assert!(stage.app.popups.is_empty(), "{key}");
        assert!(stage.screen().contains("read-only: nothing is changed"), "{key}: {}", stage.screen());
    }
}

#[test]
fn toasts_go_away_by_themselves() {
    let mut stage = stage();
    stage.press("y");
    assert!(stage.screen().contains("copied 40"), "{}", stage.screen());
    assert_eq!(stage.effects, [Effect::Copy("40".to_owned())]);
    stage.wait(6);
    assert!(!stage.screen().contains("copied"));
}

#[test]
fn pasted_text_is_never_a_command() {
    let mut stage = stage();
    stage.tell(Message::Paste("q".to_owned()));
    assert!(stage.effects.is_empty());
    stage.press("/");
    stage.tell(Message::Paste("model = 'a'\nq\u{1b}".to_owned()));
    assert!(stage.screen().contains("/ model = 'a' q"), "{}", stage.screen());
}

#[test]
fn a_sequence_is_shown_while_it_is_begun_and_forgotten_after_a_second() {
    let mut stage = stage();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"[global]\n\"g g\" = \"bottom\"").unwrap();
    stage.app.keymap = Keymap::load(Some(file.path()));
    stage.press("g");
    assert!(stage.screen().contains("g …"), "{}", stage.screen());
    stage.wait(1);
    stage.press("g");
    assert!(!stage.screen().contains("40 of 40"));
    stage.press("g");
    assert!(stage.screen().contains("40 of 40"));
}

#[test]
fn it_says_when_there_is_no_room() {
    let mut stage = stage();
    for (width, height) in [(1, 1), (20, 4), (59, 15), (60, 14)] {
        stage.tell(Message::Resize(Size::new(width, height)));
        stage.screen();
    }
    assert!(stage.screen().contains("labtop needs 60x15"));
    stage.tell(Message::Resize(Size::new(60, 15)));
    insta::assert_snapshot!(stage.screen());
}

#[test]
fn a_job_of_another_kind_counts_too() {
    let mut stage = stage();
    stage.hear(job(900, JobState::Running, 7)).hear(job(901, JobState::Running, 2));
    assert!(stage.screen().contains("2 jobs 9/24"), "{}", stage.screen());
    assert!(!stage.app.is_idle());
}

#[test]
fn every_tab_keeps_to_its_room_at_every_size() {
    let mut empty = Stage::new(80, 24, Data::default());
    let mut full = stage();
    for (width, height) in [(60, 15), (60, 40), (80, 24), (100, 15), (140, 17), (300, 15), (300, 100)] {
        for stage in [&mut empty, &mut full] {
            stage.tell(Message::Resize(Size::new(width, height)));
            for tab in ["1", "2", "3", "4", "5"] {
                stage.press(tab);
                let screen = stage.screen();
                let lines: Vec<&str> = screen.lines().collect();
                let at = format!("tab {tab} at {width}x{height}:\n{screen}");
                assert!(lines[0].contains("1 Exp") && lines[0].contains("embedded ●"), "{at}");
                assert!(lines[lines.len() - 1].contains("? help"), "{at}");
                assert!(lines[1].starts_with(['┌', ' ']), "{at}");
                assert!(lines[lines.len() - 2].starts_with(['└', '│', ' ']), "{at}");
            }
        }
    }
}

#[test]
fn a_write_that_takes_its_time_is_seen() {
    let mut stage = stage();
    stage.silent = true;
    stage.press("a");
    assert!(!stage.screen().contains("writing"));
    assert_eq!(stage.app.next_tick(), Some(SPIN));
    stage.wait(3);
    assert!(stage.screen().contains("writing 0:03"), "{}", stage.screen());
    let ticket = stage.sent.last().unwrap().ticket;
    stage.hear(Event::Done { ticket, result: Ok("Archived 1 experiment".to_owned()) });
    assert!(!stage.screen().contains("writing"));
    assert!(stage.screen().contains("Archived 1 experiment · u brings it back"), "{}", stage.screen());
}

#[test]
fn archivings_are_taken_back_one_after_another() {
    use crate::domain::experiment::Edit;
    let mut stage = stage();
    stage.press("aja");
    let edits = |stage: &Stage| -> Vec<(Vec<i64>, bool)> {
        let commands = stage.commands().into_iter();
        commands
            .filter_map(|command| match command {
                Command::Write(Write::Edit(ids, Edit::Archive(away))) => Some((ids.clone(), *away)),
                _ => None,
            })
            .collect()
    };
    let done = edits(&stage);
    assert_eq!(done.len(), 2);
    stage.press("uuu");
    let undone = edits(&stage)[2..].to_vec();
    assert_eq!(undone, [(done[1].0.clone(), false), (done[0].0.clone(), false)]);
    assert!(stage.screen().contains("nothing to undo"), "{}", stage.screen());
}

#[test]
fn themes_are_tried_one_after_another() {
    let mut stage = stage();
    for name in ["light", "dark", "mono", "colorblind", "colorblind-light", "default"] {
        stage.press(":next theme<enter>");
        assert_eq!(Some(&stage.app.theme), Theme::named(name).as_ref(), "{name}");
    }
}

#[test]
fn the_wheel_and_the_bar_move_the_table_under_the_mouse() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEventKind};
    let mut stage = stage();
    let mouse = |stage: &mut Stage, kind, column, row| {
        stage.tell(Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    };
    mouse(&mut stage, MouseEventKind::ScrollDown, 10, 10);
    assert!(stage.screen().contains("4 of 40"), "{}", stage.screen());
    let bar = 78;
    mouse(&mut stage, MouseEventKind::Down(MouseButton::Left), bar, 20);
    mouse(&mut stage, MouseEventKind::Drag(MouseButton::Left), 30, 40);
    let screen = stage.screen();
    let shown: Vec<&str> = screen.lines().nth(21).unwrap().split_whitespace().collect();
    assert!(shown.contains(&"1"), "the oldest is in view: {screen}");
    mouse(&mut stage, MouseEventKind::Drag(MouseButton::Left), 30, 0);
    assert!(stage.screen().lines().nth(3).unwrap().contains("40"), "{}", stage.screen());
}
