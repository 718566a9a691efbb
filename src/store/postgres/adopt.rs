//! Taking over tables under our names that labtop did not make, such as those of the published example.
//!
//! They are renamed, not touched, and their rows copied into ours: whatever we have no column for stays in the old table.

use std::collections::HashMap;

use tokio_postgres::Error;

use super::Pg;
use super::link::Transaction;

/// A foreign table and the name it was given.
pub(super) struct SetAside {
    table: String,
    kept_as: String,
}

/// How a column of ours is made from one of theirs.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// Text that we want, if only empty.
    Named,
    Json,
    Integer,
    Moment,
    Texts,
}

use Kind::{Integer, Json, Moment, Named, Text, Texts};

/// Our columns of `experiments` but for id, key, status and results, and the names that others use for them.
const EXPERIMENTS: [(&str, &[&str], Kind); 19] = [
    ("name", &["name", "experiment_name"], Named),
    ("model_type", &["model_type", "model_name", "model"], Text),
    ("dataset", &["dataset", "dataset_name"], Text),
    ("description", &["description"], Text),
    ("parameters", &["parameters", "hyperparameters", "params", "config"], Json),
    ("tags", &["tags"], Texts),
    ("note", &["note", "notes"], Named),
    ("runner", &["runner"], Named),
    ("seed", &["seed"], Integer),
    ("trial", &["trial"], Integer),
    ("created_at", &["created_at"], Moment),
    ("started_at", &["started_at", "start_time"], Moment),
    ("finished_at", &["finished_at", "completed_at", "ended_at", "end_time"], Moment),
    ("worker", &["worker"], Text),
    ("host", &["host"], Text),
    ("command", &["command"], Text),
    ("git_commit", &["git_commit"], Text),
    ("archived_at", &["archived_at"], Moment),
    ("error", &["error", "error_message"], Text),
];

/// Figures that others keep in columns of their own; with us they are part of the results.
const FIGURES: [(&str, &[&str]); 7] = [
    ("accuracy", &["accuracy"]),
    ("precision", &["precision"]),
    ("recall", &["recall"]),
    ("f1_score", &["f1_score"]),
    ("training_time_seconds", &["training_time_seconds", "training_time_sec", "training_time"]),
    ("inference_time_ms", &["inference_time_ms", "inference_time"]),
    ("memory_usage_mb", &["memory_usage_mb"]),
];

/// Columns of a table, by name, with their types.
struct Theirs(HashMap<String, String>);

impl Theirs {
    /// The first of these names that there is, quoted, with its type.
    fn first(&self, names: &[&str]) -> Option<(String, &str)> {
        names.iter().find_map(|name| self.0.get(*name).map(|kind| (format!("\"{name}\""), kind.as_str())))
    }

    fn of_kind(&self, names: &[&str], kind: Kind) -> Option<String> {
        let (column, theirs) = self.first(names)?;
        let whole = ["smallint", "integer", "bigint"].contains(&theirs);
        let moment = theirs.starts_with("timestamp") || theirs == "date";
        match kind {
            Text => Some(format!("{column}::text")),
            Named => Some(format!("coalesce({column}::text, '')")),
            Json => Some(format!("{column}::jsonb")),
            Integer => whole.then(|| format!("{column}::bigint")),
            Moment => moment.then(|| format!("{column}::timestamptz")),
            Texts => theirs.ends_with("[]").then(|| format!("coalesce({column}::text[], '{{}}')")),
        }
    }
}

impl Pg {
    /// Renames foreign tables, so that ours can take their names.
    pub(super) async fn set_aside(
        &self,
        transaction: &Transaction<'_>,
        tables: &[String],
    ) -> Result<Vec<SetAside>, Error> {
        let mut set_aside = Vec::with_capacity(tables.len());
        for table in tables {
            let kept_as = free_name(transaction, table).await?;
            transaction.batch_execute(&format!("ALTER TABLE ml_schema.{table} RENAME TO {kept_as}")).await?;
            set_aside.push(SetAside { table: table.clone(), kept_as });
        }
        Ok(set_aside)
    }

    /// Copies their rows into ours; says for each table what became of it.
    pub(super) async fn adopt(
        &self,
        transaction: &Transaction<'_>,
        set_aside: &[SetAside],
    ) -> Result<Vec<String>, Error> {
        let mut told = Vec::with_capacity(set_aside.len());
        for SetAside { table, kept_as } in set_aside {
            let theirs = columns(transaction, kept_as).await?;
            let copied = match table.as_str() {
                "experiments" => Some(copy(transaction, &experiments(&theirs, kept_as), true).await?),
                "document_embeddings" => match documents(&theirs, kept_as) {
                    Some(sql) => Some(copy(transaction, &sql, false).await?),
                    None => None,
                },
                _ => None,
            };
            let copied = copied.map_or("no rows".to_owned(), |rows| format!("{rows} rows"));
            told.push(format!("{table}: {copied} copied, the old table is kept as ml_schema.{kept_as}"));
        }
        Ok(told)
    }
}

async fn free_name(transaction: &Transaction<'_>, table: &str) -> Result<String, Error> {
    let base = format!("{table}_before_labtop");
    let mut name = base.clone();
    let mut number = 1;
    loop {
        let sql = "SELECT to_regclass('ml_schema.' || $1::text) IS NULL";
        if transaction.query_one(sql, &[&name]).await?.try_get(0)? {
            return Ok(name);
        }
        number += 1;
        name = format!("{base}_{number}");
    }
}

async fn columns(transaction: &Transaction<'_>, table: &str) -> Result<Theirs, Error> {
    let sql = "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
               WHERE attrelid = ('ml_schema.' || $1::text)::regclass AND attnum > 0 AND NOT attisdropped";
    let rows = transaction.query(sql, &[&table]).await?;
    let pairs = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    pairs.collect::<Result<_, Error>>().map(Theirs)
}

async fn copy(transaction: &Transaction<'_>, sql: &str, numbered: bool) -> Result<u64, Error> {
    let rows = transaction.execute(sql, &[]).await?;
    if numbered {
        // The next id follows the highest there is.
        let follow = "SELECT setval(pg_get_serial_sequence('ml_schema.experiments', 'id'), max(id)) \
                      FROM ml_schema.experiments HAVING max(id) >= 1";
        transaction.execute(follow, &[]).await?;
    }
    Ok(rows)
}

/// The statement that copies experiments.
fn experiments(theirs: &Theirs, table: &str) -> String {
    let mut ours: Vec<(&str, String)> = Vec::new();
    let id = theirs.first(&["id", "experiment_id"]);
    if let Some((column, kind)) = id {
        match kind {
            "smallint" | "integer" | "bigint" => ours.push(("id", column)),
            "uuid" => ours.push(("key", column)),
            _ => {}
        }
    }
    if let Some((column, "uuid")) = theirs.first(&["key"])
        && ours.iter().all(|(name, _)| *name != "key")
    {
        ours.push(("key", format!("coalesce({column}, gen_random_uuid())")));
    }
    for (name, names, kind) in EXPERIMENTS {
        if let Some(value) = theirs.of_kind(names, kind) {
            let value = if name == "created_at" { format!("coalesce({value}, now())") } else { value };
            ours.push((name, value));
        }
    }
    if ours.iter().all(|(name, _)| *name != "name") {
        ours.push(("name", "''".to_owned()));
    }
    let results = results(theirs);
    ours.push(("status", status(theirs, &results)));
    ours.push(("results", results));
    insert("experiments", &ours, table)
}

/// Their results, with figures that have columns of their own put in.
fn results(theirs: &Theirs) -> String {
    let results = theirs.of_kind(&["results", "metrics"], Json);
    let results =
        results.map_or("'{}'::jsonb".to_owned(), |column| format!("coalesce({column}, '{{}}'::jsonb)"));
    let figures: Vec<String> = FIGURES
        .iter()
        .filter_map(|(figure, names)| theirs.first(names).map(|(column, _)| format!("'{figure}', {column}")))
        .collect();
    if figures.is_empty() {
        return results;
    }
    format!("jsonb_strip_nulls(jsonb_build_object({})) || {results}", figures.join(", "))
}

/// Their status in our words. One that we do not know is taken for done where there are results.
fn status(theirs: &Theirs, results: &str) -> String {
    let Some((column, _)) = theirs.first(&["status", "state"]) else {
        return format!("CASE WHEN {results} <> '{{}}' THEN 'completed' ELSE 'interrupted' END");
    };
    format!(
        "CASE WHEN lower({column}::text) IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'interrupted') \
           THEN lower({column}::text) \
         WHEN lower({column}::text) IN ('done', 'finished', 'success', 'succeeded', 'complete') THEN 'completed' \
         WHEN lower({column}::text) IN ('error', 'errored', 'failure') THEN 'failed' \
         WHEN lower({column}::text) IN ('canceled', 'aborted', 'stopped') THEN 'cancelled' \
         WHEN lower({column}::text) IN ('created', 'pending', 'new', 'active', 'started') THEN 'running' \
         WHEN {results} <> '{{}}' THEN 'completed' ELSE 'interrupted' END"
    )
}

/// The statement that copies documents; none if the table has no ids or vectors. A document stored more than once is taken
/// in its last form.
fn documents(theirs: &Theirs, table: &str) -> Option<String> {
    let id = theirs.of_kind(&["document_id", "doc_id", "id"], Text)?;
    let (embedding, _) = theirs.first(&["embedding", "vector"])?;
    let model = theirs.of_kind(&["model_name", "model"], Text).unwrap_or_else(|| "NULL".to_owned());
    let metadata = theirs.of_kind(&["metadata", "meta"], Json).unwrap_or_else(|| "'{}'::jsonb".to_owned());
    let hash = theirs.of_kind(&["content_hash", "hash"], Named).unwrap_or_else(|| "''".to_owned());
    let content = theirs.of_kind(&["content", "text", "document"], Named).unwrap_or_else(|| "''".to_owned());
    let mut ours = vec![
        ("document_id", id.clone()),
        ("content_hash", hash),
        ("embedding", format!("{embedding}::vector")),
        ("model_name", format!("coalesce({model}, 'unknown')")),
        ("metadata", metadata),
        ("content", content),
    ];
    let created = theirs.of_kind(&["created_at"], Moment);
    if let Some(created) = &created {
        ours.push(("created_at", format!("coalesce({created}, now())")));
    }
    let mut order: Vec<String> = created.into_iter().collect();
    order.extend(theirs.of_kind(&["id"], Integer));
    order.push("ctid".to_owned());
    let insert = insert("document_embeddings", &ours, table);
    let order = order.join(", ");
    Some(format!("{insert} WHERE {id} IS NOT NULL AND {embedding} IS NOT NULL ORDER BY {order}"))
}

fn insert(table: &str, columns: &[(&str, String)], from: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "INSERT INTO ml_schema.{table} ({}) SELECT {} FROM ml_schema.{from}",
        names.join(", "),
        values.join(", ")
    )
}
