//! `labtop diff`: what differs between experiments.

use serde_json::{Map, Value};

use crate::domain::experiment::ExperimentId;
use crate::domain::table::Table;
use crate::ops::experiment;

use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(required = true, num_args = 2..)]
    ids: Vec<ExperimentId>,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let table = experiment::diff(&session.lab, &args.ids).await?;
    session.output.result(&rows(&table), &table)?;
    Ok(0)
}

/// A table as the array of objects that `--format json` prints.
pub fn rows(table: &Table) -> Vec<Value> {
    table
        .rows
        .iter()
        .map(|row| {
            let pairs = table.columns.iter().cloned().zip(row.iter().cloned());
            Value::Object(pairs.collect::<Map<_, _>>())
        })
        .collect()
}
