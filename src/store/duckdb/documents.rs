//! The document store on DuckDB: one table per embedding model, searched exactly.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::{Connection, Row, params};

use crate::domain::collection::RecordFilter;
use crate::domain::document::{
    Distance, Document, DocumentHit, DocumentQuery, EmbeddingModel, check_documents, check_query,
};
use crate::domain::index::{Nearest, Scan, Why};
use crate::store::documents::{DocumentIndexes, DocumentStore};
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;
use super::nearest::{self, RowKey, Search, Target};
use super::vectors::{self, Group, Key, Measure, Source};
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
            .write_vectors(Group::Documents, "storing embeddings", move |connection, path| {
                put(connection, path, &documents)
            })
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
        let hits = nearest::nearest(&self.engine, Asking(query.clone())).await?;
        Ok(Nearest { hits, scan: Scan::Exact(Why::Always) })
    }

    async fn remove(&self, document_ids: &[String]) -> Result<u64> {
        let ids = document_ids.to_vec();
        self.engine
            .write_vectors(Group::Documents, "deleting documents", move |connection, path| {
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

/// Whole columns go in at once: as rows of text that DuckDB casts they would take fifteen times as long.
fn append(connection: &Connection, model: &Model, documents: &[&Document]) -> duckdb::Result<()> {
    let hashes: Vec<String> = documents.iter().map(|document| document.content_hash()).collect();
    let metadata: Vec<String> = documents.iter().map(|document| row::json_text(&document.metadata)).collect();
    let columns = [
        vectors::texts(documents.iter().map(|document| Some(document.document_id.as_str()))),
        vectors::texts(hashes.iter().map(|hash| Some(hash.as_str()))),
        vectors::vectors(model.dimension, documents.iter().map(|document| document.embedding.as_slice()))?,
        vectors::texts(metadata.iter().map(|text| Some(text.as_str()))),
        vectors::texts(documents.iter().map(|document| Some(document.content.as_str()))),
    ];
    vectors::append(connection, "ml_schema", &model.table(), columns)
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
                 WHERE {ID_AMONG}"
            ),
            [&ids],
        )?;
    }
    Ok(count as u64)
}

/// A search among the documents of one model.
struct Asking(DocumentQuery);

impl Asking {
    const DOING: &'static str = "searching documents";
}

impl Search for Asking {
    type Hit = DocumentHit;

    fn doing(&self) -> &'static str {
        Asking::DOING
    }

    fn group(&self) -> Group {
        Group::Documents
    }

    fn target(&self, connection: &Connection, path: &Path) -> Result<Option<Target>> {
        let (Asking(query), doing) = (self, Asking::DOING);
        let known = models(connection).map_err(|error| from_duckdb(error, doing, path))?;
        let Some(model) = known.into_iter().find(|model| model.name == query.model_name) else {
            let message = format!("no documents of model {} are stored", query.model_name);
            return Err(StoreError::new(ErrorKind::NotFound, Backend::DuckDb, doing, message)
                .remedy("Store some first: labtop docs add FILE."));
        };
        check_query(&query.embedding, model.dimension, &model.name)
            .map_err(|message| invalid(doing, message))?;
        let filter = RecordFilter { r#where: query.filter.to_where(), where_document: None };
        let condition = where_sql::compile(&filter).map_err(|message| invalid(doing, message))?;
        Ok(Some(Target {
            key: Key::Model(model.id),
            source: Source {
                dimension: model.dimension,
                key: "document_id",
                vector: "embedding".to_owned(),
                rows: format!("ml_schema.{} WHERE true", model.table()),
                ids: true,
            },
            vector: query.embedding.clone(),
            measure: match query.distance {
                Distance::Cosine => Measure::Cosine { without: f64::NAN },
                Distance::L2 => Measure::L2,
                Distance::Ip => Measure::Ip { from: 0.0 },
                Distance::L1 => Measure::L1,
            },
            limit: query.limit,
            condition: (!query.filter.conditions.is_empty()).then_some(condition),
        }))
    }

    fn hits(&self, connection: &Connection, found: &[(RowKey, f64)]) -> duckdb::Result<Vec<DocumentHit>> {
        let name = &self.0.model_name;
        let Some(model) = models(connection)?.into_iter().find(|model| model.name == *name) else {
            return Ok(Vec::new());
        };
        let id_of = |(key, _): &(RowKey, f64)| match key {
            RowKey::Id(id) => id.clone(),
            RowKey::Position(position) => position.to_string(),
        };
        let ids: Vec<String> = found.iter().map(id_of).collect();
        let sql = format!(
            "SELECT document_id, ?, content, metadata::VARCHAR, 0.0::DOUBLE FROM ml_schema.{} WHERE {ID_AMONG}",
            model.table()
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map(params![name, serde_json::json!(ids).to_string()], |row| {
            let hit = hit(row)?;
            Ok((hit.document_id.clone(), hit))
        })?;
        let mut by_id = rows.collect::<duckdb::Result<HashMap<_, _>>>()?;
        let with_distance = |(id, (_, distance)): (&String, &(RowKey, f64))| {
            by_id.remove(id).map(|hit| DocumentHit { distance: *distance, ..hit })
        };
        Ok(ids.iter().zip(found).filter_map(with_distance).collect())
    }
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

fn invalid(doing: &str, message: String) -> StoreError {
    StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, message)
}
