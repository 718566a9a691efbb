//! Ingest: the texts of a file, or of stdin, into documents and collections, lot by lot.
//!
//! A reader thread cuts the source into lots; some are embedded ahead while another is stored. Each lot is stored whole or not at
//! all, in the order of the file, so that whatever ends the work leaves the beginning of the file stored. What is stored already
//! with the same text and metadata is neither embedded nor written again: the same command goes on where it broke off.

mod belongs;
mod csv;
mod fields;
mod lines;
mod prepare;
mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

pub use fields::{Fields, MOST_TEXT};

use super::document::Target;
use super::{Lab, News, OpsError, Result, Stop, Watcher, delivery};
use crate::domain::collection::{Collection, check_name, collection_name};
use crate::store::ErrorKind;
use belongs::Places;
use prepare::{Prepared, Preparer};

/// Lots that are embedded while another is stored.
const EMBED_AHEAD: usize = 3;

/// Bad rows that are kept word for word; the others are counted.
const NAMED: usize = 20;

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    pub source: Source,
    pub kind: Kind,
    /// Of a text file.
    pub split: Split,
    pub fields: Fields,
    pub target: Target,
    /// One named after the file when none.
    pub collection: Option<String>,
    /// What texts without a vector are embedded by; the one in the settings when none. Whose the vectors are that come along.
    pub model: Option<String>,
    pub on_error: OnError,
}

impl Ingest {
    /// A file of the kind that its name tells, into the document store.
    pub fn of(source: Source) -> Self {
        let kind = match &source {
            Source::File(path) => Kind::of(path),
            Source::Stdin => Kind::Text,
        };
        Ingest {
            source,
            kind,
            split: Split::default(),
            fields: Fields::default(),
            target: Target::default(),
            collection: None,
            model: None,
            on_error: OnError::default(),
        }
    }

    fn collection(&self) -> String {
        self.collection.clone().unwrap_or_else(|| match &self.source {
            Source::File(path) => collection_name(&read::stem(path), ""),
            Source::Stdin => collection_name("stdin", ""),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    Stdin,
}

impl Source {
    /// As errors name it.
    pub fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Stdin => "stdin".to_owned(),
        }
    }
}

/// What a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Jsonl,
    Csv,
    Tsv,
    Parquet,
    Text,
}

impl Kind {
    /// By the end of its name; text when that says nothing.
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "jsonl" | "ndjson" => Kind::Jsonl,
            "csv" => Kind::Csv,
            "tsv" => Kind::Tsv,
            "parquet" | "pq" => Kind::Parquet,
            _ => Kind::Text,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "jsonl" => Ok(Kind::Jsonl),
            "csv" => Ok(Kind::Csv),
            "tsv" => Ok(Kind::Tsv),
            "parquet" => Ok(Kind::Parquet),
            "text" => Ok(Kind::Text),
            other => Err(format!("unknown format '{other}' (known: jsonl, csv, tsv, parquet, text)")),
        }
    }
}

/// What becomes one document of a text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    #[default]
    Line,
    /// Lines up to a blank one.
    Paragraph,
    File,
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "line" => Ok(Split::Line),
            "paragraph" => Ok(Split::Paragraph),
            "file" => Ok(Split::File),
            other => Err(format!("unknown way to split '{other}' (known: line, paragraph, file)")),
        }
    }
}

/// What becomes of a row that cannot be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It ends the work; what was before its lot stays stored.
    #[default]
    Fail,
    /// It is passed over and told of.
    Skip,
}

impl FromStr for OnError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fail" => Ok(OnError::Fail),
            "skip" => Ok(OnError::Skip),
            other => Err(format!("unknown '{other}' (known: fail, skip)")),
        }
    }
}

/// What was done of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows that were read, bad ones and unchanged ones as well.
    pub rows: u64,
    /// Put into the document store.
    pub documents: u64,
    /// The collection, where one was asked for.
    pub collection: Option<String>,
    /// Put into that collection.
    pub records: u64,
    /// Were there already, word for word.
    pub unchanged: u64,
    /// Passed over.
    pub skipped: u64,
    /// Line and reason of the first of those.
    pub bad: Vec<(usize, String)>,
    /// It was told to stop before the end.
    pub stopped: bool,
    /// The last line that is stored with all before it.
    pub line: usize,
}

/// Stores what a source holds. `watcher` hears how far it is, `stop` ends it between two lots.
///
/// # Errors
/// The first bad row, with [`OnError::Fail`], and whatever a store or an embedder says; with what had been stored by then.
pub async fn ingest(lab: &Lab, job: &Ingest, watcher: &dyn Watcher, stop: &Stop) -> Result<Report> {
    let mut report = Report::default();
    if job.target != Target::Documents {
        let name = job.collection();
        check_name(&name).map_err(OpsError::Invalid)?;
        report.collection = Some(name);
    }
    let there = there(lab, job).await?;
    let preparer = Arc::new(Preparer::new(lab, job, there.as_ref()));
    let places = Places::of(lab, job, preparer.usual_model(), there.as_ref()).await?;
    let lots = read::start(job, places)?;
    let lots = stream::unfold(lots, |mut lots| async { lots.recv().await.map(|lot| (lot, lots)) });
    let prepared = lots.map(|lot| {
        let preparer = preparer.clone();
        // A task of its own each, so that they go on while one is stored.
        let task = tokio::spawn(async move { preparer.prepare(lot?).await });
        async { task.await.unwrap_or_else(|_| Err(OpsError::Invalid("embedding broke off".to_owned()))) }
    });
    let mut prepared = std::pin::pin!(prepared.buffered(EMBED_AHEAD));
    loop {
        let next = tokio::select! {
            () = stop.stopped() => {
                report.stopped = true;
                return Ok(report);
            }
            next = prepared.next() => next,
        };
        let Some(lot) = next else { return Ok(report) };
        let stored = match lot {
            Ok(lot) => store(lab, job, lot, &mut report).await,
            Err(error) => Err(error),
        };
        let share = stored.map_err(|error| partly(error, job, &report))?;
        watcher.saw(News::Progress {
            what: "documents".to_owned(),
            done: report.rows,
            total: total(&report, share),
        });
    }
}

/// How many rows there may be in all; 0 where nobody knows.
fn total(report: &Report, share: Option<f64>) -> u64 {
    share.filter(|share| *share > 0.0).map_or(0, |share| (report.rows as f64 / share) as u64)
}

/// The collection that is wanted, if it exists.
async fn there(lab: &Lab, job: &Ingest) -> Result<Option<Collection>> {
    if job.target == Target::Documents {
        return Ok(None);
    }
    match lab.collections.get(&job.collection()).await {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Puts a lot where it is wanted; says which share of the source is done with it.
async fn store(lab: &Lab, job: &Ingest, lot: Prepared, report: &mut Report) -> Result<Option<f64>> {
    if !lot.documents.is_empty() {
        report.documents += lab.documents.put(&lot.documents).await?;
    }
    if let (Some(collection), false) = (&report.collection, lot.records.is_empty()) {
        let description = format!("documents of {}", file_name(&job.source));
        delivery::put_records(&*lab.collections, &lot.model, collection, &description, &lot.records).await?;
        report.records += lot.records.len() as u64;
    }
    report.rows += lot.rows;
    report.unchanged += lot.unchanged;
    report.skipped += lot.bad.len() as u64;
    let room = NAMED.saturating_sub(report.bad.len());
    report.bad.extend(lot.bad.into_iter().take(room));
    report.line = report.line.max(lot.last);
    Ok(lot.share)
}

fn file_name(source: &Source) -> String {
    match source {
        Source::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Source::Stdin => "stdin".to_owned(),
    }
}

/// An error with what was stored before it, and how to go on.
fn partly(error: OpsError, job: &Ingest, report: &Report) -> OpsError {
    // Of the first lot, documents may be stored that did not get into the collection any more.
    if report.rows == 0 && report.documents == 0 {
        return error;
    }
    let unit = if job.kind == Kind::Parquet { "row" } else { "line" };
    let mut told = format!(
        "Stored by then, up to {unit} {} of {}: {}. What is stored is passed over when the same command is run again",
        report.line,
        job.source.name(),
        sum(report)
    );
    if job.on_error == OnError::Fail && matches!(error, OpsError::Invalid(_)) {
        told.push_str("; --on-error skip passes over bad ones too");
    }
    OpsError::Partly { error: Box::new(error), told: told + "." }
}

/// As in "2000 documents, 2000 records of notes, 12 unchanged, 1 passed over".
pub fn sum(report: &Report) -> String {
    let mut parts = Vec::new();
    match &report.collection {
        Some(collection) => {
            if report.documents > 0 {
                parts.push(format!("{} documents", report.documents));
            }
            parts.push(format!("{} records of {collection}", report.records));
        }
        None => parts.push(format!("{} documents", report.documents)),
    }
    for (count, what) in [(report.unchanged, "unchanged"), (report.skipped, "passed over")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

/// An error at a place of the source.
fn at(source: &Source, line: usize, why: &str) -> OpsError {
    OpsError::Invalid(format!("{}:{line}: {why}", source.name()))
}
