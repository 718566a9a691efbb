//! Popups from keys.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::tui::Message;
use crate::tui::testing::Stage;
use crate::tui::testing::data::{Data, failure};
use crate::worker::protocol::{Command, Slot, Write};

fn stage() -> Stage {
    Stage::new(80, 24, Data::with_runs(12))
}

#[test]
fn the_batch_picker_shows_what_each_would_run() {
    let mut stage = stage();
    stage.press("bj");
    insta::assert_snapshot!(stage.screen());
    stage.press("<enter>");
    let path = "config/batches/sentiment v3.toml".into();
    assert!(stage.commands().contains(&&Command::Write(Write::LaunchBatch(path))));
}

#[test]
fn keys_typed_before_the_files_are_here_act_when_they_are() {
    let mut stage = stage();
    stage.silent = true;
    stage.press("bj<enter>");
    let read = stage.sent.last().unwrap().clone();
    assert!(matches!(read.command, Command::Read(Slot::BatchFiles, _)));
    assert!(stage.screen().contains("reading"), "{}", stage.screen());
    for event in stage.data.answer(&read) {
        stage.hear(event);
    }
    let path = "config/batches/sentiment v3.toml".into();
    assert_eq!(stage.last_command(), &Command::Write(Write::LaunchBatch(path)));
    assert!(!stage.screen().contains("Launch a batch"), "{}", stage.screen());
}

#[test]
fn who_closes_the_picker_before_the_files_are_here_launches_nothing() {
    let mut stage = stage();
    stage.silent = true;
    stage.press("b<enter>");
    let read = stage.sent.last().unwrap().clone();
    stage.press("<esc>");
    let sent = stage.sent.len();
    for event in stage.data.answer(&read) {
        stage.hear(event);
    }
    assert_eq!(stage.sent.len(), sent);
}

#[test]
fn a_broken_batch_file_is_explained_and_not_launched() {
    let mut stage = stage();
    stage.press("bG<enter>");
    insta::assert_snapshot!(stage.screen());
    assert!(!stage.commands().iter().any(|command| matches!(command, Command::Write(_))));
}

#[test]
fn without_batch_files_the_picker_says_where_they_belong() {
    let mut stage = Stage::new(80, 24, Data { files: vec![], ..Data::with_runs(3) });
    stage.press("b");
    insta::assert_snapshot!(stage.screen());
}

#[test]
fn a_picker_that_cannot_read_says_why() {
    let mut stage = stage();
    stage.data.failure = Some(failure("config/batches: permission denied"));
    stage.press("b");
    assert!(stage.screen().contains("permission denied"), "{}", stage.screen());
}

#[test]
fn a_form_says_what_is_wrong_where_it_is_wrong() {
    let mut stage = stage();
    stage.press("n<tab><tab><tab>lr<enter>");
    insta::assert_snapshot!(stage.screen());
    stage.press("=0.1<enter>");
    assert!(matches!(stage.last_command(), Command::Read(..)), "the screen is read again after the write");
    let runs = stage
        .commands()
        .iter()
        .filter(|command| matches!(command, Command::Write(Write::StartRun(_))))
        .count();
    assert_eq!(runs, 1);
}

#[test]
fn what_cannot_be_undone_is_confirmed_by_typing() {
    let mut stage = stage();
    stage.press("  D<enter>");
    insta::assert_snapshot!(stage.screen());
    assert!(!stage.commands().iter().any(|command| matches!(command, Command::Write(_))));
    stage.press("y<enter>");
    assert!(!stage.commands().iter().any(|command| matches!(command, Command::Write(_))));
    stage.press("<backspace>2<enter>");
    assert!(stage.commands().contains(&&Command::Write(Write::Remove(vec![11, 12]))));
    assert!(!stage.screen().contains("#12"), "{}", stage.screen());
}

#[test]
fn the_keys_named_in_a_border_can_be_clicked() {
    let mut stage = stage();
    stage.press("  D");
    click(&mut stage, "esc keep");
    assert!(!stage.screen().contains("type 2"), "{}", stage.screen());
    stage.press("D2");
    click(&mut stage, "enter delete");
    assert!(stage.commands().contains(&&Command::Write(Write::Remove(vec![11, 12]))));
    click(&mut stage, "n new");
    assert!(stage.screen().contains("New run"), "{}", stage.screen());
    click(&mut stage, "esc close");
    click(&mut stage, "5 Activity");
    assert!(stage.screen().contains("Health"), "{}", stage.screen());
}

/// Clicks on the first place where `text` stands.
fn click(stage: &mut Stage, text: &str) {
    let screen = stage.screen();
    let found = (0..).zip(screen.lines()).find_map(|(row, line)| {
        let before = line.split_once(text)?.0;
        Some((row, u16::try_from(crate::domain::text::width(before)).unwrap()))
    });
    let (row, column) = found.unwrap_or_else(|| panic!("no {text}:\n{screen}"));
    let kind = MouseEventKind::Down(MouseButton::Left);
    stage.tell(Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}
