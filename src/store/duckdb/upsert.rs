//! Records on their way into a collection: replaced where their ids are there already.

use std::collections::HashMap;

use duckdb::{Connection, params};
use serde_json::{Value, json};

use crate::domain::collection::{Record, RecordEdit, StoredRecord};

use super::collections::{AMONG, ids_json};
use super::nearest::vector_text;
use super::{row, vectors};

/// Up to so many records go in as one JSON text: five of them take a third of the time that temporary tables take,
/// and the temporary tables are faster from some hundreds on.
const FEW: usize = 256;

/// Puts records, whose ids differ, in their order. One that is replaced keeps its place in the order of insertion.
pub fn upsert(
    connection: &Connection,
    collection: i64,
    dimension: Option<usize>,
    records: &[Record],
) -> duckdb::Result<()> {
    let Some(first) = records.first() else { return Ok(()) };
    if dimension.is_none() {
        let sql = "UPDATE ml_schema.collections SET dimension = ? WHERE id = ?";
        connection.execute(sql, params![first.embedding.len() as i64, collection])?;
    }
    match records.len() <= FEW {
        true => few(connection, collection, records),
        false => many(connection, collection, records),
    }
}

/// Puts those whose ids are not there yet.
pub fn add(
    connection: &Connection,
    collection: i64,
    dimension: Option<usize>,
    mut records: Vec<Record>,
) -> duckdb::Result<()> {
    let places = positions(connection, collection, &records)?;
    records.retain(|record| !places.contains_key(&record.id));
    upsert(connection, collection, dimension, &records)
}

/// The records as they are to be; edits of others are left out. Texts that are empty are none, as in Chroma.
pub fn changed(there: Vec<StoredRecord>, edits: Vec<RecordEdit>) -> Vec<Record> {
    let mut edits: HashMap<String, RecordEdit> =
        edits.into_iter().map(|edit| (edit.id.clone(), edit)).collect();
    let change = |record: StoredRecord| {
        let edit = edits.remove(&record.id)?;
        let StoredRecord { id, document, mut metadata, embedding } = record;
        for (key, value) in edit.metadata {
            match value {
                Value::Null => drop(metadata.remove(&key)),
                value => drop(metadata.insert(key, value)),
            }
        }
        Some(Record {
            id,
            document: edit.document.or(document),
            embedding: edit.embedding.or(embedding).unwrap_or_default(),
            metadata,
        })
    };
    there.into_iter().filter_map(change).collect()
}

fn few(connection: &Connection, collection: i64, records: &[Record]) -> duckdb::Result<()> {
    let places = positions(connection, collection, records)?;
    if !places.is_empty() {
        let known = ids_json(places.keys());
        let sql = format!("DELETE FROM ml_schema.collection_records WHERE collection_id = ? AND {AMONG}");
        connection.execute(&sql, params![collection, known])?;
    }
    let rows: Vec<Value> = records
        .iter()
        .map(|record| {
            json!({
                "position": places.get(record.id.as_str()),
                "id": record.id,
                "document": record.document,
                "metadata": row::json_text(&record.metadata),
                // As JSON its numbers would have twice as many digits, and take twice as long.
                "embedding": vector_text(&record.embedding),
            })
        })
        .collect();
    let sql = format!(
        r#"INSERT INTO ml_schema.collection_records (position, collection_id, id, document, metadata, embedding)
           SELECT coalesce(position, nextval('ml_schema.record_ids')), {collection}, id, document, metadata::JSON,
                  embedding::FLOAT[]
           FROM (SELECT unnest(from_json(?::JSON, '[{{"position": "BIGINT", "id": "VARCHAR", "document": "VARCHAR",
               "metadata": "VARCHAR", "embedding": "VARCHAR"}}]'), recursive := true))"#
    );
    connection.execute(&sql, [Value::Array(rows).to_string()]).map(drop)
}

/// Places of those that are there already.
fn positions(
    connection: &Connection,
    collection: i64,
    records: &[Record],
) -> duckdb::Result<HashMap<String, i64>> {
    // One value for all ids: a list of placeholders takes eight times as long.
    let ids = ids_json(records.iter().map(|record| &record.id));
    let sql =
        format!("SELECT id, position FROM ml_schema.collection_records WHERE collection_id = ? AND {AMONG}");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![collection, ids], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn many(connection: &Connection, id: i64, records: &[Record]) -> duckdb::Result<()> {
    let Some(dimension) = records.first().map(|record| record.embedding.len()) else { return Ok(()) };
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP TABLE incoming (ordinal BIGINT, id VARCHAR, document VARCHAR, metadata VARCHAR,
             embedding FLOAT[{dimension}])"
    ))?;
    let metadata: Vec<String> = records.iter().map(|record| row::json_text(&record.metadata)).collect();
    let columns = [
        vectors::numbers(0..records.len() as i64),
        vectors::texts(records.iter().map(|record| Some(record.id.as_str()))),
        vectors::texts(records.iter().map(|record| record.document.as_deref())),
        vectors::texts(metadata.iter().map(|text| Some(text.as_str()))),
        vectors::vectors(dimension, records.iter().map(|record| record.embedding.as_slice()))?,
    ];
    vectors::append(connection, "main", "incoming", columns)?;
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP TABLE replaced AS SELECT r.id, r.position FROM ml_schema.collection_records r
             JOIN incoming i ON i.id = r.id WHERE r.collection_id = {id};
         DELETE FROM ml_schema.collection_records
             WHERE collection_id = {id} AND id IN (SELECT id FROM incoming);
         INSERT INTO ml_schema.collection_records (position, collection_id, id, document, metadata, embedding)
             SELECT coalesce(o.position, nextval('ml_schema.record_ids')), {id}, i.id, i.document, i.metadata::JSON,
                    i.embedding::FLOAT[]
             FROM (SELECT * FROM incoming ORDER BY ordinal) i LEFT JOIN replaced o ON o.id = i.id ORDER BY i.ordinal;
         DROP TABLE incoming; DROP TABLE replaced"
    ))
}
