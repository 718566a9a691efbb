//! Experiments a second on the embedded store, beside the same rows written by bare DuckDB transactions.
//!
//! A thousand simulated runs without delay, durable: points, documents, performance row and result of each. The floor
//! writes the rows that labtop wrote, in groups of the same size, with nothing around DuckDB. `LABTOP_BENCH_RUNS` and
//! `LABTOP_BENCH_PARALLEL` change the size.

// A benchmark says its figures.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use duckdb::{Connection, params};
use labtop::config::{self, Flags, Places, Settings};
use labtop::domain::batch_spec::BatchSpec;
use labtop::ops::news::News;
use labtop::ops::{Lab, Stop, Watcher, batch};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 3;

fn main() -> Result<(), Failure> {
    let runs = number("LABTOP_BENCH_RUNS", 1000);
    let parallel = number("LABTOP_BENCH_PARALLEL", 64);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{runs} simulated runs, {parallel} at once, 30 steps, 5 documents each, embedded, durable");
    println!("{:<8} {:>12} {:>12} {:>8} {:>14}", "round", "labtop /s", "bare /s", "ratio", "runs a group");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let folder = tempfile::tempdir()?;
        let (ours, file) = (folder.path().join("labtop.duckdb"), folder.path().join("bare.duckdb"));
        let (took, groups) = runtime.block_on(labtop(&ours, runs, parallel))?;
        let group = (runs as f64 / groups as f64).round().max(1.0) as usize;
        let floor = bare(&ours, &file, group)?;
        let (rate, best) = (runs as f64 / took.as_secs_f64(), runs as f64 / floor.as_secs_f64());
        println!("{round:<8} {rate:>12.0} {best:>12.0} {:>8.2} {group:>14}", rate / best);
        ratios.push(rate / best);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ROUNDS / 2]);
    Ok(())
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// Counts the moments at which runs ended: those of one transaction end together.
#[derive(Default)]
struct Groups(Mutex<Option<(Instant, usize)>>);

impl Watcher for Groups {
    fn saw(&self, news: News) {
        if matches!(news, News::Finished(_)) {
            let Ok(mut last) = self.0.lock() else { return };
            let count = match *last {
                Some((at, count)) if at.elapsed() < Duration::from_millis(2) => count,
                Some((_, count)) => count + 1,
                None => 1,
            };
            *last = Some((Instant::now(), count));
        }
    }
}

/// How long a batch takes, and in how many groups its runs ended.
async fn labtop(path: &Path, runs: usize, parallel: usize) -> Result<(Duration, usize), Failure> {
    let flags = Flags { store: Some(path.to_owned()), ..Flags::default() };
    let settings: Settings =
        config::load(&flags, &Places::default(), &BTreeMap::new().into_iter().collect())?;
    let lab = Lab::open(settings)?;
    let text = format!(
        "name = 'bench'\ndataset = 'bench'\nrunner = 'simulate'\nseed = 1\nparallel = {parallel}\nrepeats = {runs}\n\
         [params]\nmodel = ['XGBoost']\nlearning_rate = [0.1]\n"
    );
    let file = path.with_extension("toml");
    std::fs::write(&file, text)?;
    let spec = BatchSpec::read(&file)?;
    let groups = Groups::default();
    let begun = Instant::now();
    batch::run(&lab, &spec, &groups, &Stop::default()).await?;
    lab.close().await;
    let took = begun.elapsed();
    let count = groups.0.lock().map_err(|_| "a watcher panicked")?.map_or(1, |(_, count)| count);
    Ok((took, count))
}

/// A row as JSON text of its columns.
type Rows = Vec<String>;

/// What labtop wrote of one run.
#[derive(Default)]
struct Written {
    id: i64,
    points: Vec<(String, i64, f64, i64)>,
    documents: Rows,
    ending: String,
    performance: Vec<(Option<f64>, Option<f64>)>,
}

/// Writes the same rows in groups, each with three transactions: claim, documents, and points with the end.
fn bare(from: &Path, to: &Path, group: usize) -> Result<Duration, Failure> {
    let written = read(from)?;
    let connection = Connection::open(to)?;
    connection.execute_batch(&format!("ATTACH '{}' AS source (READ_ONLY)", from.display()))?;
    connection.execute_batch("CREATE SCHEMA ml_schema; CREATE SEQUENCE ml_schema.record_ids")?;
    for table in ["experiments", "experiment_metrics", "collection_records"] {
        connection.execute_batch(&format!(
            "CREATE TABLE ml_schema.{table} AS SELECT * FROM source.ml_schema.{table} WHERE false"
        ))?;
    }
    connection.execute_batch(
        "CREATE TABLE experiments_performance AS SELECT * FROM source.experiments_performance WHERE false;
         INSERT INTO ml_schema.experiments SELECT * FROM source.ml_schema.experiments;
         UPDATE ml_schema.experiments SET status = 'queued'; DETACH source; CHECKPOINT",
    )?;
    let begun = Instant::now();
    for runs in written.chunks(group) {
        write(&connection, runs)?;
    }
    drop(connection);
    Ok(begun.elapsed())
}

fn write(connection: &Connection, runs: &[Written]) -> Result<(), Failure> {
    let ids = runs.iter().map(|run| run.id.to_string()).collect::<Vec<_>>().join(", ");
    connection.execute_batch(&format!(
        "BEGIN; UPDATE ml_schema.experiments SET status = 'running', worker = 'bare' WHERE id IN ({ids}); COMMIT; BEGIN"
    ))?;
    let documents = runs.iter().flat_map(|run| run.documents.iter().map(String::as_str)).collect::<Vec<_>>();
    connection.execute(
        r#"INSERT INTO ml_schema.collection_records (position, collection_id, id, document, metadata, embedding)
           SELECT nextval('ml_schema.record_ids'), 1, id, document, metadata, embedding
           FROM (SELECT unnest(from_json(?::JSON, '[{"id": "VARCHAR", "document": "VARCHAR", "metadata": "JSON",
               "embedding": "FLOAT[]"}]'), recursive := true))"#,
        [format!("[{}]", documents.join(","))],
    )?;
    connection.execute_batch("COMMIT; BEGIN")?;
    {
        let mut points = connection.appender_to_db("experiment_metrics", "ml_schema")?;
        for run in runs {
            for (name, step, value, at) in &run.points {
                let at = duckdb::types::Value::Timestamp(duckdb::types::TimeUnit::Microsecond, *at);
                points.append_row(params![run.id, 1, name, step, value, at])?;
            }
        }
        points.flush()?;
    }
    let endings = runs.iter().map(|run| run.ending.as_str()).collect::<Vec<_>>().join(",");
    connection.execute(
        &format!(
            r#"UPDATE ml_schema.experiments AS e SET status = 'completed', results = n.results, accuracy = n.accuracy,
                   inference_time_ms = n.inference_time_ms, finished_at = now()::TIMESTAMP
               FROM (SELECT unnest(from_json(?::JSON, '[{{"id": "BIGINT", "results": "JSON", "accuracy": "DOUBLE",
                   "inference_time_ms": "DOUBLE"}}]'), recursive := true)) AS n WHERE e.id = n.id AND e.id IN ({ids})"#
        ),
        [format!("[{endings}]")],
    )?;
    {
        let mut performance = connection.appender("experiments_performance")?;
        let day = duckdb::types::Value::Date32(20_000);
        for run in runs {
            for (accuracy, time) in &run.performance {
                let none = None::<f64>;
                performance.append_row(params![
                    day, "XGBoost", "bench", accuracy, none, none, none, time, none, none, "simulate",
                    run.id, "bare"
                ])?;
            }
        }
        performance.flush()?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Everything that labtop wrote, in memory and in the order of the runs.
fn read(path: &Path) -> Result<Vec<Written>, Failure> {
    let connection = Connection::open(path)?;
    let mut runs: BTreeMap<i64, Written> = BTreeMap::new();
    let mut statement = connection.prepare(
        "SELECT id, to_json({id: id, results: results, accuracy: accuracy, inference_time_ms: inference_time_ms})::VARCHAR,
                accuracy, inference_time_ms FROM ml_schema.experiments",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, ending) = (row.get(0)?, row.get(1)?);
        let performance = vec![(row.get(2)?, row.get(3)?)];
        runs.insert(id, Written { id, ending, performance, ..Written::default() });
    }
    let mut statement = connection.prepare(
        "SELECT experiment_id, name, step, value, epoch_us(recorded_at) FROM ml_schema.experiment_metrics",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let run = runs.get_mut(&row.get(0)?).ok_or("a point of no run")?;
        run.points.push((row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
    }
    let mut statement = connection.prepare(
        "SELECT (metadata ->> 'experiment_id')::BIGINT,
                to_json({id: id, document: document, metadata: metadata, embedding: embedding})::VARCHAR
         FROM ml_schema.collection_records",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let run = runs.get_mut(&row.get(0)?).ok_or("a document of no run")?;
        run.documents.push(row.get(1)?);
    }
    Ok(runs.into_values().collect())
}
