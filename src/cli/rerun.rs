//! `labtop rerun`: a new experiment with the parameters and the seed of an old one.

use crate::domain::experiment::ExperimentId;
use crate::ops::experiment;

use super::output::Format;
use super::published::Printer;
use super::{Outcome, Session, ls, run};

#[derive(Debug, clap::Args)]
pub struct Args {
    id: ExperimentId,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let printer = Printer::new(&session.output, false);
    let experiment = [experiment::rerun(&session.lab, args.id, &printer, &session.stop).await?];
    printer.finish()?;
    if session.output.format != Format::Table {
        session.output.result(&experiment, &ls::table(&experiment, &ls::usual_columns()))?;
    }
    Ok(run::exit_code(&experiment))
}
