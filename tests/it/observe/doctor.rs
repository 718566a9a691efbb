//! `labtop doctor` and `labtop config show`: what is wrong, and what to do.

use serde_json::Value;

use crate::support::chroma::{closed_port, open};
use crate::support::labtop::Labtop;
use crate::support::servers;

fn find<'a>(checks: &'a Value, subject: &str, check: &str) -> &'a Value {
    let all = checks.as_array().unwrap();
    let found = all.iter().find(|one| one["subject"] == subject && one["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} of {subject} in {checks:#}"))
}

#[test]
fn a_healthy_lab_has_nothing_to_look_at() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let checks = lab.json(&["doctor"]);
    for check in checks.as_array().unwrap() {
        assert_eq!(check["state"], "ok", "{check:#}");
        let keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        let expected = [
            "check",
            "subject",
            "state",
            "found",
            "remedy",
            "role",
            "backend",
            "up",
            "place",
            "version",
            "latency_ms",
        ];
        assert_eq!(keys, expected);
    }
    let role = find(&checks, "experiments", "answers");
    assert_eq!(
        (&role["role"], &role["backend"], &role["up"]),
        (&"experiments".into(), &"DuckDB".into(), &true.into())
    );
    assert!(role["latency_ms"].is_number() && role["version"].as_str().unwrap().starts_with("DuckDB "));
    assert!(find(&checks, "DuckDB", "file")["found"].as_str().unwrap().contains("may be written"));
    assert_eq!(find(&checks, "DuckDB", "schema")["found"], "up to date");
    let text = lab.ok(&["doctor"]);
    assert!(text.starts_with("ok    labtop"), "{text}");
}

#[test]
fn what_waits_and_what_died_is_found_without_its_server() {
    let lab = Labtop::new();
    let url = format!("http://{}", closed_port());
    let with = |arguments: &[&str]| {
        let mut command = lab.command();
        command.env("CHROMA_URL", &url).env("LABTOP__ROLES__COLLECTIONS", "chroma").args(arguments);
        crate::support::labtop::Ran::from(command.output().unwrap())
    };
    assert_eq!(with(&["run", "-m", "A", "-d", "d"]).code, 0);
    let ran = with(&["doctor", "--format", "json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let checks: Value = serde_json::from_str(&ran.stdout).unwrap();
    let down = find(&checks, "collections", "answers");
    assert_eq!((&down["state"], &down["up"]), (&"fail".into(), &false.into()));
    assert!(down["remedy"].is_string() && down["found"].as_str().unwrap().contains("127.0.0.1"), "{down:#}");
    let waiting = find(&checks, "experiments", "outbox");
    assert_eq!(waiting["state"], "warn", "{waiting:#}");
    assert!(waiting["found"].as_str().unwrap().contains("1 delivery waits"), "{waiting:#}");
}

#[test]
fn files_that_are_wrong_are_named() {
    let lab = Labtop::new();
    let keymap = lab.write("keys.toml", "[global]\n\"q\" = \"fly\"\n");
    lab.write("labtop.toml", &format!("[ui]\nkeymap = '{keymap}'\ntheme = 'nope'\n"));
    let checks = lab.json(&["doctor"]);
    let files = find(&checks, "labtop", "keymap and theme");
    assert_eq!(files["state"], "warn");
    let found = files["found"].as_str().unwrap();
    assert!(found.contains("fly") && found.contains("nope"), "{found}");
    lab.write("labtop.toml", "[postgres]\nhots = 'x'\n");
    let ran = lab.run(&["doctor"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stdout.starts_with("FAIL  labtop  settings") && ran.stdout.contains("`postgres.hots`"),
        "{ran:?}"
    );
}

#[test]
fn settings_are_shown_with_their_origin_and_without_secrets() {
    let lab = Labtop::new();
    lab.write("labtop.toml", "[postgres]\nhost = 'db.example'\n");
    let mut command = lab.command();
    command.env("PGPASSWORD", "s3cret").args(["config", "show", "--changed", "--format", "json"]);
    let ran = crate::support::labtop::Ran::from(command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = serde_json::json!([
        { "key": "postgres.host", "value": "db.example", "origin": "labtop.toml", "default": false },
        { "key": "postgres.password", "value": "***", "origin": "environment PGPASSWORD", "default": false },
    ]);
    assert_eq!(shown, expected);
    let all = lab.ok(&["config", "show"]);
    assert!(all.contains("log.format") && all.contains("the built-in defaults"), "{all}");
    assert!(!all.contains("ml_pass123"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_looked_into() {
    let Some((pg, database)) = servers::postgres().await else { return };
    let address = closed_port();
    let _chroma = open(address).await;
    let lab = Labtop::new().keeping(database);
    let doctor = |arguments: &[&str]| {
        let mut command = lab.command();
        let chroma = labtop::config::Chroma {
            url: format!("http://{address}"),
            database: "default_database".to_owned(),
            ..labtop::config::Chroma::default()
        };
        command.envs(servers::variables(&pg, &chroma)).args(arguments);
        crate::support::labtop::Ran::from(command.output().unwrap())
    };
    let ran = doctor(&["doctor", "--format", "json"]);
    let checks: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, 0, "{checks:#}");
    for (subject, check, words) in [
        ("PostgreSQL", "server version", "PostgreSQL "),
        ("PostgreSQL", "rights", "may read, write and migrate"),
        ("PostgreSQL", "encryption", "this machine"),
        ("PostgreSQL", "clock", "agree"),
        ("PostgreSQL", "schema", ""),
        ("Chroma", "max batch size", "5461"),
        ("Chroma", "server version", "Chroma 1.x"),
    ] {
        let found = find(&checks, subject, check);
        assert_eq!(found["state"], "ok", "{found:#}");
        assert!(found["found"].as_str().unwrap().contains(words), "{found:#}");
    }
    find(&checks, "PostgreSQL", "vector extension");
}
