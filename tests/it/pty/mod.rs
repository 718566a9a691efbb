//! The dashboard in a real terminal: few tests, of what only the whole program shows.

use std::net::TcpListener;

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
    terminal.signal("TERM");
    terminal.wait_for_end();
    assert!(terminal.is_restored());
}
