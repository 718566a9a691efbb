//! `labtop collections`: collections and their records.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config;
use crate::domain::collection::{
    Collection, CollectionEdit, Hnsw, NewCollection, RecordEdit, RecordFilter, RecordHit, RecordPage, Space,
    StoredRecord,
};
use crate::domain::database::Database;
use crate::domain::document::Metadata;
use crate::domain::record_filter::{DOCUMENT_OPERATORS, OPERATORS};
use crate::domain::table::Table;
use crate::domain::text::one_line;
use crate::ops::collection::export::{self, RecordExport};
use crate::ops::collection::{self, CollectionQuery, edit};
use crate::ops::{Lab, database};

use super::docs::{parse_object, read_vector};
use super::meter::Meter;
use super::output::Format;
use super::{CliError, Outcome, Session, rm};

mod databases;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Chroma: the tenant that is meant, not that of the settings
    #[arg(long, global = true, value_name = "NAME")]
    tenant: Option<String>,
    /// Chroma: the database that is meant, not that of the settings
    #[arg(long, global = true, value_name = "NAME")]
    database: Option<String>,
    #[command(subcommand)]
    command: Command,
}

impl Args {
    pub fn changes_something(&self) -> bool {
        self.command.changes_something()
    }

    /// The database that is meant, where it is not that of the settings.
    pub fn elsewhere(&self, lab: &Lab) -> Option<Database> {
        let Args { tenant, database, .. } = self;
        let here = database::here(lab).unwrap_or_default();
        (tenant.is_some() || database.is_some()).then(|| {
            Database::new(tenant.clone().unwrap_or(here.tenant), database.clone().unwrap_or(here.name))
        })
    }
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List collections
    Ls,
    /// Chroma: list, create and delete databases
    #[command(subcommand)]
    Databases(databases::Command),
    /// Create a collection
    Create {
        name: String,
        /// A JSON object
        #[arg(long, value_parser = parse_object)]
        metadata: Option<Metadata>,
        /// How distance is measured
        #[arg(long, value_enum, default_value_t = SpaceArg::Cosine)]
        space: SpaceArg,
        #[command(flatten)]
        hnsw: HnswArgs,
    },
    /// Give a collection another name
    Rename { name: String, new: String },
    /// Change a collection's metadata
    Edit {
        name: String,
        /// A JSON object, in the place of all there is
        #[arg(long, value_parser = parse_object)]
        metadata: Metadata,
    },
    /// Make a new collection with the records of another
    Copy { name: String, new: String },
    /// Delete a collection with its records
    Rm {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Add records from a .jsonl file: id, document, metadata, and optionally embedding
    Add {
        name: String,
        file: PathBuf,
        /// Records of the same ids make way; without, they are an error and nothing is added
        #[arg(long)]
        replace: bool,
    },
    /// Change a record; a new text gets a new vector
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["document", "vector", "metadata"]))]
    Update {
        name: String,
        id: String,
        #[arg(long, value_name = "TEXT")]
        document: Option<String>,
        /// One JSON array of numbers, or a file with one
        #[arg(long, value_name = "JSON|FILE", allow_hyphen_values = true)]
        vector: Option<PathBuf>,
        /// A JSON object, laid over what is there; null takes a key away
        #[arg(long, value_parser = parse_object)]
        metadata: Option<Metadata>,
    },
    /// Delete records
    #[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "where", "where_document"]))]
    RmRecords {
        name: String,
        /// These, separated by commas
        #[arg(long, value_delimiter = ',', conflicts_with_all = ["where", "where_document"])]
        ids: Vec<String>,
        #[command(flatten)]
        filter: FilterArgs,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Write records to a file: .jsonl (which `add` reads) or .parquet
    Export {
        name: String,
        file: PathBuf,
        /// Leave the vectors out
        #[arg(long)]
        no_embeddings: bool,
        #[command(flatten)]
        filter: FilterArgs,
    },
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
    /// Say how many records there are, or how many fit a condition
    Count {
        name: String,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Find the records nearest to a text, a vector or another record
    #[command(group = clap::ArgGroup::new("query").required(true).args(["text", "vector", "like"]))]
    Query {
        name: String,
        /// Words; embedded by the model of the collection
        text: Option<String>,
        /// One JSON array of numbers, or a file with one
        #[arg(long, value_name = "JSON|FILE", allow_hyphen_values = true)]
        vector: Option<PathBuf>,
        /// The id of a record: what is like it, itself first
        #[arg(long, value_name = "ID")]
        like: Option<String>,
        /// How many
        #[arg(short, visible_short_alias = 'k', long, default_value_t = 5)]
        n_results: usize,
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, clap::Args)]
pub struct FilterArgs {
    #[arg(long = "where", value_name = "JSON", value_parser = parse_object, help = where_help())]
    r#where: Option<Metadata>,
    #[arg(long, value_name = "JSON", value_parser = parse_object, help = where_document_help())]
    where_document: Option<Metadata>,
}

fn where_help() -> String {
    let operators = OPERATORS.join(" ");
    format!(
        r#"Filter on metadata, as Chroma has it: {{"rating": {{"$gte": 4}}}}, {{"$and": [{{…}}, {{…}}]}}. Operators: {operators}"#
    )
}

fn where_document_help() -> String {
    let operators = DOCUMENT_OPERATORS.join(" ");
    format!(r#"Filter on texts: {{"$contains": "word"}}. Operators: {operators}"#)
}

impl From<FilterArgs> for RecordFilter {
    fn from(args: FilterArgs) -> Self {
        RecordFilter { r#where: args.r#where, where_document: args.where_document }
    }
}

/// Chroma's own numbers where none are given.
#[derive(Debug, clap::Args)]
pub struct HnswArgs {
    /// Chroma: candidates kept while a vector is put into the index
    #[arg(long, value_name = "N")]
    ef_construction: Option<u32>,
    /// Chroma: neighbours of each vector in the index
    #[arg(long, value_name = "N")]
    max_neighbors: Option<u32>,
    /// Chroma: candidates kept while searching
    #[arg(long, value_name = "N")]
    ef_search: Option<u32>,
}

impl From<HnswArgs> for Hnsw {
    fn from(args: HnswArgs) -> Self {
        let HnswArgs { ef_construction, max_neighbors, ef_search } = args;
        Hnsw { ef_construction, max_neighbors, ef_search, ..Hnsw::default() }
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
        match self {
            Command::Databases(command) => command.changes_something(),
            Command::Ls | Command::Get { .. } | Command::Count { .. } => false,
            Command::Query { .. } | Command::Export { .. } => false,
            _ => true,
        }
    }
}

/// The session's lab is at the database that is meant.
pub async fn run(args: Args, session: &Session) -> Outcome {
    match args.command {
        Command::Ls => ls(session).await,
        Command::Databases(command) => databases::run(command, session).await,
        Command::Create { name, metadata, space, hnsw } => {
            let metadata = metadata.unwrap_or_default();
            let new = NewCollection { name, metadata, space: space.into(), hnsw: hnsw.into() };
            create(session, &new).await
        }
        Command::Rename { name, new } => {
            let change = CollectionEdit { name: Some(new), metadata: None };
            let made = edit::edit(&session.lab, &name, &change).await?;
            told(session, &format!("Renamed collection: {} is {}", one_line(&name, 600), made.name), &made)
        }
        Command::Edit { name, metadata } => {
            let change = CollectionEdit { name: None, metadata: Some(metadata) };
            let made = edit::edit(&session.lab, &name, &change).await?;
            told(session, &format!("Changed collection: {}", made.name), &made)
        }
        Command::Copy { name, new } => {
            let meter = Meter::new(&session.output);
            let copied = edit::copy(&session.lab, &name, &new, &meter, &session.stop).await;
            meter.finish();
            let line = format!("Copied {} records of {} to {new}", copied?, one_line(&name, 600));
            told(session, &line, &collection::get(&session.lab, &new).await?)
        }
        Command::Rm { name, yes } => rm_collection(session, &name, yes).await,
        Command::Add { name, file, replace } => add(session, &name, &file, replace).await,
        Command::Update { name, id, document, vector, metadata } => {
            let metadata = metadata.unwrap_or_default();
            let embedding = vector.as_deref().map(read_vector).transpose()?;
            let change = RecordEdit { id: id.clone(), document, embedding, metadata };
            edit::update(&session.lab, &name, vec![change]).await?;
            session.output.line(&format!("Changed record {} of {name}", one_line(&id, 600)))?;
            Ok(0)
        }
        Command::RmRecords { name, ids, filter, yes } => rm_records(session, &name, &ids, filter, yes).await,
        Command::Export { name, file, no_embeddings, filter } => {
            let wish = RecordExport { filter: filter.into(), with_embeddings: !no_embeddings };
            let meter = Meter::new(&session.output);
            let (lab, stop) = (&session.lab, &session.stop);
            let written = export::to_file(lab, &name, &file, &wish, &meter, stop).await;
            meter.finish();
            session.output.line(&format!("Wrote {} records to {}", written?, file.display()))?;
            Ok(0)
        }
        Command::Get { name, ids, offset, limit, embeddings, filter } => {
            let page = RecordPage { offset, limit, with_embeddings: embeddings, filter: filter.into(), ids };
            let records = collection::records(&session.lab, &name, &page).await?;
            session.output.result(&records, &records_table(&records))?;
            Ok(0)
        }
        Command::Count { name, filter } => {
            let count = collection::count(&session.lab, &name, &filter.into(), i64::MAX as u64).await?;
            match session.output.format {
                Format::Table => session.output.line(&count.to_string())?,
                _ => session.output.json(&json!({ "collection": name, "records": count }))?,
            }
            Ok(0)
        }
        Command::Query { name, text, vector, like, n_results, filter } => {
            let query = match (text, vector, like) {
                (Some(text), ..) => CollectionQuery::Text(text),
                (_, Some(given), _) => CollectionQuery::Vector(read_vector(&given)?),
                (.., Some(id)) => CollectionQuery::Record(id),
                (None, None, None) => {
                    return Err(CliError::Usage("give words, --vector or --like ID".to_owned()));
                }
            };
            let hits = collection::query(&session.lab, &name, &query, n_results, &filter.into()).await?;
            session.output.result(&hits, &hits_table(&hits))?;
            Ok(0)
        }
    }
}

async fn ls(session: &Session) -> Outcome {
    let collections = collection::list(&session.lab).await?;
    session.output.result(&collections, &table(&collections))?;
    if collections.is_empty() {
        session.output.note("No collections: labtop collections create NAME makes one.");
    }
    Ok(0)
}

async fn create(session: &Session, new: &NewCollection) -> Outcome {
    let made = collection::create(&session.lab, new).await?;
    if new.hnsw != Hnsw::default()
        && session.lab.settings.roles.collections == config::CollectionBackend::DuckDb
    {
        session
            .output
            .note("The embedded store compares every vector: it has no use for settings of an index.");
    }
    told(session, &format!("Created collection: {}", made.name), &made)
}

/// One line for a person, the collection for a program.
fn told(session: &Session, line: &str, made: &Collection) -> Outcome {
    match session.output.format {
        Format::Table => session.output.line(line)?,
        _ => session.output.result(made, &table(std::slice::from_ref(made)))?,
    }
    Ok(0)
}

async fn rm_collection(session: &Session, name: &str, yes: bool) -> Outcome {
    if !yes {
        let found = collection::get(&session.lab, name).await?;
        let (name, records) = (one_line(name, 600), found.records);
        rm::confirm(&format!("Delete the collection {name} with its {records} records for good"))?;
    }
    collection::remove(&session.lab, name).await?;
    session.output.line(&format!("Deleted collection: {}", one_line(name, 600)))?;
    Ok(0)
}

async fn rm_records(session: &Session, name: &str, ids: &[String], filter: FilterArgs, yes: bool) -> Outcome {
    let lab = &session.lab;
    let filter = RecordFilter::from(filter);
    if !yes {
        let which = if ids.is_empty() { "that fit the filter".to_owned() } else { ids.join(", ") };
        rm::confirm(&format!("Delete the records of {} {which} for good", one_line(name, 600)))?;
    }
    let removed = if ids.is_empty() {
        let meter = Meter::new(&session.output);
        let removed = edit::remove_matching(lab, name, &filter, &meter, &session.stop).await;
        meter.finish();
        removed?
    } else {
        collection::remove_records(lab, name, ids).await?
    };
    match session.output.format {
        Format::Table => {
            session.output.line(&format!("Deleted {removed} records of {}", one_line(name, 600)))?
        }
        _ => session.output.json(&json!({ "collection": name, "deleted": removed }))?,
    }
    Ok(0)
}

async fn add(session: &Session, name: &str, file: &Path, replace: bool) -> Outcome {
    let records = collection::parse_records(file).await?;
    let count = match replace {
        true => collection::replace(&session.lab, name, records).await?,
        false => collection::add(&session.lab, name, records).await?,
    };
    match session.output.format {
        Format::Table => {
            session.output.line(&format!("Added {count} documents to {}", one_line(name, 600)))?;
        }
        _ => session.output.json(&json!({ "collection": name, "added": count }))?,
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
