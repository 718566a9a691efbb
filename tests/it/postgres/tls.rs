//! TLS under every `sslmode`, to a server that is believed and to those that are not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use labtop::config::{self, SslMode};
use labtop::store::changes::Changes;
use labtop::store::experiments::{ExperimentQuery, ExperimentStore};
use labtop::store::postgres::Pg;
use labtop::store::schema::Schema;
use labtop::store::{ErrorKind, StoreError};

use crate::support::servers::{self, plainly};
use crate::support::tls::{Authority, TlsServer, self_signed};

fn through(server: &TlsServer, settings: &config::Postgres, mode: SslMode, roots: &Path) -> config::Postgres {
    config::Postgres {
        host: "localhost".to_owned(),
        port: server.port,
        sslmode: mode,
        sslrootcert: roots.to_owned(),
        ..settings.clone()
    }
}

async fn refused(settings: &config::Postgres) -> StoreError {
    Pg::new(settings).health().await.unwrap_err()
}

fn assert_told(error: &StoreError, words: &str, remedy: &str) {
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.message.contains(words), "{error}");
    assert!(error.remedy.as_ref().is_some_and(|told| told.contains(remedy)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_believes_what_it_should() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let (ours, other) = (Authority::new(), Authority::new());
    let good = TlsServer::start(&settings, ours.certify("localhost", None)).await;
    let named = TlsServer::start(&settings, ours.certify("db.example", None)).await;
    let old = TlsServer::start(&settings, ours.certify("localhost", Some(2021))).await;
    let (none, trusted) = (Path::new(""), ours.file.as_path());

    for (server, mode, roots) in [
        (&good, SslMode::Prefer, none),
        (&good, SslMode::Require, none),
        (&good, SslMode::Require, trusted),
        (&good, SslMode::VerifyCa, trusted),
        (&good, SslMode::VerifyFull, trusted),
        (&named, SslMode::VerifyCa, trusted),
        (&named, SslMode::Require, none),
        (&old, SslMode::Require, none),
    ] {
        let before = server.encrypted();
        let health = Pg::new(&through(server, &settings, mode, roots)).health().await;
        assert!(health.is_ok(), "{mode:?} {roots:?}: {health:?}");
        assert_eq!(server.encrypted(), before + 1, "{mode:?}");
    }
    assert_eq!(good.plain() + named.plain() + old.plain(), 0);

    let error = refused(&through(&good, &settings, SslMode::VerifyFull, &other.file)).await;
    assert_told(&error, "comes from no authority that /", "postgres.sslrootcert");
    // As psql has it: whoever names authorities wants them asked.
    let error = refused(&through(&good, &settings, SslMode::Require, &other.file)).await;
    assert_told(&error, "comes from no authority that /", "postgres.sslrootcert");
    let error = refused(&through(&named, &settings, SslMode::VerifyFull, trusted)).await;
    assert_told(&error, "made out to", "verify-ca");
    assert!(error.message.contains("db.example") && error.message.contains("not to 'localhost'"), "{error}");
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(&through(&old, &settings, mode, &ours.file)).await;
        assert_told(&error, "expired on 2021-01-01", "Renew it");
    }
    let disabled = through(&good, &settings, SslMode::Disable, none);
    assert!(Pg::new(&disabled).health().await.is_ok());
    assert_eq!(good.plain(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_taken_only_where_that_is_allowed() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let plain = |mode| config::Postgres { sslmode: mode, ..settings.clone() };
    assert!(Pg::new(&plain(SslMode::Prefer)).health().await.is_ok());
    let error = refused(&plain(SslMode::Require)).await;
    assert_told(&error, "offers no TLS, and sslmode = require demands it", "ssl = on");
    let authority = Authority::new();
    let verified = config::Postgres { sslrootcert: authority.file.clone(), ..plain(SslMode::VerifyFull) };
    assert_told(&refused(&verified).await, "sslmode = verify-full demands it", "ssl = on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_signed_itself_is_believed_when_it_is_named() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let (certificate, _folder, file) = self_signed("localhost", None);
    let server = TlsServer::start(&settings, certificate).await;
    let full = |file: &Path| through(&server, &settings, SslMode::VerifyFull, file);
    assert!(Pg::new(&full(&file)).health().await.is_ok());
    let elsewhere = config::Postgres { host: "127.0.0.1".to_owned(), ..full(&file) };
    assert_told(&refused(&elsewhere).await, "not to '127.0.0.1'", "verify-ca");
    assert!(Pg::new(&config::Postgres { sslmode: SslMode::VerifyCa, ..elsewhere }).health().await.is_ok());
    let (_, _other, other) = self_signed("localhost", None);
    let error = refused(&full(&other)).await;
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    let (certificate, _folder, file) = self_signed("localhost", Some(2020));
    let old = TlsServer::start(&settings, certificate).await;
    let error = refused(&through(&old, &settings, SslMode::VerifyFull, &file)).await;
    assert_told(&error, "expired on 2020-01-01", "Renew it");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_cannot_be_read_are_told() {
    let settings = config::Postgres::from_url("postgres://localhost:1/x?sslmode=verify-full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for (file, words) in [(folder.path().join("none.pem"), "cannot be read"), (empty, "holds no certificate")]
    {
        let error = refused(&config::Postgres { sslrootcert: file, ..settings.clone() }).await;
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains(words) && error.message.contains("sslrootcert"), "{error}");
    }
}

/// Statements that wait for a lock in this database.
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test(flavor = "multi_thread")]
async fn cancels_and_news_of_changes_are_encrypted_too() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let authority = Authority::new();
    let server = TlsServer::start(&settings, authority.certify("localhost", None)).await;
    let pg = Pg::new(&through(&server, &settings, SslMode::VerifyFull, &authority.file));
    pg.migrate(false).await.unwrap();
    let soon = Duration::from_secs(20);

    let mut changes = pg.changes();
    tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();
    let plain = plainly(&settings).await;
    plain.batch_execute("INSERT INTO ml_schema.experiments (name) VALUES ('x')").await.unwrap();
    tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();

    plain.batch_execute("BEGIN; LOCK TABLE ml_schema.experiments").await.unwrap();
    let reading = {
        let pg = Arc::clone(&pg);
        tokio::spawn(async move { ExperimentStore::list(&*pg, &ExperimentQuery::default()).await })
    };
    let waiting = async |wanted: i64| {
        while plain.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(soon, waiting(1)).await.unwrap();
    // Nobody waits for it any more: it ends in the database, long before its own time limit.
    reading.abort();
    tokio::time::timeout(soon, waiting(0)).await.unwrap();
    assert_eq!(server.plain(), 0);
    plain.batch_execute("ROLLBACK").await.unwrap();
}
