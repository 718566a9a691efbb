//! The outbox on DuckDB.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duckdb::{Connection, Row, params};
use jiff::Timestamp;

use crate::domain::outbox::{OutboxState, Parcel};
use crate::store::outbox::{Claims, Delivery, NewDelivery, Outbox, TAKEN_BYTES, pack, unpack};
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;
use super::experiments::list_of;
use super::row::{self, micros};

pub(super) const DELIVERY: &str =
    "id, collection, records::VARCHAR, experiment_id, tries, last_error, epoch_us(created_at)";

/// See the module.
#[derive(Debug)]
pub struct DuckOutbox {
    engine: Arc<Engine>,
}

impl DuckOutbox {
    pub fn new(engine: Arc<Engine>) -> Self {
        DuckOutbox { engine }
    }
}

#[async_trait]
impl Outbox for DuckOutbox {
    async fn put(&self, delivery: &NewDelivery) -> Result<()> {
        let delivery = delivery.clone();
        let doing = "keeping records for later";
        self.engine.write(doing, move |connection, path| put(connection, path, doing, &delivery)).await
    }

    async fn state(&self) -> Result<OutboxState> {
        self.engine
            .read("counting the outbox", |connection| {
                let sql = "SELECT count(*) FILTER (WHERE refused_at IS NULL), count(*) FILTER (WHERE refused_at IS NOT NULL),
                                  epoch_us(min(created_at)),
                                  arg_max(last_error, coalesce(tried_at, created_at)) FILTER (WHERE last_error IS NOT NULL)
                           FROM ml_schema.outbox";
                connection.query_row(sql, [], |row| {
                    Ok(OutboxState {
                        waiting: row.get(0)?,
                        refused: row.get(1)?,
                        oldest: row::time(row, 2)?,
                        last_error: row.get(3)?,
                    })
                })
            })
            .await
    }

    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.engine
            .read("reading the outbox", move |connection| {
                let sql = format!(
                    "SELECT {DELIVERY} FROM ml_schema.outbox WHERE refused_at IS NULL ORDER BY id LIMIT {limit}"
                );
                connection.prepare(&sql)?.query_map([], delivery)?.collect()
            })
            .await
    }

    async fn list(&self, limit: u64) -> Result<Vec<Parcel>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.engine
            .read("listing the outbox", move |connection| {
                let sql = format!(
                    "SELECT id, collection, experiment_id, json_array_length(records), tries, refused_at IS NOT NULL,
                            last_error, epoch_us(created_at)
                     FROM ml_schema.outbox ORDER BY id LIMIT {limit}"
                );
                connection.prepare(&sql)?.query_map([], parcel)?.collect()
            })
            .await
    }

    async fn claim(&self, holder: &str, lease: Duration, most: usize, except: &[String]) -> Result<Claims> {
        let (holder, except) = (holder.to_owned(), except.to_vec());
        self.engine
            .write_plain("claiming deliveries", move |connection| {
                claim(connection, &holder, lease, most, &except)
            })
            .await
    }

    async fn renew(&self, collection: &str, holder: &str, lease: Duration) -> Result<bool> {
        let (collection, holder) = (collection.to_owned(), holder.to_owned());
        self.engine
            .write_plain("prolonging a delivery", move |connection| {
                renew(connection, &collection, &holder, lease)
            })
            .await
    }

    async fn take(
        &self,
        collection: &str,
        holder: &str,
        lease: Duration,
        most: u64,
    ) -> Result<Vec<Delivery>> {
        let doing = "taking deliveries";
        let (collection, holder) = (collection.to_owned(), holder.to_owned());
        self.engine
            .write(doing, move |connection, path| {
                take(connection, &collection, &holder, lease, most)
                    .map_err(|error| from_duckdb(error, doing, path))?
                    .ok_or_else(|| {
                        let message = "somebody else delivers to this collection now";
                        StoreError::new(ErrorKind::Conflict, Backend::DuckDb, doing, message)
                    })
            })
            .await
    }

    async fn release(&self, collection: &str, holder: &str) -> Result<()> {
        let (collection, holder) = (collection.to_owned(), holder.to_owned());
        self.engine
            .write_plain("ending a delivery", move |connection| {
                let sql = "DELETE FROM ml_schema.outbox_claims WHERE collection = ? AND holder = ?";
                connection.execute(sql, params![collection, holder]).map(drop)
            })
            .await
    }

    async fn delivered(&self, ids: &[i64]) -> Result<()> {
        self.remove(ids).await.map(drop)
    }

    async fn failed(&self, id: i64, error: &str, for_good: bool) -> Result<()> {
        let error = error.to_owned();
        self.engine
            .write_plain("noting a failed delivery", move |connection| {
                let now = micros(Timestamp::now());
                let sql = "UPDATE ml_schema.outbox SET tries = tries + 1, last_error = ?, tried_at = ?,
                           refused_at = CASE WHEN ? THEN ? END WHERE id = ?";
                connection.execute(sql, params![error, now, for_good, now, id]).map(drop)
            })
            .await
    }

    async fn retry(&self, ids: &[i64]) -> Result<u64> {
        let which = if ids.is_empty() { String::new() } else { format!(" AND id IN ({})", list_of(ids)) };
        self.engine
            .write_plain("letting deliveries wait again", move |connection| {
                let sql = format!(
                    "UPDATE ml_schema.outbox SET refused_at = NULL, tries = 0 WHERE refused_at IS NOT NULL{which}"
                );
                connection.execute(&sql, []).map(|count| count as u64)
            })
            .await
    }

    async fn remove(&self, ids: &[i64]) -> Result<u64> {
        let ids = list_of(ids);
        self.engine
            .write_plain("emptying the outbox", move |connection| {
                let sql = format!("DELETE FROM ml_schema.outbox WHERE id IN ({ids})");
                connection.execute(&sql, []).map(|count| count as u64)
            })
            .await
    }
}

/// Also called within the transaction that ends a run. What waited of an earlier attempt is replaced.
pub(super) fn put(connection: &Connection, path: &Path, doing: &str, delivery: &NewDelivery) -> Result<()> {
    let records = pack(&delivery.records)
        .map_err(|error| StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, error.to_string()))?;
    let insert = || {
        if let Some(experiment) = delivery.experiment {
            let older = "DELETE FROM ml_schema.outbox WHERE experiment_id = ?";
            connection.execute(older, params![experiment])?;
        }
        connection.execute(
            "INSERT INTO ml_schema.outbox (collection, records, experiment_id) VALUES (?, ?::JSON, ?)",
            params![delivery.collection, records, delivery.experiment],
        )
    };
    insert().map(drop).map_err(|error| from_duckdb(error, doing, path))
}

fn renew(connection: &Connection, collection: &str, holder: &str, lease: Duration) -> duckdb::Result<bool> {
    let sql = "UPDATE ml_schema.outbox_claims SET until = ? WHERE collection = ? AND holder = ?";
    let until = micros(Timestamp::now() + lease);
    Ok(connection.execute(sql, params![until, collection, holder])? > 0)
}

fn claim(
    connection: &Connection,
    holder: &str,
    lease: Duration,
    most: usize,
    except: &[String],
) -> duckdb::Result<Claims> {
    let now = Timestamp::now();
    let sql = "SELECT o.collection, any_value(c.holder) FILTER (WHERE c.until > ?) FROM ml_schema.outbox AS o
               LEFT JOIN ml_schema.outbox_claims AS c ON c.collection = o.collection
               WHERE o.refused_at IS NULL GROUP BY o.collection ORDER BY min(o.id)";
    let mut statement = connection.prepare(sql)?;
    let waiting = statement.query_map(params![micros(now)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let waiting: Vec<(String, Option<String>)> = waiting.collect::<duckdb::Result<_>>()?;
    let mut claims = Claims::default();
    for (collection, held_by) in waiting {
        match held_by {
            Some(other) if other != holder => claims.held.push((collection, other)),
            Some(_) => {}
            None if claims.taken.len() < most && !except.contains(&collection) => {
                claims.taken.push(collection)
            }
            None => {}
        }
    }
    let until = micros(now + lease);
    for collection in &claims.taken {
        let over = "DELETE FROM ml_schema.outbox_claims WHERE collection = ?";
        connection.execute(over, params![collection])?;
        let sql = "INSERT INTO ml_schema.outbox_claims (collection, holder, until) VALUES (?, ?, ?)";
        connection.execute(sql, params![collection, holder, until])?;
    }
    Ok(claims)
}

fn take(
    connection: &Connection,
    collection: &str,
    holder: &str,
    lease: Duration,
    most: u64,
) -> duckdb::Result<Option<Vec<Delivery>>> {
    if !renew(connection, collection, holder, lease)? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {DELIVERY} FROM (
             SELECT *, sum(strlen(records::VARCHAR)) OVER (ORDER BY id) - strlen(records::VARCHAR) AS before
             FROM (SELECT * FROM ml_schema.outbox WHERE collection = ? AND refused_at IS NULL ORDER BY id LIMIT {}))
         WHERE before < {TAKEN_BYTES} ORDER BY id",
        i64::try_from(most).unwrap_or(i64::MAX)
    );
    connection
        .prepare(&sql)?
        .query_map(params![collection], delivery)?
        .collect::<duckdb::Result<_>>()
        .map(Some)
}

pub(super) fn delivery(row: &Row<'_>) -> duckdb::Result<Delivery> {
    let records: String = row.get(2)?;
    Ok(Delivery {
        id: row.get(0)?,
        collection: row.get(1)?,
        records: unpack(&records).map_err(|problem| row::unreadable(2, problem))?,
        experiment: row.get(3)?,
        tries: row.get(4)?,
        last_error: row.get(5)?,
        created_at: row::time(row, 6)?.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

fn parcel(row: &Row<'_>) -> duckdb::Result<Parcel> {
    Ok(Parcel {
        id: row.get(0)?,
        collection: row.get(1)?,
        experiment_id: row.get(2)?,
        records: row.get(3)?,
        tries: row.get(4)?,
        refused: row.get(5)?,
        last_error: row.get(6)?,
        created_at: row::time(row, 7)?.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}
