//! Every way in which a server may refuse us, each told in its own words with its own remedy.

use std::collections::BTreeSet;
use std::time::Duration;

use labtop::config;
use labtop::domain::batch::NewBatch;
use labtop::store::experiments::{ExperimentQuery, ExperimentStore};
use labtop::store::postgres::Pg;
use labtop::store::queue::BatchQueue;
use labtop::store::schema::Schema;
use labtop::store::{ErrorKind, StoreError};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::support::servers::{self, plainly};

async fn refused(settings: &config::Postgres) -> StoreError {
    Pg::new(settings).health().await.unwrap_err()
}

/// What a server says that gives up at once.
fn answer(code: &str, message: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat()
}

/// A server that has no TLS and answers whatever follows with these bytes.
async fn server_that_says(bytes: Vec<u8>) -> config::Postgres {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let bytes = bytes.clone();
            // What breaks off is the client's to tell.
            tokio::spawn(async move { say(client, &bytes).await });
        }
    });
    config::Postgres::from_url(&format!("postgres://me:p@127.0.0.1:{port}/lab")).unwrap()
}

async fn say(mut client: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut asked = [0; 1024];
    client.read_exact(&mut asked[..8]).await?;
    client.write_all(b"N").await?;
    let _ = client.read(&mut asked).await?;
    client.write_all(bytes).await?;
    client.shutdown().await
}

#[tokio::test]
async fn what_a_server_says_at_the_door_is_told_in_plain_words() {
    let mut remedies = BTreeSet::new();
    for (code, said, words, remedy) in [
        ("57P03", "the database system is starting up", "is starting", "in a moment"),
        ("57P03", "the database system is shutting down", "is stopping", "when it is back"),
        ("57P03", "the database system is in recovery mode", "is coming back after a crash", "caught up"),
        ("53300", "sorry, too many clients already", "no connection left", "postgres.pool_size"),
        ("28P01", "password authentication failed for user \"me\"", "password of user 'me'", "PGPASSWORD"),
        ("3D000", "database \"lab\" does not exist", "no database 'lab'", "createdb lab"),
        (
            "28000",
            "no pg_hba.conf entry for host \"1.2.3.4\", user \"me\", database \"lab\", no encryption",
            "without TLS",
            "pg_hba.conf",
        ),
        ("08P01", "SSL required", "demands TLS", "PGSSLMODE"),
        (
            "28000",
            "connection requires a valid client certificate",
            "a certificate of its clients",
            "by a password",
        ),
        ("25006", "cannot execute in a read-only transaction", "read-only (a standby?)", "primary"),
    ] {
        let error = refused(&server_that_says(answer(code, said)).await).await;
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains(words) && error.message.contains("127.0.0.1:"), "{said}: {error}");
        let told = error.remedy.unwrap();
        assert!(told.contains(remedy), "{said}: {told}");
        assert!(remedies.insert(told.clone()), "the same remedy twice: {told}");
    }
    let error = refused(&server_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await).await;
    assert!(error.message.contains("does not speak PostgreSQL's protocol"), "{error}");
    let error = refused(&server_that_says(Vec::new()).await).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("was lost"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let server = |host: &str, port: u16| {
        let settings = config::Postgres::from_url("postgres://me:p@h/lab").unwrap();
        config::Postgres { host: host.to_owned(), port, connect_timeout_ms: 300, ..settings }
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for (settings, words, remedy) in [
        (server("127.0.0.1", port), "does not answer within 300 ms", "firewall"),
        (server("127.0.0.1", 1), "nothing listens at 127.0.0.1:1", "start it there"),
        (server("no-such-host.invalid", 1), "'no-such-host.invalid' is not known", "a slip in PGHOST"),
        (server(folder, 5432), "has no socket of port 5432", "PGHOST"),
    ] {
        let error = refused(&settings).await;
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.remedy.as_ref().unwrap().contains(remedy), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_refuses_the_wrong_password_and_the_unknown_database() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let error = refused(&config::Postgres { password: SecretString::from("nope"), ..settings.clone() }).await;
    assert!(error.message.contains("does not accept the password of user"), "{error}");
    let error = refused(&config::Postgres { database: "no_such".to_owned(), ..settings.clone() }).await;
    assert!(error.message.contains("has no database 'no_such'"), "{error}");
    let required = config::Postgres { channel_binding: config::ChannelBinding::Require, ..settings.clone() };
    let error = refused(&required).await;
    assert!(error.message.contains("do not agree on how to log in"), "{error}");
    assert!(error.remedy.unwrap().contains("channel_binding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_file_is_heard_and_a_badly_kept_one_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let Some((settings, _database)) = servers::postgres().await else { return };
    let role = Role::make(&settings, "LOGIN PASSWORD 'in: the\\file'").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, format!("*:*:*:{}:in\\: the\\\\file\n", role.name)).unwrap();
    let with = |password: &str, mode: u32| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        config::Postgres {
            user: role.name.clone(),
            password: SecretString::from(password),
            passfile: file.clone(),
            ..settings.clone()
        }
    };
    assert!(Pg::new(&with("", 0o600)).health().await.is_ok());
    // A password that is set wins over the file.
    let error = refused(&with("other", 0o600)).await;
    assert!(error.message.contains("does not accept the password"), "{error}");
    let error = refused(&with("", 0o644)).await;
    assert!(error.remedy.as_ref().is_some_and(|remedy| remedy.contains("chmod 0600")), "{error}");
    role.drop().await;
}

/// Somebody who may log in, and what they may besides is for the test to say.
struct Role {
    name: String,
    settings: config::Postgres,
}

impl Role {
    async fn make(settings: &config::Postgres, what: &str) -> Self {
        let name = format!("labtop_{}", Uuid::new_v4().simple());
        let role = Role { name, settings: settings.clone() };
        role.say(&format!("CREATE ROLE {} {what}", role.name)).await;
        role
    }

    async fn say(&self, sql: &str) {
        plainly(&self.settings).await.batch_execute(sql).await.unwrap();
    }

    fn settings(&self) -> config::Postgres {
        let password = SecretString::from("p");
        config::Postgres { user: self.name.clone(), password, ..self.settings.clone() }
    }

    async fn drop(self) {
        self.say(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_missing_is_named_with_the_words_that_give_it() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let role = Role::make(&settings, "LOGIN PASSWORD 'p'").await;
    let pg = || Pg::new(&role.settings());
    let list = async || ExperimentStore::list(&*pg(), &ExperimentQuery::default()).await.unwrap_err();
    let told = |error: &StoreError, words: &str, remedy: &str| {
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.remedy.as_ref().is_some_and(|told| told.contains(remedy)), "{error}");
    };
    told(&list().await, "denied for database", "GRANT CREATE ON DATABASE");
    Pg::new(&settings).migrate(false).await.unwrap();
    told(&list().await, "denied for schema ml_schema", "GRANT USAGE, CREATE ON SCHEMA ml_schema");
    role.say(&format!("GRANT USAGE ON SCHEMA ml_schema TO {}", role.name)).await;
    told(&list().await, "denied for table", "GRANT SELECT, INSERT");
    role.say(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA ml_schema TO {}", role.name)).await;
    assert_eq!(ExperimentStore::list(&*pg(), &ExperimentQuery::default()).await.unwrap().total, 0);
    let batch = NewBatch { key: Uuid::new_v4(), name: "b".to_owned(), spec: Default::default(), parallel: 1 };
    let error = pg().create_batch(&batch, &[]).await.unwrap_err();
    told(&error, "denied for table batches", "GRANT SELECT, INSERT");
    role.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_ran_out_and_a_server_that_only_reads_are_told() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let role = Role::make(&settings, "LOGIN PASSWORD 'p' CONNECTION LIMIT 0").await;
    let error = refused(&role.settings()).await;
    assert!(error.message.contains("no connection left: too many connections"), "{error}");
    role.drop().await;

    Pg::new(&settings).migrate(false).await.unwrap();
    let sql = format!("ALTER DATABASE {} SET default_transaction_read_only = on", settings.database);
    plainly(&settings).await.batch_execute(&sql).await.unwrap();
    let standby = Pg::new(&settings);
    assert_eq!(ExperimentStore::list(&*standby, &ExperimentQuery::default()).await.unwrap().total, 0);
    let error = standby.requeue(&[1]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("read-only (a standby?)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_is_told_and_made_anew() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let pg = Pg::new(&settings);
    pg.migrate(false).await.unwrap();
    let plain = plainly(&settings).await;
    plain.batch_execute("BEGIN; LOCK TABLE ml_schema.experiments").await.unwrap();
    let reading = {
        let pg = pg.clone();
        tokio::spawn(async move { ExperimentStore::list(&*pg, &ExperimentQuery::default()).await })
    };
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
               AND wait_event_type = 'Lock'";
    let ended = async {
        while plain.query_one(end, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    plain.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(ExperimentStore::list(&*pg, &ExperimentQuery::default()).await.unwrap().total, 0);
}
