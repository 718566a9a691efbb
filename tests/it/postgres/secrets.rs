//! Passwords and tokens, given in every place that takes one, and looked for in everything the program leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use labtop::config::{self, Flags, Places, Settings, Variables};
use labtop::ops::Lab;
use uuid::Uuid;

use crate::support::labtop::{Labtop, Ran};
use crate::support::servers::{self, plainly};

/// Where a password may stand; each place in turn has the one that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Url,
    Variable,
    OwnVariable,
    File,
    Profile,
    Passfile,
}

const PLACES: [Place; 6] =
    [Place::Url, Place::Variable, Place::OwnVariable, Place::File, Place::Profile, Place::Passfile];

const TOKEN: &str = "t0ken-of-chroma-9417";

/// A password and all that begins with it: nothing of it may be cut off and shown.
fn assert_hidden(text: &str, secret: &str, whose: &str) {
    for secret in [secret, TOKEN] {
        let start = &secret[..secret.len() - 4];
        assert!(!text.contains(start), "{whose} shows {secret}: {text}");
    }
}

fn setup(command: &mut Command, folder: &Path, place: Place, pg: &config::Postgres, password: &str) {
    let log = folder.join("labtop.log");
    command.env("LABTOP_LOG", "trace").env("LABTOP_LOG_FILE", log);
    command.env("CHROMA_API_KEY", TOKEN).env("LABTOP__PROFILE", "servers");
    command.env("CHROMA_URL", "http://127.0.0.1:1");
    let address = format!("{}:{}/{}", pg.host, pg.port, pg.database);
    let user = &pg.user;
    let url = match place {
        Place::Url => format!("postgres://{user}:{password}@{address}"),
        _ => format!("postgres://{user}@{address}"),
    };
    command.env("DATABASE_URL", url);
    match place {
        Place::Url => {}
        Place::Variable => {
            command.env("PGPASSWORD", password);
        }
        Place::OwnVariable => {
            command.env("LABTOP__POSTGRES__PASSWORD", password);
        }
        Place::File => {
            std::fs::write(folder.join("labtop.toml"), format!("[postgres]\npassword = '{password}'"))
                .unwrap();
        }
        Place::Profile => {
            let text = format!("[profiles.servers.postgres]\npassword = '{password}'");
            std::fs::write(folder.join("labtop.toml"), text).unwrap();
        }
        Place::Passfile => {
            let file = folder.join(".pgpass");
            std::fs::write(&file, format!("*:*:*:{user}:{password}")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_token_is_shown_logged_or_printed() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let name = format!("labtop_{}", Uuid::new_v4().simple());
    let password = "p4ssword-of-the-lab-2718";
    let client = plainly(&settings).await;
    client.batch_execute(&format!("CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{password}'")).await.unwrap();
    let settings = config::Postgres { user: name.clone(), ..settings };

    for place in PLACES {
        for (given, works) in [(password, true), ("wr0ng-password-of-mine", false)] {
            let lab = Labtop::new();
            let mut told = String::new();
            for arguments in [
                &["run", "-m", "A", "-d", "d", "--runner", "simulate"][..],
                &["ls"],
                &["doctor"],
                &["collections", "ls"],
                &["migrate"],
                &["config", "show"],
            ] {
                let mut command = lab.command();
                setup(&mut command, lab.folder.path(), place, &settings, given);
                let ran = Ran::from(command.args(arguments).output().unwrap());
                if arguments == ["ls"] {
                    assert_eq!(ran.code, if works { 0 } else { 3 }, "{place:?}: {ran:?}");
                }
                told.push_str(&ran.stdout);
                told.push_str(&ran.stderr);
            }
            told.push_str(&std::fs::read_to_string(lab.folder.path().join("labtop.log")).unwrap());
            assert_hidden(&told, given, &format!("{place:?}, works: {works}"));
        }
    }
    client.batch_execute(&format!("DROP OWNED BY {name}; DROP ROLE {name}")).await.unwrap();
}

#[test]
fn a_process_shows_none_in_its_title() {
    if !Path::new("/proc/self/cmdline").exists() {
        return;
    }
    let lab = Labtop::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = config::Postgres::from_url("postgres://me@127.0.0.1/x").unwrap();
    settings.port = silent.local_addr().unwrap().port();
    let password = "p4ssword-of-the-lab-2718";
    let mut command = lab.command();
    setup(&mut command, lab.folder.path(), Place::Url, &settings, password);
    let mut child = command.arg("ls").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It has connected, so all its settings have been read.
    silent.accept().unwrap();
    let process = Path::new("/proc").join(child.id().to_string());
    for file in ["cmdline", "comm", "status"] {
        let text = String::from_utf8_lossy(&std::fs::read(process.join(file)).unwrap()).into_owned();
        assert!(!text.is_empty());
        assert_hidden(&text, password, file);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn no_debug_print_shows_one() {
    let folder = tempfile::tempdir().unwrap();
    let password = "p4ssword-of-the-lab-2718";
    let variables = Variables::from_iter(
        [
            ("DATABASE_URL", format!("postgres://me:{password}@127.0.0.1:1/x")),
            ("PGPASSWORD", password.to_owned()),
            ("CHROMA_API_KEY", TOKEN.to_owned()),
            ("LABTOP__PROFILE", "servers".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let flags = Flags { store: Some(folder.path().join("lab.duckdb")), ..Flags::default() };
    let settings: Settings = config::load(&flags, &Places::default(), &variables).unwrap();
    assert_hidden(&format!("{settings:?} {settings:#?}"), password, "Settings");
    let lab = Arc::new(Lab::open(settings).unwrap());
    let error = lab.experiments.health().await.unwrap_err();
    assert_hidden(&format!("{error:?} {error} {lab:?} {:?}", lab.changes()), password, "Lab");
}
