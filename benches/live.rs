//! From a recorded metric point to the dashboard's ear: in the process that runs it, and from another on PostgreSQL.
//!
//! Prints percentiles. The second table needs `DATABASE_URL` and `CHROMA_URL`. Drawing adds at most one frame, 16 ms.

// A benchmark says its figures.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use labtop::config::{self, Flags, Places, Settings, Variables};
use labtop::ops::Stop;
use labtop::ops::experiment::{RunRequest, run};
use labtop::ops::news::Nobody;
use labtop::ops::{Lab, experiment};
use labtop::store::experiments::ExperimentQuery;
use labtop::worker;
use labtop::worker::protocol::{Command, Event, JobState, Read, Request, RunForm, Slot, Ticket, Write};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let settings = |profile: &str, file: &str| -> Result<Settings, Failure> {
        let flags = Flags {
            profile: Some(profile.to_owned()),
            store: Some(folder.path().join(file)),
            ..Flags::default()
        };
        let mut variables: Variables = config::variables();
        variables.insert("LABTOP__SIMULATE__STEPS".to_owned(), "200".to_owned());
        variables.insert("LABTOP__SIMULATE__DELAY_MS".to_owned(), "20".to_owned());
        Ok(config::load(&flags, &Places::default(), &variables)?)
    };
    report("same process, embedded", runtime.block_on(own(settings("embedded", "own.duckdb")?))?);
    if std::env::var_os("DATABASE_URL").is_some() {
        report("same process, servers", runtime.block_on(own(settings("servers", "a.duckdb")?))?);
        let (here, there) = (settings("servers", "b.duckdb")?, settings("servers", "c.duckdb")?);
        report("another process, PostgreSQL", runtime.block_on(other(here, there))?);
    }
    Ok(())
}

fn report(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let at =
        |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or_default().as_millis();
    println!(
        "{what:<28} points {:>4}  p50 {:>4} ms  p95 {:>4} ms  p99 {:>4} ms",
        latencies.len(),
        at(50),
        at(95),
        at(99)
    );
}

fn ages(event: &Event, latencies: &mut Vec<Duration>) {
    if let Event::Points { points, .. } = event {
        let now = Timestamp::now();
        latencies.extend(points.iter().filter_map(|point| Duration::try_from(now - point.recorded_at).ok()));
    }
}

/// A run that the dashboard started itself.
async fn own(settings: Settings) -> Result<Vec<Duration>, Failure> {
    let mut worker = worker::start(Arc::new(Lab::open(settings)?), None);
    let form =
        RunForm { model: "XGBoost".to_owned(), dataset: "bench".to_owned(), repeat: 1, ..RunForm::default() };
    let command = Command::Write(Write::StartRun(form));
    worker.requests.send(Request { ticket: Ticket(1), command }).await?;
    let mut latencies = Vec::new();
    while let Some(event) = worker.events.recv().await {
        ages(&event, &mut latencies);
        if matches!(&event, Event::Job(job) if job.state == JobState::Completed) {
            break;
        }
    }
    Ok(latencies)
}

/// A run of somebody else that is on screen.
async fn other(here: Settings, there: Settings) -> Result<Vec<Duration>, Failure> {
    let lab = Arc::new(Lab::open(here)?);
    let mut worker = worker::start(lab.clone(), None);
    let running = tokio::spawn(async move {
        let lab = Lab::open(there)?;
        let request =
            RunRequest { model: "A".to_owned(), dataset: "bench".to_owned(), ..RunRequest::default() };
        run(&lab, &request, &Nobody, &Stop::default()).await
    });
    let id = loop {
        let newest =
            experiment::list(&lab, &ExperimentQuery { limit: 1, ..ExperimentQuery::default() }).await?;
        match newest.rows.first() {
            Some(run)
                if run.dataset == "bench" && run.status == labtop::domain::experiment::Status::Running =>
            {
                break run.id;
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let command = Command::Read(Slot::Detail, Read::Detail(id));
    worker.requests.send(Request { ticket: Ticket(1), command }).await?;
    let mut latencies = Vec::new();
    while let Some(event) = worker.events.recv().await {
        ages(&event, &mut latencies);
        if matches!(&event, Event::Experiment(run) if run.id == id && run.status.is_final()) {
            break;
        }
    }
    running.await??;
    Ok(latencies)
}
