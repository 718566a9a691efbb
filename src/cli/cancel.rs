//! `labtop cancel`: ends what runs or is queued, wherever it runs.

use crate::domain::experiment::ExperimentId;
use crate::ops::experiment;

use super::{Outcome, Session, ls};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true)]
    ids: Vec<ExperimentId>,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let mut cancelled = Vec::new();
    for &id in &args.ids {
        cancelled.push(experiment::cancel(&session.lab, id).await?);
    }
    session.output.result(&cancelled, &ls::table(&cancelled, &ls::usual_columns()))?;
    Ok(0)
}
