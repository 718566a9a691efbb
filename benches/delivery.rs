//! Experiments a second on the servers with everything delivered, beside the published example as a plain script, and
//! beside what Chroma alone takes of the same records.
//!
//! A thousand simulated runs without delay: points and results in PostgreSQL, five documents each in Chroma, performance
//! rows in DuckDB. Needs `DATABASE_URL` and `CHROMA_URL`, and `benches/setup` for the script. `LABTOP_BENCH_RUNS`,
//! `LABTOP_BENCH_PARALLEL` and `LABTOP_BENCH_SCRIPT` (its runs) change the size.

// A benchmark says its figures, and one that cannot go on has failed.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::try_join_all;
use labtop::config::{self, Flags, Places, Variables};
use labtop::domain::batch_spec::BatchSpec;
use labtop::domain::collection::{RecordPage, StoredRecord};
use labtop::ops::news::Nobody;
use labtop::ops::{Lab, Stop, batch};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[path = "../tests/it/support/servers.rs"]
#[allow(dead_code)]
mod servers;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 3;
const MODELS: [&str; 4] = ["RandomForest", "XGBoost", "NeuralNet", "BERT"];
/// Records in one request to Chroma; the best of them is its limit.
const BATCHES: [usize; 4] = [50, 250, 500, 1250];

fn main() -> Result<(), Failure> {
    let (runs, parallel) = (number("LABTOP_BENCH_RUNS", 1000), number("LABTOP_BENCH_PARALLEL", 64));
    let script = number("LABTOP_BENCH_SCRIPT", 200);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "{runs} simulated runs, {parallel} at once, 30 steps, 5 documents each; the script does {script}"
    );
    println!(
        "{:<8}{:>12}{:>12}{:>10}{:>16}{:>20}{:>10}",
        "round", "labtop /s", "script /s", "times", "Chroma alone /s", "in batches of", "share"
    );
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let plain = runtime.block_on(published(script))?;
        let (ours, records) = runtime.block_on(labtop(runs, parallel))?;
        let (limit, size) = runtime.block_on(chroma_alone(&records))?;
        // Five records are a run.
        let limit = limit / 5.0;
        println!(
            "{round:<8}{ours:>12.0}{plain:>12.1}{:>10.1}{limit:>16.0}{size:>20}{:>10.2}",
            ours / plain,
            ours / limit
        );
        times.push(ours / plain);
    }
    times.sort_by(f64::total_cmp);
    println!("median: {:.1} times the script", times[ROUNDS / 2]);
    Ok(())
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn lab(folder: &Path, pg: &config::Postgres, chroma: &config::Chroma) -> Result<Lab, Failure> {
    let flags = Flags { store: Some(folder.join("labtop.duckdb")), ..Flags::default() };
    let variables: Variables = servers::variables(pg, chroma).into_iter().collect();
    Ok(Lab::open(config::load(&flags, &Places::default(), &variables)?)?)
}

/// The plain script, on tables that labtop made; experiments a second.
async fn published(runs: usize) -> Result<f64, Failure> {
    let (pg, _pg) = servers::postgres().await.ok_or("DATABASE_URL must say where PostgreSQL is")?;
    let (chroma, _chroma) = servers::chroma().await.ok_or("CHROMA_URL must say where Chroma is")?;
    let folder = tempfile::tempdir()?;
    labtop::ops::schema::migrate(&lab(folder.path(), &pg, &chroma)?).await?;
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let url = format!(
        "postgresql://{}:{}@{}:{}/{}",
        pg.user,
        pg.password.expose_secret(),
        pg.host,
        pg.port,
        pg.database
    );
    let output = Command::new("python3")
        .arg(here.join("benches/delivery/published.py"))
        .args([runs.to_string(), "256".to_owned()])
        .arg(folder.path().join("script.duckdb"))
        .env("PYTHONPATH", here.join(".deps/bench"))
        .envs([("DATABASE_URL", &url), ("CHROMA_URL", &chroma.url), ("CHROMA_DATABASE", &chroma.database)])
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the script failed (is benches/setup done?): {said}").into());
    }
    let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(runs as f64 / seconds)
}

/// A batch from its start to its last delivered document; experiments a second, and the records of each collection.
async fn labtop(runs: usize, parallel: usize) -> Result<(f64, Vec<Vec<StoredRecord>>), Failure> {
    let (pg, _pg) = servers::postgres().await.ok_or("DATABASE_URL must say where PostgreSQL is")?;
    let (chroma, _chroma) = servers::chroma().await.ok_or("CHROMA_URL must say where Chroma is")?;
    let folder = tempfile::tempdir()?;
    let lab = lab(folder.path(), &pg, &chroma)?;
    labtop::ops::schema::migrate(&lab).await?;
    let file = folder.path().join("batch.toml");
    let repeats = runs / MODELS.len();
    std::fs::write(
        &file,
        format!(
            "name = 'bench'\ndataset = 'bench'\nrunner = 'simulate'\nsteps = 30\ndelay_ms = 0\nseed = 1\n\
             parallel = {parallel}\nrepeats = {repeats}\n[params]\nmodel = {MODELS:?}\nlearning_rate = [0.1]\n"
        ),
    )?;
    let spec = BatchSpec::read(&file)?;
    let begun = Instant::now();
    batch::run(&lab, &spec, &Nobody, &Stop::default()).await?;
    labtop::ops::delivery::deliver(&lab).await?;
    let took = begun.elapsed();
    let waiting = lab.outbox.waiting().await?;
    let mut collections = Vec::new();
    for collection in lab.collections.list().await? {
        let mut records = Vec::new();
        while records.len() < usize::try_from(collection.records)? {
            let page = RecordPage {
                offset: records.len(),
                limit: 1000,
                with_embeddings: true,
                ..RecordPage::default()
            };
            records.extend(lab.collections.records(&collection.name, &page).await?);
        }
        collections.push(records);
    }
    let stored: usize = collections.iter().map(Vec::len).sum();
    let done = repeats * MODELS.len();
    if stored != done * 5 || waiting != 0 {
        return Err(format!("{stored} documents of {done} runs are there, {waiting} deliveries wait").into());
    }
    Ok((done as f64 / took.as_secs_f64(), collections))
}

/// The same records in requests made beforehand, into empty collections side by side; records a second at the best size.
async fn chroma_alone(collections: &[Vec<StoredRecord>]) -> Result<(f64, usize), Failure> {
    let records: usize = collections.iter().map(Vec::len).sum();
    let mut best = (0.0, 0);
    for size in BATCHES {
        let (chroma, _chroma) = servers::chroma().await.ok_or("CHROMA_URL must say where Chroma is")?;
        let bodies: Vec<Vec<String>> = collections
            .iter()
            .map(|records| records.chunks(size).map(|chunk| body(chunk).to_string()).collect())
            .collect();
        let took = send(&chroma, &bodies).await?;
        let rate = records as f64 / took.as_secs_f64();
        if rate > best.0 {
            best = (rate, size);
        }
    }
    Ok(best)
}

fn body(records: &[StoredRecord]) -> Value {
    let embedding = |record: &StoredRecord| {
        let floats = record.embedding.as_deref().unwrap_or_default();
        BASE64_STANDARD.encode(floats.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    };
    json!({
        "ids": records.iter().map(|record| &record.id).collect::<Vec<_>>(),
        "embeddings": records.iter().map(embedding).collect::<Vec<_>>(),
        "documents": records.iter().map(|record| &record.document).collect::<Vec<_>>(),
        "metadatas": records.iter().map(|record| &record.metadata).collect::<Vec<_>>(),
    })
}

async fn send(chroma: &config::Chroma, bodies: &[Vec<String>]) -> Result<Duration, Failure> {
    let http = reqwest::Client::new();
    let base =
        format!("{}/api/v2/tenants/{}/databases/{}/collections", chroma.url, chroma.tenant, chroma.database);
    let post = |url: String, body: String| {
        let request = http.post(url).header("content-type", "application/json").body(body);
        async move { request.send().await?.error_for_status()?.text().await }
    };
    let mut ids = Vec::new();
    for place in 0..bodies.len() {
        let body =
            json!({ "name": format!("alone_{place}"), "configuration": { "hnsw": { "space": "cosine" } } });
        let made: Value = serde_json::from_str(&post(base.clone(), body.to_string()).await?)?;
        ids.push(made["id"].as_str().ok_or("no id")?.to_owned());
    }
    let begun = Instant::now();
    try_join_all(bodies.iter().zip(&ids).map(|(lots, id)| {
        let (base, post) = (&base, &post);
        async move {
            for lot in lots {
                post(format!("{base}/{id}/upsert"), lot.clone()).await?;
            }
            Ok::<_, reqwest::Error>(())
        }
    }))
    .await?;
    Ok(begun.elapsed())
}
