//! `labtop worker`: runs what is queued, and lists who does.

use jiff::Timestamp;

use crate::domain::table::Table;
use crate::domain::worker::{Doing, Kind, NewWorker, State, Worker};
use crate::ops::worker::{self, Offer};

use super::error::CliError;
use super::published::Printer;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Experiments running at once
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    parallel: u32,
    /// What this machine has, beside the setting `worker.labels`: batches that ask for it may be taken
    #[arg(long = "label", value_name = "NAME")]
    labels: Vec<String>,
    /// End when nothing is queued any more, instead of waiting for more
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Command {
    /// List the workers and what each is doing
    Ls,
}

impl Args {
    pub fn changes_something(&self) -> bool {
        self.command.is_none()
    }
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    match args.command {
        Some(Command::Ls) => list(session).await,
        None => work(args, session).await,
    }
}

async fn work(args: Args, session: &Session) -> Outcome {
    let offer = Offer { parallel: args.parallel, labels: args.labels };
    let worker = worker::introduce(&session.lab, &offer)?;
    session.output.note(&greeting(&worker, args.once));
    let printer = Printer::new(&session.output, args.parallel > 1);
    let ended = worker::work(&session.lab, &worker, args.once, &printer, &session.stop).await?;
    printer.finish()?;
    session.output.note(&format!("{ended} experiments ended"));
    if session.stop.is_stopped() { Err(CliError::Interrupted) } else { Ok(0) }
}

fn greeting(worker: &NewWorker, once: bool) -> String {
    let NewWorker { name, parallel, .. } = worker;
    let labels = match worker.labels.as_slice() {
        [] => String::new(),
        labels => format!(" with {}", labels.join(", ")),
    };
    let until = if once { "until nothing is queued" } else { "until it is stopped (ctrl-c)" };
    format!("Worker {name}{labels} runs {parallel} at once, {until}")
}

async fn list(session: &Session) -> Outcome {
    session.reap().await;
    let workers = worker::list(&session.lab).await?;
    let mut table = Table::new(&[
        "name", "kind", "state", "running", "parallel", "labels", "version", "started", "doing",
    ]);
    for worker in &workers {
        table.rows.push(vec![
            worker.name.clone().into(),
            kind(worker.kind).into(),
            worker.state.as_str().into(),
            worker.running.len().into(),
            worker.parallel.into(),
            worker.labels.join(", ").into(),
            worker.version.clone().into(),
            worker.started_at.map(|at: Timestamp| at.to_string()).into(),
            worker.running.iter().map(doing).collect::<Vec<_>>().join(", ").into(),
        ]);
    }
    session.output.result(&workers, &table)?;
    if workers.iter().all(|worker: &Worker| worker.kind == Kind::Session || worker.state == State::Lost) {
        session.output.note("No worker waits for experiments: labtop worker starts one");
    }
    Ok(0)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Worker => "worker",
        Kind::Session => "session",
    }
}

fn doing(run: &Doing) -> String {
    format!("{} {} on {}", run.experiment, run.model, run.dataset)
}
