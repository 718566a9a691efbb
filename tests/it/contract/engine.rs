//! The DuckDB engine: its lease, its migrations, its change feed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::Connection;
use labtop::analytics::Analytics;
use labtop::config;
use labtop::domain::performance::PerformanceRow;
use labtop::store::changes::Changes;
use labtop::store::duckdb::changes::FileChanges;
use labtop::store::duckdb::engine::Engine;
use labtop::store::duckdb::experiments::Experiments;
use labtop::store::duckdb::schema::FileSchema;
use labtop::store::experiments::{ExperimentQuery, ExperimentStore};
use labtop::store::schema::Schema;
use labtop::store::{ErrorKind, StoreError};
use serde_json::json;
use tempfile::TempDir;

use crate::support::backends;
use crate::support::labtop::Labtop;
use crate::support::samples::{completed, running};

fn engine(folder: &TempDir, wait_ms: u64) -> Arc<Engine> {
    Engine::new(&config::DuckDb { path: folder.path().join("lab.duckdb"), wait_ms, idle_ms: 20 })
}

/// Another program that holds the file until it is killed: `labtop-it` itself, run for this one test.
fn holder(folder: &TempDir) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "contract::engine::hold_the_file_for_another_test",
            "--nocapture",
            "--include-ignored",
        ])
        .env("LABTOP_TEST_HOLD", folder.path().join("lab.duckdb"))
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("the file is held")), "the holder did not start");
    child
}

#[test]
#[ignore = "run by the tests that need another process"]
fn hold_the_file_for_another_test() {
    let Some(path) = std::env::var_os("LABTOP_TEST_HOLD") else { return };
    let connection = Connection::open(path).unwrap();
    println!("the file is held");
    // Until the test kills this process or ends.
    std::io::stdin().lines().for_each(drop);
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_held_elsewhere_is_named_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = holder(&folder);
    let error = engine(&folder, 200).health().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains(&format!("PID {}", child.id())), "{error}");
    let waiting = engine(&folder, 30_000);
    let store = Experiments::new(waiting);
    let created = tokio::spawn(async move { store.create(&running("after")).await });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(created.await.unwrap().unwrap().name, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_want_a_held_file_wait_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = holder(&folder);
    let engine = engine(&folder, 2000);
    let begun = Instant::now();
    let reads: Vec<_> = (0..8)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.health().await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "one after another: {:?}", begun.elapsed());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_read_ends_its_wait_for_a_held_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = holder(&folder);
    let engine = engine(&folder, 600_000);
    // Who waits for the file holds the turn.
    let turn = folder.path().join("lab.duckdb.lock");
    let free = || File::open(&turn).is_ok_and(|file| file.try_lock().is_ok());
    let reading = tokio::spawn(async move { engine.health().await });
    let limit = Duration::from_secs(30);
    eventually(limit, || turn.exists() && !free()).await;
    reading.abort();
    eventually(limit, free).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn eventually(limit: Duration, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit, holds).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_engine_lets_others_in_and_notices_what_they_did() {
    let lab = Labtop::new();
    let path = lab.folder.path().join("shared.duckdb");
    let settings = config::DuckDb { path: path.clone(), wait_ms: 30_000, idle_ms: 20 };
    let engine = Engine::new(&settings);
    let store = Experiments::new(engine.clone());
    store.create(&running("mine")).await.unwrap();
    let mut changes = FileChanges::new(engine);
    let path = path.display().to_string();
    lab.ok(&["--store", &path, "run", "-m", "A", "-d", "d"]);
    tokio::time::timeout(Duration::from_secs(30), changes.changed()).await.unwrap().unwrap();
    assert_eq!(store.list(&ExperimentQuery::default()).await.unwrap().total, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_take_turns_and_lose_nothing() {
    let lab = Labtop::new();
    let path = lab.folder.path().join("shared.duckdb").display().to_string();
    let children: Vec<Child> = (0..3)
        .map(|_| {
            let mut command = lab.command();
            command.args(["--store", &path, "run", "-m", "A", "-d", "d", "--repeat", "5"]);
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let runs = lab.json(&["--store", &path, "ls", "--filter", "status = 'completed'"]);
    assert_eq!(runs.as_array().unwrap().len(), 15);
}

#[test]
fn a_waiter_that_is_killed_keeps_nobody_waiting() {
    let lab = Labtop::new();
    let path = lab.folder.path().join("shared.duckdb");
    lab.ok(&["--store", &path.display().to_string(), "ls"]);
    let beside = |ending: &str| File::open(format!("{}.{ending}", path.display())).unwrap();
    let turn = beside("lock");
    turn.lock().unwrap();
    let wait = || {
        let mut command = lab.command();
        command.arg("--store").arg(&path).arg("ls").stdout(Stdio::null()).spawn().unwrap()
    };
    let mut killed = wait();
    // It is next.
    let begun = Instant::now();
    while beside("wait").try_lock().is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::yield_now();
    }
    let mut other = wait();
    killed.kill().unwrap();
    killed.wait().unwrap();
    drop(turn);
    assert!(other.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_scripts_own_file_is_taken_over_in_place() {
    let folder = tempfile::tempdir().unwrap();
    // As the script makes it: the literals become DECIMAL(3,2) and DECIMAL(3,1).
    Connection::open(folder.path().join("lab.duckdb"))
        .unwrap()
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS experiments_performance AS SELECT * FROM (VALUES
                ('2024-01-15'::DATE, 'RandomForest', 'sentiment_v1', 0.85, 0.83, 0.87, 120, 15.5),
                ('2024-01-15'::DATE, 'XGBoost', 'sentiment_v1', 0.88, 0.86, 0.90, 180, 12.3))
             AS t(date, model_name, dataset, accuracy, precision, recall, training_time_sec, inference_time_ms)",
        )
        .unwrap();
    let engine = engine(&folder, 1000);
    let analytics = Analytics::new(engine.clone());
    assert_eq!(analytics.models(true).await.unwrap().len(), 2);
    let store = Experiments::new(engine);
    let id = store.create(&running("x")).await.unwrap().id;
    let results = json!({ "accuracy": 0.9134, "inference_time_ms": 124.83 });
    store.finish(id, 1, &completed(results)).await.unwrap();
    let query = "SELECT accuracy, inference_time_ms, count(*) OVER () AS n, typeof(accuracy) AS t
                 FROM experiments_performance ORDER BY experiment_id NULLS LAST";
    let table = analytics.sql(query, 10).await.unwrap();
    assert_eq!(table.rows[0], [json!(0.9134), json!(124.83), json!(3), json!("DOUBLE")]);
    // The script's own statement goes on working.
    let insert = "INSERT INTO experiments_performance (date, model_name, dataset, accuracy, precision, recall, \
                  training_time_sec, inference_time_ms) VALUES ('2024-01-16', 'BERT', 'v2', 0.94, 0.93, 0.95, 3400, 42.1)";
    drop((store, analytics));
    let connection = wait_for_file(&folder).await;
    assert_eq!(connection.execute(insert, []).unwrap(), 1);
}

/// The engine lets go after its idle time.
async fn wait_for_file(folder: &TempDir) -> Connection {
    loop {
        match Connection::open(folder.path().join("lab.duckdb")) {
            Ok(connection) => return connection,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_tables_are_left_alone_until_init() {
    let folder = tempfile::tempdir().unwrap();
    Connection::open(folder.path().join("lab.duckdb"))
        .unwrap()
        .execute_batch("CREATE SCHEMA ml_schema; CREATE TABLE ml_schema.experiments AS SELECT 42 AS mine")
        .unwrap();
    let error: StoreError = engine(&folder, 1000).health().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.remedy.unwrap().contains("labtop init"));
    let engine = engine(&folder, 1000);
    let applied = FileSchema::new(engine.clone()).migrate(true).await.unwrap();
    assert_eq!(applied[0], "0001_lab");
    let table =
        Analytics::new(engine).sql("SELECT mine FROM ml_schema.experiments_before_labtop", 1).await.unwrap();
    assert_eq!(table.rows, [[json!(42)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    engine(&folder, 1000).health().await.unwrap();
    wait_for_file(&folder)
        .await
        .execute_batch("INSERT INTO ml_schema.labtop_migrations (name, checksum) VALUES ('9999_future', 'x')")
        .unwrap();
    let error = engine(&folder, 1000).health().await.unwrap_err();
    assert!(error.message.contains("newer labtop (9999_future)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_reads_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let analytics = Analytics::new(engine(&folder, 1000));
    let table = analytics
        .sql("SELECT 1 AS one, DATE '2024-01-15' AS day, [1, 2] AS list, 0.5::DECIMAL(3,1) AS d, NULL AS none -- end", 10)
        .await
        .unwrap();
    assert_eq!(table.columns, ["one", "day", "list", "d", "none"]);
    assert_eq!(table.rows, [[json!(1), json!("2024-01-15"), json!([1, 2]), json!(0.5), json!(null)]]);
    let odd = "SELECT 'nan'::DOUBLE AS a, ['inf'::FLOAT, -1] AS b, {'k': '-inf'::DOUBLE} AS c, 7 AS d";
    let table = analytics.sql(odd, 10).await.unwrap();
    assert_eq!(
        table.rows,
        [[json!("NaN"), json!(["Infinity", -1.0]), json!({ "k": "-Infinity" }), json!(7)]]
    );
    assert!(analytics.sql("FROM range(100)", 10).await.unwrap().truncated);
    assert!(!analytics.sql("DESCRIBE experiments_performance", 100).await.unwrap().rows.is_empty());
    assert!(analytics.sql("SELECT 1 WHERE false", 10).await.unwrap().rows.is_empty());
    for bad in [
        "DROP TABLE experiments_performance",
        "SELECT 1; SELECT 2",
        "SELECT 1) ; COMMIT; DROP TABLE experiments_performance; SELECT (1",
        "INSERT INTO experiments_performance (model_name) VALUES ('x')",
        "COPY experiments_performance TO 'x.csv'",
        "SELECT nextval('ml_schema.batch_ids')",
        "",
        "SELEC 1",
        "SELECT * FROM no_such_table",
    ] {
        let error = analytics.sql(bad, 10).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{bad}: {error:?}");
    }
    let table = analytics.sql("SELECT count(*) AS n FROM experiments_performance", 1).await.unwrap();
    assert_eq!(table.rows, [[json!(0)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_read_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let analytics = Analytics::new(engine(&folder, 1000));
    let endless = analytics.sql("SELECT count(*) FROM range(100000000000) a, range(1000000) b", 1);
    tokio::time::timeout(Duration::from_millis(300), endless).await.unwrap_err();
    // The reader is free again: this would wait for hours otherwise.
    tokio::time::timeout(Duration::from_secs(30), analytics.sql("SELECT 1", 1)).await.unwrap().unwrap();
    assert!(backends::duckdb().await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_two_stores_in_one_file_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder, 1000);
    let (here, there) = (Analytics::new(engine.clone()), Analytics::of(engine.clone(), "postgres elsewhere"));
    let store = Experiments::new(engine);
    let id = store.create(&running("x")).await.unwrap().id;
    let done = store.finish(id, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    let row = PerformanceRow::of(&done).unwrap();
    there.put(&[PerformanceRow { model_name: "other".to_owned(), ..row }]).await.unwrap();
    assert_eq!(here.models(true).await.unwrap()[0].model_name, "BERT");
    assert_eq!(there.models(true).await.unwrap()[0].model_name, "other");
    there.remove(&[id]).await.unwrap();
    assert_eq!(there.models(true).await.unwrap(), []);
    assert_eq!(here.models(true).await.unwrap().len(), 1);
}
