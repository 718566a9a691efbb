//! `labtop rm`: deletes experiments for good.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::domain::experiment::ExperimentId;
use crate::domain::text::one_line;
use crate::ops::experiment;

use super::error::CliError;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true)]
    ids: Vec<ExperimentId>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    if !args.yes {
        let mut names = Vec::new();
        for &id in &args.ids {
            let experiment = experiment::detail(&session.lab, id).await?.experiment;
            names.push(format!("  {id}  {}", one_line(&experiment.name, 200)));
        }
        confirm(&format!("Delete for good, with curves and results:\n{}", names.join("\n")))?;
    }
    let count = experiment::remove(&session.lab, &args.ids).await?;
    session.output.line(&format!("Deleted {count} experiments"))?;
    Ok(0)
}

/// Asks on the terminal; where there is none, says how to go on without being asked.
pub fn confirm(what: &str) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "{what}\nnothing was deleted: add --yes to go on without being asked"
        )));
    }
    let mut stderr = io::stderr();
    write!(stderr, "{what}\nType yes to go on: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(CliError::Usage("nothing was deleted".to_owned())) }
}
