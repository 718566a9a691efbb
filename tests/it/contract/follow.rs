//! The contract of `Follow`: nothing that changed is missed, whoever changed it and in whatever order it was committed.

use std::collections::BTreeSet;

use labtop::domain::experiment::ExperimentId;
use labtop::store::experiments::ExperimentStore;
use labtop::store::follow::{Changed, Follow};
use labtop::store::postgres::Pg;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::support::samples::{completed, running};
use crate::support::servers;

async fn finished(store: &Pg) -> ExperimentId {
    let run = store.create(&running("a run")).await.unwrap();
    store.finish(run.id, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    run.id
}

async fn foreign(settings: &labtop::config::Postgres) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host(&settings.host).port(settings.port).dbname(&settings.database).user(&settings.user);
    config.password(settings.password.expose_secret());
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What was told of; others' transactions on the server may have it told again.
fn told(changed: &Changed) -> BTreeSet<ExperimentId> {
    changed.runs.clone().unwrap().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let store = Pg::new(&settings);
    let first = store.changed_since(None).await.unwrap();
    assert_eq!(first.runs, None, "everything");
    let (one, two) = (finished(&store).await, finished(&store).await);
    store.create(&running("not yet")).await.unwrap();
    let changed = store.changed_since(Some(first.mark)).await.unwrap();
    assert_eq!(told(&changed), BTreeSet::from([one, two]));

    let client = foreign(&settings).await;
    let noted = "SELECT max(changed_by)::text FROM ml_schema.run_changes";
    let before: String = client.query_one(noted, &[]).await.unwrap().get(0);
    let edits = "UPDATE ml_schema.experiments SET note = 'x', tags = '{a}', heartbeat_at = now()";
    client.batch_execute(edits).await.unwrap();
    let after: String = client.query_one(noted, &[]).await.unwrap().get(0);
    assert_eq!(after, before, "no report is made of these");

    let result = format!("UPDATE ml_schema.experiments SET results = '{{\"accuracy\": 1}}' WHERE id = {one}");
    client.batch_execute(&result).await.unwrap();
    store.remove(&[two]).await.unwrap();
    let insert =
        "INSERT INTO ml_schema.experiments (name, status) VALUES ('foreign', 'completed') RETURNING id";
    let three: ExperimentId = client.query_one(insert, &[]).await.unwrap().get(0);
    let changed = store.changed_since(Some(changed.mark)).await.unwrap();
    assert_eq!(told(&changed), BTreeSet::from([one, two, three]));

    client.batch_execute("TRUNCATE ml_schema.experiments").await.unwrap();
    assert_eq!(store.changed_since(Some(changed.mark)).await.unwrap().runs, None, "everything");
    let ahead = store.changed_since(Some(changed.mark + 1_000_000)).await.unwrap();
    assert_eq!(ahead.runs, None, "a mark of another server");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_began_early_and_ended_late_is_not_missed() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let store = Pg::new(&settings);
    let mark = store.changed_since(None).await.unwrap().mark;
    let slow = foreign(&settings).await;
    slow.batch_execute("BEGIN").await.unwrap();
    let insert = "INSERT INTO ml_schema.experiments (name, status) VALUES ('slow', 'completed') RETURNING id";
    let late: ExperimentId = slow.query_one(insert, &[]).await.unwrap().get(0);
    let quick = finished(&store).await;
    let changed = store.changed_since(Some(mark)).await.unwrap();
    assert_eq!(told(&changed), BTreeSet::from([quick]));
    slow.batch_execute("COMMIT").await.unwrap();
    let changed = store.changed_since(Some(changed.mark)).await.unwrap();
    assert!(told(&changed).contains(&late));
}
