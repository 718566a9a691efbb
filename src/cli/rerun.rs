//! `labtop rerun`: a new experiment with the parameters and the seed of an old one.

use crate::domain::experiment::ExperimentId;
use crate::ops::commands::Consent;
use crate::ops::experiment;

use super::output::Format;
use super::published::Printer;
use super::{Outcome, Session, ls, run};

#[derive(Debug, clap::Args)]
pub struct Args {
    id: ExperimentId,
    /// Run the command of its batch, though others may have put it there
    #[arg(long)]
    allow_command: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let printer = Printer::new(&session.output, false);
    let consent = Consent::of(args.allow_command);
    let experiment = [experiment::rerun(&session.lab, args.id, consent, &printer, &session.stop).await?];
    printer.finish()?;
    if session.output.format != Format::Table {
        session.output.result(&experiment, &ls::table(&experiment, &ls::usual_columns()))?;
    }
    Ok(run::exit_code(&experiment))
}
