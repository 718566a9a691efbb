//! `labtop outbox`: what waits to be delivered to the collection store.

use crate::domain::outbox::Parcel;
use crate::domain::table::Table;
use crate::domain::text::one_line;
use crate::ops::delivery;

use super::error::CliError;
use super::{Outcome, Session, rm};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List deliveries that wait, and those that were refused
    Ls {
        #[arg(long, default_value_t = 100)]
        limit: u64,
    },
    /// Let refused deliveries wait again, and deliver; all of them when none is named
    Retry { ids: Vec<i64> },
    /// Drop deliveries for good
    Rm {
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Command {
    pub fn changes_something(&self) -> bool {
        !matches!(self, Command::Ls { .. })
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    let (lab, output) = (&session.lab, &session.output);
    match command {
        Command::Ls { limit } => {
            let parcels = delivery::list(lab, limit).await?;
            output.result(&parcels, &table(&parcels))?;
            let state = delivery::state(lab).await?;
            match (state.waiting, state.refused) {
                (0, 0) => output.note("Nothing waits: everything was delivered."),
                (waiting, 0) => output.note(&format!("{waiting} wait until their collection store can be asked.")),
                (waiting, refused) => output.note(&format!(
                    "{waiting} wait and {refused} were refused: `labtop outbox retry` has the refused ones tried again, \
                     `labtop outbox rm ID` drops one."
                )),
            }
        }
        Command::Retry { ids } => {
            let (count, delivered) = delivery::retry(lab, &ids).await?;
            if count == 0 && !ids.is_empty() {
                return Err(CliError::Usage("none of these was refused: `labtop outbox ls`".to_owned()));
            }
            output.line(&format!(
                "{count} wait again; {} delivered, {} left, {} refused",
                delivered.done, delivered.left, delivered.refused
            ))?;
            if delivered.refused > 0 {
                return Ok(1);
            }
        }
        Command::Rm { ids, yes } => {
            if !yes {
                let named: Vec<String> = ids.iter().map(i64::to_string).collect();
                rm::confirm(&format!(
                    "Drop what waits for its collection, for good: {}",
                    one_line(&named.join(", "), 1000)
                ))?;
            }
            let count = delivery::remove(lab, &ids).await?;
            output.line(&format!("Dropped {count} deliveries"))?;
        }
    }
    Ok(0)
}

fn table(parcels: &[Parcel]) -> Table {
    let mut table =
        Table::new(&["id", "state", "collection", "experiment", "records", "tries", "since", "error"]);
    for parcel in parcels {
        let state = if parcel.refused { "refused" } else { "waits" };
        table.rows.push(vec![
            parcel.id.into(),
            state.into(),
            parcel.collection.clone().into(),
            parcel.experiment_id.into(),
            parcel.records.into(),
            parcel.tries.into(),
            parcel.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string().into(),
            parcel.last_error.clone().into(),
        ]);
    }
    table
}
