//! The document store on DuckDB: one table per embedding model, searched exactly.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::types::Value;
use duckdb::{Connection, Row, params, params_from_iter};

use crate::domain::collection::RecordFilter;
use crate::domain::document::{
    Distance, Document, DocumentHit, DocumentQuery, EmbeddingModel, check_documents,
};
use crate::domain::index::{Nearest, Scan, Why};
use crate::store::documents::{DocumentIndexes, DocumentStore};
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;
use super::{row, where_sql};

/// See the module.
#[derive(Debug)]
pub struct Documents {
    pub(super) engine: Arc<Engine>,
}

impl Documents {
    pub fn new(engine: Arc<Engine>) -> Self {
        Documents { engine }
    }
}

/// A model with its table.
struct Model {
    id: i64,
    name: String,
    dimension: usize,
    distance: Distance,
}

impl Model {
    fn table(&self) -> String {
        format!("embeddings_{}", self.id)
    }
}

#[async_trait]
impl DocumentStore for Documents {
    async fn health(&self) -> Result<Health> {
        self.engine.health().await
    }

    async fn models(&self) -> Result<Vec<EmbeddingModel>> {
        self.engine
            .read("listing embedding models", |connection| {
                let mut known = Vec::new();
                for model in models(connection)? {
                    let sql = format!("SELECT count(*) FROM ml_schema.{}", model.table());
                    let documents = connection.query_row(&sql, [], |row| row.get(0))?;
                    let Model { name, dimension, distance, .. } = model;
                    known.push(EmbeddingModel { name, dimension, distance, documents });
                }
                Ok(known)
            })
            .await
    }

    async fn put(&self, documents: &[Document]) -> Result<u64> {
        check_documents(documents).map_err(|message| invalid("storing embeddings", message))?;
        let documents = documents.to_vec();
        self.engine
            .write("storing embeddings", move |connection, path| put(connection, path, &documents))
            .await
    }

    async fn get(&self, document_id: &str, model_name: Option<&str>) -> Result<Vec<Document>> {
        let (id, model_name) = (document_id.to_owned(), model_name.map(str::to_owned));
        self.engine
            .read("reading document", move |connection| {
                let mut statement = connection.prepare(&format!(
                    "SELECT {WHOLE} FROM ml_schema.document_embeddings
                     WHERE document_id = ? AND (?::VARCHAR IS NULL OR model_name = ?) ORDER BY model_name"
                ))?;
                statement.query_map(params![id, model_name, model_name], document)?.collect()
            })
            .await
    }

    async fn list(&self, model_name: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>> {
        let model_name = model_name.map(str::to_owned);
        self.engine
            .read("listing documents", move |connection| {
                let mut statement = connection.prepare(&format!(
                    "SELECT document_id, model_name, content, metadata::VARCHAR, 0.0::DOUBLE
                     FROM ml_schema.document_embeddings WHERE ?::VARCHAR IS NULL OR model_name = ?
                     ORDER BY document_id, model_name LIMIT {} OFFSET {}",
                    i64::try_from(limit).unwrap_or(i64::MAX),
                    i64::try_from(offset).unwrap_or(i64::MAX)
                ))?;
                statement.query_map(params![model_name, model_name], hit)?.collect()
            })
            .await
    }

    async fn search(&self, query: &DocumentQuery) -> Result<Nearest> {
        let query = query.clone();
        let work = move |connection: &Connection, path: &Path| search(connection, path, &query);
        let hits = self.engine.read_checked("searching documents", work).await?;
        Ok(Nearest { hits, scan: Scan::Exact(Why::Always) })
    }

    async fn remove(&self, document_ids: &[String]) -> Result<u64> {
        let ids = document_ids.to_vec();
        self.engine
            .write("deleting documents", move |connection, path| {
                remove(connection, &ids, None).map_err(|error| from_duckdb(error, "deleting documents", path))
            })
            .await
    }

    fn indexes(&self) -> Option<&dyn DocumentIndexes> {
        None
    }
}

/// Columns of a whole document, as [`document`] reads them.
const WHOLE: &str = "document_id, content, to_json(embedding)::VARCHAR, model_name, metadata::VARCHAR";

fn document(row: &Row<'_>) -> duckdb::Result<Document> {
    Ok(Document {
        document_id: row.get(0)?,
        content: row.get(1)?,
        embedding: row::json(row, 2)?,
        model_name: row.get(3)?,
        metadata: row::object(row, 4)?,
    })
}

/// The document is one of a bound JSON list of ids.
pub(super) const ID_AMONG: &str = "document_id IN (SELECT unnest(from_json(?::JSON, '[\"VARCHAR\"]')))";

/// Whole documents of one model; `rest` is what else is asked of them, with its values. None of a model that is not known.
pub(super) fn whole(
    connection: &Connection,
    model_name: &str,
    rest: &str,
    value: &str,
) -> duckdb::Result<Vec<Document>> {
    let Some(model) = models(connection)?.into_iter().find(|model| model.name == model_name) else {
        return Ok(Vec::new());
    };
    // Its own table: through the view every model's would be read.
    let columns = WHOLE.replace("model_name", "?");
    let sql = format!("SELECT {columns} FROM ml_schema.{} WHERE {rest}", model.table());
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(params![model_name, value], document)?.collect()
}

fn models(connection: &Connection) -> duckdb::Result<Vec<Model>> {
    let mut statement = connection
        .prepare("SELECT id, name, dimension, distance FROM ml_schema.embedding_models ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        let (dimension, distance): (u32, String) = (row.get(2)?, row.get(3)?);
        Ok(Model {
            id: row.get(0)?,
            name: row.get(1)?,
            dimension: dimension as usize,
            distance: distance.parse().unwrap_or_default(),
        })
    })?;
    rows.collect()
}

fn put(connection: &Connection, path: &Path, documents: &[Document]) -> Result<u64> {
    let failed = |error| from_duckdb(error, "storing embeddings", path);
    let mut by_model: Vec<(&str, Vec<&Document>)> = Vec::new();
    for document in documents {
        match by_model.iter_mut().find(|(name, _)| *name == document.model_name) {
            Some((_, group)) => group.push(document),
            None => by_model.push((&document.model_name, vec![document])),
        }
    }
    for (name, group) in &by_model {
        let model = model(connection, name, group[0].embedding.len()).map_err(failed)?;
        if let Some(wrong) = group.iter().find(|document| document.embedding.len() != model.dimension) {
            let (id, length, wanted) = (&wrong.document_id, wrong.embedding.len(), model.dimension);
            let message = format!("document '{id}' has {length} dimensions, model {name} has {wanted}");
            return Err(invalid("storing embeddings", message));
        }
        let ids: Vec<String> = group.iter().map(|document| document.document_id.clone()).collect();
        remove(connection, &ids, Some(&model)).map_err(failed)?;
        append(connection, &model, group).map_err(failed)?;
    }
    Ok(documents.len() as u64)
}

/// The model of that name; made with its table, and the view over all tables renewed, when it is new.
fn model(connection: &Connection, name: &str, dimension: usize) -> duckdb::Result<Model> {
    if let Some(known) = models(connection)?.into_iter().find(|model| model.name == name) {
        return Ok(known);
    }
    let id: i64 = connection.query_row(
        "INSERT INTO ml_schema.embedding_models (name, dimension) VALUES (?, ?) RETURNING id",
        params![name, dimension as u64],
        |row| row.get(0),
    )?;
    let model = Model { id, name: name.to_owned(), dimension, distance: Distance::Cosine };
    connection.execute_batch(&format!(
        "CREATE TABLE ml_schema.{} (document_id VARCHAR NOT NULL, content_hash VARCHAR NOT NULL,
             embedding FLOAT[{dimension}] NOT NULL, metadata JSON NOT NULL, content VARCHAR NOT NULL)",
        model.table()
    ))?;
    let parts: Vec<String> = models(connection)?
        .iter()
        .map(|model| {
            format!(
                "SELECT e.document_id, e.content_hash, e.embedding::FLOAT[] AS embedding, m.name AS model_name, e.metadata,
                 e.content FROM ml_schema.{} e, ml_schema.embedding_models m WHERE m.id = {}",
                model.table(),
                model.id
            )
        })
        .collect();
    connection.execute_batch(&format!(
        "CREATE OR REPLACE VIEW ml_schema.document_embeddings AS {}",
        parts.join(" UNION ALL ")
    ))?;
    Ok(model)
}

/// The appender has no arrays: vectors go in as text and are cast in one statement.
fn append(connection: &Connection, model: &Model, documents: &[&Document]) -> duckdb::Result<()> {
    connection.execute_batch(
        "CREATE OR REPLACE TEMP TABLE incoming (document_id VARCHAR, content_hash VARCHAR, embedding VARCHAR,
             metadata VARCHAR, content VARCHAR)",
    )?;
    {
        let mut appender = connection.appender("incoming")?;
        for document in documents {
            appender.append_row(params![
                document.document_id,
                document.content_hash(),
                vector_text(&document.embedding),
                row::json_text(&document.metadata),
                document.content,
            ])?;
        }
        appender.flush()?;
    }
    connection.execute_batch(&format!(
        "INSERT INTO ml_schema.{} SELECT document_id, content_hash, embedding::FLOAT[{}], metadata::JSON, content
         FROM incoming; DROP TABLE incoming",
        model.table(),
        model.dimension
    ))
}

fn remove(connection: &Connection, ids: &[String], only: Option<&Model>) -> duckdb::Result<u64> {
    let tables: Vec<String> = match only {
        Some(model) => vec![model.table()],
        None => models(connection)?.iter().map(Model::table).collect(),
    };
    let ids = serde_json::json!(ids).to_string();
    let mut count = 0;
    for table in tables {
        count += connection.execute(
            &format!(
                "DELETE FROM ml_schema.{table}
                 WHERE document_id IN (SELECT unnest(from_json(?::JSON, '[\"VARCHAR\"]')))"
            ),
            [&ids],
        )?;
    }
    Ok(count as u64)
}

fn search(connection: &Connection, path: &Path, query: &DocumentQuery) -> Result<Vec<DocumentHit>> {
    let doing = "searching documents";
    let failed = |error| from_duckdb(error, doing, path);
    let name = &query.model_name;
    let model = models(connection).map_err(failed)?.into_iter().find(|model| model.name == *name);
    let Some(model) = model else {
        let message = format!("no documents of model {name} are stored");
        return Err(StoreError::new(ErrorKind::NotFound, Backend::DuckDb, doing, message)
            .remedy("Store some first: labtop docs add FILE."));
    };
    if query.embedding.len() != model.dimension {
        let message = format!(
            "the query has {} dimensions, model {name} has {}",
            query.embedding.len(),
            model.dimension
        );
        return Err(invalid(doing, message));
    }
    let n = model.dimension;
    let asked = format!("$2::FLOAT[{n}]");
    let distance = match query.distance {
        // A zero vector has no direction; DuckDB would answer 2.
        Distance::Cosine => format!(
            "CASE WHEN array_inner_product(embedding, embedding) = 0 OR array_inner_product({asked}, {asked}) = 0
             THEN 'nan'::FLOAT ELSE array_cosine_distance(embedding, {asked}) END"
        ),
        Distance::L2 => format!("array_distance(embedding, {asked})"),
        Distance::Ip => format!("array_negative_inner_product(embedding, {asked})"),
        Distance::L1 => "list_sum(list_transform(list_zip(embedding::FLOAT[], $2::FLOAT[]), \
                         pair -> abs(pair[1]::DOUBLE - pair[2]::DOUBLE)))"
            .to_owned(),
    };
    let filter = RecordFilter { r#where: query.filter.to_where(), where_document: None };
    let fits = where_sql::compile(&filter).map_err(|message| invalid(doing, message))?;
    let sql = format!(
        "FROM (SELECT document_id, $1, content, metadata::VARCHAR, ({distance})::DOUBLE AS distance FROM ml_schema.{}
               WHERE {})
         ORDER BY isnan(distance), distance, document_id LIMIT {}",
        model.table(),
        numbered(&fits.sql, 3),
        query.limit
    );
    let mut parameters = vec![Value::Text(name.clone()), Value::Text(vector_text(&query.embedding))];
    parameters.extend(fits.values);
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let rows = statement.query_map(params_from_iter(parameters), hit).map_err(failed)?;
    rows.collect::<duckdb::Result<Vec<_>>>().map_err(failed)
}

/// Gives the parameters of a condition numbers, from `first`: those of the distance have some too. Keys and values are
/// parameters themselves, so that every question mark stands for one.
fn numbered(sql: &str, first: usize) -> String {
    let mut parts = sql.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        numbered.push_str(&format!("${}{part}", first + number));
    }
    numbered
}

fn hit(row: &Row<'_>) -> duckdb::Result<DocumentHit> {
    Ok(DocumentHit {
        document_id: row.get(0)?,
        model_name: row.get(1)?,
        content: row.get(2)?,
        metadata: row::object(row, 3)?,
        distance: row.get(4)?,
    })
}

/// A vector as DuckDB casts it from text: shortest digits that read back as the same `f32`.
pub fn vector_text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

fn invalid(doing: &str, message: String) -> StoreError {
    StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, message)
}
