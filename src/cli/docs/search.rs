//! `labtop docs search`: by text, document or vector; in the document store, in a collection, or in both side by side.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::domain::collection::{RecordFilter, RecordHit};
use crate::domain::document::{Distance, DocumentHit};
use crate::domain::index::Nearest;
use crate::domain::metadata_filter::MetadataFilter;
use crate::domain::table::Table;
use crate::domain::text::{first_characters, one_line};
use crate::ops::collection::{self, CollectionQuery};
use crate::ops::document::{self, Hybrid, Query, Terms};

use super::super::error::CliError;
use super::super::output::Format;
use super::super::{Outcome, Session};
use super::{all_of, read_vector, table};

/// Where it is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Documents,
    Collections,
    Both,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "documents" => Ok(Engine::Documents),
            "collections" => Ok(Engine::Collections),
            "both" => Ok(Engine::Both),
            other => Err(format!("unknown engine '{other}' (known: documents, collections, both)")),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("query").required(true).args(["text", "document", "vector", "random"]))]
pub struct Args {
    /// Words; embedded by the model that is searched
    text: Option<String>,
    /// "Like this one": the id of a document
    #[arg(long, alias = "like", visible_alias = "like", value_name = "ID")]
    document: Option<String>,
    /// One JSON array of numbers, or a file with one
    #[arg(long, value_name = "JSON|FILE", allow_hyphen_values = true)]
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
    /// cosine, l2, ip (negative inner product) or l1; a collection has its own
    #[arg(long, default_value_t)]
    metric: Distance,
    /// Search among the documents of this embedding model (`embed.model` for a text when not given)
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
    /// By meaning and by words at once, ranks fused: finds names and rare words that a vector blurs
    #[arg(long, requires = "text", conflicts_with = "engine")]
    hybrid: bool,
    /// Where: documents, collections, or both side by side
    #[arg(long, value_name = "ENGINE", default_value = "documents")]
    engine: Engine,
    /// The collection that is searched
    #[arg(long, value_name = "NAME", required_if_eq_any([("engine", "collections"), ("engine", "both")]))]
    collection: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let terms = Terms {
        k: args.k as usize,
        distance: args.metric,
        model: args.model.clone(),
        filter: all_of(args.filter.clone()),
        exact: args.exact,
        ef_search: args.ef_search,
    };
    if let (true, Some(text)) = (args.hybrid, &args.text) {
        return hybrid(text, &terms, session).await;
    }
    match (args.engine, &args.collection) {
        (Engine::Documents, None) => in_documents(&args, &terms, session).await,
        (Engine::Documents, Some(_)) => {
            Err(CliError::Usage("--collection is for --engine collections and --engine both".to_owned()))
        }
        (Engine::Collections, Some(name)) => {
            let (hits, took) = in_collection(&args, name, &terms, session).await?;
            session.output.result(&hits, &records(&hits))?;
            told(hits.len(), took, &format!("in the collection {}", one_line(name, 600)), &terms, session);
            Ok(0)
        }
        (Engine::Both, Some(name)) => side_by_side(&args, name, &terms, session).await,
        (_, None) => Err(CliError::Usage("say which collection with --collection NAME".to_owned())),
    }
}

fn query(args: &Args) -> Result<Query, CliError> {
    let model = args.model.clone();
    Ok(match (&args.text, &args.document, &args.vector) {
        (Some(text), ..) => Query::Text(text.clone()),
        (_, Some(id), _) => Query::Document { id: id.clone(), model },
        (_, _, Some(file)) => Query::Vector { model, embedding: read_vector(file)? },
        _ => Query::Random { model, seed: args.seed },
    })
}

async fn search(args: &Args, terms: &Terms, session: &Session) -> Result<(Nearest, Duration), CliError> {
    let query = query(args)?;
    let begun = Instant::now();
    let found = document::search(&session.lab, &query, terms).await?;
    Ok((found, begun.elapsed()))
}

async fn in_documents(args: &Args, terms: &Terms, session: &Session) -> Outcome {
    let (found, took) = search(args, terms, session).await?;
    let hits = found.hits;
    match session.output.format {
        Format::Table => session.output.write(&published(&hits))?,
        _ => session.output.result(&hits, &table(&hits, true))?,
    }
    told(hits.len(), took, &found.scan.to_string(), terms, session);
    Ok(0)
}

/// What was found and how, beside the result.
fn told(count: usize, took: Duration, how: &str, terms: &Terms, session: &Session) {
    if count > 0 {
        let milliseconds = took.as_secs_f64() * 1e3;
        session.output.note(&format!("{count} found in {milliseconds:.1} ms: {how}"));
    } else if terms.filter.is_empty() {
        session
            .output
            .note("Nothing found: no documents of that model are stored (labtop docs ls lists them).");
    } else {
        session.output.note(&format!("Nothing found: no document fits {}.", terms.filter));
    }
}

async fn hybrid(text: &str, terms: &Terms, session: &Session) -> Outcome {
    let begun = Instant::now();
    let found = document::hybrid(&session.lab, text, terms).await?;
    let took = begun.elapsed();
    let Hybrid { hits, scan, by_meaning, by_words } = found;
    let mut table = Table::new(&["document_id", "score", "by_meaning", "by_words", "distance", "content"]);
    for hit in &hits {
        table.rows.push(vec![
            hit.document_id.clone().into(),
            hit.score.into(),
            hit.vector_rank.into(),
            hit.text_rank.into(),
            hit.distance.into(),
            hit.content.clone().into(),
        ]);
    }
    session.output.result(&hits, &table)?;
    let how = format!("{by_meaning} by meaning ({scan}), {by_words} by words, ranks fused");
    told(hits.len(), took, &how, terms, session);
    Ok(0)
}

async fn in_collection(
    args: &Args,
    name: &str,
    terms: &Terms,
    session: &Session,
) -> Result<(Vec<RecordHit>, Duration), CliError> {
    let query = match query(args)? {
        Query::Text(text) => CollectionQuery::Text(text),
        Query::Vector { embedding, .. } => CollectionQuery::Vector(embedding),
        Query::Document { id, .. } => CollectionQuery::Record(id),
        Query::Random { .. } => {
            return Err(CliError::Usage("--random is for --engine documents".to_owned()));
        }
    };
    let filter = RecordFilter { r#where: terms.filter.to_where(), where_document: None };
    let begun = Instant::now();
    let hits = collection::query(&session.lab, name, &query, terms.k, &filter).await?;
    Ok((hits, begun.elapsed()))
}

fn records(hits: &[RecordHit]) -> Table {
    let mut table = Table::new(&["id", "distance", "document", "metadata"]);
    for hit in hits {
        table.rows.push(vec![
            hit.record.id.clone().into(),
            hit.distance.into(),
            hit.record.document.clone().into(),
            Value::Object(hit.record.metadata.clone()).to_string().into(),
        ]);
    }
    table
}

async fn side_by_side(args: &Args, name: &str, terms: &Terms, session: &Session) -> Outcome {
    let (found, here) = search(args, terms, session).await?;
    let (records, there) = in_collection(args, name, terms, session).await?;
    let hits = found.hits;
    let shared =
        hits.iter().filter(|hit| records.iter().any(|record| record.record.id == hit.document_id)).count();
    let mut table = Table::new(&["rank", "document", "distance", "record", "its distance", "rank there"]);
    for row in 0..hits.len().max(records.len()) {
        let (hit, record) = (hits.get(row), records.get(row));
        let rank_there =
            hit.and_then(|hit| records.iter().position(|record| record.record.id == hit.document_id));
        table.rows.push(vec![
            (row + 1).into(),
            hit.map(|hit| hit.document_id.clone()).into(),
            hit.map(|hit| hit.distance).into(),
            record.map(|record| record.record.id.clone()).into(),
            record.map(|record| record.distance).into(),
            rank_there.map(|rank| rank + 1).into(),
        ]);
    }
    let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
    let json = json!({
        "documents": hits,
        "records": records,
        "shared": shared,
        "documents_ms": milliseconds(here),
        "collection_ms": milliseconds(there),
    });
    session.output.result(&json, &table)?;
    session.output.note(&format!(
        "{shared} of {} in both; {:.1} ms in {} ({}), {:.1} ms in the collection {} in {}",
        hits.len().max(records.len()),
        milliseconds(here),
        session.lab.backend(crate::store::Role::Documents),
        found.scan,
        milliseconds(there),
        one_line(name, 600),
        session.lab.backend(crate::store::Role::Collections),
    ));
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
