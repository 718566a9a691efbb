//! The dashboard in a real terminal: few tests, of what only the whole program shows.

use std::net::TcpListener;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::support::labtop::Labtop;
use crate::support::terminal::Terminal;

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

#[test]
fn a_terminate_signal_restores_the_terminal() {
    let lab = Labtop::new();
    let mut terminal = open(&lab, 80, 24);
    terminal.wait_for("Experiments");
    let pid = terminal.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    terminal.wait_for_end();
    assert!(terminal.is_restored());
}

#[test]
fn random_keys_and_resizes_do_no_harm() {
    const KEYS: [&str; 48] = [
        "j", "k", "h", "l", "g", "G", "\x04", "\x15", " ", "s", "S", "/", "\r", "\x1b[A", "\x1b[B", "\x1b[C",
        "\x1b[D", "\t", "1", "2", "3", "4", "5", "[", "]", "?", ":", "b", "n", "c", "r", "t", "N", "a", "y",
        "x", "m", "\x7f", "a", "0", "'", ">", "é", "日", "\x1b[5~", "\x1b[6~", "R", "\x1b",
    ];
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let mut terminal = open(&lab, 100, 30);
    terminal.wait_for("Experiments");
    let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
    for turn in 0..2000 {
        if turn % 50 == 49 {
            terminal.resize(random.random_range(1..=300), random.random_range(1..=100));
        }
        terminal.press(KEYS[random.random_range(0..KEYS.len())]);
        while terminal.read(Duration::from_millis(0)) && random.random_range(0..4) == 0 {}
    }
    terminal.resize(120, 40);
    // Closes whatever is open, however deep, and leaves; a question about running jobs is answered by stopping them.
    for _ in 0..12 {
        terminal.press("\x1b");
        terminal.read(Duration::from_millis(60));
    }
    terminal.press("5");
    terminal.wait_for("Activity");
    let pid = terminal.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    terminal.wait_for_end();
    assert!(terminal.is_restored(), "{}", terminal.text());
    assert!(!String::from_utf8_lossy(&terminal.written).contains("panicked"));
}
