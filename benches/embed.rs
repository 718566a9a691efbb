//! What embedding costs: texts a second of the built-in model on one core, and 10,000 texts of a file embedded and stored, end to end.
//!
//! The texts are the one-line descriptions of Debian's packages, as `apt-cache dumpavail` tells them; `LABTOP_BENCH_TEXTS` names a
//! JSONL file (id, text) instead. With `DATABASE_URL` they go to pgvector too, in a database of its own; with `CHROMA_URL` into
//! collections of Chroma's that are deleted afterwards, beside Chroma's own Python client (`PYTHON`, and what `benches/setup`
//! installs), which is given the vectors ready-made. `LABTOP_BENCH_RUNS` is how often (3). With the feature `embed-onnx`,
//! `LABTOP_BENCH_ONNX` names the folder of a model that is measured too.

// A benchmark says its figures, and one that cannot go on has failed.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::Instant;

use labtop::config::{self, Flags, Places, Settings};
use labtop::embed::{BuiltIn, Embedder};
use labtop::ops::document::Target;
use labtop::ops::ingest::{Ingest, Source, ingest};
use labtop::ops::{Lab, News, Stop, Watcher};
use serde_json::{Value, json};
use tokio_postgres::{Config, NoTls};

type Failure = Box<dyn Error>;

const COUNT: usize = 10_000;
const ROUNDS: usize = 5;

struct Text {
    id: String,
    text: String,
    section: String,
}

fn main() -> Result<(), Failure> {
    let runs = std::env::var("LABTOP_BENCH_RUNS").map_or(Ok(3), |text| text.parse::<usize>())?;
    let texts = texts()?;
    embedding(&texts)?;
    #[cfg(feature = "embed-onnx")]
    if let Ok(model) = std::env::var("LABTOP_BENCH_ONNX") {
        onnx(model.into(), &texts)?;
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("packages.jsonl");
    let texts = &texts[..COUNT.min(texts.len())];
    let row =
        |text: &Text| json!({ "id": text.id, "text": text.text, "section": text.section }).to_string() + "\n";
    std::fs::write(&file, texts.iter().map(row).collect::<String>())?;
    println!("\n{} texts of a file, embedded and stored, median of {runs}", texts.len());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        embedded(&file, runs, texts.len()).await?;
        if let Ok(url) = std::env::var("DATABASE_URL") {
            pgvector(&url, &file, runs, texts.len()).await?;
        }
        if let Ok(url) = std::env::var("CHROMA_URL") {
            chroma(&url, &file, runs, texts).await?;
        }
        Ok(())
    })
}

fn texts() -> Result<Vec<Text>, Failure> {
    let Ok(file) = std::env::var("LABTOP_BENCH_TEXTS") else { return packages() };
    let parse = |line: &str| {
        let row: Value = serde_json::from_str(line)?;
        let of = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        Ok(Text { id: of("id"), text: of("text"), section: of("section") })
    };
    std::fs::read_to_string(file)?.lines().map(parse).collect()
}

/// The packages that apt knows, each once.
fn packages() -> Result<Vec<Text>, Failure> {
    let told = Command::new("apt-cache").arg("dumpavail").output()?;
    let told = String::from_utf8_lossy(&told.stdout);
    let mut packages = BTreeMap::new();
    for part in told.split("\n\n") {
        let of = |key: &str| {
            let value = part.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            value.unwrap_or_default().to_owned()
        };
        let (id, text) = (of("Package"), of("Description"));
        if !id.is_empty() && !text.is_empty() {
            packages.insert(id.clone(), Text { id, text, section: of("Section") });
        }
    }
    if packages.is_empty() {
        return Err("apt-cache knows no packages: name a file in LABTOP_BENCH_TEXTS".into());
    }
    // As a list sorted by name would have much alike beside each other, every seventh comes first, and so on.
    let packages: Vec<Text> = packages.into_values().collect();
    let mut parts: Vec<Vec<Text>> = (0..7).map(|_| Vec::new()).collect();
    packages.into_iter().enumerate().for_each(|(number, text)| parts[number % 7].push(text));
    Ok(parts.into_iter().flatten().collect())
}

fn embedding(texts: &[Text]) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let all: Vec<String> = texts.iter().map(|text| text.text.clone()).collect();
    let letters: usize = all.iter().map(String::len).sum();
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        // Lot by lot, as they come from a file; one without a known word is told by its place and left out.
        for lot in all.chunks(1000) {
            let made = runtime.block_on(BuiltIn.embed(lot));
            if let Err(labtop::embed::EmbedError::Empty { index, .. }) = made {
                let rest = [&lot[..index], &lot[index + 1..]].concat();
                runtime.block_on(BuiltIn.embed(&rest))?;
            } else {
                made?;
            }
        }
        taken.push(begun.elapsed().as_secs_f64());
    }
    let rate = all.len() as f64 / median(taken);
    println!("{} texts of {} bytes in the mean, built-in model, one core", all.len(), letters / all.len());
    println!("{rate:.0} texts a second (median of {ROUNDS})");
    Ok(())
}

/// A model from a folder, on all cores.
#[cfg(feature = "embed-onnx")]
fn onnx(folder: std::path::PathBuf, texts: &[Text]) -> Result<(), Failure> {
    use labtop::embed::onnx::{Onnx, Place};

    const TEXTS: usize = 2_000;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let all: Vec<String> = texts.iter().take(TEXTS).map(|text| text.text.clone()).collect();
    let model = Onnx::new(Place { name: "folder".to_owned(), folder, dimension: None, batch: 64 });
    let begun = Instant::now();
    runtime.block_on(model.embed(&all[..1]))?;
    println!(
        "model from a folder: loaded, and a first text, in {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for lot in all.chunks(1000) {
            runtime.block_on(model.embed(lot))?;
        }
        taken.push(begun.elapsed().as_secs_f64());
    }
    println!("{:.0} texts a second (median of {ROUNDS})", all.len() as f64 / median(taken));
    Ok(())
}

struct Nobody;

impl Watcher for Nobody {
    fn saw(&self, _: News) {}
}

fn settings(store: &Path, change: impl FnOnce(&mut Settings)) -> Result<Settings, Failure> {
    let flags = Flags { store: Some(store.to_owned()), ..Flags::default() };
    let mut settings = config::load(&flags, &Places::default(), &BTreeMap::new())?;
    change(&mut settings);
    Ok(settings)
}

async fn add(settings: Settings, job: &Ingest, expected: usize) -> Result<f64, Failure> {
    let lab = Lab::open(settings)?;
    // The schema is there before anything is measured.
    lab.documents.models().await?;
    let begun = Instant::now();
    let report = ingest(&lab, job, &Nobody, &Stop::default()).await?;
    let took = begun.elapsed().as_secs_f64();
    lab.close().await;
    let stored = report.documents + report.records;
    if stored == expected as u64 { Ok(took) } else { Err(format!("{stored} of {expected} stored").into()) }
}

fn job(file: &Path) -> Ingest {
    Ingest::of(Source::File(file.to_owned()))
}

async fn embedded(file: &Path, runs: usize, count: usize) -> Result<(), Failure> {
    let mut taken = Vec::new();
    for _ in 0..runs {
        let folder = tempfile::tempdir()?;
        taken.push(add(settings(&folder.path().join("lab.duckdb"), |_| {})?, &job(file), count).await?);
    }
    say("embedded", count, median(taken));
    Ok(())
}

async fn pgvector(url: &str, file: &Path, runs: usize, count: usize) -> Result<(), Failure> {
    const NAME: &str = "labtop_bench_embed";
    let (client, connection) = Config::from_str(url)?.connect(NoTls).await?;
    tokio::spawn(connection);
    let folder = tempfile::tempdir()?;
    let mut taken = Vec::new();
    for _ in 0..runs {
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")).await?;
        client.batch_execute(&format!("CREATE DATABASE {NAME}")).await?;
        let postgres = config::Postgres { database: NAME.to_owned(), ..config::Postgres::from_url(url)? };
        let settings = settings(&folder.path().join("lab.duckdb"), |settings| {
            settings.postgres = postgres;
            settings.roles.documents = config::TableBackend::Postgres;
        })?;
        taken.push(add(settings, &job(file), count).await?);
    }
    client.batch_execute(&format!("DROP DATABASE {NAME} WITH (FORCE)")).await?;
    say("pgvector", count, median(taken));
    Ok(())
}

async fn chroma(url: &str, file: &Path, runs: usize, texts: &[Text]) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let vectors = folder.path().join("vectors");
    let all: Vec<String> = texts.iter().map(|text| text.text.clone()).collect();
    let made = BuiltIn.embed(&all).await?;
    std::fs::write(
        &vectors,
        made.iter().flatten().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>(),
    )?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let mut name = "labtop-bench-embed".to_owned();
        write!(name, "-{}-{run}", std::process::id())?;
        let store = folder.path().join("lab.duckdb");
        let of_chroma = || {
            settings(&store, |settings| {
                settings.chroma.url = url.to_owned();
                settings.roles.collections = config::CollectionBackend::Chroma;
            })
        };
        let job = Ingest { target: Target::Collections, collection: Some(name.clone()), ..job(file) };
        ours.push(add(of_chroma()?, &job, texts.len()).await?);
        let lab = Lab::open(of_chroma()?)?;
        lab.collections.remove(&name).await?;
        lab.close().await;
        theirs.push(python(url, file, &vectors, &format!("{name}-python"))?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    say("Chroma", texts.len(), ours);
    say("its Python client", texts.len(), theirs);
    println!("{:<20}{:>10.2}", "ratio", theirs / ours);
    Ok(())
}

fn python(url: &str, file: &Path, vectors: &Path, name: &str) -> Result<f64, Failure> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(here.join("benches/embed/chroma_client.py"))
        .args([file, vectors])
        .args([BuiltIn::DIMENSION.to_string().as_str(), name])
        .env("PYTHONPATH", here.join(".deps/bench"))
        .env("CHROMA_URL", url)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn say(what: &str, count: usize, seconds: f64) {
    println!("{what:<20}{:>10.0} a second", count as f64 / seconds);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
