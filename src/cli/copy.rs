//! `labtop copy` and `labtop restore`: everything of one profile or backup into another.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::{self, Flags, Places, Settings};
use crate::domain::table::Table;
use crate::ops::transfer::{self, Part, Report, Tally, Wish};
use crate::ops::{Lab, OpsError};

use super::error::CliError;
use super::meter::Meter;
use super::output::Format;
use super::{Global, Outcome, Session};

/// What `labtop copy --help` says after the options.
pub const HELP: &str = "\
Copies experiments with their points, batches and the queue, documents with their vectors, collections with their records, and what \
waits in the outbox: matched by key, lot by lot, and compared at the end. Run twice it changes nothing; broken off it goes on when it \
is run again. Nothing is deleted in the target.

Ids are kept where the target holds nothing else, and made anew otherwise; what names them follows. An experiment that is there \
already keeps its tags, note and archive mark, and what came of it if it went further there; any other that differs is replaced, \
and so is a document or record. Experiments that a worker runs are left out: copy again when they have ended. What is queued is \
queued in both places afterwards: run it in one of them.

Exit code 1 when source and target differ at the end, with what differs.

  labtop copy --from embedded --to servers
  labtop copy --from servers --to-file laptop.duckdb --only experiments";

/// Where from, where to, and what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profile to copy from (the one in force if you name none)
    #[arg(long, value_name = "PROFILE", conflicts_with = "from_file")]
    from: Option<String>,
    /// A backup or another DuckDB file of labtop to copy from
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Profile to copy to (the one in force if you name none)
    #[arg(long, value_name = "PROFILE", conflicts_with = "to_file")]
    to: Option<String>,
    /// A DuckDB file to copy to; made when missing
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    #[command(flatten)]
    what: What,
}

/// What `labtop restore --help` says after the options.
pub const RESTORE_HELP: &str = "\
Everything comes into the profile in force (--profile names another), as with `labtop copy --from-file FILE`: what is there already \
stays. A backup is also a store: labtop --store FILE --read-only looks into it.";

/// Which file, and what of it.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// Written by `labtop backup`
    file: PathBuf,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
struct What {
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
    /// Only these: experiments, documents, collections, outbox
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<Part>,
}

impl Args {
    pub fn changes_something(&self) -> bool {
        !self.what.dry_run
    }
}

impl Restore {
    pub fn changes_something(&self) -> bool {
        !self.what.dry_run
    }
}

pub async fn run(args: Args, session: &Session, global: &Global) -> Outcome {
    let Args { from, from_file, to, to_file, what } = args;
    if from.is_none() && from_file.is_none() && to.is_none() && to_file.is_none() {
        return Err(CliError::Usage("say where to: labtop copy --to servers".to_owned()));
    }
    let source = match from_file {
        Some(file) => backup(&file, global)?,
        None => profile(from, global)?,
    };
    let target = match to_file {
        Some(file) => transfer::on_file(&profile(None, global)?, &file),
        None => profile(to, global)?,
    };
    copy(source, target, what, session).await
}

pub async fn restore(args: Restore, session: &Session, global: &Global) -> Outcome {
    copy(backup(&args.file, global)?, profile(None, global)?, args.what, session).await
}

/// Settings with that profile in force, or the usual one.
fn profile(name: Option<String>, global: &Global) -> Result<Settings, CliError> {
    let flags = Flags {
        config: global.config.clone(),
        profile: name.or_else(|| global.profile.clone()),
        store: global.store.clone(),
        read_only: global.read_only,
    };
    Ok(config::load(&flags, &Places::usual(), &config::variables())?)
}

/// A file that is only read: a backup stays as it is.
fn backup(file: &Path, global: &Global) -> Result<Settings, CliError> {
    if !file.is_file() {
        return Err(OpsError::Invalid(format!("{}: there is no such file", file.display())).into());
    }
    let settings = transfer::on_file(&profile(None, global)?, file);
    Ok(Settings { read_only: true, ..settings })
}

async fn copy(mut source: Settings, mut target: Settings, what: What, session: &Session) -> Outcome {
    let parts = if what.only.is_empty() { Part::ALL.to_vec() } else { what.only };
    let wish = Wish { parts, dry_run: what.dry_run };
    if wish.dry_run {
        // Nothing is made or migrated by looking.
        (source.read_only, target.read_only) = (true, true);
    }
    // One DuckDB file may be in both profiles; it is opened as the target needs it.
    let to = Lab::open(target)?;
    let from = Lab::open_beside(source, &to)?;
    let meter = Meter::new(&session.output);
    let copied = transfer::copy(&from, &to, &wish, &meter, &session.stop).await;
    meter.finish();
    from.close().await;
    to.close().await;
    let report = copied.inspect_err(|error| {
        if matches!(error, OpsError::Cancelled) {
            session.output.note("Broken off between two lots: the same command goes on where it stopped");
        }
    })?;
    conclude(&report, wish.dry_run, session)
}

/// Prints what was found and done; exit code 1 when the sides differ.
pub fn conclude(report: &Report, dry_run: bool, session: &Session) -> Outcome {
    print(report, dry_run, session)?;
    for part in &report.shared {
        session.output.note(&format!("{part}: both profiles keep them in the same place"));
    }
    if report.running > 0 {
        session.output.note(&format!("{} running experiments are left out", report.running));
    }
    if dry_run || report.agrees() {
        return Ok(0);
    }
    let differing: Vec<String> = report.tallies.iter().filter(|tally| !tally.agrees()).map(named).collect();
    Err(CliError::Failed(format!("source and target differ\n{}", differing.join("\n"))))
}

fn named(tally: &Tally) -> String {
    let names = crate::domain::text::one_line(&tally.named.join(", "), 1000);
    format!("{}: {} differ or are missing ({names})", tally.kind, tally.different)
}

fn print(report: &Report, dry_run: bool, session: &Session) -> Result<(), CliError> {
    let mut table = match dry_run {
        true => Table::new(&["kind", "source", "in target", "to copy"]),
        false => Table::new(&["kind", "source", "in target", "copied", "kept", "checksum", "verdict"]),
    };
    for tally in &report.tallies {
        let (source, target) = (tally.source.into(), tally.target.into());
        table.rows.push(match dry_run {
            true => vec![tally.kind.into(), source, target, tally.different.into()],
            false => vec![
                tally.kind.into(),
                source,
                target,
                tally.copied.into(),
                tally.kept.into(),
                checksum(tally),
                if tally.agrees() { "same" } else { "DIFFERS" }.into(),
            ],
        });
    }
    if session.output.format == Format::Json {
        session.output.json(&json!({
            "parts": report.tallies.iter().map(object).collect::<Vec<_>>(),
            "running": report.running,
            "ids_kept": report.kept_ids,
            "agrees": report.agrees(),
        }))?;
    } else {
        session.output.result(&Value::Null, &table)?;
    }
    Ok(())
}

fn checksum(tally: &Tally) -> Value {
    match tally.agrees() {
        true => tally.source_sum.brief().into(),
        false => format!("{} {}", tally.source_sum.brief(), tally.target_sum.brief()).into(),
    }
}

fn object(tally: &Tally) -> Value {
    json!({
        "kind": tally.kind,
        "source": tally.source,
        "target": tally.target,
        "copied": tally.copied,
        "kept": tally.kept,
        "different": tally.different,
        "source_checksum": tally.source_sum.brief(),
        "target_checksum": tally.target_sum.brief(),
        "same": tally.agrees(),
    })
}
