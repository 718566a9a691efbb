//! Layers, variables and messages.

use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::*;
use crate::domain::process::Within;

fn with(files: &[(&str, &str)], flags: Flags, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let (_, text) = files.iter().find(|(file, _)| *file == name)?;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let places = Places { user: place("user.toml"), project: place("labtop.toml") };
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&flags, &places, &variables)
}

fn servers() -> Flags {
    Flags { profile: Some("servers".to_owned()), ..Flags::default() }
}

#[test]
fn the_published_defaults() {
    let settings = with(&[], Flags::default(), &[]).unwrap();
    assert_eq!(settings.profile, "embedded");
    assert_eq!(settings.roles.experiments, TableBackend::DuckDb);
    assert_eq!(
        (settings.postgres.host.as_str(), settings.postgres.port, settings.postgres.database.as_str()),
        ("localhost", 5432, "ml_examples")
    );
    assert_eq!(settings.postgres.user, "ml_user");
    assert_eq!((settings.postgres.password.expose_secret(), PUBLISHED_PASSWORD), ("", "ml_pass123"));
    assert_eq!(settings.chroma.url, "http://localhost:8000");
    assert_eq!(settings.duckdb.path, PathBuf::from("./data/duckdb/ml_analytics.duckdb"));
}

#[test]
fn later_layers_win() {
    let files = [
        ("user.toml", "[postgres]\nhost = 'user'\nuser = 'user'\nport = 1"),
        (
            "labtop.toml",
            "[postgres]\nhost = 'project'\nuser = 'project'\n[profiles.servers.postgres]\nhost = 'profile'",
        ),
    ];
    let settings = with(&files, servers(), &[("PGUSER", "environment")]).unwrap();
    let postgres = &settings.postgres;
    assert_eq!(
        (postgres.host.as_str(), postgres.user.as_str(), postgres.port),
        ("profile", "environment", 1)
    );
    assert_eq!(settings.roles.collections, CollectionBackend::Chroma);
}

#[test]
fn addresses_never_choose_the_profile() {
    let variables = [
        ("DATABASE_URL", "postgres://me:p%40ss@db.example:6543/lab"),
        ("CHROMA_URL", "http://c:1"),
        ("PGHOST", "weaker"),
    ];
    let settings = with(&[], Flags::default(), &variables).unwrap();
    assert_eq!(settings.profile, "embedded");
    assert_eq!(settings.postgres.host, "db.example");
    assert_eq!(settings.postgres.password.expose_secret(), "p@ss");
    assert_eq!((settings.postgres.port, settings.chroma.url.as_str()), (6543, "http://c:1"));
}

#[test]
fn a_password_of_digits_stays_text() {
    let variables =
        [("PGPASSWORD", "12345"), ("LABTOP__SIMULATE__STEPS", "7"), ("LABTOP__PROFILE", "servers")];
    let settings = with(&[], Flags::default(), &variables).unwrap();
    assert_eq!(settings.postgres.password.expose_secret(), "12345");
    assert_eq!((settings.simulate.steps, settings.profile.as_str()), (7, "servers"));
}

#[test]
fn the_variables_of_psql_count_and_a_url_counts_more() {
    let variables = [
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLROOTCERT", "/ca.pem"),
        ("PGPASSFILE", "/pass"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGAPPNAME", "night"),
        ("PGCHANNELBINDING", "disable"),
        ("PGHOST", "/run/postgresql"),
    ];
    let postgres = with(&[], Flags::default(), &variables).unwrap().postgres;
    assert_eq!((postgres.sslmode, postgres.sslrootcert), (SslMode::VerifyCa, PathBuf::from("/ca.pem")));
    assert_eq!((postgres.passfile, postgres.connect_timeout_ms), (PathBuf::from("/pass"), 7000));
    assert_eq!((postgres.application_name.as_str(), postgres.host.as_str()), ("night", "/run/postgresql"));
    assert_eq!(postgres.channel_binding, ChannelBinding::Disable);
    let url = ("DATABASE_URL", "postgres://db/x?sslmode=disable");
    let postgres = with(&[], Flags::default(), &[&variables[..], &[url]].concat()).unwrap().postgres;
    assert_eq!((postgres.sslmode, postgres.host.as_str()), (SslMode::Disable, "db"));
    let error = with(&[], Flags::default(), &[("PGSSLMODE", "allow")]).unwrap_err().to_string();
    assert!(error.starts_with("environment PGSSLMODE: `postgres.sslmode`"), "{error}");
    assert!(error.contains("`verify-full`"), "{error}");
    let error = with(&[], Flags::default(), &[("PGCONNECT_TIMEOUT", "x")]).unwrap_err().to_string();
    assert!(error.starts_with("environment PGCONNECT_TIMEOUT: "), "{error}");
}

#[test]
fn unknown_keys_name_file_key_and_what_is_known() {
    let error = with(
        &[("labtop.toml", "[postgres]\nhots = 'x'\n[profiles.mine.ui]\ncolour = 1\n")],
        Flags::default(),
        &[("LABTOP__NOPE", "1")],
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("labtop.toml: unknown key `postgres.hots` (known here: application_name,"),
        "{error}"
    );
    assert!(
        error.contains("unknown key `ui.colour` (known here: columns, keymap, mouse, remember, theme)"),
        "{error}"
    );
    assert!(error.contains("environment LABTOP__NOPE: unknown key `nope`"), "{error}");
}

#[test]
fn a_wrong_column_names_its_place_and_what_is_meant() {
    let error = with(&[("labtop.toml", "[ui]\ncolumns = ['id', 'acuracy']")], Flags::default(), &[]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("labtop.toml: `ui.columns`: 'acuracy': unknown name"), "{error}");
    assert!(error.contains("did you mean accuracy?"), "{error}");
    let settings = with(&[], Flags::default(), &[("LABTOP__UI__COLUMNS", "id, params.lr")]).unwrap();
    let names: Vec<String> = settings.ui.columns.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["id", "params.lr"]);
}

#[test]
fn bad_values_name_file_key_and_what_is_accepted() {
    let error = |text: &str| with(&[("labtop.toml", text)], Flags::default(), &[]).unwrap_err().to_string();
    let text = error("[postgres]\nport = 'many'");
    assert!(text.contains("labtop.toml: `postgres.port`: ") && text.contains("u16"), "{text}");
    let text = error("[roles]\nexperiments = 'mysql'");
    assert!(text.contains("`roles.experiments`") && text.contains("`duckdb` or `postgres`"), "{text}");
    let text = error("[chroma]\nurl = 'localhost:8000'");
    assert!(text.contains("must begin with http:// or https://"), "{text}");
    let text = error("[chroma\nurl = 1");
    assert!(text.contains("labtop.toml: ") && text.contains("line 1"), "{text}");
    let flags = Flags { profile: Some("lab".to_owned()), ..Flags::default() };
    let text = with(&[], flags, &[]).unwrap_err().to_string();
    assert_eq!(text, "unknown profile 'lab' (known: embedded, servers)");
    let text = with(&[], Flags::default(), &[("PGPORT", "x")]).unwrap_err().to_string();
    assert_eq!(text, "environment PGPORT: 'x' is not a whole number");
}

#[test]
fn secrets_are_not_printed() {
    let settings = with(&[], Flags::default(), &[("PGPASSWORD", "s3cret")]).unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
}

fn explained(
    files: &[(&str, &str)],
    flags: &Flags,
    variables: &[(&str, &str)],
) -> Vec<(String, serde_json::Value, String)> {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let (_, text) = files.iter().find(|(file, _)| *file == name)?;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let places = Places { user: place("user.toml"), project: place("labtop.toml") };
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = explain(flags, &places, &variables).unwrap();
    let folder = format!("{}/", folder.path().display());
    settings.into_iter().map(|one| (one.key, one.value, one.origin.replace(&folder, ""))).collect()
}

#[test]
fn every_setting_tells_where_it_comes_from() {
    let files = [
        ("user.toml", "[postgres]\nhost = 'user'\nuser = 'user'"),
        ("labtop.toml", "[ui]\nmouse = false\n[profiles.servers.postgres]\nhost = 'profile'"),
    ];
    let flags = Flags { store: Some("lab.duckdb".into()), read_only: true, ..servers() };
    let all = explained(&files, &flags, &[("PGPORT", "1"), ("CHROMA_URL", "http://me:s3cret@c:1/x")]);
    let of = |key: &str| {
        let (_, value, origin) = all.iter().find(|(known, ..)| known == key).unwrap();
        (value.to_string(), origin.as_str())
    };
    for (key, value, origin) in [
        ("profile", "\"servers\"", "--profile"),
        ("roles.collections", "\"chroma\"", "the built-in profile servers"),
        ("postgres.host", "\"profile\"", "labtop.toml [profiles.servers]"),
        ("postgres.user", "\"user\"", "user.toml"),
        ("postgres.port", "1", "environment PGPORT"),
        ("postgres.database", "\"ml_examples\"", "the built-in defaults"),
        ("chroma.url", "\"http://***@c:1/x\"", "environment CHROMA_URL"),
        ("ui.mouse", "false", "labtop.toml"),
        ("duckdb.path", "\"lab.duckdb\"", "--store"),
        ("read_only", "true", "--read-only"),
    ] {
        assert_eq!(of(key), (value.to_owned(), origin), "{key}");
    }
    assert!(of("ui.columns").0.starts_with("[\"id\""));
}

#[test]
fn what_settings_hide_is_hidden_where_they_are_explained() {
    let defaults = explained(&[], &Flags::default(), &[]);
    let texts: Vec<&String> =
        defaults.iter().filter(|(_, value, _)| value.is_string()).map(|(key, ..)| key).collect();
    let mut secrets = Vec::new();
    for key in texts {
        let variable = format!("LABTOP__{}", key.to_uppercase().replace('.', "__"));
        // Some take few values only: those are no secrets.
        let Ok(settings) = with(&[], Flags::default(), &[(&variable, "http://s3cret")]) else { continue };
        if !format!("{settings:?}").contains("s3cret") {
            let all = explained(&[], &Flags::default(), &[(&variable, "http://s3cret")]);
            assert!(!format!("{all:?}").contains("s3cret"), "{key}");
            secrets.push(key.as_str());
        }
    }
    assert!(secrets.contains(&"postgres.password") && secrets.contains(&"chroma.token"), "{secrets:?}");
}

#[test]
fn a_setting_that_cannot_be_in_force_is_not_explained() {
    let variables = Variables::from([("LABTOP__POSTGRES__POOL_SIZE".to_owned(), "0".to_owned())]);
    let error = explain(&Flags::default(), &Places::default(), &variables).unwrap_err();
    assert!(error.to_string().contains("postgres.pool_size"), "{error}");
}

#[test]
fn commands_are_allowed_in_three_ways() {
    let text = "[worker]\ncommands = ['python3', ['/srv/run.sh', '*'], { command = ['./a'], cwd = '/srv' }]";
    let commands = with(&[("user.toml", text)], Flags::default(), &[]).unwrap().worker.commands;
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let within = Within { command: words(&["./a"]), cwd: PathBuf::from("/srv") };
    assert_eq!(
        commands,
        [
            Allowed::Program("python3".to_owned()),
            Allowed::Words(words(&["/srv/run.sh", "*"])),
            Allowed::Within(within)
        ]
    );
    let variables = [("LABTOP__WORKER__COMMANDS", "[\"sh\", [\"true\"]]")];
    assert_eq!(with(&[], Flags::default(), &variables).unwrap().worker.commands.len(), 2);
    assert!(with(&[], Flags::default(), &[]).unwrap().worker.commands.is_empty(), "nothing by itself");
    for (wrong, expected) in [
        ("['./run.sh']", "whole path"),
        ("[['*']]", "takes no *"),
        ("[1]", "is expected"),
        ("[{ command = ['a'], cdw = '/' }]", "is expected"),
        ("'python3'", "worker.commands"),
    ] {
        let text = format!("[worker]\ncommands = {wrong}");
        let error = with(&[("user.toml", &text)], Flags::default(), &[]).unwrap_err().to_string();
        assert!(error.contains("worker.commands") && error.contains(expected), "{wrong}: {error}");
    }
}
