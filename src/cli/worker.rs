//! `labtop worker`: runs what is queued.

use crate::ops::{batch, delivery};

use super::error::CliError;
use super::published::Printer;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Experiments running at once
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    parallel: u32,
    /// End when nothing is queued any more, instead of waiting for more
    #[arg(long)]
    once: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    // Also while nothing is queued: others may have left something for a collection store that was down.
    let printer = Printer::new(&session.output, true);
    tokio::select! {
        outcome = take(args, session) => outcome,
        () = delivery::keep_delivering(&session.lab, &printer) => Ok(0),
    }
}

async fn take(args: Args, session: &Session) -> Outcome {
    let mut changes = session.lab.changes();
    loop {
        let printer = Printer::new(&session.output, args.parallel > 1);
        let done = batch::work(&session.lab, args.parallel, &printer, &session.stop).await?;
        printer.finish()?;
        if done > 0 || args.once {
            session.output.note(&format!("{done} experiments ended"));
        }
        if session.stop.is_stopped() {
            return Err(CliError::Interrupted);
        }
        if args.once {
            return Ok(0);
        }
        tokio::select! {
            changed = changes.changed() => {
                changed.map_err(crate::ops::OpsError::from)?;
                delivery::look_again(&session.lab);
            }
            () = session.stop.stopped() => return Err(CliError::Interrupted),
        }
    }
}
