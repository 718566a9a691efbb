//! The collection store on DuckDB: answers as Chroma does.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::types::Value as DuckValue;
use duckdb::{Connection, OptionalExt, Row, params, params_from_iter};

use crate::domain::collection::{
    Collection, CollectionEdit, Hnsw, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage,
    Space, StoredRecord, check_edits, check_metadata, check_name, check_records,
};
use crate::domain::document::check_query;
use crate::store::collections::CollectionStore;
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;
use super::nearest::{self, RowKey, Search, Target};
use super::row;
use super::upsert;
use super::vectors::{Group, Key, Measure, Source};
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

    /// Puts records that the collection can take.
    async fn put(
        &self,
        name: &str,
        records: &[Record],
        put: fn(&Connection, i64, Option<usize>, Vec<Record>) -> duckdb::Result<()>,
    ) -> Result<()> {
        let (name, records) = (name.to_owned(), records.to_vec());
        let doing = "adding documents";
        self.engine
            .write_vectors(Group::Collection(name.clone()), doing, move |connection, path| {
                let (id, dimension, _) = identity(connection, path, doing, &name)?;
                check_records(&records, dimension).map_err(|message| invalid(doing, message))?;
                put(connection, id, dimension, records).map_err(|error| from_duckdb(error, doing, path))
            })
            .await
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

    /// Its index settings are not looked at: every vector is compared.
    async fn create(&self, new: &NewCollection) -> Result<Collection> {
        let doing = "creating collection";
        let NewCollection { name, metadata, space, .. } = new.clone();
        check_name(&name)
            .and_then(|()| check_metadata(&metadata))
            .map_err(|message| invalid(doing, message))?;
        self.engine
            .write(doing, move |connection, path| {
                refuse_taken(connection, path, doing, &name)?;
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

    async fn edit(&self, name: &str, edit: &CollectionEdit) -> Result<Collection> {
        let doing = "changing collection";
        let (old, CollectionEdit { name: new, metadata }) = (name.to_owned(), edit.clone());
        new.as_deref()
            .map_or(Ok(()), check_name)
            .and_then(|()| metadata.as_ref().map_or(Ok(()), check_metadata))
            .map_err(|message| invalid(doing, message))?;
        let matrices = self.engine.matrices().clone();
        let work = move |connection: &Connection, path: &Path| {
            let (id, ..) = identity(connection, path, doing, &old)?;
            let named = new.as_ref().unwrap_or(&old);
            if *named != old {
                refuse_taken(connection, path, doing, named)?;
            }
            let metadata = metadata.as_ref().map(row::json_text);
            connection
                .execute(
                    "UPDATE ml_schema.collections SET name = ?, metadata = coalesce(?::JSON, metadata) WHERE id = ?",
                    params![named, metadata, id],
                )
                .map_err(|error| from_duckdb(error, doing, path))?;
            matrices.renamed(&old, named);
            Ok(find(connection, path, doing, named)?.1)
        };
        self.engine.write_vectors(Group::Collection(name.to_owned()), doing, work).await
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
            .write_vectors(Group::Collection(name.clone()), doing, move |connection, path| {
                let (id, ..) = identity(connection, path, doing, &name)?;
                connection
                    .execute_batch(&format!(
                        "DELETE FROM ml_schema.collection_records WHERE collection_id = {id};
                         DELETE FROM ml_schema.collections WHERE id = {id}"
                    ))
                    .map_err(|error| from_duckdb(error, doing, path))
            })
            .await
    }

    async fn add(&self, name: &str, records: &[Record]) -> Result<()> {
        self.put(name, records, upsert::add).await
    }

    async fn update(&self, name: &str, edits: &[RecordEdit]) -> Result<()> {
        let (name, edits) = (name.to_owned(), edits.to_vec());
        let doing = "changing records";
        self.engine
            .write_vectors(Group::Collection(name.clone()), doing, move |connection, path| {
                let (id, dimension, _) = identity(connection, path, doing, &name)?;
                check_edits(&edits, dimension).map_err(|message| invalid(doing, message))?;
                let page = RecordPage {
                    limit: edits.len(),
                    with_embeddings: true,
                    ids: edits.iter().map(|edit| edit.id.clone()).collect(),
                    ..RecordPage::default()
                };
                let there = match edits.is_empty() {
                    true => Vec::new(),
                    false => records(connection, path, id, &page)?,
                };
                upsert::upsert(connection, id, dimension, &upsert::changed(there, edits))
                    .map_err(|error| from_duckdb(error, doing, path))
            })
            .await
    }

    async fn upsert(&self, name: &str, records: &[Record]) -> Result<u64> {
        let put = |connection: &Connection, id, dimension, records: Vec<Record>| {
            upsert::upsert(connection, id, dimension, &records)
        };
        self.put(name, records, put).await?;
        Ok(records.len() as u64)
    }

    async fn existing(&self, name: &str, ids: &[String]) -> Result<Vec<String>> {
        let (name, ids) = (name.to_owned(), ids_json(ids));
        let doing = "looking for records";
        self.engine
            .read_checked(doing, move |connection, path| {
                let (collection, ..) = identity(connection, path, doing, &name)?;
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
                let (id, ..) = identity(connection, path, doing, &name)?;
                records(connection, path, id, &page)
            })
            .await
    }

    async fn count(&self, name: &str, filter: &RecordFilter, most: u64) -> Result<u64> {
        let (name, filter) = (name.to_owned(), filter.clone());
        let doing = "counting records";
        self.engine
            .read_checked(doing, move |connection, path| {
                let (id, ..) = identity(connection, path, doing, &name)?;
                let condition = where_sql::compile(&filter).map_err(|message| invalid(doing, message))?;
                let sql = format!(
                    "SELECT count(*) FROM (SELECT 1 FROM ml_schema.collection_records
                     WHERE collection_id = {id} AND {} LIMIT {most})",
                    condition.sql
                );
                let count = connection.query_row(&sql, params_from_iter(condition.values), |row| row.get(0));
                count.map_err(|error| from_duckdb(error, doing, path))
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
        nearest::nearest(&self.engine, Asking { name, embedding, n_results, filter }).await
    }

    async fn remove_records(&self, name: &str, ids: &[String]) -> Result<u64> {
        let (name, ids) = (name.to_owned(), ids_json(ids));
        let doing = "deleting records";
        self.engine
            .write_vectors(Group::Collection(name.clone()), doing, move |connection, path| {
                let (collection, ..) = identity(connection, path, doing, &name)?;
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

fn read_space(row: &Row<'_>, column: usize) -> duckdb::Result<Space> {
    let space: String = row.get(column)?;
    Ok(match space.as_str() {
        "l2" => Space::L2,
        "ip" => Space::Ip,
        _ => Space::Cosine,
    })
}

fn read(row: &Row<'_>) -> duckdb::Result<(i64, Collection)> {
    let (space, dimension): (Space, Option<u32>) = (read_space(row, 3)?, row.get(4)?);
    let collection = Collection {
        name: row.get(1)?,
        metadata: row::object(row, 2)?,
        space,
        hnsw: Hnsw::default(),
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

fn refuse_taken(connection: &Connection, path: &Path, doing: &str, name: &str) -> Result<()> {
    match identity(connection, path, doing, name) {
        Ok(_) => Err(StoreError::new(
            ErrorKind::Conflict,
            Backend::DuckDb,
            doing,
            format!("collection {name} exists already"),
        )
        .remedy("Choose another name, or delete it first.")),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Id, dimension and space, without counting the records.
fn identity(
    connection: &Connection,
    path: &Path,
    doing: &str,
    name: &str,
) -> Result<(i64, Option<usize>, Space)> {
    let sql = "SELECT id, dimension, space FROM ml_schema.collections WHERE name = ?";
    let found = connection.query_row(sql, [name], |row| {
        let dimension: Option<u32> = row.get(1)?;
        Ok((row.get(0)?, dimension.map(|dimension| dimension as usize), read_space(row, 2)?))
    });
    let found = found.optional().map_err(|error| from_duckdb(error, doing, path))?;
    found.ok_or_else(|| missing(doing, name))
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
    // The order of all is found by the positions alone, and only the page is read whole.
    let sql = format!(
        "SELECT id, document, metadata::VARCHAR, {embedding} FROM ml_schema.collection_records
         WHERE collection_id = {id} AND position IN (
             SELECT position FROM ml_schema.collection_records WHERE collection_id = {id} AND {} AND {among}
             ORDER BY position LIMIT {} OFFSET {})
         ORDER BY position",
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

/// A query among the records of a collection.
struct Asking {
    name: String,
    embedding: Vec<f32>,
    n_results: usize,
    filter: RecordFilter,
}

impl Asking {
    const DOING: &'static str = "querying collection";
}

impl Search for Asking {
    type Hit = RecordHit;

    fn doing(&self) -> &'static str {
        Asking::DOING
    }

    fn group(&self) -> Group {
        Group::Collection(self.name.clone())
    }

    fn target(&self, connection: &Connection, path: &Path) -> Result<Option<Target>> {
        let doing = Asking::DOING;
        let (id, dimension, space) = identity(connection, path, doing, &self.name)?;
        let condition = where_sql::compile(&self.filter).map_err(|message| invalid(doing, message))?;
        // An empty collection has no dimension and no answers.
        let Some(dimension) = dimension else { return Ok(None) };
        check_query(&self.embedding, dimension, &self.name).map_err(|message| invalid(doing, message))?;
        Ok(Some(Target {
            key: Key::Collection(id),
            source: Source {
                dimension,
                key: "position",
                vector: format!("embedding::FLOAT[{dimension}]"),
                rows: format!("ml_schema.collection_records WHERE collection_id = {id}"),
                ids: false,
            },
            vector: self.embedding.clone(),
            measure: match space {
                Space::L2 => Measure::L2Squared,
                // Chroma's answer for a vector without direction.
                Space::Cosine => Measure::Cosine { without: 1.0 },
                Space::Ip => Measure::Ip { from: 1.0 },
            },
            limit: self.n_results,
            condition: (condition.sql != where_sql::ALL).then_some(condition),
        }))
    }

    fn hits(&self, connection: &Connection, found: &[(RowKey, f64)]) -> duckdb::Result<Vec<RecordHit>> {
        let positions: Vec<i64> = found
            .iter()
            .filter_map(|(key, _)| match key {
                RowKey::Position(position) => Some(*position),
                RowKey::Id(_) => None,
            })
            .collect();
        let listed = positions.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        // A position belongs to one record of one collection.
        let sql = format!(
            "SELECT id, document, metadata::VARCHAR, NULL, position FROM ml_schema.collection_records
             WHERE position IN (SELECT unnest([{listed}]::BIGINT[]))"
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(4)?, stored(row)?)))?;
        let mut by_position = rows.collect::<duckdb::Result<HashMap<_, _>>>()?;
        let hit = |(position, (_, distance)): (&i64, &(RowKey, f64))| {
            by_position.remove(position).map(|record| RecordHit { record, distance: *distance })
        };
        Ok(positions.iter().zip(found).filter_map(hit).collect())
    }
}

fn invalid(doing: &str, message: String) -> StoreError {
    StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, message)
}
