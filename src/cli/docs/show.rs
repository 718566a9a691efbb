//! `labtop docs get`, `rm` and `stats`: one document whole, documents that go, models in sums.

use serde_json::{Value, json};

use crate::domain::document::{Document, ModelStats, Selection};
use crate::domain::metadata_filter::MetadataFilter;
use crate::domain::table::Table;
use crate::domain::text::{many_lines, one_line};
use crate::ops::document;

use super::super::error::CliError;
use super::super::output::Format;
use super::super::rm::confirm;
use super::super::{Outcome, Session};
use super::all_of;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "model", "filter"]))]
pub struct RmArgs {
    ids: Vec<String>,
    /// Only those embedded by this model
    #[arg(long)]
    model: Option<String>,
    /// Only those whose metadata fit, as in 'year < 2020'; may be given several times
    #[arg(long, value_name = "EXPR")]
    filter: Vec<MetadataFilter>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub async fn get(id: &str, model: Option<&str>, embedding: bool, session: &Session) -> Outcome {
    let found = document::get(&session.lab, id, model).await?;
    if session.output.format == Format::Table {
        let shown: Vec<String> = found.iter().map(|document| whole(document, embedding)).collect();
        session.output.write(&shown.join("\n"))?;
        return Ok(0);
    }
    let json: Vec<Value> = found.iter().map(|document| as_json(document, embedding)).collect();
    let mut table = Table::new(&["document_id", "model_name", "content", "metadata", "content_hash"]);
    for document in &found {
        table.rows.push(vec![
            document.document_id.clone().into(),
            document.model_name.clone().into(),
            document.content.clone().into(),
            Value::Object(document.metadata.clone()).to_string().into(),
            document.content_hash().into(),
        ]);
    }
    session.output.result(&json, &table)?;
    Ok(0)
}

fn whole(document: &Document, embedding: bool) -> String {
    let mut text = format!(
        "Document: {}\nModel: {} ({} dimensions)\nSHA-256: {}\n",
        one_line(&document.document_id, 1000),
        one_line(&document.model_name, 200),
        document.embedding.len(),
        document.content_hash()
    );
    for (key, value) in &document.metadata {
        text.push_str(&format!("{}: {}\n", one_line(key, 200), one_line(&value.to_string(), 2000)));
    }
    if embedding {
        text.push_str(&format!("Embedding: {}\n", json!(document.embedding)));
    }
    format!("{text}\n{}\n", many_lines(&document.content, usize::MAX))
}

fn as_json(document: &Document, embedding: bool) -> Value {
    let mut value = json!({
        "document_id": document.document_id,
        "model_name": document.model_name,
        "content": document.content,
        "metadata": document.metadata,
        "content_hash": document.content_hash(),
        "dimension": document.embedding.len(),
    });
    if embedding {
        value["embedding"] = json!(document.embedding);
    }
    value
}

pub async fn remove(args: RmArgs, session: &Session) -> Outcome {
    let which = Selection {
        ids: (!args.ids.is_empty()).then_some(args.ids),
        model: args.model,
        filter: all_of(args.filter),
    };
    if !args.yes {
        let count = document::count(&session.lab, &which).await?;
        if count == 0 {
            return Err(CliError::Usage("there is no such document".to_owned()));
        }
        let documents = if count == 1 { "document" } else { "documents" };
        confirm(&format!("Delete {count} {documents} for good"))?;
    }
    let count = document::remove(&session.lab, &which).await?;
    match session.output.format {
        Format::Table => session.output.line(&format!("Deleted {count} documents"))?,
        _ => session.output.json(&json!({ "deleted": count }))?,
    }
    Ok(0)
}

pub async fn stats(session: &Session) -> Outcome {
    let stats = document::stats(&session.lab).await?;
    session.output.result(&stats, &table(&stats))?;
    if stats.is_empty() {
        session
            .output
            .note("No documents: labtop docs add FILE stores some, labtop demo the published ones.");
    }
    Ok(0)
}

fn table(stats: &[ModelStats]) -> Table {
    let mut table =
        Table::new(&["model_name", "documents", "dimension", "megabytes", "embeds_text", "indexes"]);
    for model in stats {
        let indexes: Vec<String> = model
            .indexes
            .iter()
            .map(|index| {
                format!("{} ({}, {:.1} MB)", index.name, index.state.as_str(), index.bytes as f64 / 1e6)
            })
            .collect();
        table.rows.push(vec![
            model.model_name.clone().into(),
            model.documents.into(),
            model.dimension.into(),
            format!("{:.1}", model.bytes as f64 / 1e6).into(),
            (if model.here { "yes" } else { "no" }).into(),
            indexes.join(", ").into(),
        ]);
    }
    table
}
