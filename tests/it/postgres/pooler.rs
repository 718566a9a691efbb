//! Behind a real pgbouncer with `pool_mode = transaction`, if there is one on the PATH; else it is said that nothing was tested.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use labtop::config::{self, Pooler};
use labtop::store::experiments::{ExperimentQuery, ExperimentStore};
use labtop::store::postgres::Pg;
use labtop::store::{ErrorKind, StoreError};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::support::labtop::{Labtop, Ran};
use crate::support::servers::{self, plainly};

/// Ends with the test.
struct PgBouncer {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Two connections to the server, whoever comes: statements of one client soon meet those of another.
    async fn start(before: &config::Postgres) -> Option<Self> {
        let program = on_path()?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config::Postgres { host, port: behind, user, password, .. } = before;
        let text = format!(
            "[databases]\n* = host={host} port={behind} user={user} password={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\n",
            password.expose_secret()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        command.arg("--quiet").stdout(Stdio::null()).stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            use std::os::unix::fs::PermissionsExt;
            // It refuses to run as root.
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            command.args(["--user", "nobody"]);
        }
        let child = command.arg(&file).spawn().unwrap();
        let bouncer = PgBouncer { port, child, _folder: folder };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "pgbouncer does not start");
            tokio::task::yield_now().await;
        }
        Some(bouncer)
    }

    fn settings(&self, before: &config::Postgres, pooler: Pooler) -> config::Postgres {
        config::Postgres { host: "127.0.0.1".to_owned(), port: self.port, pooler, ..before.clone() }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("pgbouncer")).find(|file| file.is_file());
    if found.is_none() {
        // Heard with --nocapture; nothing else tells that a test was skipped.
        #[allow(clippy::print_stdout)]
        {
            println!("skipped: there is no pgbouncer on the PATH");
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_side_by_side_share_two_connections() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let Some(bouncer) = PgBouncer::start(&settings).await else { return };
    let settings = bouncer.settings(&settings, Pooler::Transaction);
    let lab = Labtop::new();
    let command = |arguments: &[&str]| {
        let mut command = lab.command();
        command.envs(servers::postgres_variables(&settings)).env("LABTOP__POSTGRES__POOLER", "transaction");
        command.env("LABTOP__ROLES__EXPERIMENTS", "postgres").env("LABTOP__ROLES__DOCUMENTS", "postgres");
        command.args(arguments);
        tokio::task::spawn_blocking(move || Ran::from(command.output().unwrap()))
    };
    let documents = lab.write("docs.jsonl", "{\"id\": \"a\", \"text\": \"a cat sat\"}\n");
    let mut under_way = Vec::new();
    for number in 0..3 {
        let dataset = format!("d{number}");
        under_way.push(command(&["run", "-m", "A", "-d", &dataset, "--repeat", "4", "--runner", "simulate"]));
        under_way.push(command(&["docs", "add", &documents, "--to", "documents"]));
        under_way.push(command(&["ls"]));
    }
    for ran in under_way {
        let ran = ran.await.unwrap();
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let ran = command(&["ls", "--filter", "status = 'completed' and accuracy > 0", "--format", "json"])
        .await
        .unwrap();
    let runs: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 12, "{ran:?}");
    let ran = command(&["docs", "search", "cat", "--format", "json"]).await.unwrap();
    assert!(ran.code == 0 && ran.stdout.contains("a cat sat"), "{ran:?}");
    // Nothing of ours is left on the two connections for others to stumble over.
    let client = plainly(&settings).await;
    let left = client.simple_query("SELECT name FROM pg_prepared_statements").await.unwrap();
    let left = left.iter().filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_)));
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_and_read_only_hold_for_each_transaction_and_nobody_elses() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let Some(bouncer) = PgBouncer::start(&settings).await else { return };
    let hurried =
        config::Postgres { statement_timeout_ms: 300, ..bouncer.settings(&settings, Pooler::Transaction) };
    Pg::new(&settings).health().await.unwrap();
    let pg = Pg::new(&hurried);
    assert_eq!(ExperimentStore::list(&*pg, &ExperimentQuery::default()).await.unwrap().total, 0);
    let plain = plainly(&settings).await;
    plain.batch_execute("BEGIN; LOCK TABLE ml_schema.experiments").await.unwrap();
    let error: StoreError = ExperimentStore::list(&*pg, &ExperimentQuery::default()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Timeout, "PostgreSQL needed more than 300 ms")
    );
    plain.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(ExperimentStore::list(&*pg, &ExperimentQuery::default()).await.unwrap().total, 0);
    let looks = Pg::with(&hurried, true);
    assert_eq!(ExperimentStore::list(&*looks, &ExperimentQuery::default()).await.unwrap().total, 0);

    let stranger = plainly(&hurried).await;
    for setting in ["statement_timeout", "default_transaction_read_only", "transaction_read_only"] {
        let told = stranger.simple_query(&format!("SHOW {setting}")).await.unwrap();
        let shown = told.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        });
        assert!(["0", "off"].contains(&shown.as_deref().unwrap()), "{setting} is {shown:?}");
    }
}
