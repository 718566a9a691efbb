//! Bad input, absent servers, closed pipes: exit codes and words.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::labtop::Labtop;

/// A port of this machine that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn absent_servers_are_named_with_the_remedy_and_exit_3() {
    let lab = Labtop::new();
    let port = closed_port();
    let absent = |arguments: &[&str]| {
        let mut command = lab.command();
        command.env("DATABASE_URL", format!("postgres://me:secret@127.0.0.1:{port}/lab"));
        command.env("CHROMA_URL", format!("http://127.0.0.1:{port}"));
        let output = command.args(["--profile", "servers"]).args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (arguments, server) in
        [(&["ls"][..], "PostgreSQL"), (&["docs", "ls"], "PostgreSQL"), (&["collections", "ls"], "Chroma")]
    {
        let (code, _, stderr) = absent(arguments);
        assert_eq!(code, Some(3), "{stderr}");
        assert!(stderr.contains(server) && stderr.contains("127.0.0.1"), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    let (code, stdout, _) = absent(&["doctor"]);
    assert_eq!(code, Some(3));
    assert_eq!(stdout.matches("FAIL").count(), 3, "{stdout}");
    assert!(stdout.contains("ok    analytics (DuckDB)"), "{stdout}");
}

#[test]
fn usage_errors_exit_2_and_say_what_is_accepted() {
    let lab = Labtop::new();
    for (arguments, expected) in [
        (&["ls", "--filter", "accuracy >"][..], "^"),
        (&["ls", "--filter", "acuracy > 0.9"], "accuracy"),
        (&["run", "--model", "A"], "--dataset"),
        (&["run", "-m", "A", "-d", "d", "--param", "lr"], "NAME=VALUE"),
        (&["run", "-m", "A", "-d", "d", "--runner", "magic"], "simulate"),
        (&["collections", "create", "x", "--metadata", "[1]"], "JSON object"),
        (&["--profile", "nope", "ls"], "embedded, servers"),
        (&["--read-only", "demo"], "--read-only"),
        (&["show", "77"], "77"),
    ] {
        let ran = lab.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let lab = Labtop::new();
    let file = lab.write("notes.txt", "these are my notes, not a database");
    let ran = lab.run(&["--store", &file, "ls"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("notes.txt"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "these are my notes, not a database");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let lab = Labtop::new();
    let mut child = lab
        .command()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stderr, "");
}

#[test]
fn text_from_a_database_never_reaches_the_terminal_raw() {
    let lab = Labtop::new();
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\tname";
    lab.ok(&["run", "-m", evil, "-d", evil, "--name", evil, "--param", &format!("x={evil}"), "--tag", evil]);
    for arguments in
        [&["ls"][..], &["show", "1"], &["batch", "ls"], &["collections", "ls"], &["analytics", "models"]]
    {
        let stdout = lab.ok(arguments);
        assert!(!stdout.contains(['\u{1b}', '\u{7}', '\r']), "{arguments:?}: {stdout:?}");
    }
    let json = lab.json(&["show", "1"]);
    assert_eq!(json["name"], evil);
}
