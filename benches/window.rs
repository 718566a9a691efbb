//! What a window of each order costs PostgreSQL over a million runs: the first one, the next, those after the order is known, the
//! last and one in the middle.
//!
//! Needs `DATABASE_URL`; makes a database `labtop_windows_<runs>` beside the one it names, and keeps it for the next time.
//! `LABTOP_BENCH_RUNS` sets how many runs (1,000,000).

// A benchmark says its figures, and one that cannot go on has failed.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use labtop::config;
use labtop::domain::filter::{Aggregate, Field, Figure, Filter};
use labtop::domain::window::Window;
use labtop::store::experiments::{ExperimentQuery, ExperimentStore, Sort};
use labtop::store::postgres::Pg;
use labtop::store::schema::Schema;
use secrecy::SecretString;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

type Failure = Box<dyn Error>;

/// Long enough for a program to have read an order behind the first window's back.
const PAUSE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let runs = std::env::var("LABTOP_BENCH_RUNS").map_or(Ok(1_000_000), |text| text.parse::<u64>())?;
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL must name a PostgreSQL server")?;
    let mut server = Config::from_str(&url)?;
    let name = format!("labtop_windows_{runs}");
    let client = connect(&server).await?;
    let is_there = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name]).await?.is_some();
    if !is_there {
        let draft = format!("{name}_draft");
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)")).await?;
        client.batch_execute(&format!("CREATE DATABASE {draft}")).await?;
        let begun = Instant::now();
        seed(server.clone().dbname(&draft), runs).await?;
        // The database gets its name when it is whole.
        client.batch_execute(&format!("ALTER DATABASE {draft} RENAME TO {name}")).await?;
        println!("seeded {name} with {runs} runs in {:.1} s\n", begun.elapsed().as_secs_f64());
    }
    let settings = settings(server.dbname(&name))?;
    Pg::new(&settings).migrate(false).await?;
    table(&settings).await
}

async fn connect(server: &Config) -> Result<Client, Failure> {
    let (client, connection) = server.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn settings(server: &Config) -> Result<config::Postgres, Failure> {
    let Some(Host::Tcp(host)) = server.get_hosts().first() else {
        return Err("DATABASE_URL names no host".into());
    };
    Ok(config::Postgres {
        host: host.clone(),
        port: server.get_ports().first().copied().unwrap_or(5432),
        database: server.get_dbname().ok_or("no database")?.to_owned(),
        user: server.get_user().ok_or("DATABASE_URL names no user")?.to_owned(),
        password: SecretString::from(String::from_utf8(server.get_password().unwrap_or_default().to_vec())?),
        pool_size: 4,
        connect_timeout_ms: 5000,
        statement_timeout_ms: 60_000,
        ef_search: 100,
        index_memory_mb: 256,
    })
}

/// labtop makes the tables, plain SQL fills them.
async fn seed(server: &Config, runs: u64) -> Result<(), Failure> {
    Pg::new(&settings(server)?).migrate(false).await?;
    let client = connect(server).await?;
    client.batch_execute(&format!("SET labtop.runs = '{runs}'")).await?;
    client.batch_execute(include_str!("window/seed.sql")).await?;
    for table in ["experiments", "experiment_metrics"] {
        client.batch_execute(&format!("VACUUM ANALYZE ml_schema.{table}")).await?;
    }
    Ok(())
}

/// A window of an order in a program that has just begun, the next one, and those when it has had time to read the order.
async fn table(settings: &config::Postgres) -> Result<(), Failure> {
    let columns = ["first", "next", "last", "known: next", "last", "middle", "around"];
    println!("{:<32}{}", "a window of 120, ms", columns.map(|column| format!("{column:>12}")).concat());
    let slow = Filter::parse("params.learning_rate > 0.01", jiff::Timestamp::UNIX_EPOCH)?;
    let curve = |aggregate| Field::Curve(aggregate, "loss".to_owned());
    for (filter, field, descending) in [
        (None, Field::Id, true),
        (Some(slow.clone()), Field::Id, true),
        (None, Field::Figure(Figure::Accuracy), true),
        (None, Field::Figure(Figure::Accuracy), false),
        (Some(slow), Field::Figure(Figure::Accuracy), true),
        (None, Field::Model, true),
        (None, Field::Model, false),
        (None, Field::Name, true),
        (None, Field::Name, false),
        (None, Field::Status, true),
        (None, Field::Status, false),
        (None, Field::Created, true),
        (None, Field::Runner, true),
        (None, Field::Param("learning_rate".to_owned()), true),
        (None, Field::Param("optimizer".to_owned()), true),
        (None, Field::Metric("loss".to_owned()), true),
        (None, curve(Aggregate::Best), true),
        (None, curve(Aggregate::Last), true),
    ] {
        let name = if filter.is_some() { format!("{field}, by a parameter") } else { field.to_string() };
        let way = if descending { "down" } else { "up" };
        // Nothing is known yet.
        let pg = Pg::new(settings);
        pg.health().await?;
        let sort = Sort { field, descending };
        let mut query = ExperimentQuery { filter, sort, limit: 120, ..ExperimentQuery::default() };
        let (first, page) = window(&pg, &query).await?;
        query.window = page.next().ok_or("no rows")?;
        let (next, second) = window(&pg, &query).await?;
        query.window = Window::Last;
        let (last, _) = window(&pg, &query).await?;
        tokio::time::sleep(PAUSE).await;
        let mut taken = vec![first, next, last];
        let around = Window::Around(second.keys.last().ok_or("no second window")?.clone());
        for part in [second.next().ok_or("no rows")?, Window::Last, Window::At(page.total / 2), around] {
            query.window = part;
            taken.push(window(&pg, &query).await?.0);
        }
        let figures: Vec<String> = taken.iter().map(|ms| format!("{ms:>12.1}")).collect();
        println!("{:<32}{}", format!("{name} {way}"), figures.concat());
    }
    println!("\n{}", resident()?);
    Ok(())
}

/// In milliseconds.
async fn window(
    pg: &Arc<Pg>,
    query: &ExperimentQuery,
) -> Result<(f64, labtop::store::experiments::ExperimentPage), Failure> {
    let begun = Instant::now();
    let page = ExperimentStore::list(&**pg, query).await?;
    Ok((begun.elapsed().as_secs_f64() * 1e3, page))
}

fn resident() -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    Ok(lines.collect::<Vec<_>>().join(", "))
}
