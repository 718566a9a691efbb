//! Questions about many experiments at once, on an embedded store of 1,000,000 runs (`RUNS` for another number): names,
//! ids, groups, and the aggregates of the curves of one screen of rows.
//!
//! Prints the median of five and the slowest.

// A benchmark says its figures.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use labtop::config;
use labtop::domain::filter::{Aggregate, Field, Filter};
use labtop::store::duckdb::engine::Engine;
use labtop::store::duckdb::experiments::Experiments;
use labtop::store::experiments::{ExperimentQuery, Sort};
use labtop::store::survey::{ExperimentSurvey, GroupQuery};

type Failure = Box<dyn std::error::Error>;

/// Runs whose curves are stored: the newest.
const WITH_CURVES: u64 = 100_000;

fn main() -> Result<(), Failure> {
    let runs: u64 = std::env::var("RUNS").ok().map_or(Ok(1_000_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(runs))
}

async fn measure(runs: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lab.duckdb");
    let engine = Engine::new(&config::DuckDb { path, wait_ms: 10_000, idle_ms: 60_000 });
    fill(&engine, runs).await?;
    let store = Experiments::new(engine);
    println!("{runs} runs, {} of them with two curves of 30 points", runs.min(WITH_CURVES));
    let newest: Vec<i64> = store.ids(&ExperimentQuery::default(), 0).await?.ids;
    let curves = [(Aggregate::Last, "loss".to_owned()), (Aggregate::Best, "accuracy".to_owned())];
    let sort = Sort { field: Field::parse("accuracy")?, descending: true };
    let by_accuracy = ExperimentQuery { sort, limit: 10_000, ..ExperimentQuery::default() };
    let groups = |newest: u64| -> Result<GroupQuery, Failure> {
        let filter = format!("id > {}", runs.saturating_sub(newest));
        let filter = Some(Filter::parse(&filter, jiff::Timestamp::UNIX_EPOCH)?);
        Ok(GroupQuery {
            runs: ExperimentQuery { filter, ..ExperimentQuery::default() },
            figures: ["accuracy", "inference_time_ms", "metrics.loss"]
                .map(Field::parse)
                .into_iter()
                .collect::<Result<_, _>>()?,
            sort: Some(0),
            descending: true,
            skip: 0,
            limit: 1_000,
        })
    };
    let (few, all) = (groups(100_000)?, groups(runs)?);
    let with_curves = GroupQuery {
        figures: vec![Field::parse("best(accuracy)")?, Field::parse("last(loss)")?],
        ..few.clone()
    };
    let mut times: Vec<(&str, Vec<Duration>)> = Vec::new();
    for _ in 0..5 {
        let mut note =
            |what: &'static str, took: Duration| match times.iter_mut().find(|(known, _)| *known == what) {
                Some((_, all)) => all.push(took),
                None => times.push((what, vec![took])),
            };
        let begun = Instant::now();
        store.names().await?;
        note("names that occur", begun.elapsed());
        let begun = Instant::now();
        store.curve_values(&newest, &curves).await?;
        note("two aggregates of 100 rows", begun.elapsed());
        let begun = Instant::now();
        store.curves(&newest[..16]).await?;
        note("curves of 16 runs", begun.elapsed());
        let begun = Instant::now();
        store.ids(&by_accuracy, 0).await?;
        note("10,000 ids by accuracy", begun.elapsed());
        for (what, query) in [
            ("groups of 100,000 runs, 3 figures", &few),
            ("groups of 100,000 runs, 2 aggregates", &with_curves),
            ("groups of all runs, 3 figures", &all),
        ] {
            let begun = Instant::now();
            store.groups(query).await?;
            note(what, begun.elapsed());
        }
    }
    for (what, mut all) in times {
        all.sort_unstable();
        println!("{what:<38} {:>8.1?} {:>8.1?}", all[all.len() / 2], all[all.len() - 1]);
    }
    Ok(())
}

async fn fill(engine: &Engine, runs: u64) -> Result<(), Failure> {
    let first = runs.saturating_sub(WITH_CURVES);
    engine
        .write_plain("filling the store", move |connection| {
            connection.execute_batch(&format!(
                "INSERT INTO ml_schema.experiments (name, model_type, dataset, parameters, status, results, accuracy, \
                 inference_time_ms, runner, seed) SELECT 'trial ' || i, 'model ' || i % 7, 'data ' || i % 3, \
                 json_object('learning_rate', (i % 50) / 1000, 'batch_size', 16 << (i % 3), 'depth', i % 11, \
                 'dropout', (i % 4) / 10, 'seed', i), CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'completed' END, \
                 json_object('accuracy', (i % 997) / 1000, 'loss', (i % 89) / 10, 'epochs', i % 30, \
                 'inference_time_ms', i % 101, 'auc', (i % 13) / 20), (i % 997) / 1000, i % 101, 'simulate', i \
                 FROM range({runs}) AS t(i);
                 INSERT INTO ml_schema.experiment_metrics SELECT e.id, 1, n.name, s.step, (e.id * s.step % 991) / 1000, \
                 TIMESTAMP '2026-01-01' FROM ml_schema.experiments e, (VALUES ('loss'), ('accuracy')) n(name), \
                 range(30) AS s(step) WHERE e.id > {first} ORDER BY e.id, n.name, s.step"
            ))
        })
        .await?;
    Ok(())
}
