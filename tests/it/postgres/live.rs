//! Changes of others: how soon a dashboard hears of them, by notification and without.

use std::sync::Arc;
use std::time::{Duration, Instant};

use labtop::config::{self, Flags, Places, Variables};
use labtop::domain::experiment::NewExperiment;
use labtop::domain::metric::MetricPoint;
use labtop::ops::Lab;
use labtop::store::changes::Changes;
use labtop::store::experiments::{Entry, ExperimentStore};
use labtop::store::postgres::Pg;
use labtop::store::schema::Schema;
use labtop::worker;
use labtop::worker::protocol::{Command, Event, Read, Request, Slot, Ticket};

use crate::support::samples;
use crate::support::servers::{self, plainly};

/// What a person who looks takes for "at once".
const SOON: Duration = Duration::from_millis(250);
const EVER: Duration = Duration::from_secs(30);
const CHANGES: usize = 40;

fn lab(settings: &config::Postgres, folder: &std::path::Path) -> Arc<Lab> {
    let variables = Variables::from_iter(servers::postgres_variables(settings));
    let flags = Flags { store: Some(folder.join("lab.duckdb")), ..Flags::default() };
    let mut all = config::load(&flags, &Places::default(), &variables).unwrap();
    all.postgres = settings.clone();
    all.roles.experiments = config::TableBackend::Postgres;
    Arc::new(Lab::open(all).unwrap())
}

/// Of these, 95 in 100 took no longer.
fn most(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 95 / 100]
}

/// How long plain SQL takes from its commit to the event in a dashboard.
async fn delays(settings: &config::Postgres) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    Pg::new(settings).migrate(false).await.unwrap();
    let mut worker = worker::start(lab(settings, folder.path()), None);
    let mut heard = async || {
        let waiting = async { while !matches!(worker.events.recv().await.unwrap(), Event::Changed) {} };
        tokio::time::timeout(EVER, waiting).await.unwrap();
    };
    // It listens from here on.
    heard().await;
    let client = plainly(settings).await;
    let mut delays = Vec::new();
    for number in 0..CHANGES {
        let sql = format!("INSERT INTO ml_schema.experiments (name) VALUES ('n{number}')");
        client.batch_execute(&sql).await.unwrap();
        let committed = Instant::now();
        heard().await;
        delays.push(committed.elapsed());
    }
    delays
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_sql_is_heard_of_at_once() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let delays = most(delays(&settings).await);
    println!("p95 of {CHANGES}: {delays:?}");
    assert!(delays < SOON, "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_notifications_changes_are_found_as_soon() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let pooled = config::Postgres { pooler: config::Pooler::Transaction, ..settings };
    let delays = most(delays(&pooled).await);
    println!("p95 of {CHANGES}: {delays:?}");
    assert!(delays < SOON, "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_for_is_told_when_it_is_committed_and_not_for_nothing() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let pooled = config::Postgres { pooler: config::Pooler::Transaction, ..settings.clone() };
    let pg = Pg::new(&pooled);
    pg.migrate(false).await.unwrap();
    let mut changes = pg.changes();
    let told = async |changes: &mut labtop::store::postgres::PgChanges, limit: Duration| {
        tokio::time::timeout(limit, changes.changed()).await.map(|told| told.unwrap()).is_ok()
    };
    assert!(told(&mut changes, EVER).await);
    assert!(!told(&mut changes, SOON * 3).await, "nothing has changed");
    let client = plainly(&settings).await;
    client.batch_execute("BEGIN; INSERT INTO ml_schema.experiments (name) VALUES ('later')").await.unwrap();
    // It is counted, and not yet to be seen.
    assert!(told(&mut changes, EVER).await);
    assert!(!told(&mut changes, SOON * 3).await, "nothing is committed");
    client.batch_execute("COMMIT").await.unwrap();
    assert!(told(&mut changes, EVER).await);
    assert!(!told(&mut changes, SOON * 3).await, "it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_another_program_reach_the_run_on_screen_soon() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let pg = Pg::new(&settings);
    let new = NewExperiment { worker: Some("elsewhere:1".to_owned()), ..samples::running("watched") };
    let run = pg.create(&new).await.unwrap();
    let mut worker = worker::start(lab(&settings, folder.path()), None);
    let command = Command::Read(Slot::Detail, Read::Detail(run.id));
    worker.requests.send(Request { ticket: Ticket(1), command }).await.unwrap();
    let mut delays = Vec::new();
    let mut seen = async |wanted: i64| {
        let waiting = async {
            loop {
                match worker.events.recv().await.unwrap() {
                    Event::Points { points, .. } if points.iter().any(|point| point.step == wanted) => break,
                    Event::Answer { ticket: Ticket(1), .. } if wanted < 0 => break,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(EVER, waiting).await.unwrap();
    };
    seen(-1).await;
    for step in 0..CHANGES as i64 {
        let recorded_at = jiff::Timestamp::now();
        let points = vec![MetricPoint { name: "loss".to_owned(), step, value: 0.5, recorded_at }];
        let entry = Entry { id: run.id, attempt: run.attempt, points, outcome: None, documents: None };
        for told in pg.commit(&[entry]).await.unwrap() {
            told.unwrap();
        }
        let committed = Instant::now();
        seen(step).await;
        delays.push(committed.elapsed());
    }
    let delays = most(delays);
    println!("p95 of {CHANGES}: {delays:?}");
    assert!(delays < SOON, "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_was_cut_off_connects_again_and_has_everything_read_again() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let pg = Pg::new(&settings);
    pg.migrate(false).await.unwrap();
    let mut changes = pg.changes();
    tokio::time::timeout(EVER, changes.changed()).await.unwrap().unwrap();
    let client = plainly(&settings).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
               AND pid <> pg_backend_pid()";
    client.query_one(cut, &[]).await.unwrap();
    // What happened in between was heard by nobody, so that it is there again counts as a change.
    let again = async { while changes.changed().await.is_err() {} };
    tokio::time::timeout(EVER, again).await.unwrap();
    client.batch_execute("INSERT INTO ml_schema.experiments (name) VALUES ('x')").await.unwrap();
    tokio::time::timeout(EVER, changes.changed()).await.unwrap().unwrap();
}
