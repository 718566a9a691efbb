//! `labtop docs add`: the texts of files, of stdin, or of the command line.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::domain::text::one_line;
use crate::ops::document::{self, Target};
use crate::ops::ingest::{self, Fields, Ingest, Kind, OnError, Report, Source, Split, ingest};

use super::super::error::CliError;
use super::super::meter::Meter;
use super::super::output::Format;
use super::super::{Outcome, Session};
use super::parse_object;

/// What `labtop docs add --help` says after the options.
pub const HELP: &str = "\
A JSONL file has an object a line, CSV and Parquet a row, text files a document a line (or --split). Fields are guessed by their \
names: id (id, document_id, _id), text (text, content, document, description, body), a vector (embedding, vector) with its model \
(model_name, or model beside a vector), metadata; every other field becomes metadata. Rows without an id are called FILE-LINE, those \
of stdin by their text.

Rows are stored lot by lot, a thousand at a time, in the order of the file. What is stored already with the same text and metadata \
is passed over, so that the same command goes on where it broke off (ctrl-c ends it between two lots). A bad row ends it, naming the \
line; with --on-error skip it is passed over and told of.

  labtop docs add notes.txt --split paragraph
  labtop docs add packages.csv --id package --text description --metadata section,priority
  cat reviews.jsonl | labtop docs add - --as jsonl --to both --collection reviews
  labtop docs add --id note-1 --text 'the learning rate was too high' --metadata '{\"topic\": \"training\"}'";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files to read; - for stdin
    #[arg(required_unless_present = "text")]
    files: Vec<PathBuf>,
    /// What they are: jsonl, csv, tsv, parquet, text (by the end of their names when not given; stdin is text)
    #[arg(long = "as", value_name = "KIND", requires = "files")]
    kind: Option<Kind>,
    /// What becomes one document of a text file: line, paragraph, or file
    #[arg(long, value_name = "WHAT", requires = "files", default_value = "line")]
    split: Split,
    /// Where they go: documents, collections (one named after the file), or both
    #[arg(long, default_value = "documents", value_name = "PLACE")]
    to: Target,
    /// The collection they go to, instead of one named after the file
    #[arg(long, value_name = "NAME", requires = "files")]
    collection: Option<String>,
    /// The embedding model: what texts are embedded by (`embed.model` when not given), or whose the vectors of the file are
    #[arg(long, value_name = "NAME", requires = "files")]
    model: Option<String>,
    /// The field that holds the text; without a file the text itself
    #[arg(long, value_name = "FIELD|TEXT")]
    text: Option<String>,
    /// The field that holds the id; without a file the id itself
    #[arg(long, value_name = "FIELD|ID")]
    id: Option<String>,
    /// The fields that become metadata, as in a,b,c (every other one when not given); without a file a JSON object
    #[arg(long, value_name = "FIELDS|JSON")]
    metadata: Option<String>,
    /// What becomes of a bad row: fail, or skip
    #[arg(long, value_name = "WHAT", requires = "files", default_value = "fail")]
    on_error: OnError,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    if args.files.is_empty() {
        return one(args, session).await;
    }
    if args.collection.is_some() && args.to == Target::Documents {
        let problem = "--collection is for --to collections and --to both";
        return Err(CliError::Usage(problem.to_owned()));
    }
    let mut reports = Vec::new();
    for file in &args.files {
        let report = file_of(file, &args, session).await?;
        let stopped = report.stopped;
        reports.push(report);
        if stopped {
            let told = format!(
                "Stopped between two lots; stored up to line {}: {}. The same command goes on from there.",
                reports.last().map_or(0, |report| report.line),
                one_line(&reports.iter().map(ingest::sum).collect::<Vec<_>>().join("; "), 1000)
            );
            session.output.note(&told);
            return Err(CliError::Interrupted);
        }
    }
    conclude(&args, &reports, session)
}

async fn file_of(file: &Path, args: &Args, session: &Session) -> Result<Report, CliError> {
    let source = if file == Path::new("-") { Source::Stdin } else { Source::File(file.to_owned()) };
    let usual = Ingest::of(source);
    let job = Ingest {
        kind: args.kind.unwrap_or(usual.kind),
        split: args.split,
        fields: Fields {
            id: args.id.clone(),
            text: args.text.clone(),
            metadata: args.metadata.as_ref().map(|names| {
                names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
            }),
        },
        target: args.to,
        collection: args.collection.clone(),
        model: args.model.clone(),
        on_error: args.on_error,
        ..usual
    };
    let meter = Meter::new(&session.output);
    let report = ingest(&session.lab, &job, &meter, &session.stop).await;
    meter.finish();
    let report = report?;
    for (line, why) in &report.bad {
        session.output.note(&format!("{}:{line}: {}", job.source.name(), one_line(why, 1000)));
    }
    let unnamed = report.skipped - report.bad.len() as u64;
    if unnamed > 0 {
        session.output.note(&format!("… and {unnamed} more bad rows"));
    }
    Ok(report)
}

/// One document of the command line.
async fn one(args: Args, session: &Session) -> Outcome {
    let (Some(text), Some(id)) = (args.text, args.id) else {
        return Err(CliError::Usage("give a file, or --id and --text".to_owned()));
    };
    if args.to != Target::Documents {
        let problem = "--to is for files; labtop collections add puts records into a collection";
        return Err(CliError::Usage(problem.to_owned()));
    }
    let metadata = args.metadata.map(|json| parse_object(&json)).transpose();
    let metadata = metadata.map_err(|problem| CliError::Usage(format!("--metadata: {problem}")))?;
    let count = document::add_texts(&session.lab, &[(id, text, metadata.unwrap_or_default())]).await?;
    match session.output.format {
        Format::Table => session.output.line(&format!("Stored {count} embeddings"))?,
        _ => session.output.json(&json!({ "stored": count }))?,
    }
    Ok(0)
}

fn conclude(args: &Args, reports: &[Report], session: &Session) -> Outcome {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let (documents, unchanged, skipped) =
        (sum(|report| report.documents), sum(|report| report.unchanged), sum(|report| report.skipped));
    if session.output.format != Format::Table {
        session.output.json(&json!({
            "stored": documents,
            "collection": reports.last().and_then(|report| report.collection.clone()),
            "records": sum(|report| report.records),
            "unchanged": unchanged,
            "skipped": skipped,
            "bad": reports.iter().flat_map(|report| &report.bad).map(bad_row).collect::<Vec<Value>>(),
        }))?;
        return Ok(0);
    }
    for report in reports {
        if let Some(collection) = &report.collection {
            let name = one_line(collection, 600);
            session.output.line(&format!("Added {} documents to {name}", report.records))?;
        }
    }
    if args.to != Target::Collections {
        session.output.line(&format!("Stored {documents} embeddings"))?;
    }
    if unchanged > 0 {
        session.output.note(&format!("{unchanged} unchanged: the same text and metadata were there already"));
    }
    if skipped > 0 {
        let rows = if skipped == 1 { "row" } else { "rows" };
        session.output.note(&format!("{skipped} bad {rows} passed over"));
    }
    Ok(0)
}

fn bad_row((line, why): &(usize, String)) -> Value {
    json!({ "line": line, "why": why })
}
