//! `labtop show`: one experiment, whole.

use serde_json::{Map, Value, json};

use crate::domain::csv;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::filter::Field;
use crate::domain::metric::MetricPoint;
use crate::domain::table::Table;
use crate::domain::text::{many_lines, one_line};
use crate::ops::experiment;

use super::output::Format;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    id: ExperimentId,
    /// Also every point of its curves
    #[arg(long)]
    points: bool,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    session.reap().await;
    let detail = experiment::detail(&session.lab, args.id).await?;
    match session.output.format {
        Format::Json => {
            let mut json = json!(detail.experiment);
            if args.points {
                json["points"] = json!(detail.points);
            }
            json["collection"] = detail.collection.into();
            session.output.json(&json)?;
        }
        Format::Csv => session.output.result(&(), &points_table(&detail.points))?,
        Format::Table => {
            session.output.write(&describe(&detail.experiment, &detail.collection))?;
            session.output.write(&curves(&detail.points))?;
            if args.points {
                session.output.result(&(), &points_table(&detail.points))?;
            }
        }
    }
    Ok(0)
}

fn describe(experiment: &Experiment, collection: &str) -> String {
    let badge = if experiment.is_simulated() { " (simulated)" } else { "" };
    let mut text = format!("Experiment {}: {}{badge}\n", experiment.id, one_line(&experiment.name, 500));
    let fields = [
        Field::Status,
        Field::Model,
        Field::Dataset,
        Field::Description,
        Field::Runner,
        Field::Seed,
        Field::Batch,
        Field::Attempt,
        Field::Tag,
        Field::Created,
        Field::Started,
        Field::Finished,
    ];
    for field in fields {
        let value = csv::plain(&experiment.value(&field));
        if !value.is_empty() {
            text.push_str(&format!("  {:<12}{}\n", field.to_string(), one_line(&value, 2000)));
        }
    }
    text.push_str(&format!("  {:<12}{collection}\n", "collection"));
    if let Some(error) = &experiment.error {
        text.push_str(&format!("  {:<12}{}\n", "error", one_line(error, 2000)));
    }
    text.push_str(&object("Parameters", &experiment.parameters));
    text.push_str(&object("Results", &experiment.results));
    if !experiment.note.is_empty() {
        text.push_str(&format!("Note\n{}\n", many_lines(&experiment.note, 100_000)));
    }
    text
}

fn object(title: &str, values: &Map<String, Value>) -> String {
    if values.is_empty() {
        return String::new();
    }
    let lines: String = values
        .iter()
        .map(|(name, value)| format!("  {:<24}{}\n", one_line(name, 200), one_line(&csv::plain(value), 2000)))
        .collect();
    format!("{title}\n{lines}")
}

/// One line a curve: its first, last, lowest and highest value.
fn curves(points: &[MetricPoint]) -> String {
    let mut text = String::new();
    let mut rest = points;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|point| point.name == first.name).count();
        let (curve, others) = rest.split_at(count);
        let values = || curve.iter().map(|point| point.value);
        let last = values().next_back().unwrap_or(f64::NAN);
        text.push_str(&format!(
            "  {:<24}{count} points, first {:.4}, last {last:.4}, min {:.4}, max {:.4}\n",
            one_line(&first.name, 200),
            first.value,
            values().fold(f64::INFINITY, f64::min),
            values().fold(f64::NEG_INFINITY, f64::max),
        ));
        rest = others;
    }
    if text.is_empty() { text } else { format!("Curves\n{text}") }
}

fn points_table(points: &[MetricPoint]) -> Table {
    let mut table = Table::new(&["metric", "step", "value", "recorded_at"]);
    for point in points {
        table.rows.push(vec![
            point.name.clone().into(),
            point.step.into(),
            point.value.into(),
            point.recorded_at.to_string().into(),
        ]);
    }
    table
}
