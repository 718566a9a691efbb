//! The log: in a file, in the form and from the modules that are wanted, and without secrets.

use serde_json::Value;

use crate::support::chroma::closed_port;
use crate::support::labtop::{Labtop, Ran};

#[test]
fn a_log_of_objects_has_one_a_line() {
    let lab = Labtop::new();
    lab.write("labtop.toml", "[log]\nfile = 'logs/labtop.log'\nformat = 'json'\nlevel = 'labtop=debug'\n");
    let ran = lab.run(&["worker", "--once", "--metrics-addr", "0"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = std::fs::read_to_string(lab.folder.path().join("logs/labtop.log")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let served =
        |line: &&Value| line["message"].as_str().unwrap().starts_with("metrics are at http://127.0.0.1:");
    let line = lines.iter().find(served).unwrap_or_else(|| panic!("{text}"));
    assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"labtop::cli".into()));
    assert!(line["timestamp"].is_string());
    assert!(!ran.stderr.contains("INFO"), "the file's level is not that of stderr: {ran:?}");
}

#[test]
fn a_level_that_means_nothing_is_refused() {
    let lab = Labtop::new();
    lab.write("labtop.toml", "[log]\nfile = 'x.log'\nlevel = 'labtop=loud'\n");
    let ran = lab.run(&["ls"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("`log.level`: 'labtop=loud'"), "{ran:?}");
    let ran = Ran::from(lab.command().env("LABTOP_LOG", "a=b=c").args(["ls"]).output().unwrap());
    assert!(ran.code == 2 && ran.stderr.contains("LABTOP_LOG: 'a=b=c'"), "{ran:?}");
}

#[test]
fn everything_that_can_be_logged_holds_no_secret() {
    let lab = Labtop::new();
    let address = closed_port();
    lab.write(
        "labtop.toml",
        &format!(
            "[embed]\nmodel = 'far'\n[embed.models.far]\nurl = 'http://me:s3cretEMBED@{address}/v1?key=s3cretQUERY'\n\
             api_key = 's3cretFAR'\nretries = 0\n[embed.models.other]\nurl = 'http://{address}'\n\
             api_key_env = 'OTHER_KEY'\nretries = 0\n"
        ),
    );
    let text = lab.write("notes.txt", "one note\n");
    for arguments in [
        &["doctor"][..],
        &["ls"],
        &["collections", "ls"],
        &["docs", "ls"],
        &["docs", "search", "a note"],
        &["docs", "search", "a note", "--model", "other", "--hybrid"],
        &["--profile", "embedded", "docs", "add", &text],
        &["config", "show"],
        &["config", "show", "--format", "json"],
    ] {
        let mut command = lab.command();
        command.env("OTHER_KEY", "s3cretOTHER");
        command.env("LABTOP_LOG", "trace").env("LABTOP_LOG_FILE", lab.folder.path().join("all.log"));
        command.env("DATABASE_URL", format!("postgres://me:s3cretPG@{address}/lab"));
        command.env("CHROMA_URL", format!("http://user:s3cretURL@{address}"));
        command.env("CHROMA_API_KEY", "s3cretKEY");
        if !arguments.contains(&"--profile") {
            command.args(["--profile", "servers"]);
        }
        let ran = Ran::from(command.args(arguments).output().unwrap());
        assert!(!format!("{ran:?}").contains("s3cret"), "{arguments:?}: {ran:?}");
        if arguments.contains(&"search") || arguments.contains(&"add") {
            assert!(ran.stderr.contains("/v1/embeddings cannot be reached"), "the key was used: {ran:?}");
        }
    }
    let log = std::fs::read_to_string(lab.folder.path().join("all.log")).unwrap();
    assert!(log.contains("TRACE"), "everything was logged");
    assert!(!log.contains("s3cret"), "{log}");
}
