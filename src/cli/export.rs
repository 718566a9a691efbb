//! `labtop export`: experiments into a file.

use std::path::PathBuf;

use crate::ops::export;

use super::ls::Which;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its ending says the format: .csv, .jsonl or .parquet
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let count = export::to_file(&session.lab, &args.file, &args.which.query(u64::MAX)?).await?;
    session.output.line(&format!("Wrote {count} experiments to {}", args.file.display()))?;
    Ok(0)
}
