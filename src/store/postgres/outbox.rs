//! Deliveries that wait, in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::types::Json;

use crate::domain::collection::Record;
use crate::store::Result;
use crate::store::outbox::{Delivery, NewDelivery, Outbox};

use super::schema::Part;
use super::{Pg, json};

#[async_trait]
impl Outbox for Pg {
    async fn put(&self, delivery: &NewDelivery) -> Result<()> {
        let doing = "keeping a delivery for later";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "INSERT INTO ml_schema.outbox (collection, records) VALUES ($1, $2)";
        let collection = json::text(&delivery.collection);
        self.within(doing, client.execute(sql, &[&collection, &Json(&delivery.records)])).await?;
        Ok(())
    }

    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>> {
        let doing = "reading deliveries";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = "SELECT id, collection, records, tries, last_error, created_at FROM ml_schema.outbox ORDER BY id LIMIT $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.rows(doing, sql, &[&limit]).await?;
        let delivery = |row| {
            let Json(records): Json<Vec<Record>> = self.value(doing, row, 2)?;
            Ok(Delivery {
                id: self.value(doing, row, 0)?,
                collection: self.value(doing, row, 1)?,
                records,
                tries: self.value(doing, row, 3)?,
                last_error: self.value(doing, row, 4)?,
                created_at: self.value(doing, row, 5)?,
            })
        };
        rows.iter().map(delivery).collect()
    }

    async fn waiting(&self) -> Result<u64> {
        let doing = "counting deliveries";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let row = reader.one(doing, "SELECT count(*) FROM ml_schema.outbox", &[]).await?;
        let count: i64 = self.value(doing, &row, 0)?;
        Ok(count.unsigned_abs())
    }

    async fn delivered(&self, id: i64) -> Result<()> {
        let doing = "marking a delivery as done";
        let client = self.writer(Part::Experiments, doing).await?;
        self.within(doing, client.execute("DELETE FROM ml_schema.outbox WHERE id = $1", &[&id])).await?;
        Ok(())
    }

    async fn failed(&self, id: i64, error: &str) -> Result<()> {
        let doing = "marking a delivery as failed";
        let client = self.writer(Part::Experiments, doing).await?;
        let sql = "UPDATE ml_schema.outbox SET tries = tries + 1, last_error = $2 WHERE id = $1";
        self.within(doing, client.execute(sql, &[&id, &json::text(error)])).await?;
        Ok(())
    }
}
