//! `labtop demo`: the published example's sample data.

use serde_json::json;

use crate::ops::demo;

use super::output::Format;
use super::published::Printer;
use super::{Outcome, Session};

pub async fn run(session: &Session) -> Outcome {
    let printer = Printer::new(&session.output, true);
    let report = demo::load(&session.lab, &printer).await?;
    printer.finish()?;
    if session.output.format != Format::Table {
        session.output.json(&json!({
            "experiment": report.experiment,
            "embeddings": report.embeddings,
            "collection": report.collection,
            "records": report.records,
            "performance": report.performance,
        }))?;
        return Ok(0);
    }
    session.output.write(&format!(
        "Created experiment: {}\nStored {} embeddings\nCreated collection: {}\nAdded {} documents to {}\n\
         Stored {} performance rows\n",
        report.experiment.id,
        report.embeddings,
        report.collection,
        report.records,
        report.collection,
        report.performance,
    ))?;
    session.output.note("Next: `labtop` opens the dashboard, `labtop analytics models` compares the models.");
    Ok(0)
}
