//! `labtop worker`: runs what is queued.

use crate::ops::batch;

use super::error::CliError;
use super::published::Printer;
use super::{Outcome, Session, serve_metrics};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Experiments running at once
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    parallel: u32,
    /// End when nothing is queued any more, instead of waiting for more
    #[arg(long)]
    once: bool,
    /// Serve figures for Prometheus at http://ADDR/metrics, as in 127.0.0.1:9464
    #[arg(long, value_name = "ADDR")]
    metrics_addr: Option<String>,
}

impl Args {
    /// What was said closer to the command holds.
    pub fn with_metrics(self, place: String) -> Self {
        Args { metrics_addr: self.metrics_addr.or(Some(place)), ..self }
    }
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let exporter = serve_metrics(&session.lab, args.metrics_addr.as_deref()).await?;
    if let Some(exporter) = &exporter {
        session.output.note(&format!("metrics are at http://{}/metrics", exporter.address));
    }
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
            changed = changes.changed() => changed.map_err(crate::ops::OpsError::from)?,
            () = session.stop.stopped() => return Err(CliError::Interrupted),
        }
    }
}
