//! The dashboard in a real terminal: few tests, of what only the whole program shows.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::labtop::Labtop;
use crate::support::terminal::{Terminal, signal};

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/batches");

fn open(lab: &Labtop, columns: u16, rows: u16) -> Terminal {
    Terminal::start(lab.folder.path(), &[], &[("LABTOP__BATCHES", PUBLISHED)], columns, rows)
}

#[test]
fn a_batch_is_launched_watched_and_won() {
    let lab = Labtop::new();
    let mut terminal = open(&lab, 160, 45);
    terminal.wait_for("No experiments yet");
    terminal.press("b");
    terminal.wait_for("Sentiment analysis v3");
    terminal.press("\r");
    terminal.wait_for("running");
    terminal.wait_for("Best performing model: ");
    terminal.press("4");
    terminal.wait_for("Average Accuracy by Model");
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(terminal.is_restored());
    let batch = lab.json(&["batch", "show", "1"]);
    assert_eq!(batch["batch"]["completed"], 3);
}

#[test]
fn a_note_is_written_in_the_editor_and_the_terminal_comes_back() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let script =
        "#!/bin/sh\necho THE EDITOR HAS IT\nread line\necho \"$line\" >> \"$1\"\nexit $(cat status)\n";
    let script = format!("sh '{}'", lab.write("editor.sh", script));
    lab.write("status", "0");
    let environment = [("VISUAL", script.as_str())];
    let mut terminal = Terminal::start(lab.folder.path(), &[], &environment, 120, 36);
    terminal.wait_for("1 of 7");
    terminal.press("N");
    terminal.wait_for("THE EDITOR HAS IT");
    terminal.press("typed into the editor\r");
    terminal.wait_for("Noted 1 experiment");
    assert_eq!(lab.json(&["show", "7"])["note"], "typed into the editor");
    lab.write("status", "3");
    terminal.press("N");
    terminal.wait_for("THE EDITOR HAS IT");
    terminal.press("lost?\r");
    terminal.wait_for("Note on #7");
    assert!(terminal.text().contains("typed into the editor"), "{}", terminal.text());
    terminal.press("\x1b");
    terminal.wait("the form is closed", |screen| !screen.contains("Note on #7"));
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(terminal.is_restored());
}

#[test]
fn absent_servers_are_told_and_the_rest_works() {
    let lab = Labtop::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let database = format!("postgres://me:secret@127.0.0.1:{port}/lab");
    let chroma = format!("http://127.0.0.1:{port}");
    let environment = [("DATABASE_URL", database.as_str()), ("CHROMA_URL", chroma.as_str())];
    let mut terminal = Terminal::start(lab.folder.path(), &["--profile", "servers"], &environment, 120, 40);
    terminal.wait_for("PostgreSQL");
    terminal.press("5");
    terminal.wait("both servers down", |screen| {
        screen.contains("PostgreSQL") && screen.contains("Chroma") && screen.to_lowercase().contains("down")
    });
    assert!(!terminal.text().contains("secret"));
    terminal.press("4");
    terminal.wait_for("Analytics ─");
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(terminal.is_restored());
}

/// The dashboard started from a shell, which outlives it and can be asked about the terminal.
fn from_shell(lab: &Labtop, environment: &[(&str, &str)]) -> Terminal {
    let environment = [&[("LABTOP__BATCHES", PUBLISHED)], environment].concat();
    let mut terminal = Terminal::shell(lab.folder.path(), &environment);
    terminal.press("\"$LABTOP\"; echo code $?\r");
    terminal.wait_for("No experiments yet");
    terminal
}

/// Modes of the screen and of the line discipline are those of a shell again.
fn must_be_restored(terminal: &mut Terminal) {
    assert!(terminal.is_restored(), "{}", terminal.text());
    terminal.press("stty -a; echo asked\r");
    terminal.wait("what stty says", |screen| screen.matches("asked").count() > 1);
    let told = terminal.text();
    for mode in ["icanon", "echo", "isig", "icrnl", "opost"] {
        assert!(told.split_whitespace().any(|word| word == mode), "{mode}: {told}");
    }
}

#[test]
fn signals_restore_the_terminal() {
    let lab = Labtop::new();
    for name in ["TERM", "HUP", "INT", "QUIT"] {
        let mut terminal = from_shell(&lab, &[]);
        signal(terminal.child_of_shell(), name);
        terminal.wait_for("code 130");
        must_be_restored(&mut terminal);
    }
}

#[test]
fn what_was_arranged_just_before_a_signal_is_kept() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let (down, up) = ("id ▼", "id ▲");
    for (name, before, after) in [("TERM", down, up), ("HUP", up, down), ("INT", down, up)] {
        let mut terminal = Terminal::start(lab.folder.path(), &[], &[], 120, 36);
        terminal.wait("the order of last time", |screen| screen.contains("of 7") && screen.contains(before));
        terminal.press("S");
        terminal.wait_for(after);
        terminal.signal(name);
        assert_eq!(terminal.wait_for_end(), 130);
    }
    let mut terminal = Terminal::start(lab.folder.path(), &[], &[], 120, 36);
    terminal.wait_for(up);
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn a_panic_restores_the_terminal_and_is_told() {
    let lab = Labtop::new();
    let mut terminal = from_shell(&lab, &[("LABTOP_PANIC", "1")]);
    terminal.press("!");
    terminal.wait_for("code 101");
    assert!(terminal.text().contains("on purpose"), "{}", terminal.text());
    must_be_restored(&mut terminal);
}

#[test]
fn the_dashboard_goes_into_the_background_and_comes_back() {
    let lab = Labtop::new();
    let mut terminal = from_shell(&lab, &[]);
    for _ in 0..2 {
        terminal.press("\x1a");
        terminal.wait("the shell", |screen| screen.to_lowercase().contains("stopped"));
        must_be_restored(&mut terminal);
        terminal.press("clear; fg\r");
        terminal.wait_for("No experiments yet");
    }
    terminal.press("5");
    terminal.wait_for("Health");
    terminal.press("q");
    terminal.wait("the shell again", |screen| !screen.contains("Health"));
    must_be_restored(&mut terminal);
}

#[test]
fn a_shrunk_and_grown_terminal_is_drawn_whole() {
    let lab = Labtop::new();
    let mut terminal = open(&lab, 120, 30);
    terminal.wait_for("No experiments yet");
    for _ in 0..5 {
        terminal.resize(30, 10);
        terminal.resize(120, 30);
        terminal.wait("the whole screen", |screen| {
            screen.contains("5 Activity")
                && screen.contains("No experiments yet")
                && screen.contains("? help")
        });
    }
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn wrong_keys_and_colours_are_told_over_the_first_screen() {
    let lab = Labtop::new();
    let keymap = lab.write("keys.toml", "[global]\n\"Q\" = \"quit\"\n\"w\" = \"qiut\"\n");
    let theme = lab.write("mine.toml", "base = \"dark\"\n[styles]\ntitel = {}\n");
    let environment = [("LABTOP__UI__KEYMAP", keymap.as_str()), ("LABTOP__UI__THEME", theme.as_str())];
    let mut terminal = Terminal::start(lab.folder.path(), &[], &environment, 140, 40);
    terminal.wait_for("Not everything in your settings is in force");
    terminal.wait("both files", |screen| {
        screen.contains("keys.toml:3: ") && screen.contains("mine.toml:3: titel")
    });
    terminal.press("\x1b");
    terminal.wait("the popup closed", |screen| !screen.contains("Not everything"));
    terminal.press("Q");
    assert_eq!(terminal.wait_for_end(), 0);
    let mut command = lab.command();
    let ran = command.arg("keys").env("LABTOP__UI__KEYMAP", &keymap).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(stdout.contains("Q, ctrl+c") || stdout.contains("Q, "), "{stdout}");
    assert!(stderr.contains("keys.toml:3: \"w\": there is no action 'qiut'; did you mean quit?"), "{stderr}");
}

#[test]
fn a_paste_longer_than_the_queue_of_the_terminal_is_taken() {
    let lab = Labtop::new();
    let mut terminal = open(&lab, 100, 30);
    terminal.wait_for("No experiments yet");
    for text in ["name = 'x' ".repeat(4000), "\u{1f980}".repeat(10_000), "x".repeat(200_000)] {
        terminal.press("/");
        terminal.press(&format!("\x1b[200~{text}\x1b[201~"));
        terminal.press("\x1b");
        terminal.read(Duration::from_millis(100));
        terminal.press("5");
        terminal.wait_for("Health");
        terminal.press("1");
        terminal.wait("the first tab", |screen| !screen.contains("Health"));
    }
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

const SLOW: &str = "name = 'slow'\ndataset = 'd'\nparallel = 2\nsteps = 1000\ndelay_ms = 20\n[params]\nmodel = ['A', 'B', 'C', 'D']\n";

#[test]
fn who_leaves_may_leave_the_queue_for_later() {
    let lab = Labtop::new();
    std::fs::create_dir(lab.folder.path().join("batches")).unwrap();
    lab.write("batches/slow.toml", SLOW);
    let mut terminal = Terminal::start(lab.folder.path(), &[], &[("LABTOP__BATCHES", "batches")], 120, 40);
    terminal.wait_for("No experiments yet");
    terminal.press("b");
    terminal.wait_for("slow");
    terminal.press("\r");
    terminal.wait_for("● running");
    terminal.press("q");
    terminal.wait_for("goes back into the queue");
    terminal.press("l");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(terminal.is_restored());
    assert!(String::from_utf8_lossy(&terminal.written).contains("labtop worker --once"));
    let batch = lab.json(&["batch", "show", "1"]);
    assert_eq!((&batch["batch"]["queued"], &batch["batch"]["cancelled"]), (&4.into(), &0.into()), "{batch}");
}

#[test]
fn what_dies_elsewhere_shows_it() {
    let lab = Labtop::new();
    let file = lab.write("slow.toml", SLOW);
    let mut terminal = open(&lab, 160, 45);
    terminal.wait_for("No experiments yet");
    let mut child =
        lab.command().args(["batch", "run", &file]).stdout(std::process::Stdio::null()).spawn().unwrap();
    terminal.wait_for("● running");
    child.kill().unwrap();
    child.wait().unwrap();
    terminal.wait_for("! interrupted");
    assert!(!terminal.text().contains("● running"));
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}
