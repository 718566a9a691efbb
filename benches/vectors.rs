//! Exact search over the embedded file: the matrix in memory beside numpy's product with the ten largest on as many
//! threads, and beside DuckDB's own; what loading it takes of time and memory.
//!
//! Needs what `benches/setup` installs. `PYTHON` names another program, `LABTOP_BENCH_RUNS` how many pairs of runs (3).

// A benchmark says its figures, and one that cannot go on has failed.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use labtop::config;
use labtop::domain::document::{Distance, Document, DocumentQuery, Metadata};
use labtop::store::documents::DocumentStore;
use labtop::store::duckdb::documents::Documents;
use labtop::store::duckdb::engine::Engine;
use labtop::store::duckdb::vectors::{Asked, Keys, Matrix, Measure};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};

type Failure = Box<dyn Error>;

const SHAPES: [(usize, usize); 2] = [(100_000, 384), (10_000, 1536)];
const QUERIES: usize = 100;
const NEAREST: usize = 10;
/// Documents stored at once.
const LOT: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let pairs = std::env::var("LABTOP_BENCH_RUNS").map_or(Ok(3), |text| text.parse::<usize>())?;
    for (count, dimension) in SHAPES {
        println!("\n{count} x {dimension}, the nearest {NEAREST}, {QUERIES} queries, medians in ms");
        let vectors = Vectors::new(count, dimension);
        beside_numpy(&vectors, pairs)?;
        in_the_file(&vectors).await?;
    }
    Ok(())
}

/// Random directions, row by row: what is compared compares all of them, wherever they lie.
struct Vectors {
    count: usize,
    dimension: usize,
    values: Vec<f32>,
}

impl Vectors {
    fn new(count: usize, dimension: usize) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(42);
        let mut values: Vec<f32> =
            (0..(count + QUERIES) * dimension).map(|_| StandardNormal.sample(&mut random)).collect();
        for row in values.chunks_exact_mut(dimension) {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter_mut().for_each(|value| *value /= length);
        }
        Vectors { count, dimension, values }
    }

    fn stored(&self) -> &[f32] {
        &self.values[..self.count * self.dimension]
    }

    fn asked(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension).skip(self.count)
    }
}

fn beside_numpy(vectors: &Vectors, pairs: usize) -> Result<(), Failure> {
    let mut file = tempfile::NamedTempFile::new()?;
    let bytes: Vec<u8> = vectors.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    file.write_all(&bytes)?;
    file.flush()?;
    drop(bytes);
    let keys = Keys::Positions((0..vectors.count as i64).collect());
    let matrix = Matrix::new(vectors.dimension, vectors.stored().to_vec(), keys);
    let raw = std::mem::size_of_val(vectors.stored());
    println!("the matrix takes {:.3} times the vectors", matrix.bytes() as f64 / raw as f64);
    let cosine = Measure::Cosine { without: f64::NAN };
    println!("{:<10}{:>10}{:>10}{:>10}", "threads", "labtop", "numpy", "ratio");
    for threads in [1, 2] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            ours.push(by_matrix(&matrix, vectors, cosine, threads)?);
            theirs.push(by_numpy(file.path(), vectors, threads)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!("{threads:<10}{ours:>10.2}{theirs:>10.2}{:>10.2}", ours / theirs);
    }
    for (name, measure) in [("l2", Measure::L2), ("ip", Measure::Ip { from: 0.0 }), ("l1", Measure::L1)] {
        let taken = by_matrix(&matrix, vectors, measure, 1)?;
        println!("{name}, on one thread {taken:>10.2}");
    }
    Ok(())
}

fn by_matrix(matrix: &Matrix, vectors: &Vectors, measure: Measure, threads: usize) -> Result<f64, Failure> {
    let go_on = AtomicBool::new(false);
    let taken = vectors.asked().map(|query| {
        let asked = Asked { vector: query.to_vec(), measure, limit: NEAREST, rows: None };
        let begun = Instant::now();
        let found = matrix.nearest_with(&asked, &go_on, threads).ok_or("it was stopped")?;
        if found.len() != NEAREST {
            return Err(format!("{} found", found.len()).into());
        }
        Ok(milliseconds(begun))
    });
    Ok(median(taken.collect::<Result<_, Failure>>()?))
}

fn by_numpy(file: &Path, vectors: &Vectors, threads: usize) -> Result<f64, Failure> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()))
        .arg(here.join("benches/vectors/numpy_search.py"))
        .arg(file)
        .args([vectors.count, vectors.dimension, QUERIES].map(|number| number.to_string()))
        .env("PYTHONPATH", here.join(".deps/bench"))
        .env("OPENBLAS_NUM_THREADS", threads.to_string())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{said}benches/setup installs what numpy_search.py needs").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Stores, reopens and searches a file, as the program does.
async fn in_the_file(vectors: &Vectors) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let settings =
        config::DuckDb { path: folder.path().join("vectors.duckdb"), wait_ms: 10_000, idle_ms: 50 };
    let writer = Documents::new(Engine::new(&settings));
    let begun = Instant::now();
    for (lot, values) in vectors.stored().chunks(LOT * vectors.dimension).enumerate() {
        let documents = values.chunks_exact(vectors.dimension).enumerate();
        let documents: Vec<Document> =
            documents.map(|(row, vector)| document(lot * LOT + row, vector)).collect();
        writer.put(&documents).await?;
    }
    println!(
        "stored                  {:>8.0} a second",
        vectors.count as f64 / begun.elapsed().as_secs_f64()
    );
    drop(writer);

    // One that has just begun: its first search is DuckDB's.
    let engine = Engine::new(&settings);
    engine.matrices().limit(0);
    let store = Documents::new(engine);
    let [first, by_duckdb] = searches(&store, vectors, 10).await?;
    println!("by DuckDB               {by_duckdb:>8.1} (the first, which opens the file: {first:.1})");
    drop(store);

    let engine = Engine::new(&settings);
    engine.matrices().be_eager();
    let store = Documents::new(engine.clone());
    store.models().await?;
    let before = resident()?;
    let begun = Instant::now();
    store.search(&question(vectors.asked().next().ok_or("nothing is asked")?)).await?;
    println!("loading and searching   {:>8.1}", milliseconds(begun));
    let raw = std::mem::size_of_val(vectors.stored()) as f64;
    let held = engine.matrices().bytes() as f64 / raw;
    println!(
        "held                    {held:>8.3} times the vectors; resident memory grew by {:.2} times",
        (resident()? - before) / raw
    );
    let [_, from_memory] = searches(&store, vectors, QUERIES).await?;
    println!("from memory, with texts {from_memory:>8.1}");
    Ok(())
}

/// The first one and the median.
async fn searches(store: &Documents, vectors: &Vectors, count: usize) -> Result<[f64; 2], Failure> {
    let mut taken = Vec::new();
    for query in vectors.asked().take(count) {
        let begun = Instant::now();
        let answer = store.search(&question(query)).await?;
        if answer.hits.len() != NEAREST {
            return Err(format!("{} found", answer.hits.len()).into());
        }
        taken.push(milliseconds(begun));
    }
    Ok([*taken.first().ok_or("nothing is asked")?, median(taken)])
}

fn document(number: usize, vector: &[f32]) -> Document {
    Document {
        document_id: format!("d{number}"),
        content: format!("text of document {number}"),
        embedding: vector.to_vec(),
        model_name: "bench".to_owned(),
        metadata: Metadata::from_iter([("kind".to_owned(), (number % 100).into())]),
    }
}

fn question(vector: &[f32]) -> DocumentQuery {
    DocumentQuery {
        model_name: "bench".to_owned(),
        embedding: vector.to_vec(),
        limit: NEAREST,
        distance: Distance::Cosine,
        ..DocumentQuery::default()
    }
}

/// Bytes of this process in memory.
fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
