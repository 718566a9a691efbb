//! `labtop batch`: many experiments from one file.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::domain::batch::{Batch, BatchId};
use crate::domain::batch_spec::BatchSpec;
use crate::domain::table::Table;
use crate::domain::text::one_line;
use crate::domain::worker::{Kind, State, Worker};
use crate::ops::OpsError;
use crate::ops::batch::{self, BatchReport, Cancelled};
use crate::ops::commands::Consent;
use crate::ops::worker;

use super::error::CliError;
use super::ls;
use super::output::Format;
use super::published::{self, Printer};
use super::{Outcome, Session};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run a batch file
    Run {
        /// TOML; every key is in config/batches/README.md
        file: PathBuf,
        /// Only list the trials
        #[arg(long)]
        dry_run: bool,
    },
    /// Store a batch for `labtop worker` to run
    Queue {
        /// TOML; every key is in config/batches/README.md
        file: PathBuf,
    },
    /// List batches
    Ls {
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
    /// Show a batch with its experiments
    Show { id: BatchId },
    /// Cancel what is queued, and what runs, wherever it runs
    Cancel { id: BatchId },
    /// Go on where a batch broke off: run what was interrupted and what is queued
    Resume {
        id: BatchId,
        /// Run its command, though others may have put it there
        #[arg(long)]
        allow_command: bool,
    },
    /// Run the failed, cancelled and interrupted experiments again
    Retry {
        id: BatchId,
        /// Run its command, though others may have put it there
        #[arg(long)]
        allow_command: bool,
    },
}

impl Command {
    pub fn changes_something(&self) -> bool {
        match self {
            Command::Run { dry_run, .. } => !dry_run,
            Command::Queue { .. }
            | Command::Cancel { .. }
            | Command::Resume { .. }
            | Command::Retry { .. } => true,
            Command::Ls { .. } | Command::Show { .. } => false,
        }
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Run { file, dry_run } => {
            let spec = read(&file)?;
            if dry_run { preview(&spec, session) } else { launch(&spec, session).await }
        }
        Command::Queue { file } => queue(&read(&file)?, session).await,
        Command::Ls { limit } => {
            session.reap().await;
            list(limit, session).await
        }
        Command::Show { id } => {
            session.reap().await;
            let report = batch::show(&session.lab, id).await?;
            show(&report, session)
        }
        Command::Cancel { id } => {
            let Cancelled { queued, running } = batch::cancel(&session.lab, id).await?;
            let text = format!("Cancelled {queued} queued and {running} running experiments of batch {id}");
            session.output.line(&text)?;
            Ok(0)
        }
        Command::Resume { id, allow_command } => {
            let printer = printer(id, session).await?;
            let consent = Consent::of(allow_command);
            let report = batch::resume(&session.lab, id, consent, &printer, &session.stop).await?;
            printer.finish()?;
            conclude(&report, session)
        }
        Command::Retry { id, allow_command } => {
            let printer = printer(id, session).await?;
            let consent = Consent::of(allow_command);
            let report = batch::retry(&session.lab, id, consent, &printer, &session.stop).await?;
            printer.finish()?;
            conclude(&report, session)
        }
    }
}

async fn printer<'a>(id: BatchId, session: &'a Session) -> Result<Printer<'a>, CliError> {
    let parallel = batch::show(&session.lab, id).await?.batch.parallel;
    Ok(Printer::new(&session.output, parallel > 1))
}

fn read(file: &Path) -> Result<BatchSpec, CliError> {
    Ok(BatchSpec::read(file).map_err(|error| OpsError::Invalid(error.to_string()))?)
}

async fn queue(spec: &BatchSpec, session: &Session) -> Outcome {
    let batch = batch::create(&session.lab, spec).await?;
    if session.output.format == Format::Table {
        let (id, count) = (batch.id, batch.counts.queued);
        session.output.line(&format!("Queued {count} experiments as batch {id}"))?;
        session.output.note(&who_runs(spec, &worker::list(&session.lab).await?));
    } else {
        session.output.json(&batch)?;
    }
    Ok(0)
}

/// Who takes a queued batch, or how to start somebody.
fn who_runs(spec: &BatchSpec, workers: &[Worker]) -> String {
    let fits = |worker: &&Worker| {
        worker.kind == Kind::Worker
            && worker.state == State::Alive
            && worker.runners.contains(&spec.runner)
            && spec.labels.iter().all(|label| worker.labels.contains(label))
    };
    match workers.iter().filter(fits).count() {
        0 => {
            let with = match spec.labels.as_slice() {
                [] => String::new(),
                labels => format!(" with {}", labels.join(", ")),
            };
            if spec.process.is_some() {
                return format!(
                    "It waits: no worker{with} that runs commands is at work. labtop worker runs those that its settings \
                     (worker.commands) allow"
                );
            }
            let flags: String = spec.labels.iter().map(|label| format!(" --label {label}")).collect();
            format!("It waits: no worker{with} is at work. labtop worker{flags} runs what is queued")
        }
        _ if spec.process.is_some() => {
            "It waits for a worker whose own settings (worker.commands) allow its command".to_owned()
        }
        1 => "1 worker takes it".to_owned(),
        count => format!("{count} workers take it"),
    }
}

async fn launch(spec: &BatchSpec, session: &Session) -> Outcome {
    let printer = Printer::new(&session.output, spec.parallel > 1);
    let report = batch::run(&session.lab, spec, &printer, &session.stop).await?;
    printer.finish()?;
    conclude(&report, session)
}

fn preview(spec: &BatchSpec, session: &Session) -> Outcome {
    let trials = spec.trials();
    let mut table = Table::new(&["trial", "model", "seed", "parameters"]);
    for trial in &trials {
        let parameters = Value::Object(trial.parameters.clone());
        table.rows.push(vec![
            trial.index.into(),
            trial.model.clone().into(),
            trial.seed.into(),
            parameters.to_string().into(),
        ]);
    }
    let json: Vec<Value> = trials
        .iter()
        .map(|trial| {
            json!({
                "trial": trial.index, "model": trial.model, "seed": trial.seed, "parameters": trial.parameters
            })
        })
        .collect();
    session.output.result(&json, &table)?;
    session.output.note(&spec.summary());
    Ok(0)
}

async fn list(limit: u64, session: &Session) -> Outcome {
    let batches = batch::list(&session.lab, limit).await?;
    let mut table =
        Table::new(&["id", "name", "queued", "running", "completed", "failed", "cancelled", "created"]);
    for batch in &batches {
        let counts = &batch.counts;
        table.rows.push(vec![
            batch.id.into(),
            batch.name.clone().into(),
            counts.queued.into(),
            counts.running.into(),
            counts.completed.into(),
            (counts.failed + counts.interrupted).into(),
            counts.cancelled.into(),
            batch.created_at.to_string().into(),
        ]);
    }
    session.output.result(&batches, &table)?;
    if batches.is_empty() {
        session.output.note("No batches yet: labtop batch run config/batches/published.toml");
    }
    Ok(0)
}

fn show(report: &BatchReport, session: &Session) -> Outcome {
    if session.output.format == Format::Table {
        session.output.write(&heading(&report.batch))?;
        session.output.write(&published::best(report.best.as_ref()))?;
    }
    print(report, session)?;
    Ok(0)
}

fn heading(batch: &Batch) -> String {
    let counts = &batch.counts;
    let command = BatchSpec::from_json(&batch.spec).ok().and_then(|spec| spec.process);
    let command = command.map(|command| format!("Command: {}\n", one_line(&command.told(), 2000)));
    format!(
        "Batch {}: {}\n{}{} queued, {} running, {} completed, {} failed, {} cancelled, {} interrupted\n",
        batch.id,
        one_line(&batch.name, 200),
        command.unwrap_or_default(),
        counts.queued,
        counts.running,
        counts.completed,
        counts.failed,
        counts.cancelled,
        counts.interrupted
    )
}

/// The published summary, or the whole report; exit code 4 when some failed, 130 when stopped.
fn conclude(report: &BatchReport, session: &Session) -> Outcome {
    if session.output.format == Format::Table {
        session.output.write(&published::summary(&report.experiments))?;
        session.output.write(&published::best(report.best.as_ref()))?;
    } else {
        print(report, session)?;
    }
    let counts = &report.batch.counts;
    let id = report.batch.id;
    if session.stop.is_stopped() {
        session.output.note(&format!(
            "Stopped: {} experiments of batch {id} did not run to their end. labtop batch resume {id} goes on",
            counts.queued + counts.interrupted
        ));
        return Err(CliError::Interrupted);
    }
    if counts.queued > 0 {
        session.output.note(&format!(
            "{} experiments of batch {id} are still queued: this labtop has no runner for them",
            counts.queued
        ));
    }
    Ok(if counts.queued + counts.failed + counts.cancelled + counts.interrupted > 0 { 4 } else { 0 })
}

fn print(report: &BatchReport, session: &Session) -> Result<(), CliError> {
    let json = json!({ "batch": report.batch, "experiments": report.experiments, "best": report.best });
    session.output.result(&json, &ls::table(&report.experiments, &ls::usual_columns()))?;
    Ok(())
}
