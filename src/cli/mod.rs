//! The command line: the headless half of labtop, one subcommand per file.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Flags, Places, Settings, load, variables};
use crate::exporter::Exporter;
use crate::ops::lab::LONG_PATIENCE;
use crate::ops::metrics::Metrics;
use crate::ops::{Lab, Stop, reaper};
use crate::telemetry;

mod analytics;
mod archive;
mod backup;
mod batch;
mod cancel;
mod collections;
mod completions;
mod config;
mod copy;
mod dashboard;
mod demo;
mod diff;
mod docs;
mod doctor;
mod error;
mod export;
mod index;
mod keys;
mod ls;
mod meter;
mod note;
mod outbox;
mod output;
mod published;
mod render;
mod rerun;
mod rm;
mod run;
mod schema;
mod show;
mod sync;
mod tag;
mod worker;

use error::CliError;
use output::{Format, Output};

/// What a subcommand gives back: an exit code, or an error with its own.
type Outcome = Result<u8, CliError>;

/// A terminal cockpit for machine-learning experiments and the databases they live in.
///
/// Without a command it opens the dashboard. Exit codes: 0 done, 1 failed, 2 bad input or usage, 3 a backend is
/// unavailable, 4 some experiments of a batch failed, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "labtop", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    /// Serve figures for Prometheus at http://ADDR/metrics while the dashboard (or `labtop worker`) runs
    #[arg(long, value_name = "ADDR")]
    metrics_addr: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Global {
    /// A settings file, laid over the user's and the project's
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where things are kept: embedded (one DuckDB file), servers (PostgreSQL and Chroma), or one of your own
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// The DuckDB file
    #[arg(long, global = true, value_name = "FILE")]
    store: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    /// Look only: nothing is written, migrated, run or created (but a file that you name for output)
    #[arg(long, global = true)]
    read_only: bool,
    /// No progress and no messages on stderr, errors aside
    #[arg(long, short, global = true)]
    quiet: bool,
    /// No colours (also NO_COLOR)
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load the published example's sample data; loading it again changes nothing
    Demo,
    /// Run one experiment
    Run(run::Args),
    /// Run many experiments from one file
    #[command(subcommand)]
    Batch(batch::Command),
    /// Run what is queued, or list who does
    ///
    /// Takes what is queued in any batch, as far as it has the runner and the labels for it. What a worker that died had in
    /// hand is queued again by the others: at once on the same machine, after 20 seconds of silence elsewhere, up to three
    /// tries in all; `batch resume` tries it once more. What runs when it is stopped is queued again.
    Worker(worker::Args),
    /// List experiments
    Ls(ls::Args),
    /// Show one experiment
    Show(show::Args),
    /// Compare experiments: what differs
    Diff(diff::Args),
    /// Add or remove tags
    Tag(tag::Args),
    /// Run a new experiment with the parameters and the seed of an old one
    Rerun(rerun::Args),
    /// End what runs or is queued, wherever it runs
    Cancel(cancel::Args),
    /// Put experiments out of sight; they stay in the store
    Archive(archive::Args),
    /// Write the note of an experiment, in $EDITOR or from stdin
    Note(note::Args),
    /// Delete experiments
    Rm(rm::Args),
    /// Documents and similarity search
    #[command(subcommand)]
    Docs(docs::Command),
    /// Collections and their records
    Collections(collections::Args),
    /// What waits to be delivered to the collection store
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// Reports and SQL on the results
    #[command(subcommand)]
    Analytics(analytics::Command),
    /// Write experiments to a .csv, .jsonl or .parquet file
    Export(export::Args),
    /// Copy everything from one profile into another, such as from the embedded file to the servers
    #[command(after_long_help = copy::HELP)]
    Copy(copy::Args),
    /// Write everything to one file
    #[command(after_long_help = backup::HELP)]
    Backup(backup::Args),
    /// Bring everything of a backup back
    #[command(after_long_help = copy::RESTORE_HELP)]
    Restore(copy::Restore),
    /// Bring the reports in step with the experiments, and deliver what waits
    #[command(after_long_help = sync::HELP)]
    Sync(sync::Args),
    /// Check every backend, and what is labtop's own, and say what to do about what is wrong
    Doctor,
    /// The settings in force
    #[command(subcommand)]
    Config(config::Command),
    /// Prepare the databases, taking over tables that the published example made, and make the database in Chroma
    Init,
    /// Apply what is missing of the schema
    Migrate,
    /// List the dashboard's keys
    Keys,
    /// Draw a screen of the dashboard to a file or to stdout
    Render(render::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

impl Command {
    /// Commands that `--read-only` refuses.
    fn changes_something(&self) -> bool {
        match self {
            Command::Demo | Command::Run(_) | Command::Tag(_) | Command::Rm(_) => true,
            Command::Rerun(_) | Command::Cancel(_) | Command::Archive(_) | Command::Note(_) => true,
            Command::Init | Command::Migrate => true,
            Command::Copy(args) => args.changes_something(),
            Command::Restore(args) => args.changes_something(),
            Command::Sync(args) => args.changes_something(),
            Command::Batch(command) => command.changes_something(),
            Command::Worker(args) => args.changes_something(),
            Command::Docs(command) => command.changes_something(),
            Command::Collections(args) => args.changes_something(),
            Command::Outbox(command) => command.changes_something(),
            Command::Ls(_) | Command::Show(_) | Command::Diff(_) | Command::Analytics(_) => false,
            Command::Export(_) | Command::Backup(_) | Command::Doctor | Command::Config(_) => false,
            Command::Keys => false,
            Command::Render(_) | Command::Completions(_) => false,
        }
    }

    /// Commands that stop by themselves, and tidily, once they are told to.
    fn stops_when_told(&self) -> bool {
        match self {
            Command::Run(_) | Command::Rerun(_) | Command::Batch(_) | Command::Worker(_) => true,
            Command::Copy(_) | Command::Backup(_) | Command::Restore(_) | Command::Sync(_) => true,
            Command::Docs(command) => command.stops_when_told(),
            _ => false,
        }
    }
}

/// What a subcommand works with.
struct Session {
    lab: Arc<Lab>,
    output: Output,
    /// Fires at the first ctrl-c.
    stop: Stop,
}

impl Session {
    /// Marks what died on this machine, so that nothing is shown as running that does not. Whoever only looks is not
    /// kept from it when this fails.
    async fn reap(&self) {
        if self.lab.settings.read_only {
            return;
        }
        if let Err(error) = reaper::reap(&self.lab).await {
            tracing::debug!("runs of dead processes: {error}");
        }
    }
}

/// The whole program: parses the arguments, runs, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match start(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when stderr is closed as well.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help and version go to stdout and are a success; usage errors go to stderr.
fn usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { 2 } else { 0 };
    match error.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::from(code),
    }
}

fn start(cli: Cli) -> Outcome {
    let output = Output::new(cli.global.format, cli.global.quiet);
    // These need neither settings nor a runtime, and work where the settings are broken.
    if let Some(Command::Completions(args)) = &cli.command {
        return completions::run(args, &output);
    }
    if let Some(Command::Config(command)) = &cli.command {
        return config::run(command, &flags(&cli.global), &output);
    }
    let settings = match settings(&cli.global) {
        Err(CliError::Config(error)) if matches!(cli.command, Some(Command::Doctor)) => {
            return doctor::without_settings(&error, &output);
        }
        settings => settings?,
    };
    if cli.command.is_some() {
        telemetry::to_stderr(&settings.log, cli.global.quiet)?;
    }
    if settings.read_only && cli.command.as_ref().is_some_and(Command::changes_something) {
        let problem =
            "read-only: this command changes things; leave out --read-only (`read_only` in the settings)";
        return Err(CliError::Usage(problem.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let code = runtime.block_on(interruptible(cli, settings, output));
    // A write that has begun is carried out by its own thread; nothing else is worth waiting for.
    runtime.shutdown_background();
    code
}

fn settings(global: &Global) -> Result<Settings, CliError> {
    Ok(load(&flags(global), &Places::usual(), &variables())?)
}

fn flags(global: &Global) -> Flags {
    Flags {
        config: global.config.clone(),
        profile: global.profile.clone(),
        store: global.store.clone(),
        read_only: global.read_only,
    }
}

/// Serves figures, if the flag or the settings name a place for that; until what is given back is dropped.
async fn serve_metrics(lab: &Arc<Lab>, flag: Option<&str>) -> Result<Option<Exporter>, CliError> {
    let place = flag.unwrap_or(&lab.settings.metrics.addr).trim();
    if place.is_empty() {
        return Ok(None);
    }
    let started = Exporter::start(place, Metrics::new(lab.clone())).await;
    let exporter = started.map_err(|error| CliError::Usage(error.to_string()))?;
    tracing::info!("metrics are at http://{}/metrics", exporter.address);
    Ok(Some(exporter))
}

/// Runs the command. The first ctrl-c stops it, tidily where it can; the second one at once.
async fn interruptible(cli: Cli, settings: Settings, output: Output) -> Outcome {
    let Some(command) = cli.command else {
        return dashboard::run(settings, &cli.global, cli.metrics_addr.as_deref()).await;
    };
    let tidy = command.stops_when_told();
    let command = with_metrics(command, cli.metrics_addr)?;
    let mut lab = Lab::open(settings)?;
    if let Command::Worker(_) = command {
        lab.patience = LONG_PATIENCE;
    }
    if let Command::Collections(args) = &command
        && let Some(database) = args.elsewhere(&lab)
    {
        lab = lab.at(&database)?;
    }
    let session = Session { lab: Arc::new(lab), output, stop: Stop::default() };
    let code = until_told_to_end(dispatch(command, &session, &cli.global), &session.stop, tidy).await;
    session.lab.close().await;
    code
}

/// The flag before the command means the same as after it, where there is something to serve.
fn with_metrics(command: Command, flag: Option<String>) -> Result<Command, CliError> {
    match (command, flag) {
        (Command::Worker(args), Some(place)) => Ok(Command::Worker(args.with_metrics(place))),
        (command, None) => Ok(command),
        _ => Err(CliError::Usage("--metrics-addr is for the dashboard and for `labtop worker`".to_owned())),
    }
}

async fn until_told_to_end(work: impl Future<Output = Outcome>, stop: &Stop, tidy: bool) -> Outcome {
    tokio::pin!(work);
    tokio::select! {
        code = &mut work => return code,
        signal = told_to_end() => signal?,
    }
    stop.leave();
    if !tidy {
        return Err(CliError::Interrupted);
    }
    tokio::select! {
        code = work => code,
        signal = told_to_end() => {
            signal?;
            Err(CliError::Interrupted)
        }
    }
}

/// Returns at ctrl-c, and when somebody else asks the process to end.
async fn told_to_end() -> io::Result<()> {
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

async fn dispatch(command: Command, session: &Session, global: &Global) -> Outcome {
    match command {
        Command::Demo => demo::run(session).await,
        Command::Run(args) => run::run(args, session).await,
        Command::Batch(command) => batch::run(command, session).await,
        Command::Worker(args) => worker::run(args, session).await,
        Command::Ls(args) => ls::run(args, session).await,
        Command::Show(args) => show::run(args, session).await,
        Command::Diff(args) => diff::run(args, session).await,
        Command::Tag(args) => tag::run(args, session).await,
        Command::Rerun(args) => rerun::run(args, session).await,
        Command::Cancel(args) => cancel::run(args, session).await,
        Command::Archive(args) => archive::run(args, session).await,
        Command::Note(args) => note::run(args, session).await,
        Command::Rm(args) => rm::run(args, session).await,
        Command::Docs(command) => docs::run(command, session).await,
        Command::Collections(args) => collections::run(args, session).await,
        Command::Outbox(command) => outbox::run(command, session).await,
        Command::Analytics(command) => analytics::run(command, session).await,
        Command::Export(args) => export::run(args, session).await,
        Command::Copy(args) => copy::run(args, session, global).await,
        Command::Backup(args) => backup::run(args, session).await,
        Command::Restore(args) => copy::restore(args, session, global).await,
        Command::Sync(args) => sync::run(args, session).await,
        Command::Doctor => doctor::run(session, global).await,
        Command::Config(command) => config::run(&command, &flags(global), &session.output),
        Command::Init => schema::init(session).await,
        Command::Migrate => schema::migrate(session).await,
        Command::Keys => keys::run(session),
        Command::Render(args) => render::run(args, session, global).await,
        Command::Completions(args) => completions::run(&args, &session.output),
    }
}
