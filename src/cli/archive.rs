//! `labtop archive`: puts experiments out of sight, and takes them back.

use crate::domain::experiment::{Edit, ExperimentId};
use crate::ops::experiment;

use super::{Outcome, Session, ls};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true)]
    ids: Vec<ExperimentId>,
    /// Take them back from the archive
    #[arg(long)]
    undo: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let changed = experiment::edit(&session.lab, &args.ids, &Edit::Archive(!args.undo)).await?;
    session.output.result(&changed, &ls::table(&changed, &ls::usual_columns()))?;
    Ok(0)
}
