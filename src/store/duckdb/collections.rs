//! The collection store on DuckDB: answers as Chroma does.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::types::Value as DuckValue;
use duckdb::{Connection, OptionalExt, Row, params, params_from_iter};

use crate::domain::collection::{
    Collection, Record, RecordFilter, RecordHit, RecordPage, Space, StoredRecord, check_metadata, check_name,
    check_records,
};
use crate::domain::document::Metadata;
use crate::store::collections::CollectionStore;
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::documents::vector_text;
use super::engine::Engine;
use super::error::from_duckdb;
use super::row;
use super::upsert;
use super::where_sql;

/// See the module.
#[derive(Debug)]
pub struct Collections {
    engine: Arc<Engine>,
}

impl Collections {
    pub fn new(engine: Arc<Engine>) -> Self {
        Collections { engine }
    }
}

const COLLECTION: &str = "c.id, c.name, c.metadata::VARCHAR, c.space, c.dimension, \
    (SELECT count(*) FROM ml_schema.collection_records r WHERE r.collection_id = c.id)";

#[async_trait]
impl CollectionStore for Collections {
    async fn health(&self) -> Result<Health> {
        self.engine.health().await
    }

    async fn list(&self) -> Result<Vec<Collection>> {
        self.engine
            .read("listing collections", |connection| {
                let sql = format!("SELECT {COLLECTION} FROM ml_schema.collections c ORDER BY c.name");
                let mut statement = connection.prepare(&sql)?;
                let rows = statement.query_map([], |row| Ok(read(row)?.1))?;
                rows.collect()
            })
            .await
    }

    async fn create(&self, name: &str, metadata: &Metadata, space: Space) -> Result<Collection> {
        let doing = "creating collection";
        check_name(name)
            .and_then(|()| check_metadata(metadata))
            .map_err(|message| invalid(doing, message))?;
        let (name, metadata) = (name.to_owned(), metadata.clone());
        self.engine
            .write(doing, move |connection, path| {
                if find(connection, path, doing, &name).is_ok() {
                    let message = format!("collection {name} exists already");
                    return Err(StoreError::new(ErrorKind::Conflict, Backend::DuckDb, doing, message)
                        .remedy("Choose another name, or delete it first."));
                }
                connection
                    .execute(
                        "INSERT INTO ml_schema.collections (name, metadata, space) VALUES (?, ?::JSON, ?)",
                        params![name, row::json_text(&metadata), space.as_str()],
                    )
                    .map_err(|error| from_duckdb(error, doing, path))?;
                Ok(find(connection, path, doing, &name)?.1)
            })
            .await
    }

    async fn get(&self, name: &str) -> Result<Collection> {
        let name = name.to_owned();
        let doing = "reading collection";
        self.engine
            .read_checked(doing, move |connection, path| Ok(find(connection, path, doing, &name)?.1))
            .await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let doing = "deleting collection";
        self.engine
            .write(doing, move |connection, path| {
                let (id, _) = find(connection, path, doing, &name)?;
                connection
                    .execute_batch(&format!(
                        "DELETE FROM ml_schema.collection_records WHERE collection_id = {id};
                         DELETE FROM ml_schema.collections WHERE id = {id}"
                    ))
                    .map_err(|error| from_duckdb(error, doing, path))
            })
            .await
    }

    async fn upsert(&self, name: &str, records: &[Record]) -> Result<u64> {
        let (name, records) = (name.to_owned(), records.to_vec());
        let doing = "adding documents";
        self.engine
            .write(doing, move |connection, path| {
                let (id, dimension) = identity(connection, path, doing, &name)?;
                check_records(&records, dimension).map_err(|message| invalid(doing, message))?;
                upsert::upsert(connection, id, dimension, &records)
                    .map_err(|error| from_duckdb(error, doing, path))?;
                Ok(records.len() as u64)
            })
            .await
    }

    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>> {
        let (name, ids) = (name.to_owned(), ids_json(ids));
        let doing = "looking for records";
        self.engine
            .read_checked(doing, move |connection, path| {
                let (collection, _) = find(connection, path, doing, &name)?;
                let found = || {
                    let sql = format!(
                        "SELECT id FROM ml_schema.collection_records WHERE collection_id = ? AND {AMONG} ORDER BY id"
                    );
                    let mut statement = connection.prepare(&sql)?;
                    statement.query_map(params![collection, ids], |row| row.get(0))?.collect::<duckdb::Result<Vec<String>>>()
                };
                found().map_err(|error| from_duckdb(error, doing, path))
            })
            .await
    }

    async fn records(&self, name: &str, page: &RecordPage) -> Result<Vec<StoredRecord>> {
        let (name, page) = (name.to_owned(), page.clone());
        let doing = "reading records";
        self.engine
            .read_checked(doing, move |connection, path| {
                let (id, _) = find(connection, path, doing, &name)?;
                records(connection, path, id, &page)
            })
            .await
    }

    async fn query(
        &self,
        name: &str,
        embedding: &[f32],
        n_results: usize,
        filter: &RecordFilter,
    ) -> Result<Vec<RecordHit>> {
        let (name, embedding, filter) = (name.to_owned(), embedding.to_vec(), filter.clone());
        let doing = "querying collection";
        self.engine
            .read_checked(doing, move |connection, path| {
                let (id, collection) = find(connection, path, doing, &name)?;
                query(connection, path, (id, &collection), &embedding, n_results, &filter)
            })
            .await
    }

    async fn remove_records(&self, name: &str, ids: &[String]) -> Result<u64> {
        let (name, ids) = (name.to_owned(), ids_json(ids));
        let doing = "deleting records";
        self.engine
            .write(doing, move |connection, path| {
                let (collection, _) = find(connection, path, doing, &name)?;
                let sql =
                    format!("DELETE FROM ml_schema.collection_records WHERE collection_id = ? AND {AMONG}");
                let count = connection.execute(&sql, params![collection, ids]);
                Ok(count.map_err(|error| from_duckdb(error, doing, path))? as u64)
            })
            .await
    }
}

/// `id` is one of a bound JSON list.
pub(super) const AMONG: &str = "id IN (SELECT unnest(from_json(?::JSON, '[\"VARCHAR\"]')))";

/// The list that [`AMONG`] binds.
pub(super) fn ids_json<'a>(ids: impl IntoIterator<Item = &'a String>) -> String {
    ids.into_iter().map(String::as_str).collect::<serde_json::Value>().to_string()
}

fn read(row: &Row<'_>) -> duckdb::Result<(i64, Collection)> {
    let (space, dimension): (String, Option<u32>) = (row.get(3)?, row.get(4)?);
    let space = match space.as_str() {
        "l2" => Space::L2,
        "ip" => Space::Ip,
        _ => Space::Cosine,
    };
    let collection = Collection {
        name: row.get(1)?,
        metadata: row::object(row, 2)?,
        space,
        dimension: dimension.map(|dimension| dimension as usize),
        records: row.get(5)?,
        problem: None,
    };
    Ok((row.get(0)?, collection))
}

fn find(connection: &Connection, path: &Path, doing: &str, name: &str) -> Result<(i64, Collection)> {
    let sql = format!("SELECT {COLLECTION} FROM ml_schema.collections c WHERE c.name = ?");
    let found = connection.query_row(&sql, [name], read).optional();
    found.map_err(|error| from_duckdb(error, doing, path))?.ok_or_else(|| missing(doing, name))
}

/// Id and dimension, without counting the records.
fn identity(connection: &Connection, path: &Path, doing: &str, name: &str) -> Result<(i64, Option<usize>)> {
    let sql = "SELECT id, dimension FROM ml_schema.collections WHERE name = ?";
    let found = connection.query_row(sql, [name], |row| Ok((row.get(0)?, row.get::<_, Option<u32>>(1)?)));
    let found = found.optional().map_err(|error| from_duckdb(error, doing, path))?;
    let (id, dimension) = found.ok_or_else(|| missing(doing, name))?;
    Ok((id, dimension.map(|dimension| dimension as usize)))
}

fn missing(doing: &str, name: &str) -> StoreError {
    let message = format!("there is no collection {}", crate::domain::text::one_line(name, 100));
    StoreError::new(ErrorKind::NotFound, Backend::DuckDb, doing, message)
        .remedy("`labtop collections ls` lists those there are.")
}

fn records(connection: &Connection, path: &Path, id: i64, page: &RecordPage) -> Result<Vec<StoredRecord>> {
    let doing = "reading records";
    let condition = where_sql::compile(&page.filter).map_err(|message| invalid(doing, message))?;
    let mut values = condition.values;
    let among = if page.ids.is_empty() { "true" } else { AMONG };
    if !page.ids.is_empty() {
        values.push(DuckValue::Text(ids_json(&page.ids)));
    }
    let embedding = if page.with_embeddings { "to_json(embedding)::VARCHAR" } else { "NULL" };
    let sql = format!(
        "SELECT id, document, metadata::VARCHAR, {embedding} FROM ml_schema.collection_records
         WHERE collection_id = {id} AND {} AND {among} ORDER BY position LIMIT {} OFFSET {}",
        condition.sql, page.limit, page.offset
    );
    let read = || {
        let mut statement = connection.prepare(&sql)?;
        statement.query_map(params_from_iter(values), stored)?.collect::<duckdb::Result<Vec<_>>>()
    };
    read().map_err(|error| from_duckdb(error, doing, path))
}

fn stored(row: &Row<'_>) -> duckdb::Result<StoredRecord> {
    let embedding: Option<String> = row.get(3)?;
    Ok(StoredRecord {
        id: row.get(0)?,
        document: row.get(1)?,
        metadata: row::object(row, 2)?,
        embedding: embedding.map(|_| row::json(row, 3)).transpose()?,
    })
}

fn query(
    connection: &Connection,
    path: &Path,
    (id, collection): (i64, &Collection),
    embedding: &[f32],
    n_results: usize,
    filter: &RecordFilter,
) -> Result<Vec<RecordHit>> {
    let doing = "querying collection";
    // An empty collection has no dimension and no answers.
    let Some(n) = collection.dimension else { return Ok(Vec::new()) };
    if embedding.len() != n {
        let message = format!("the query has {} dimensions, {} has {n}", embedding.len(), collection.name);
        return Err(invalid(doing, message));
    }
    if embedding.iter().any(|value| !value.is_finite()) {
        return Err(invalid(doing, "the query has NaN or infinity in it".to_owned()));
    }
    let condition = where_sql::compile(filter).map_err(|message| invalid(doing, message))?;
    let (stored_vector, asked) = (format!("embedding::FLOAT[{n}]"), format!("(SELECT ?::FLOAT[{n}])"));
    let distance = match collection.space {
        Space::L2 => format!("power(array_distance({stored_vector}, {asked})::DOUBLE, 2)"),
        // A zero vector has no direction; Chroma answers 1.
        Space::Cosine => format!(
            "CASE WHEN array_inner_product({stored_vector}, {stored_vector}) = 0
                       OR array_inner_product({asked}, {asked}) = 0 THEN 1.0
             ELSE array_cosine_distance({stored_vector}, {asked}) END"
        ),
        Space::Ip => format!("1 - array_inner_product({stored_vector}, {asked})"),
    };
    let vector = DuckValue::Text(vector_text(embedding));
    let vectors = distance.matches('?').count();
    let values = std::iter::repeat_n(vector, vectors).chain(condition.values);
    let sql = format!(
        "SELECT id, document, metadata::VARCHAR, NULL, ({distance})::DOUBLE AS distance
         FROM ml_schema.collection_records WHERE collection_id = {id} AND {}
         ORDER BY distance, position LIMIT {n_results}",
        condition.sql
    );
    let read = || {
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| {
            Ok(RecordHit { record: stored(row)?, distance: row.get(4)? })
        })?;
        rows.collect::<duckdb::Result<Vec<_>>>()
    };
    read().map_err(|error| from_duckdb(error, doing, path))
}

fn invalid(doing: &str, message: String) -> StoreError {
    StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, message)
}
