//! `labtop backup`: everything of the profile in one file.

use std::path::PathBuf;

use crate::ops::{OpsError, transfer};

use super::copy;
use super::meter::Meter;
use super::{Outcome, Session};

/// What `labtop backup --help` says after the options.
pub const HELP: &str = "\
Everything of the profile in force (--profile names another) goes into one DuckDB file: written beside it under another name, \
compared, and renamed when it is whole. `labtop restore FILE` brings it back.

Of experiments in PostgreSQL one state is saved, whatever goes on meanwhile; of everything else, lot by lot, what there is then.";

/// Where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to
    file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let meter = Meter::new(&session.output);
    let made = transfer::backup(&session.lab, &args.file, args.force, &meter, &session.stop).await;
    meter.finish();
    let backup = made.inspect_err(|error| {
        if matches!(error, OpsError::Cancelled) {
            session.output.note("Broken off: no backup was made");
        }
    })?;
    let code = copy::conclude(&backup.report, false, session)?;
    if code == 0 {
        let megabytes = backup.bytes as f64 / 1e6;
        session.output.note(&format!("Wrote {} ({megabytes:.1} MB)", args.file.display()));
    }
    Ok(code)
}
