//! `labtop docs`: documents with embeddings, and what is near what.

mod add;
mod search;
mod show;

use std::path::Path;

use crate::domain::document::{DocumentHit, Metadata};
use crate::domain::metadata_filter::MetadataFilter;
use crate::domain::table::Table;
use crate::ops::document;

use super::error::CliError;
use super::{Outcome, Session, index};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Store documents: from files or stdin (JSONL, CSV, Parquet, text), or one from the command line
    #[command(after_long_help = add::HELP)]
    Add(add::Args),
    /// List documents
    Ls {
        /// Only those embedded by this model
        #[arg(long)]
        model: Option<String>,
        #[arg(long, default_value_t = 0)]
        offset: u64,
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
    /// Show one document whole
    Get {
        id: String,
        /// Only under this embedding model
        #[arg(long)]
        model: Option<String>,
        /// With its vector
        #[arg(long)]
        embedding: bool,
    },
    /// Delete documents by id, by model, by metadata; of what is given, all must fit
    Rm(show::RmArgs),
    /// Find the documents nearest to a text, a document, or a vector
    Search(search::Args),
    /// What there is of each embedding model: documents, dimension, size, indexes
    Stats,
    /// Indexes that searches go along; none is ever built but by `create`
    #[command(subcommand)]
    Index(index::Command),
}

impl Command {
    pub fn changes_something(&self) -> bool {
        match self {
            Command::Add(_) | Command::Rm(_) => true,
            Command::Index(command) => command.changes_something(),
            Command::Ls { .. } | Command::Get { .. } | Command::Search(_) | Command::Stats => false,
        }
    }

    /// Stops tidily once told to.
    pub fn stops_when_told(&self) -> bool {
        matches!(self, Command::Index(_) | Command::Add(_))
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Add(args) => add::run(args, session).await,
        Command::Ls { model, offset, limit } => list(model.as_deref(), offset, limit, session).await,
        Command::Get { id, model, embedding } => show::get(&id, model.as_deref(), embedding, session).await,
        Command::Rm(args) => show::remove(args, session).await,
        Command::Search(args) => search::run(args, session).await,
        Command::Stats => show::stats(session).await,
        Command::Index(command) => index::run(command, session).await,
    }
}

async fn list(model: Option<&str>, offset: u64, limit: u64, session: &Session) -> Outcome {
    let documents = document::list(&session.lab, model, offset, limit).await?;
    session.output.result(&documents, &table(&documents, false))?;
    if documents.is_empty() {
        session
            .output
            .note("No documents: labtop docs add FILE stores some, labtop demo the published ones.");
    }
    Ok(0)
}

fn table(hits: &[DocumentHit], with_distance: bool) -> Table {
    let mut table = Table::new(&["document_id", "model_name", "content", "metadata"]);
    if with_distance {
        table.columns.insert(1, "distance".to_owned());
    }
    for hit in hits {
        let mut row = vec![
            hit.document_id.clone().into(),
            hit.model_name.clone().into(),
            hit.content.clone().into(),
            serde_json::Value::Object(hit.metadata.clone()).to_string().into(),
        ];
        if with_distance {
            row.insert(1, hit.distance.into());
        }
        table.rows.push(row);
    }
    table
}

/// All conditions of several filters.
fn all_of(filters: Vec<MetadataFilter>) -> MetadataFilter {
    MetadataFilter { conditions: filters.into_iter().flat_map(|filter| filter.conditions).collect() }
}

/// One JSON array of numbers, given as it is or in a file.
pub fn read_vector(given: &Path) -> Result<Vec<f32>, CliError> {
    let wanted = "expected one JSON array of numbers, as in [0.1, -0.2]";
    if let Some(text) = given.to_str().filter(|text| text.trim_start().starts_with('[')) {
        return serde_json::from_str(text)
            .map_err(|error| CliError::Usage(format!("the vector: {wanted}: {error}")));
    }
    let (path, place) = (given, given.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::Usage(format!("{place}: cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| CliError::Usage(format!("{place}: {wanted}: {error}")))
}

/// A JSON object from the command line.
pub fn parse_object(text: &str) -> Result<Metadata, String> {
    serde_json::from_str(text).map_err(|error| format!("expected a JSON object like {{\"key\": 1}}: {error}"))
}
