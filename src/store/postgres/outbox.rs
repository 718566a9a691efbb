//! Deliveries that wait, in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::domain::experiment::ExperimentId;
use crate::domain::outbox::{OutboxState, Parcel};
use crate::store::outbox::{Claims, Delivery, NewDelivery, Outbox, TAKEN_BYTES, pack, unpack};
use crate::store::{ErrorKind, Result};

use super::link::Transaction;
use super::schema::Part;
use super::{Pg, json};

pub(super) const DELIVERY: &str =
    "id, collection, records::text, experiment_id, tries, last_error, created_at";

/// A claim on what waits longest and is nobody's. Rows of claims are locked in the order of their names, so that two who
/// claim at once never wait for each other.
const CLAIM: &str = "WITH due AS ( \
        SELECT o.collection, min(o.id) AS first FROM ml_schema.outbox o \
        LEFT JOIN ml_schema.outbox_claims c ON c.collection = o.collection AND c.until > now() \
        WHERE o.refused_at IS NULL AND c.collection IS NULL AND o.collection <> ALL ($4) \
        GROUP BY o.collection ORDER BY first LIMIT $3) \
    INSERT INTO ml_schema.outbox_claims AS c (collection, holder, until) \
    SELECT collection, $1, now() + $2 * interval '1 millisecond' FROM due ORDER BY collection \
    ON CONFLICT (collection) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE c.until <= now() \
    RETURNING collection";

const HELD: &str = "SELECT c.collection, c.holder FROM ml_schema.outbox_claims c \
    WHERE c.until > now() AND c.holder <> $1 AND EXISTS ( \
        SELECT FROM ml_schema.outbox o WHERE o.collection = c.collection AND o.refused_at IS NULL)";

const RENEW: &str = "UPDATE ml_schema.outbox_claims SET until = now() + $3 * interval '1 millisecond' \
    WHERE collection = $1 AND holder = $2";

const STATE: &str = "SELECT count(*) FILTER (WHERE refused_at IS NULL), count(*) FILTER (WHERE refused_at IS NOT NULL), \
        min(created_at), \
        (SELECT last_error FROM ml_schema.outbox WHERE last_error IS NOT NULL ORDER BY tried_at DESC NULLS LAST LIMIT 1) \
    FROM ml_schema.outbox";

#[async_trait]
impl Outbox for Pg {
    async fn put(&self, delivery: &NewDelivery) -> Result<()> {
        let doing = "keeping a delivery for later";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "INSERT INTO ml_schema.outbox (collection, records, experiment_id) VALUES ($1, $2::text::json, $3)";
        let records = self.packed(doing, delivery)?;
        let collection = json::text(&delivery.collection);
        self.within(doing, client.execute(sql, &[&collection, &records, &delivery.experiment])).await?;
        Ok(())
    }

    async fn state(&self) -> Result<OutboxState> {
        let doing = "counting deliveries";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let row = reader.one(doing, STATE, &[]).await?;
        let count = |index| self.value::<i64>(doing, &row, index).map(i64::unsigned_abs);
        Ok(OutboxState {
            waiting: count(0)?,
            refused: count(1)?,
            oldest: self.value(doing, &row, 2)?,
            last_error: self.value(doing, &row, 3)?,
        })
    }

    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>> {
        let doing = "reading deliveries";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql =
            format!("SELECT {DELIVERY} FROM ml_schema.outbox WHERE refused_at IS NULL ORDER BY id LIMIT $1");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.rows(doing, &sql, &[&limit]).await?;
        rows.iter().map(|row| self.delivery(doing, row)).collect()
    }

    async fn list(&self, limit: u64) -> Result<Vec<Parcel>> {
        let doing = "listing deliveries";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = "SELECT id, collection, experiment_id, json_array_length(records)::bigint, tries, refused_at IS NOT NULL, \
                   last_error, created_at FROM ml_schema.outbox ORDER BY id LIMIT $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.rows(doing, sql, &[&limit]).await?;
        let parcel = |row| {
            Ok(Parcel {
                id: self.value(doing, row, 0)?,
                collection: self.value(doing, row, 1)?,
                experiment_id: self.value(doing, row, 2)?,
                records: self.value::<i64>(doing, row, 3)?.unsigned_abs(),
                tries: self.value(doing, row, 4)?,
                refused: self.value(doing, row, 5)?,
                last_error: self.value(doing, row, 6)?,
                created_at: self.value(doing, row, 7)?,
            })
        };
        rows.iter().map(parcel).collect()
    }

    async fn claim(&self, holder: &str, lease: Duration, most: usize, except: &[String]) -> Result<Claims> {
        let doing = "claiming deliveries";
        let client = self.writer(Part::Experiments, doing).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let claiming = async {
            let claim = client.prepare_cached(CLAIM).await?;
            let taken = client.query(&claim, &[&holder, &millis(lease), &most, &except]).await?;
            let held = client.prepare_cached(HELD).await?;
            Ok((taken, client.query(&held, &[&holder]).await?))
        };
        let (taken, held) = self.within(doing, claiming).await?;
        Ok(Claims {
            taken: taken.iter().map(|row| self.value(doing, row, 0)).collect::<Result<_>>()?,
            held: held
                .iter()
                .map(|row| Ok((self.value(doing, row, 0)?, self.value(doing, row, 1)?)))
                .collect::<Result<_>>()?,
        })
    }

    async fn renew(&self, collection: &str, holder: &str, lease: Duration) -> Result<bool> {
        let doing = "prolonging a delivery";
        let client = self.writer(Part::Experiments, doing).await?;
        let lease = millis(lease);
        Ok(self.within(doing, client.execute(RENEW, &[&collection, &holder, &lease])).await? > 0)
    }

    async fn take(
        &self,
        collection: &str,
        holder: &str,
        lease: Duration,
        most: u64,
    ) -> Result<Vec<Delivery>> {
        let doing = "taking deliveries";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = format!(
            "SELECT {DELIVERY} FROM ( \
                 SELECT *, sum(octet_length(records::text)) OVER (ORDER BY id) - octet_length(records::text) AS before \
                 FROM (SELECT * FROM ml_schema.outbox WHERE collection = $1 AND refused_at IS NULL ORDER BY id LIMIT $2) \
                     AS oldest) AS counted \
             WHERE before < $3 ORDER BY id"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let taking = async {
            let renew = client.prepare_cached(RENEW).await?;
            if client.execute(&renew, &[&collection, &holder, &millis(lease)]).await? == 0 {
                return Ok(None);
            }
            let take = client.prepare_cached(&sql).await?;
            client.query(&take, &[&collection, &most, &TAKEN_BYTES]).await.map(Some)
        };
        let rows = self.within(doing, taking).await?.ok_or_else(|| {
            self.error(ErrorKind::Conflict, doing, "somebody else delivers to this collection now")
        })?;
        rows.iter().map(|row| self.delivery(doing, row)).collect()
    }

    async fn release(&self, collection: &str, holder: &str) -> Result<()> {
        let doing = "ending a delivery";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "DELETE FROM ml_schema.outbox_claims WHERE collection = $1 AND holder = $2";
        self.within(doing, client.execute(sql, &[&collection, &holder])).await?;
        Ok(())
    }

    async fn delivered(&self, ids: &[i64]) -> Result<()> {
        let doing = "marking deliveries as done";
        let client = self.writer(Part::Experiments, doing).await?;
        self.within(doing, client.execute("DELETE FROM ml_schema.outbox WHERE id = ANY ($1)", &[&ids]))
            .await?;
        Ok(())
    }

    async fn failed(&self, id: i64, error: &str, for_good: bool) -> Result<()> {
        let doing = "marking a delivery as failed";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "UPDATE ml_schema.outbox SET tries = tries + 1, last_error = $2, tried_at = now(), \
                   refused_at = CASE WHEN $3 THEN now() END WHERE id = $1";
        self.within(doing, client.execute(sql, &[&id, &json::text(error), &for_good])).await?;
        Ok(())
    }

    async fn retry(&self, ids: &[i64]) -> Result<u64> {
        let doing = "letting deliveries wait again";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "UPDATE ml_schema.outbox SET refused_at = NULL, tries = 0 \
                   WHERE refused_at IS NOT NULL AND (id = ANY ($1) OR cardinality($1::bigint[]) = 0)";
        self.within(doing, client.execute(sql, &[&ids])).await
    }

    async fn remove(&self, ids: &[i64]) -> Result<u64> {
        let doing = "dropping deliveries";
        let client = self.writer(Part::Experiments, doing).await?;
        self.within(doing, client.execute("DELETE FROM ml_schema.outbox WHERE id = ANY ($1)", &[&ids])).await
    }
}

fn millis(lease: Duration) -> f64 {
    lease.as_secs_f64() * 1e3
}

impl Pg {
    fn packed(&self, doing: &str, delivery: &NewDelivery) -> Result<String> {
        pack(&delivery.records).map_err(|error| self.error(ErrorKind::Invalid, doing, error.to_string()))
    }

    pub(super) fn delivery(&self, doing: &str, row: &Row) -> Result<Delivery> {
        let records: &str = self.value(doing, row, 2)?;
        let records = unpack(records).map_err(|problem| self.error(ErrorKind::Backend, doing, problem))?;
        Ok(Delivery {
            id: self.value(doing, row, 0)?,
            collection: self.value(doing, row, 1)?,
            records,
            experiment: self.value(doing, row, 3)?,
            tries: self.value(doing, row, 4)?,
            last_error: self.value(doing, row, 5)?,
            created_at: self.value(doing, row, 6)?,
        })
    }

    /// Puts documents of runs that end into the outbox, within the transaction that ends them. What waited of an earlier
    /// attempt is replaced.
    pub(super) async fn put_documents(
        &self,
        doing: &str,
        transaction: &Transaction<'_>,
        deliveries: &[&NewDelivery],
    ) -> Result<()> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let experiments: Vec<Option<ExperimentId>> =
            deliveries.iter().map(|delivery| delivery.experiment).collect();
        let collections: Vec<_> =
            deliveries.iter().map(|delivery| json::text(&delivery.collection)).collect();
        let records: Vec<String> =
            deliveries.iter().map(|delivery| self.packed(doing, delivery)).collect::<Result<_>>()?;
        let put = async {
            let sql = "DELETE FROM ml_schema.outbox WHERE experiment_id = ANY ($1)";
            let older = transaction.prepare_cached(sql).await?;
            transaction.execute(&older, &[&experiments]).await?;
            let sql = "INSERT INTO ml_schema.outbox (collection, records, experiment_id) \
                       SELECT n_collection, n_records::json, n_experiment \
                       FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (n_collection, n_records, n_experiment)";
            let insert = transaction.prepare_cached(sql).await?;
            transaction.execute(&insert, &[&collections, &records, &experiments]).await
        };
        put.await.map_err(|error| self.told(doing, error))?;
        Ok(())
    }
}
