//! What only PostgreSQL has to show, on the real server that DATABASE_URL names; the contract suite shows the rest.

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::tokio_postgres;
use secrecy::SecretString;
use serde_json::json;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::config;
use crate::domain::batch::NewBatch;
use crate::domain::document::{Document, Metadata};
use crate::domain::experiment::{Edit, NewExperiment, Outcome, Status};
use crate::domain::filter::{Aggregate, Field, Figure};
use crate::domain::metric::MetricPoint;
use crate::domain::window::Window;
use crate::store::ErrorKind;
use crate::store::changes::Changes;
use crate::store::documents::DocumentStore;
use crate::store::experiments::{ExperimentQuery, ExperimentStore, Sort};
use crate::store::queue::{BatchQueue, Claimant};
use crate::store::schema::{Schema, SchemaState};

use super::{Pg, connect};

/// The server of the tests; none skips them, unless they are demanded.
fn server() -> Option<config::Postgres> {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        assert!(std::env::var("LABTOP_TEST_SERVERS").is_err(), "DATABASE_URL must name a server");
        return None;
    };
    let server = config::Postgres::from_url(&url).unwrap();
    Some(config::Postgres { pool_size: 4, statement_timeout_ms: 20_000, ..server })
}

/// Runs SQL in a database, as somebody else would.
pub(super) async fn sql(settings: &config::Postgres, text: &str) {
    let (client, connection) = connect::config(settings).connect(NoTls).await.unwrap();
    let driving = tokio::spawn(connection);
    client.batch_execute(text).await.unwrap();
    drop(client);
    driving.await.unwrap().unwrap();
}

/// Gives a test a database of its own, and drops it afterwards.
pub(super) fn on_server<F: Future<Output = ()>>(test: impl FnOnce(config::Postgres) -> F) {
    let Some(server) = server() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let database = format!("labtop_test_{}", Uuid::new_v4().simple());
        sql(&server, &format!("CREATE DATABASE {database}")).await;
        let settings = config::Postgres { database: database.clone(), ..server.clone() };
        test(settings).await;
        sql(&server, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
    });
}

#[test]
fn read_only_migrates_nothing_reads_and_refuses_writes() {
    on_server(|settings| async move {
        let looks = Pg::with(&settings, true);
        let unprepared = ExperimentStore::list(&*looks, &ExperimentQuery::default()).await.unwrap_err();
        assert!(unprepared.message.contains("read-only"), "{unprepared}");
        assert!(looks.migrate(false).await.unwrap_err().message.contains("read-only"));
        assert_ne!(looks.state().await.unwrap(), SchemaState::Current);

        let made = Pg::new(&settings).create(&experiment("one", Status::Running)).await.unwrap();
        let page = ExperimentStore::list(&*looks, &ExperimentQuery::default()).await.unwrap();
        assert_eq!(page.total, 1);
        let refused = looks.create(&experiment("two", Status::Running)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(
            ExperimentStore::remove(&*looks, &[made.id]).await.unwrap_err().message.contains("read-only")
        );
        // The server refuses too, should a statement ever slip by.
        let client = looks.connection("testing").await.unwrap();
        let slipped = client.batch_execute("DELETE FROM ml_schema.experiments").await.unwrap_err();
        assert_eq!(slipped.code(), Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION));
    });
}

fn experiment(name: &str, status: Status) -> NewExperiment {
    let serde_json::Value::Object(parameters) = json!({"learning_rate": 2e-5, "batch_size": 16}) else {
        unreachable!()
    };
    NewExperiment {
        key: Uuid::new_v4(),
        name: name.to_owned(),
        model_type: "BERT".to_owned(),
        dataset: "reviews".to_owned(),
        description: "Ünï\0code".to_owned(),
        parameters,
        status,
        runner: "simulate".to_owned(),
        seed: Some(7),
        batch_id: None,
        trial: None,
        worker: Some("host:1".to_owned()),
        host: Some("host".to_owned()),
        command: None,
        git_commit: None,
        tags: vec!["baseline".to_owned()],
        created_at: None,
    }
}

fn claimant() -> Claimant {
    Claimant {
        worker: "w".to_owned(),
        host: None,
        runners: vec!["simulate".to_owned()],
        labels: None,
        commands: None,
    }
}

fn outcome(results: serde_json::Value) -> Outcome {
    let serde_json::Value::Object(results) = results else { unreachable!() };
    Outcome { status: Status::Completed, results, error: None, finished_at: None }
}

fn point(name: &str, step: i64, value: f64) -> MetricPoint {
    let recorded_at = jiff::Timestamp::from_second(1_700_000_000 + step).unwrap();
    MetricPoint { name: name.to_owned(), step, value, recorded_at }
}

fn document(id: &str, embedding: &[f32]) -> Document {
    let metadata = Metadata::from_iter([("n".to_owned(), json!(1))]);
    Document {
        document_id: id.to_owned(),
        content: format!("content of {id}"),
        embedding: embedding.to_vec(),
        model_name: "tiny".to_owned(),
        metadata,
    }
}

#[test]
fn an_experiment_lives_its_life() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        assert_eq!(pg.state().await.unwrap(), SchemaState::Empty);
        let new = experiment("first", Status::Running);
        let created = pg.create(&new).await.unwrap();
        assert_eq!((created.id, created.attempt, created.status), (1, 1, Status::Running));
        assert_eq!(created.description, "Ünï\\u0000code");
        assert_eq!(created.parameters, new.parameters);
        assert_eq!(created.started_at, Some(created.created_at));
        assert_eq!(pg.create(&new).await.unwrap(), created, "the same key makes no twin");
        assert_eq!(pg.state().await.unwrap(), SchemaState::Current);

        let points = [point("loss", 1, 0.5), point("loss", 0, f64::NAN), point("accuracy", 0, 0.1)];
        pg.record(1, 1, &points).await.unwrap();
        let stored = pg.points(1).await.unwrap();
        assert_eq!(stored[0], points[2]);
        assert!(stored[1].value.is_nan() && stored[2] == points[0]);
        assert_eq!(pg.record(1, 2, &points).await.unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(pg.record(9, 1, &points).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(ExperimentStore::remove(&*pg, &[1]).await.unwrap_err().kind, ErrorKind::Conflict);

        let done =
            outcome(json!({"accuracy": 0.913, "precision": null, "memory_usage_mb": 312, "odd\0": "x"}));
        let finished = pg.finish(1, 1, &done).await.unwrap();
        assert_eq!(finished.figures.accuracy, Some(0.913));
        assert_eq!(finished.figures.memory_usage_mb, Some(312.0));
        assert_eq!(finished.figures.precision, None);
        assert!(finished.finished_at.is_some());
        assert_eq!(finished.results["odd\\u0000"], json!("x"));
        assert_eq!(pg.finish(1, 1, &done).await.unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(pg.record(1, 1, &points).await.unwrap_err().kind, ErrorKind::Conflict);

        let tags = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let edited = pg.edit(1, &Edit::AddTags(tags(&["z", "baseline", "a", "z"]))).await.unwrap();
        assert_eq!(edited.tags, tags(&["baseline", "z", "a"]));
        let edited = pg.edit(1, &Edit::RemoveTags(tags(&["z"]))).await.unwrap();
        assert_eq!(edited.tags, tags(&["baseline", "a"]));
        assert!(pg.edit(1, &Edit::Archive(true)).await.unwrap().archived_at.is_some());
        assert_eq!(ExperimentStore::list(&*pg, &ExperimentQuery::default()).await.unwrap().total, 0);
        assert!(pg.edit(1, &Edit::Archive(false)).await.unwrap().archived_at.is_none());
        assert_eq!(pg.edit(2, &Edit::Note(String::new())).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(ExperimentStore::remove(&*pg, &[1, 5]).await.unwrap(), 1);
        assert!(pg.points(1).await.unwrap().is_empty());
    });
}

#[test]
fn lists_are_sorted_with_empty_values_last() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        for (name, accuracy, last) in
            [("b", json!(0.5), 3.0), ("a", json!(null), 2.0), ("c", json!(0.7), 1.0)]
        {
            let id = pg.create(&experiment(name, Status::Running)).await.unwrap().id;
            pg.record(id, 1, &[point("loss", 0, last + 5.0), point("loss", 1, last)]).await.unwrap();
            pg.finish(id, 1, &outcome(json!({"accuracy": accuracy, "x": name}))).await.unwrap();
        }
        for (field, descending, expected) in [
            (Field::Id, true, [3, 2, 1]),
            (Field::Name, false, [2, 1, 3]),
            (Field::Figure(Figure::Accuracy), true, [3, 1, 2]),
            (Field::Figure(Figure::Accuracy), false, [1, 3, 2]),
            (Field::Param("batch_size".to_owned()), false, [3, 2, 1]),
            (Field::Metric("x".to_owned()), true, [3, 1, 2]),
            (Field::Curve(Aggregate::Last, "loss".to_owned()), false, [3, 2, 1]),
            (Field::Curve(Aggregate::Max, "loss".to_owned()), true, [1, 2, 3]),
            (Field::Tag, true, [3, 2, 1]),
        ] {
            let sort = Sort { field, descending };
            let page = ExperimentStore::list(
                &*pg,
                &ExperimentQuery { sort: sort.clone(), ..ExperimentQuery::default() },
            )
            .await
            .unwrap();
            let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
            assert_eq!(ids, expected, "{sort:?}");
        }
        let query = ExperimentQuery { window: Window::At(1), limit: 1, ..ExperimentQuery::default() };
        let page = ExperimentStore::list(&*pg, &query).await.unwrap();
        assert_eq!((page.rows.len(), page.rows[0].id, page.total), (1, 2, 3));
    });
}

/// As the published example writes it, with the literals that psycopg2 makes.
const PUBLISHED: &str = "INSERT INTO ml_schema.document_embeddings (document_id, content_hash, embedding, model_name, metadata) \
    VALUES ('review_001', -2530151150057833178, ARRAY[0.1, 0.2], 'tiny', '{\"content\": \"plain\"}')";

#[test]
fn plain_sql_may_come_before_and_after() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        pg.migrate(false).await.unwrap();
        sql(&settings, PUBLISHED).await;
        assert_eq!(pg.models().await.unwrap()[0].dimension, 2);
        let found = DocumentStore::get(&*pg, "review_001", None).await.unwrap();
        assert_eq!(found[0].content, "plain");
        // The model's partition is made now, and the row moves there.
        DocumentStore::put(&*pg, &[document("a", &[1.0, 0.0])]).await.unwrap();
        sql(&settings, PUBLISHED).await;
        assert_eq!(pg.models().await.unwrap()[0].documents, 2);
        let published = "INSERT INTO ml_schema.experiments (name, model_type, description, parameters) \
                         VALUES ('n', 'm', 'd', '{\"batch_size\": 16}') RETURNING id; \
                         UPDATE ml_schema.experiments SET status = 'completed', results = '{\"accuracy\": 0.9}' WHERE id = 1";
        sql(&settings, published).await;
        let row = ExperimentStore::get(&*pg, 1).await.unwrap();
        assert_eq!((row.status, row.figures.accuracy, row.worker), (Status::Completed, Some(0.9), None));
    });
}

#[test]
fn foreign_tables_are_taken_over_only_when_asked() {
    on_server(|settings| async move {
        let foreign = "CREATE SCHEMA ml_schema; CREATE EXTENSION vector; \
            CREATE TABLE ml_schema.experiments (id serial PRIMARY KEY, name varchar(255) NOT NULL, model_type varchar(100), \
              description text, parameters jsonb, metrics json, status varchar(50) DEFAULT 'created', accuracy numeric(4,3), \
              created_at timestamp DEFAULT now(), extra int); \
            INSERT INTO ml_schema.experiments (id, name, model_type, parameters, status, accuracy) \
              VALUES (41, 'old', 'BERT', '{\"a\": 1}', 'done', 0.913); \
            CREATE TABLE ml_schema.document_embeddings (id serial PRIMARY KEY, document_id varchar(255), content_hash varchar(64), \
              embedding vector(2), model_name varchar(100), metadata jsonb, created_at timestamp DEFAULT now()); \
            INSERT INTO ml_schema.document_embeddings (document_id, content_hash, embedding, model_name, metadata) VALUES \
              ('r', 1, '[1,2]', 'ada', '{\"content\": \"old\"}'), ('r', 2, '[3,4]', 'ada', '{\"content\": \"new\"}')";
        sql(&settings, foreign).await;
        let pg = Pg::new(&settings);
        let names = vec!["document_embeddings".to_owned(), "experiments".to_owned()];
        let SchemaState::Foreign(mut found) = pg.state().await.unwrap() else { panic!("not foreign") };
        found.sort_unstable();
        assert_eq!(found, names);
        let error = ExperimentStore::get(&*pg, 41).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.remedy.unwrap().contains("labtop init"));

        let told = pg.migrate(true).await.unwrap();
        assert!(told.iter().any(|line| line.contains("1 rows copied")), "{told:?}");
        let old = ExperimentStore::get(&*pg, 41).await.unwrap();
        assert_eq!(
            (old.status, old.figures.accuracy, old.name.as_str()),
            (Status::Completed, Some(0.913), "old")
        );
        assert_eq!(pg.create(&experiment("next", Status::Queued)).await.unwrap().id, 42);
        let documents = DocumentStore::get(&*pg, "r", Some("ada")).await.unwrap();
        assert_eq!((documents.len(), documents[0].content.as_str()), (1, "new"));
        assert_eq!(pg.state().await.unwrap(), SchemaState::Current);
        assert!(pg.migrate(true).await.unwrap().is_empty());
        sql(&settings, "SELECT extra FROM ml_schema.experiments_before_labtop").await;
    });
}

#[test]
fn changes_of_others_are_told() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        let id = pg.create(&experiment("watched", Status::Running)).await.unwrap().id;
        let mut changes = pg.changes();
        let soon = Duration::from_secs(5);
        tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(300), changes.changed()).await.is_err());
        // An empty queue asked for work is no change.
        assert_eq!(pg.claim(Some(1), &claimant(), 1).await.unwrap(), []);
        assert!(tokio::time::timeout(Duration::from_millis(300), changes.changed()).await.is_err());
        pg.record(id, 1, &[point("loss", 0, 1.0)]).await.unwrap();
        tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();
        // Cut off, it connects again, which counts as a change.
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
        sql(&settings, cut).await;
        tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();
        sql(&settings, "INSERT INTO ml_schema.experiments (name) VALUES ('x')").await;
        tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();
    });
}

#[test]
fn a_read_that_nobody_waits_for_ends_in_the_database() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        let mut reader = pg.bare_reader("sleeping").await.unwrap();
        let sleeping = reader.rows("sleeping", "SELECT pg_sleep(30)", &[]);
        assert!(tokio::time::timeout(Duration::from_millis(300), sleeping).await.is_err());
        drop(reader);
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' \
                      AND datname = current_database()";
        let gone = async {
            loop {
                let mut reader = pg.bare_reader("looking").await.unwrap();
                let count: i64 = reader.one("looking", asleep, &[]).await.unwrap().get(0);
                if count == 0 {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    });
}

#[test]
fn refusals_are_told_in_plain_words() {
    on_server(|settings| async move {
        let greet = |settings: config::Postgres| async move { Pg::new(&settings).greet().await.unwrap_err() };
        let wrong = config::Postgres { password: SecretString::from("nope"), ..settings.clone() };
        let error = greet(wrong).await;
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("does not accept the password of user"), "{error}");
        let error = greet(config::Postgres { database: "no_such".to_owned(), ..settings.clone() }).await;
        assert!(error.message.contains("has no database 'no_such'"), "{error}");
        let error = greet(config::Postgres { port: 1, ..settings.clone() }).await;
        assert!(error.message.contains("nothing listens at"), "{error}");
        let error =
            greet(config::Postgres { host: "no-such-host.invalid".to_owned(), ..settings.clone() }).await;
        assert!(error.message.contains("host name 'no-such-host.invalid' is not known"), "{error}");

        let hurried = Pg::new(&config::Postgres { statement_timeout_ms: 100, ..settings.clone() });
        let mut reader = hurried.bare_reader("sleeping").await.unwrap();
        let error = reader.rows("sleeping", "SELECT pg_sleep(5)", &[]).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Timeout, "PostgreSQL needed more than 100 ms")
        );

        let role = format!("labtop_{}", Uuid::new_v4().simple());
        sql(&settings, &format!("CREATE ROLE {role} LOGIN PASSWORD 'p'")).await;
        let limited =
            config::Postgres { user: role.clone(), password: SecretString::from("p"), ..settings.clone() };
        let error = ExperimentStore::get(&*Pg::new(&limited), 1).await.unwrap_err();
        assert!(error.message.contains("may not: permission denied for database"), "{error}");
        assert!(error.remedy.unwrap().contains("GRANT CREATE ON DATABASE"));
        sql(&settings, &format!("DROP ROLE {role}")).await;
    });
}

#[test]
fn a_silent_server_is_not_waited_for_for_ever() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = config::Postgres::from_url(&format!("postgres://u:p@127.0.0.1:{port}/d")).unwrap();
        let settings = config::Postgres { connect_timeout_ms: 100, statement_timeout_ms: 100, ..server };
        let error = Pg::new(&settings).greet().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("does not answer"), "{error}");
    });
}

/// Prints how much goes through: `cargo test --release -- --ignored speed --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        let id = pg.create(&experiment("fast", Status::Running)).await.unwrap().id;
        let points: Vec<MetricPoint> = (0..100_000).map(|step| point("loss", step, 0.5)).collect();
        let began = std::time::Instant::now();
        for _ in 0..5 {
            pg.record(id, 1, &points).await.unwrap();
        }
        println!("{:.0} points/s", 500_000.0 / began.elapsed().as_secs_f64());
        let began = std::time::Instant::now();
        for _ in 0..200 {
            pg.record(id, 1, &points[..10]).await.unwrap();
        }
        println!("{:.0} lots of 10 points/s", 200.0 / began.elapsed().as_secs_f64());
        let began = std::time::Instant::now();
        assert_eq!(pg.points(id).await.unwrap().len(), 502_000);
        println!("{:.0} points/s read", 502_000.0 / began.elapsed().as_secs_f64());
        for dimension in [384, 1536_usize] {
            let embedding = |n: usize| (0..dimension).map(|i| ((n * 31 + i) % 97) as f32).collect::<Vec<_>>();
            let many: Vec<Document> = (0..5000)
                .map(|n| Document {
                    model_name: format!("m{dimension}"),
                    ..document(&n.to_string(), &embedding(n))
                })
                .collect();
            for what in ["new", "replaced"] {
                let began = std::time::Instant::now();
                DocumentStore::put(&*pg, &many).await.unwrap();
                println!("{:.0} {what} documents/s of {dimension}", 5000.0 / began.elapsed().as_secs_f64());
            }
        }
        let batch =
            NewBatch { key: Uuid::new_v4(), name: "b".to_owned(), spec: Metadata::new(), parallel: 2 };
        let trials: Vec<NewExperiment> = (0..20_000)
            .map(|trial| NewExperiment {
                trial: Some(trial),
                worker: None,
                ..experiment(&format!("trial {trial}"), Status::Queued)
            })
            .collect();
        let began = std::time::Instant::now();
        pg.create_batch(&batch, &trials).await.unwrap();
        println!("{:.0} trials/s", 20_000.0 / began.elapsed().as_secs_f64());
        let began = std::time::Instant::now();
        for _ in 0..200 {
            pg.claim(Some(1), &claimant(), 1).await.unwrap();
        }
        println!("{:.0} claims/s", 200.0 / began.elapsed().as_secs_f64());
    });
}
