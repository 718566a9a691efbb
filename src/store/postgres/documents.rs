//! Document embeddings in PostgreSQL with pgvector.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use pgvector::Vector;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::domain::document::{Document, DocumentHit, DocumentQuery, EmbeddingModel, check_documents};
use crate::domain::index::Nearest;
use crate::store::documents::{DocumentIndexes, DocumentStore};
use crate::store::{ErrorKind, Health, Result, StoreError};

use super::reader::Typed;
use super::schema::Part;
use super::{Pg, copy, json, partition};

/// The longest vector that pgvector stores.
const LONGEST: usize = 16_000;

/// How often documents are stored anew after somebody else has stored one of them at the same moment.
const TRIES: u32 = 5;

/// Held by those who try again, so that they come one after the other.
const LOCK: i64 = 0x006c_6162_746f_7003;

#[async_trait]
impl DocumentStore for Pg {
    async fn health(&self) -> Result<Health> {
        let doing = "looking for the vector extension";
        self.ready(Part::Documents, doing).await?;
        let mut health = self.greet().await?;
        let mut reader = self.bare_reader(doing).await?;
        let sql = "SELECT extversion FROM pg_extension WHERE extname = 'vector'";
        if let Some(row) = reader.optional(doing, sql, &[]).await?
            && let Some(lacks) = Pg::old_extension(self.value(doing, &row, 0)?)
        {
            health.version = format!("{} ({lacks})", health.version);
        }
        Ok(health)
    }

    async fn models(&self) -> Result<Vec<EmbeddingModel>> {
        let doing = "listing embedding models";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let sql = "SELECT m.name, m.dimension, m.distance, \
                   (SELECT count(*) FROM ml_schema.document_embeddings d WHERE d.model_name = m.name) \
                   FROM ml_schema.embedding_models m ORDER BY m.name COLLATE \"C\"";
        let rows = reader.rows(doing, sql, &[]).await?;
        rows.iter().map(|row| self.model(doing, row)).collect()
    }

    async fn put(&self, documents: &[Document]) -> Result<u64> {
        let doing = "storing documents";
        let dimensions = self.dimensions(doing, documents)?;
        if documents.is_empty() {
            return Ok(0);
        }
        let (pg, documents) = (self.clone(), documents.to_vec());
        self.carried_out(doing, self.long_patience(), async move {
            pg.store_documents(doing, &dimensions, &documents).await
        })
        .await
    }

    async fn get(&self, document_id: &str, model_name: Option<&str>) -> Result<Vec<Document>> {
        let doing = "reading document";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let sql = "SELECT document_id, content, embedding, model_name, metadata FROM ml_schema.document_embeddings \
                   WHERE document_id = $1 AND ($2::text IS NULL OR model_name = $2) \
                   ORDER BY document_id, model_name COLLATE \"C\"";
        let document_id = json::text(document_id);
        let rows = reader.rows(doing, sql, &[&document_id, &json::optional(model_name)]).await?;
        let document = |row| {
            let embedding: Vector = self.value(doing, row, 2)?;
            Ok(Document {
                document_id: self.value(doing, row, 0)?,
                content: self.value(doing, row, 1)?,
                embedding: embedding.to_vec(),
                model_name: self.value(doing, row, 3)?,
                metadata: json::as_object(self.value(doing, row, 4)?),
            })
        };
        rows.iter().map(document).collect()
    }

    async fn list(&self, model_name: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>> {
        let doing = "listing documents";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let sql = "SELECT document_id, model_name, content, metadata, 0::double precision \
                   FROM ml_schema.document_embeddings WHERE $1::text IS NULL OR model_name = $1 \
                   ORDER BY document_id COLLATE \"C\", model_name COLLATE \"C\" OFFSET $2 LIMIT $3";
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.rows(doing, sql, &[&json::optional(model_name), &offset, &limit]).await?;
        rows.iter().map(|row| self.hit(doing, row)).collect()
    }

    async fn search(&self, query: &DocumentQuery) -> Result<Nearest> {
        self.nearest(query).await
    }

    async fn remove(&self, document_ids: &[String]) -> Result<u64> {
        let doing = "deleting documents";
        let client = self.writer(Part::Documents, doing).await?;
        let sql = "DELETE FROM ml_schema.document_embeddings WHERE document_id = ANY ($1)";
        self.within(doing, client.execute(sql, &[&json::texts(document_ids)])).await
    }

    fn indexes(&self) -> Option<&dyn DocumentIndexes> {
        Some(self)
    }
}

impl Pg {
    fn model(&self, doing: &str, row: &Row) -> Result<EmbeddingModel> {
        let dimension: i32 = self.value(doing, row, 1)?;
        let distance: &str = self.value(doing, row, 2)?;
        let documents: i64 = self.value(doing, row, 3)?;
        Ok(EmbeddingModel {
            name: self.value(doing, row, 0)?,
            dimension: usize::try_from(dimension).unwrap_or_default(),
            distance: distance
                .parse()
                .map_err(|problem: String| self.error(ErrorKind::Backend, doing, problem))?,
            documents: documents.unsigned_abs(),
        })
    }

    pub(super) fn hit(&self, doing: &str, row: &Row) -> Result<DocumentHit> {
        Ok(DocumentHit {
            document_id: self.value(doing, row, 0)?,
            model_name: self.value(doing, row, 1)?,
            content: self.value(doing, row, 2)?,
            metadata: json::as_object(self.value(doing, row, 3)?),
            distance: self.value(doing, row, 4)?,
        })
    }

    /// The dimension of each model in this lot; `Invalid` if vectors of one model differ or cannot be stored.
    fn dimensions(&self, doing: &str, documents: &[Document]) -> Result<Vec<(String, usize)>> {
        check_documents(documents).map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        let mut dimensions: BTreeMap<String, usize> = BTreeMap::new();
        for document in documents {
            let given = document.embedding.len();
            if given > LONGEST {
                let message = format!(
                    "document '{}' has {given} dimensions; pgvector stores at most {LONGEST}",
                    document.document_id
                );
                return Err(self.error(ErrorKind::Invalid, doing, message));
            }
            let model = json::text(&document.model_name);
            let known = *dimensions.entry(model.into_owned()).or_insert(given);
            if known != given {
                return Err(self.mixed(doing, document, known));
            }
        }
        Ok(dimensions.into_iter().collect())
    }

    fn mixed(&self, doing: &str, document: &Document, known: usize) -> StoreError {
        let Document { document_id, embedding, model_name, .. } = document;
        let given = embedding.len();
        let message = format!(
            "document '{document_id}' has {given} dimensions, but embedding model '{model_name}' has {known}"
        );
        self.error(ErrorKind::Invalid, doing, message)
            .remedy("Give vectors of another model another model name.")
    }

    pub(super) fn no_model(&self, doing: &str, model_name: &str) -> StoreError {
        let message = format!("there is no embedding model '{model_name}'");
        self.error(ErrorKind::NotFound, doing, message)
            .remedy("`labtop docs ls` shows the documents and their models.")
    }

    /// Stores documents, again and again where others store the same ones at the same moment.
    async fn store_documents(
        &self,
        doing: &str,
        dimensions: &[(String, usize)],
        documents: &[Document],
    ) -> Result<u64> {
        let mut tries = 1;
        loop {
            match self.copy_documents(doing, dimensions, documents, tries > 1).await {
                Err(error) if error.kind == ErrorKind::Conflict && tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    /// Takes the old ones away and copies the new ones in, in one transaction: a table in between to sort out which are which
    /// would have every vector written twice.
    async fn copy_documents(
        &self,
        doing: &str,
        dimensions: &[(String, usize)],
        documents: &[Document],
        in_turn: bool,
    ) -> Result<u64> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Documents, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        // Where an index is kept up, some hundred documents take a second.
        let limit = self.long_patience().as_millis();
        let settings = format!("SET LOCAL labtop.bulk = 'on'; SET LOCAL statement_timeout = {limit}");
        transaction.batch_execute(&settings).await.map_err(told)?;
        for (model, dimension) in dimensions {
            let known = partition::ensure(&transaction, model, *dimension).await.map_err(told)?;
            let other = documents.iter().find(|document| json::text(&document.model_name) == model.as_str());
            if let Some(document) = other.filter(|_| known != *dimension) {
                return Err(self.mixed(doing, document, known));
            }
        }
        if in_turn {
            let lock = "SELECT pg_advisory_xact_lock($1)";
            transaction.query_typed(lock, &[(&LOCK, Type::INT8)]).await.map_err(told)?;
        }
        for (model, _) in dimensions {
            let of_model =
                documents.iter().filter(|document| json::text(&document.model_name) == model.as_str());
            let ids: Vec<Cow<'_, str>> = of_model.map(|document| json::text(&document.document_id)).collect();
            let sql =
                "DELETE FROM ml_schema.document_embeddings WHERE model_name = $1 AND document_id = ANY ($2)";
            let parameters: [Typed<'_>; 2] = [(model, Type::TEXT), (&ids, Type::TEXT_ARRAY)];
            transaction.query_typed(sql, &parameters).await.map_err(told)?;
        }
        let stored = copy::documents(&transaction, documents).await.map_err(told)?;
        transaction.commit().await.map_err(told)?;
        Ok(stored)
    }
}
