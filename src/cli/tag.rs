//! `labtop tag`: adds tags to an experiment, or takes them away.

use crate::domain::experiment::{Edit, ExperimentId};
use crate::ops::experiment;

use super::{Outcome, Session, ls};

#[derive(Debug, clap::Args)]
pub struct Args {
    id: ExperimentId,
    #[arg(required = true)]
    tags: Vec<String>,
    /// Take these tags away
    #[arg(long)]
    remove: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let edit = if args.remove { Edit::RemoveTags(args.tags) } else { Edit::AddTags(args.tags) };
    let changed = experiment::edit(&session.lab, &[args.id], &edit).await?;
    use crate::domain::filter::Field;
    session.output.result(&changed, &ls::table(&changed, &[Field::Id, Field::Name, Field::Tag]))?;
    Ok(0)
}
