//! `labtop collections`: collections and their records.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::domain::collection::{Collection, RecordFilter, RecordHit, RecordPage, Space, StoredRecord};
use crate::domain::document::Metadata;
use crate::domain::table::Table;
use crate::domain::text::one_line;
use crate::ops::collection::{self, CollectionQuery};

use super::docs::{parse_object, read_vector};
use super::output::Format;
use super::{Outcome, Session, rm};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List collections
    Ls,
    /// Create a collection
    Create {
        name: String,
        /// A JSON object
        #[arg(long, value_parser = parse_object)]
        metadata: Option<Metadata>,
        /// How distance is measured
        #[arg(long, value_enum, default_value_t = SpaceArg::Cosine)]
        space: SpaceArg,
    },
    /// Delete a collection with its records
    Rm {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Add records from a .jsonl file: id, document, metadata, and optionally embedding
    Add { name: String, file: PathBuf },
    /// Show records
    Get {
        name: String,
        /// Only these ids, separated by commas
        #[arg(long, value_delimiter = ',')]
        ids: Vec<String>,
        #[arg(long, default_value_t = 0)]
        offset: usize,
        #[arg(long, default_value_t = 10)]
        limit: usize,
        /// Also the vectors (JSON only)
        #[arg(long)]
        embeddings: bool,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Find the records nearest to a text or a vector
    #[command(group = clap::ArgGroup::new("query").required(true).args(["text", "vector"]))]
    Query {
        name: String,
        /// Words; embedded by the model of the collection
        text: Option<String>,
        /// A file with one JSON array of numbers
        #[arg(long, value_name = "FILE")]
        vector: Option<PathBuf>,
        /// How many
        #[arg(short, visible_short_alias = 'k', long, default_value_t = 5)]
        n_results: usize,
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, clap::Args)]
pub struct FilterArgs {
    /// Filter on metadata, as Chroma has it: {"rating": {"$gte": 4}}
    #[arg(long = "where", value_name = "JSON", value_parser = parse_object)]
    r#where: Option<Metadata>,
    /// Filter on texts: {"$contains": "word"}
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    where_document: Option<Metadata>,
}

impl From<FilterArgs> for RecordFilter {
    fn from(args: FilterArgs) -> Self {
        RecordFilter { r#where: args.r#where, where_document: args.where_document }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum SpaceArg {
    Cosine,
    L2,
    Ip,
}

impl From<SpaceArg> for Space {
    fn from(space: SpaceArg) -> Self {
        match space {
            SpaceArg::Cosine => Space::Cosine,
            SpaceArg::L2 => Space::L2,
            SpaceArg::Ip => Space::Ip,
        }
    }
}

impl Command {
    pub fn changes_something(&self) -> bool {
        matches!(self, Command::Create { .. } | Command::Rm { .. } | Command::Add { .. })
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    let (lab, output) = (&session.lab, &session.output);
    match command {
        Command::Ls => {
            let collections = collection::list(lab).await?;
            output.result(&collections, &table(&collections))?;
            if collections.is_empty() {
                output.note("No collections: labtop collections create NAME makes one.");
            }
        }
        Command::Create { name, metadata, space } => {
            let made = collection::create(lab, &name, &metadata.unwrap_or_default(), space.into()).await?;
            match output.format {
                Format::Table => output.line(&format!("Created collection: {}", made.name))?,
                _ => output.result(&made, &table(std::slice::from_ref(&made)))?,
            }
        }
        Command::Rm { name, yes } => {
            if !yes {
                let found = collection::get(lab, &name).await?;
                let (name, records) = (one_line(&name, 600), found.records);
                rm::confirm(&format!("Delete the collection {name} with its {records} records for good"))?;
            }
            collection::remove(lab, &name).await?;
            output.line(&format!("Deleted collection: {}", one_line(&name, 600)))?;
        }
        Command::Add { name, file } => {
            let records = collection::parse_records(&file).await?;
            let count = collection::add(lab, &name, records).await?;
            match output.format {
                Format::Table => {
                    output.line(&format!("Added {count} documents to {}", one_line(&name, 600)))?;
                }
                _ => output.json(&json!({ "collection": name, "added": count }))?,
            }
        }
        Command::Get { name, ids, offset, limit, embeddings, filter } => {
            let page = RecordPage { offset, limit, with_embeddings: embeddings, filter: filter.into(), ids };
            let records = collection::records(lab, &name, &page).await?;
            output.result(&records, &records_table(&records))?;
        }
        Command::Query { name, text, vector, n_results, filter } => {
            let query = match (text, vector) {
                (Some(text), _) => CollectionQuery::Text(text),
                (None, Some(file)) => CollectionQuery::Vector(read_vector(&file)?),
                (None, None) => return Err(super::CliError::Usage("give words or --vector FILE".to_owned())),
            };
            let hits = collection::query(lab, &name, &query, n_results, &filter.into()).await?;
            output.result(&hits, &hits_table(&hits))?;
        }
    }
    Ok(0)
}

fn table(collections: &[Collection]) -> Table {
    let mut table = Table::new(&["name", "records", "dimension", "space", "metadata"]);
    for collection in collections {
        // One that is broken has its reason where its records would be.
        let records = match &collection.problem {
            Some(problem) => problem.clone().into(),
            None => collection.records.into(),
        };
        table.rows.push(vec![
            collection.name.clone().into(),
            records,
            collection.dimension.into(),
            collection.space.as_str().into(),
            Value::Object(collection.metadata.clone()).to_string().into(),
        ]);
    }
    table
}

fn records_table(records: &[StoredRecord]) -> Table {
    let mut table = Table::new(&["id", "document", "metadata"]);
    table.rows.extend(records.iter().map(record_row));
    table
}

fn hits_table(hits: &[RecordHit]) -> Table {
    let mut table = Table::new(&["id", "distance", "document", "metadata"]);
    for hit in hits {
        let mut row = record_row(&hit.record);
        // Four digits, as the published example prints distances; JSON has them all.
        row.insert(1, format!("{:.4}", hit.distance).into());
        table.rows.push(row);
    }
    table
}

fn record_row(record: &StoredRecord) -> Vec<Value> {
    vec![
        record.id.clone().into(),
        record.document.clone().into(),
        Value::Object(record.metadata.clone()).to_string().into(),
    ]
}
