//! Programs that start at once on one empty database.

use labtop::store::experiments::{ExperimentQuery, ExperimentStore};
use labtop::store::postgres::Pg;
use labtop::store::schema::{Schema, SchemaState};

use crate::support::labtop::{Labtop, Ran};
use crate::support::servers::{self, plainly};

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_at_once_make_the_tables_once() {
    let Some((settings, _database)) = servers::postgres().await else { return };
    let lab = Labtop::new();
    // Processes of their own, and as many within this one.
    let commands: Vec<_> = (0..4)
        .map(|_| {
            let mut command = lab.command();
            command.envs(servers::postgres_variables(&settings));
            command.env("LABTOP__ROLES__EXPERIMENTS", "postgres").args(["ls", "--format", "json"]);
            command
        })
        .map(|mut command| tokio::task::spawn_blocking(move || Ran::from(command.output().unwrap())))
        .collect();
    let within: Vec<_> = (0..8)
        .map(|_| {
            let pg = Pg::new(&settings);
            tokio::spawn(async move { ExperimentStore::list(&*pg, &ExperimentQuery::default()).await })
        })
        .collect();
    for listing in within {
        assert_eq!(listing.await.unwrap().unwrap().total, 0);
    }
    for command in commands {
        let ran = command.await.unwrap();
        assert_eq!((ran.code, ran.stdout.trim()), (0, "[]"), "{ran:?}");
    }
    assert_eq!(Pg::new(&settings).state().await.unwrap(), SchemaState::Current);
    let client = plainly(&settings).await;
    let sql = "SELECT count(*), count(DISTINCT name) FROM ml_schema.labtop_migrations";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(0) == row.get::<_, i64>(1));
}
