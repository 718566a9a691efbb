//! What labtop makes of pgvector: storing 10,000 embeddings of 1,536 dimensions beside psycopg 3's binary COPY, and the nearest 10
//! along an HNSW index beside the same statement in psql, with its recall.
//!
//! Needs `DATABASE_URL`, psql, and what `benches/setup` installs; makes a database of its own there, and drops it. `PYTHON`
//! and `PSQL` name other programs, `LABTOP_BENCH_RUNS` how many pairs of runs (5).
//!
//! The vectors are clustered as those of texts are: 1,000 topics, 48 directions that all share, and noise; the nearest neighbour of
//! one lies at a cosine of 0.79 (median). Among evenly random vectors every index looks useless.

// A benchmark says its figures, and one that cannot go on has failed.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use labtop::config;
use labtop::domain::document::{Distance, Document, DocumentQuery, Metadata};
use labtop::domain::index::{NewIndex, Over, Scan};
use labtop::store::documents::{DocumentIndexes, DocumentStore};
use labtop::store::postgres::Pg;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error>;

const COUNT: usize = 10_000;
const QUERIES: usize = 100;
const DIMENSION: usize = 1536;
const NEAREST: usize = 10;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let pairs = std::env::var("LABTOP_BENCH_RUNS").map_or(Ok(5), |text| text.parse::<usize>())?;
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL must name a PostgreSQL server")?;
    let server = Config::from_str(&url)?;
    let settings = settings("labtop_bench_pgvector")?;
    let admin = connect(&server).await?;
    let name = &settings.database;
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    let measured = measure(&settings, &url, pairs).await;
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
    measured
}

async fn measure(settings: &config::Postgres, url: &str, pairs: usize) -> Result<(), Failure> {
    let url =
        format!("{}/{}", url.rsplit_once('/').ok_or("DATABASE_URL names no database")?.0, settings.database);
    let vectors = clustered(COUNT + QUERIES);
    let (stored, asked) = vectors.split_at(COUNT);
    let documents: Vec<Document> = stored.iter().enumerate().map(document).collect();
    let pg = Pg::new(settings);
    storing(&pg, settings, &url, &documents, pairs).await?;

    let begun = Instant::now();
    let over =
        Over::Vectors { distance: Distance::Cosine, m: Over::M, ef_construction: Over::EF_CONSTRUCTION };
    let new = NewIndex { model_name: "bench".to_owned(), over };
    let index = pg.build(&new, &|_| {}, &CancellationToken::new()).await?;
    println!("\nindex built in {:.1} s, {:.0} MB", begun.elapsed().as_secs_f64(), index.bytes as f64 / 1e6);
    searching(&pg, settings, &url, stored, asked).await
}

async fn storing(
    pg: &Arc<Pg>,
    settings: &config::Postgres,
    url: &str,
    documents: &[Document],
    pairs: usize,
) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("vectors");
    let bytes: Vec<u8> = documents
        .iter()
        .flat_map(|document| &document.embedding)
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(&file, bytes)?;
    // The schema and the partition are there before anything is measured.
    DocumentStore::put(&**pg, &documents[..1]).await?;
    let client = connect(&config_of(settings)).await?;
    let mut taken: [Vec<f64>; 3] = Default::default();
    for _ in 0..pairs {
        client.batch_execute("TRUNCATE ml_schema.document_embeddings; CHECKPOINT").await?;
        let begun = Instant::now();
        DocumentStore::put(&**pg, documents).await?;
        taken[0].push(begun.elapsed().as_secs_f64());
        client.batch_execute("CHECKPOINT").await?;
        taken[1].push(psycopg(&file, url)?);
        client.batch_execute("CHECKPOINT").await?;
        let begun = Instant::now();
        DocumentStore::put(&**pg, documents).await?;
        taken[2].push(begun.elapsed().as_secs_f64());
    }
    let [ours, theirs, again] = taken.map(median);
    let rate = |seconds: f64| COUNT as f64 / seconds;
    println!("{COUNT} embeddings of {DIMENSION} dimensions, medians of {pairs} paired runs");
    println!("labtop, new            {:>8.0} a second", rate(ours));
    println!("psycopg 3, binary COPY {:>8.0} a second", rate(theirs));
    println!("labtop, replacing      {:>8.0} a second", rate(again));
    println!("labtop / psycopg 3     {:>8.2}", theirs / ours);
    Ok(())
}

async fn searching(
    pg: &Arc<Pg>,
    settings: &config::Postgres,
    url: &str,
    stored: &[Vec<f32>],
    asked: &[Vec<f32>],
) -> Result<(), Failure> {
    let client = connect(&config_of(settings)).await?;
    client.batch_execute("VACUUM ANALYZE ml_schema.document_embeddings").await?;
    let truth: Vec<Vec<String>> = asked.iter().map(|query| nearest(stored, query)).collect();
    println!("\nnearest {NEAREST} of {COUNT}, {QUERIES} queries, three rounds");
    println!("{:<12}{:>10}{:>14}{:>12}{:>10}", "ef_search", "recall", "labtop ms", "psql ms", "more");
    for ef_search in [40, 100, 200] {
        let (mut ours, mut theirs, mut found) = (Vec::new(), Vec::new(), 0);
        for _ in 0..3 {
            theirs.extend(psql(url, asked, ef_search)?);
            for (query, truth) in asked.iter().zip(&truth) {
                let query = DocumentQuery { ef_search: Some(ef_search), ..question(query) };
                let begun = Instant::now();
                let answer = DocumentStore::search(&**pg, &query).await?;
                ours.push(begun.elapsed().as_secs_f64() * 1e3);
                if answer.scan != (Scan::Index { ef_search }) {
                    return Err(format!("not along the index: {}", answer.scan).into());
                }
                found += answer.hits.iter().filter(|hit| truth.contains(&hit.document_id)).count();
            }
        }
        let recall = found as f64 / (3 * QUERIES * NEAREST) as f64;
        let (ours, theirs) = (median(ours), median(theirs));
        println!("{ef_search:<12}{recall:>10.4}{ours:>14.2}{theirs:>12.2}{:>10.2}", ours - theirs);
    }
    let mut exact = Vec::new();
    for query in asked {
        let begun = Instant::now();
        DocumentStore::search(&**pg, &DocumentQuery { exact: true, ..question(query) }).await?;
        exact.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!("{:<12}{:>10}{:>14.2}", "exact", "1.0000", median(exact));
    Ok(())
}

/// The statement that goes along the index, as psql times it.
fn psql(url: &str, asked: &[Vec<f32>], ef_search: u32) -> Result<Vec<f64>, Failure> {
    let mut script = "\\pset pager off\n\\o /dev/null\n".to_owned();
    for query in asked {
        let numbers: Vec<String> = query.iter().map(f32::to_string).collect();
        writeln!(
            script,
            "\\timing off\nBEGIN; SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL hnsw.iterative_scan = strict_order;\n\\timing on\n\
             SELECT document_id, content, metadata, (embedding::vector({DIMENSION})) <=> '[{0}]'::vector({DIMENSION}) AS distance \
             FROM ml_schema.document_embeddings WHERE model_name = 'bench' \
             ORDER BY (embedding::vector({DIMENSION})) <=> '[{0}]'::vector({DIMENSION}) LIMIT {NEAREST};\n\\timing off\nCOMMIT;",
            numbers.join(",")
        )?;
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("search.sql");
    std::fs::write(&file, script)?;
    let program = std::env::var("PSQL").unwrap_or_else(|_| "psql".to_owned());
    let output = Command::new(program)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&file)
        .arg(url)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let said = String::from_utf8(output.stdout)?;
    let times =
        said.lines().filter_map(|line| line.strip_prefix("Time: ")?.split_whitespace().next()?.parse().ok());
    let times: Vec<f64> = times.collect();
    if times.len() == asked.len() {
        Ok(times)
    } else {
        Err(format!("psql told {} times", times.len()).into())
    }
}

fn psycopg(file: &Path, url: &str) -> Result<f64, Failure> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(here.join("benches/pgvector/psycopg_copy.py"))
        .arg(file)
        .args([COUNT.to_string(), DIMENSION.to_string()])
        .env("PYTHONPATH", here.join(".deps/bench"))
        .env("DATABASE_URL", url)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{said}benches/setup installs what psycopg_copy.py needs").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn question(query: &[f32]) -> DocumentQuery {
    DocumentQuery {
        model_name: "bench".to_owned(),
        embedding: query.to_vec(),
        limit: NEAREST,
        ..DocumentQuery::default()
    }
}

fn document((number, embedding): (usize, &Vec<f32>)) -> Document {
    Document {
        document_id: format!("d{number}"),
        content: format!("text of document {number}"),
        embedding: embedding.clone(),
        model_name: "bench".to_owned(),
        metadata: Metadata::from_iter([
            ("number".to_owned(), number.into()),
            ("kind".to_owned(), (number % 100).into()),
        ]),
    }
}

fn clustered(count: usize) -> Vec<Vec<f32>> {
    let mut random = ChaCha12Rng::seed_from_u64(42);
    let topics: Vec<Vec<f32>> = (0..1000).map(|_| direction(&mut random)).collect();
    let shared: Vec<Vec<f32>> = (0..48).map(|_| direction(&mut random)).collect();
    let vector = |_| {
        let mut vector = topics[random.random_range(0..topics.len())].clone();
        for along in &shared {
            let share: f32 = StandardNormal.sample(&mut random);
            add(&mut vector, along, share * 0.5 / 48f32.sqrt());
        }
        let noise: Vec<f32> = (0..DIMENSION).map(|_| StandardNormal.sample(&mut random)).collect();
        add(&mut vector, &noise, 0.3 / (DIMENSION as f32).sqrt());
        normalised(vector)
    };
    (0..count).map(vector).collect()
}

fn direction(random: &mut impl Rng) -> Vec<f32> {
    normalised((0..DIMENSION).map(|_| StandardNormal.sample(random)).collect())
}

fn add(vector: &mut [f32], other: &[f32], share: f32) {
    vector.iter_mut().zip(other).for_each(|(value, other)| *value += other * share);
}

fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// By comparing all of them here.
fn nearest(stored: &[Vec<f32>], query: &[f32]) -> Vec<String> {
    let mut all: Vec<(f32, usize)> =
        stored.iter().enumerate().map(|(number, vector)| (dot(vector, query), number)).collect();
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    all.iter().take(NEAREST).map(|(_, number)| format!("d{number}")).collect()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn connect(server: &Config) -> Result<Client, Failure> {
    let (client, connection) = server.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn config_of(settings: &config::Postgres) -> Config {
    use secrecy::ExposeSecret;
    let mut config = Config::new();
    config.host(&settings.host).port(settings.port).dbname(&settings.database).user(&settings.user);
    config.password(settings.password.expose_secret());
    config
}

fn settings(database: &str) -> Result<config::Postgres, Failure> {
    let known = config::Postgres::from_url(&std::env::var("DATABASE_URL")?)?;
    let database = database.to_owned();
    Ok(config::Postgres {
        database,
        pool_size: 4,
        statement_timeout_ms: 60_000,
        index_memory_mb: 1024,
        ..known
    })
}
