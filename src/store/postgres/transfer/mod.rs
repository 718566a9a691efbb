//! Moving a PostgreSQL store: what it gives away and takes in.

mod look;
mod take;

use std::fmt;

use async_trait::async_trait;
use pgvector::Vector;
use tokio::sync::Mutex;
use tokio_postgres::Row;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::document::Document;
use crate::domain::experiment::ExperimentId;
use crate::store::Result;
use crate::store::outbox::Delivery;
use crate::store::transfer::{DocumentLook, Identity, Look, Sizes, Transfer, Which, WholeRun};

use super::reader::Reader;
use super::schema::Part;
use super::{Pg, json};

const DOING: &str = "reading what is to be moved";

/// Looks at one snapshot.
struct Held {
    pg: Pg,
    reader: Mutex<Reader>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("pg", &self.pg).finish_non_exhaustive()
    }
}

#[async_trait]
impl Look for Held {
    async fn sizes(&self) -> Result<Sizes> {
        self.pg.sizes(&mut *self.reader.lock().await).await
    }

    async fn batches(&self, after: BatchId, limit: u64) -> Result<Vec<Batch>> {
        self.pg.batches_after(&mut *self.reader.lock().await, after, limit).await
    }

    async fn identities(&self, which: &Which) -> Result<Vec<Identity>> {
        self.pg.identities_of(&mut *self.reader.lock().await, which).await
    }

    async fn runs(&self, which: &Which, points: u64) -> Result<Vec<WholeRun>> {
        self.pg.whole_runs(&mut *self.reader.lock().await, which, points).await
    }

    async fn deliveries(&self, after: i64, limit: u64) -> Result<Vec<Delivery>> {
        self.pg.deliveries_after(&mut *self.reader.lock().await, after, limit).await
    }
}

#[async_trait]
impl Look for Pg {
    async fn sizes(&self) -> Result<Sizes> {
        Pg::sizes(self, &mut self.reader(Part::Experiments, DOING).await?).await
    }

    async fn batches(&self, after: BatchId, limit: u64) -> Result<Vec<Batch>> {
        self.batches_after(&mut self.reader(Part::Experiments, DOING).await?, after, limit).await
    }

    async fn identities(&self, which: &Which) -> Result<Vec<Identity>> {
        self.identities_of(&mut self.reader(Part::Experiments, DOING).await?, which).await
    }

    async fn runs(&self, which: &Which, points: u64) -> Result<Vec<WholeRun>> {
        // Rows and points come by two statements.
        let mut reader = self.reader(Part::Experiments, DOING).await?;
        reader.look(DOING).await?;
        let runs = self.whole_runs(&mut reader, which, points).await?;
        reader.look_away(DOING).await?;
        Ok(runs)
    }

    async fn deliveries(&self, after: i64, limit: u64) -> Result<Vec<Delivery>> {
        self.deliveries_after(&mut self.reader(Part::Experiments, DOING).await?, after, limit).await
    }
}

#[async_trait]
impl Transfer for Pg {
    async fn identity(&self) -> Result<String> {
        self.server_identity().await
    }

    async fn hold(&self) -> Result<Box<dyn Look>> {
        if self.shared.settings.pool_size < 2 {
            // It would keep the one connection from everything else.
            return Ok(Box::new(self.clone()));
        }
        let mut reader = self.reader(Part::Experiments, DOING).await?;
        reader.look(DOING).await?;
        // It rests while the other store writes.
        reader.run(DOING, "SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        Ok(Box::new(Held { pg: self.clone(), reader: Mutex::new(reader) }))
    }

    async fn reserve(&self, batch: BatchId, run: ExperimentId) -> Result<bool> {
        self.raise_ids(batch, run).await?;
        Ok(true)
    }

    async fn take_batches(&self, batches: &[Batch], keep_ids: bool) -> Result<u64> {
        let (pg, batches) = (self.clone(), batches.to_vec());
        let doing = "storing batches";
        self.carried_out(doing, self.long_patience(), async move {
            pg.insert_batches(doing, &batches, keep_ids).await
        })
        .await
    }

    async fn take_runs(&self, runs: &[WholeRun], keep_ids: bool) -> Result<u64> {
        let (pg, runs) = (self.clone(), runs.to_vec());
        let doing = "storing experiments";
        self.carried_out(
            doing,
            self.long_patience(),
            async move { pg.insert_runs(doing, &runs, keep_ids).await },
        )
        .await
    }
}

#[async_trait]
impl DocumentLook for Pg {
    async fn identity(&self) -> Result<String> {
        self.server_identity().await
    }

    async fn window(&self, model_name: &str, after: &str, limit: u64) -> Result<Vec<Document>> {
        let mut reader = self.reader(Part::Documents, DOING).await?;
        let sql = "SELECT document_id, content, embedding, model_name, metadata FROM ml_schema.document_embeddings \
                   WHERE model_name = $1 AND document_id > $2 ORDER BY document_id LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.rows(DOING, sql, &[&json::text(model_name), &json::text(after), &limit]).await?;
        rows.iter().map(|row| self.whole_document(row)).collect()
    }

    async fn these(&self, model_name: &str, ids: &[String]) -> Result<Vec<Document>> {
        let mut reader = self.reader(Part::Documents, DOING).await?;
        let sql = "SELECT document_id, content, embedding, model_name, metadata FROM ml_schema.document_embeddings \
                   WHERE model_name = $1 AND document_id = ANY ($2)";
        let rows = reader.rows(DOING, sql, &[&json::text(model_name), &json::texts(ids)]).await?;
        rows.iter().map(|row| self.whole_document(row)).collect()
    }
}

impl Pg {
    /// Names of hosts are of no use: one server has several.
    async fn server_identity(&self) -> Result<String> {
        let mut reader = self.bare_reader(DOING).await?;
        let sql = "SELECT current_database() || ' of a server begun ' || pg_postmaster_start_time()";
        let row = reader.one(DOING, sql, &[]).await?;
        self.value(DOING, &row, 0)
    }

    fn whole_document(&self, row: &Row) -> Result<Document> {
        let embedding: Vector = self.value(DOING, row, 2)?;
        Ok(Document {
            document_id: self.value(DOING, row, 0)?,
            content: self.value(DOING, row, 1)?,
            embedding: embedding.to_vec(),
            model_name: self.value(DOING, row, 3)?,
            metadata: json::as_object(self.value(DOING, row, 4)?),
        })
    }
}
