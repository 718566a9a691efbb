//! The outbox on DuckDB.

use std::sync::Arc;

use async_trait::async_trait;
use duckdb::params;
use jiff::Timestamp;
use serde_json::json;

use crate::store::Result;
use crate::store::outbox::{Delivery, NewDelivery, Outbox};

use super::engine::Engine;
use super::error::from_duckdb;
use super::row;

/// See the module.
#[derive(Debug)]
pub struct DuckOutbox {
    engine: Arc<Engine>,
}

impl DuckOutbox {
    pub fn new(engine: Arc<Engine>) -> Self {
        DuckOutbox { engine }
    }

    async fn execute(
        &self,
        doing: &'static str,
        sql: &'static str,
        id: i64,
        error: Option<String>,
    ) -> Result<()> {
        self.engine
            .write(doing, move |connection, path| {
                let done = match error {
                    Some(error) => connection.execute(sql, params![error, id]),
                    None => connection.execute(sql, params![id]),
                };
                done.map(drop).map_err(|error| from_duckdb(error, doing, path))
            })
            .await
    }
}

#[async_trait]
impl Outbox for DuckOutbox {
    async fn put(&self, delivery: &NewDelivery) -> Result<()> {
        let delivery = delivery.clone();
        self.engine
            .write("keeping records for later", move |connection, path| {
                let records = json!(delivery.records).to_string();
                connection
                    .execute(
                        "INSERT INTO ml_schema.outbox (collection, records) VALUES (?, ?::JSON)",
                        params![delivery.collection, records],
                    )
                    .map(drop)
                    .map_err(|error| from_duckdb(error, "keeping records for later", path))
            })
            .await
    }

    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>> {
        self.engine
            .read("reading the outbox", move |connection| {
                let mut statement = connection.prepare(&format!(
                    "SELECT id, collection, records::VARCHAR, tries, last_error, epoch_us(created_at)
                     FROM ml_schema.outbox ORDER BY id LIMIT {}",
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ))?;
                let rows = statement.query_map([], |row| {
                    Ok(Delivery {
                        id: row.get(0)?,
                        collection: row.get(1)?,
                        records: row::json(row, 2)?,
                        tries: row.get(3)?,
                        last_error: row.get(4)?,
                        created_at: row::time(row, 5)?.unwrap_or(Timestamp::UNIX_EPOCH),
                    })
                })?;
                rows.collect()
            })
            .await
    }

    async fn waiting(&self) -> Result<u64> {
        self.engine
            .read("counting the outbox", |connection| {
                connection.query_row("SELECT count(*) FROM ml_schema.outbox", [], |row| row.get(0))
            })
            .await
    }

    async fn delivered(&self, id: i64) -> Result<()> {
        self.execute("emptying the outbox", "DELETE FROM ml_schema.outbox WHERE id = ?", id, None).await
    }

    async fn failed(&self, id: i64, error: &str) -> Result<()> {
        let sql = "UPDATE ml_schema.outbox SET tries = tries + 1, last_error = ? WHERE id = ?";
        self.execute("noting a failed delivery", sql, id, Some(error.to_owned())).await
    }
}
