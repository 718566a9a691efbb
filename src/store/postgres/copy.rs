//! Bulk writing by binary COPY.

use std::io::Cursor;
use std::pin::pin;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Transaction};

use crate::domain::document::Document;

use super::json;

/// One value of a row on its way in.
pub(super) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Copies rows into `target`, a table with its columns in brackets; says how many there were. Each row has one value for
/// each of `types`.
pub(super) fn rows<'a>(
    transaction: &'a Transaction<'_>,
    target: &'a str,
    types: &'a [Type],
    rows: impl Iterator<Item = Vec<Value<'a>>> + Send + 'a,
) -> BoxFuture<'a, Result<u64, Error>> {
    async move {
        let statement = format!("COPY {target} FROM STDIN (FORMAT BINARY)");
        let sink = transaction.copy_in(&statement).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, types));
        for row in rows {
            let values: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| &**value as _).collect();
            writer.as_mut().write(&values).await?;
        }
        writer.finish().await
    }
    .boxed()
}

/// What is sent at once.
const LOT: usize = 256 * 1024;

/// The signature, no flags, no more header.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Copies documents in; says how many there were. Vectors make up nearly all of it: they are written as the wire has them, without
/// a box for each value and without asking for the number of their type, which differs from database to database.
pub(super) fn documents<'a>(
    transaction: &'a Transaction<'_>,
    documents: &'a [Document],
) -> BoxFuture<'a, Result<u64, Error>> {
    async move {
        let statement = "COPY ml_schema.document_embeddings (document_id, content_hash, embedding, model_name, \
             metadata, content) FROM STDIN (FORMAT BINARY)";
        let mut sink = pin!(transaction.copy_in::<_, Cursor<Vec<u8>>>(statement).await?);
        let mut lot = Vec::with_capacity(LOT);
        lot.extend_from_slice(HEADER);
        for document in documents {
            encode(document, &mut lot);
            if lot.len() >= LOT {
                let full = std::mem::replace(&mut lot, Vec::with_capacity(LOT));
                sink.send(Cursor::new(full)).await?;
            }
        }
        lot.extend_from_slice(&(-1i16).to_be_bytes());
        sink.send(Cursor::new(lot)).await?;
        sink.finish().await
    }
    .boxed()
}

fn encode(document: &Document, row: &mut Vec<u8>) {
    let Document { document_id, content, embedding, model_name, metadata } = document;
    row.extend_from_slice(&6i16.to_be_bytes());
    field(row, json::text(document_id).as_bytes());
    field(row, document.content_hash().as_bytes());
    // The store has refused vectors too long for this.
    let dimension = u16::try_from(embedding.len()).unwrap_or(u16::MAX);
    length(row, 4 + 4 * embedding.len());
    row.extend_from_slice(&dimension.to_be_bytes());
    row.extend_from_slice(&[0, 0]);
    row.extend(embedding.iter().flat_map(|figure| figure.to_be_bytes()));
    field(row, json::text(model_name).as_bytes());
    let metadata = json::object(metadata).to_string();
    length(row, 1 + metadata.len());
    // The version of jsonb's text form.
    row.push(1);
    row.extend_from_slice(metadata.as_bytes());
    field(row, json::text(content).as_bytes());
}

fn field(row: &mut Vec<u8>, value: &[u8]) {
    length(row, value.len());
    row.extend_from_slice(value);
}

/// The server refuses values of half that length.
fn length(row: &mut Vec<u8>, bytes: usize) {
    row.extend_from_slice(&i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes());
}
