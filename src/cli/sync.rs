//! `labtop sync`: what is derived, and what waits, brought in step with what there is.

use serde_json::json;

use crate::domain::table::Table;
use crate::ops::sync::{self, Synced};

use super::output::Format;
use super::{Outcome, Session};

/// What `labtop sync --help` says after the options.
pub const HELP: &str = "\
Compares experiments_performance with every experiment and puts right what differs, then delivers what waits in the outbox. Reports \
follow the experiments by themselves; this is for a table that somebody else wrote to.

Exit code 3 when something still waits because its collection store is down.";

/// What to do about it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what differs and what waits
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub fn changes_something(&self) -> bool {
        !self.dry_run
    }
}

/// Ids that are named, at most.
const NAMED: usize = 10;

pub async fn run(args: Args, session: &Session) -> Outcome {
    let synced = sync::sync(&session.lab, args.dry_run, &session.stop).await?;
    let Synced { differences, delivered } = &synced;
    if session.output.format == Format::Json {
        let found = json!({
            "rows": differences.rows,
            "missing": differences.missing,
            "superfluous": differences.superfluous,
            "changed": differences.changed,
            "repaired": if args.dry_run { 0 } else { differences.total() },
            "delivered": delivered.done,
            "waiting": delivered.left,
        });
        session.output.json(&found)?;
    } else {
        let mut table = Table::new(&["experiments_performance", "rows", "experiments"]);
        let kinds = [
            ("missing", &differences.missing),
            ("superfluous", &differences.superfluous),
            ("changed", &differences.changed),
        ];
        for (name, ids) in kinds {
            let mut some: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
            if ids.len() > NAMED {
                some.push("…".to_owned());
            }
            table.rows.push(vec![name.into(), ids.len().into(), some.join(" ").into()]);
        }
        session.output.result(&json!(null), &table)?;
        let verb = if args.dry_run { "to put right" } else { "put right" };
        session.output.note(&format!(
            "{} of {} performance rows {verb}; {} deliveries made, {} wait",
            differences.total(),
            differences.rows,
            delivered.done,
            delivered.left
        ));
    }
    Ok(if !args.dry_run && delivered.left > 0 { 3 } else { 0 })
}
