//! `labtop docs`: documents with embeddings, and what is near what.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use crate::domain::document::{Distance, DocumentHit, Metadata};
use crate::domain::metadata_filter::MetadataFilter;
use crate::domain::table::Table;
use crate::domain::text::{first_characters, one_line};
use crate::ops::document::{self, Query, Target, Terms};

use super::error::CliError;
use super::output::Format;
use super::{Outcome, Session, index};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Store documents: from a file (.jsonl with id, text, metadata, and optionally embedding and model; or .txt, a
    /// document a line), or one from the command line
    Add {
        #[arg(required_unless_present = "text", conflicts_with = "text")]
        file: Option<PathBuf>,
        /// Where they go: documents, collections (one named after the file), or both
        #[arg(long, default_value = "documents", value_name = "PLACE")]
        to: Target,
        /// The text of one document
        #[arg(long, requires = "id")]
        text: Option<String>,
        /// Its id
        #[arg(long, requires = "text")]
        id: Option<String>,
        /// Its metadata, a JSON object
        #[arg(long, requires = "text", value_parser = parse_object)]
        metadata: Option<Metadata>,
    },
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
    /// Find the documents nearest to a text, a document, or a vector
    Search(SearchArgs),
    /// Indexes that searches go along; none is ever built but by `create`
    #[command(subcommand)]
    Index(index::Command),
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("query").required(true).args(["text", "document", "vector", "random"]))]
pub struct SearchArgs {
    /// Words; embedded by the built-in model
    text: Option<String>,
    /// "Like this one": the id of a document
    #[arg(long, value_name = "ID")]
    document: Option<String>,
    /// A file with one JSON array of numbers
    #[arg(long, value_name = "FILE")]
    vector: Option<PathBuf>,
    /// A random vector, as the published example asks with
    #[arg(long)]
    random: bool,
    /// Seed of --random
    #[arg(long, requires = "random")]
    seed: Option<u64>,
    /// How many
    #[arg(short, long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    k: u32,
    /// cosine, l2, ip (negative inner product) or l1
    #[arg(long, default_value_t)]
    metric: Distance,
    /// Search among the documents of this embedding model
    #[arg(long)]
    model: Option<String>,
    /// Only documents whose metadata fit, as in 'year >= 2020 and topic = science'; may be given several times
    #[arg(long, value_name = "EXPR")]
    filter: Vec<MetadataFilter>,
    /// Compare every vector, whatever indexes there are
    #[arg(long, conflicts_with = "ef_search")]
    exact: bool,
    /// Candidates to keep while going along an index (`postgres.ef_search` when not given)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    ef_search: Option<u32>,
}

impl Command {
    pub fn changes_something(&self) -> bool {
        match self {
            Command::Add { .. } => true,
            Command::Index(command) => command.changes_something(),
            Command::Ls { .. } | Command::Search(_) => false,
        }
    }

    /// Stops tidily once told to.
    pub fn stops_when_told(&self) -> bool {
        matches!(self, Command::Index(_))
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Add { file: Some(file), to, .. } => add_file(&file, to, session).await,
        Command::Add { text: Some(text), id: Some(id), metadata, .. } => {
            let texts = [(id, text, metadata.unwrap_or_default())];
            stored(document::add_texts(&session.lab, &texts).await?, session)
        }
        Command::Add { .. } => Err(CliError::Usage("give a file, or --id and --text".to_owned())),
        Command::Ls { model, offset, limit } => list(model.as_deref(), offset, limit, session).await,
        Command::Search(args) => search(args, session).await,
        Command::Index(command) => index::run(command, session).await,
    }
}

async fn add_file(file: &Path, to: Target, session: &Session) -> Outcome {
    let added = document::add_file(&session.lab, file, to).await?;
    if session.output.format == Format::Table {
        if let Some(collection) = &added.collection {
            let name = one_line(collection, 600);
            session.output.line(&format!("Added {} documents to {name}", added.records))?;
        }
        return if to == Target::Collections { Ok(0) } else { stored(added.documents, session) };
    }
    session.output.json(&json!({
        "stored": added.documents, "collection": added.collection, "records": added.records,
    }))?;
    Ok(0)
}

fn stored(count: u64, session: &Session) -> Outcome {
    match session.output.format {
        Format::Table => session.output.line(&format!("Stored {count} embeddings"))?,
        _ => session.output.json(&json!({ "stored": count }))?,
    }
    Ok(0)
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

async fn search(args: SearchArgs, session: &Session) -> Outcome {
    let model = args.model.clone();
    let query = match (args.text, args.document, args.vector) {
        (Some(text), ..) => Query::Text(text),
        (_, Some(id), _) => Query::Document { id, model },
        (_, _, Some(file)) => Query::Vector { model, embedding: read_vector(&file)? },
        _ => Query::Random { model, seed: args.seed },
    };
    let conditions = args.filter.into_iter().flat_map(|filter| filter.conditions).collect();
    let terms = Terms {
        k: args.k as usize,
        distance: args.metric,
        model: args.model,
        filter: MetadataFilter { conditions },
        exact: args.exact,
        ef_search: args.ef_search,
    };
    let begun = Instant::now();
    let found = document::search(&session.lab, &query, &terms).await?;
    let took = begun.elapsed();
    let hits = found.hits;
    match session.output.format {
        Format::Table => session.output.write(&published(&hits))?,
        _ => session.output.result(&hits, &table(&hits, true))?,
    }
    if !hits.is_empty() {
        let milliseconds = took.as_secs_f64() * 1e3;
        session.output.note(&format!("{} found in {milliseconds:.1} ms: {}", hits.len(), found.scan));
    } else if terms.filter.is_empty() {
        session
            .output
            .note("Nothing found: no documents of that model are stored (labtop docs ls lists them).");
    } else {
        session.output.note(&format!("Nothing found: no document fits {}.", terms.filter));
    }
    Ok(0)
}

/// The published example's two lines for each hit.
fn published(hits: &[DocumentHit]) -> String {
    hits.iter()
        .map(|hit| {
            let content = one_line(first_characters(&hit.content, 50), 400);
            format!(
                "Document: {}, Distance: {:.4}\nContent: {content}...\n",
                one_line(&hit.document_id, 200),
                hit.distance
            )
        })
        .collect()
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

/// One JSON array of numbers.
pub fn read_vector(path: &Path) -> Result<Vec<f32>, CliError> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::Usage(format!("{place}: cannot be read: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| CliError::Usage(format!("{place}: expected one JSON array of numbers: {error}")))
}

/// A JSON object from the command line.
pub fn parse_object(text: &str) -> Result<Metadata, String> {
    serde_json::from_str(text).map_err(|error| format!("expected a JSON object like {{\"key\": 1}}: {error}"))
}
