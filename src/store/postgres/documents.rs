//! Document embeddings in PostgreSQL with pgvector.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pgvector::Vector;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::domain::document::{
    Distance, Document, DocumentHit, DocumentQuery, EmbeddingModel, check_documents,
};
use crate::store::documents::DocumentStore;
use crate::store::{ErrorKind, Health, Result, StoreError};

use super::copy::{self, Value};
use super::link::Transaction;
use super::schema::Part;
use super::{Pg, json, partition};

/// The longest vector that pgvector stores.
const LONGEST: usize = 16_000;

const STAGING: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS labtop_documents (document_id text, content_hash text, \
     embedding vector, model_name text, metadata jsonb, content text) ON COMMIT DELETE ROWS";

const INTO_STAGING: &str =
    "pg_temp.labtop_documents (document_id, content_hash, embedding, model_name, metadata, content)";

const FROM_STAGING: &str = "INSERT INTO ml_schema.document_embeddings \
     (document_id, content_hash, embedding, model_name, metadata, content) \
     SELECT document_id, content_hash, embedding, model_name, metadata, content FROM pg_temp.labtop_documents \
     ON CONFLICT (model_name, document_id) DO UPDATE SET content_hash = excluded.content_hash, \
     embedding = excluded.embedding, metadata = excluded.metadata, content = excluded.content, created_at = now()";

#[async_trait]
impl DocumentStore for Pg {
    async fn health(&self) -> Result<Health> {
        let health = self.greet().await?;
        self.ready(Part::Documents, "looking for the vector extension").await?;
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
            pg.copy_documents(doing, &dimensions, &documents).await
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

    async fn search(&self, query: &DocumentQuery) -> Result<Vec<DocumentHit>> {
        let doing = "searching documents";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let model_name = json::text(&query.model_name);
        let sql =
            "SELECT name, dimension, distance, 0::bigint FROM ml_schema.embedding_models WHERE name = $1";
        let Some(row) = reader.optional(doing, sql, &[&model_name]).await? else {
            let message = format!("there is no embedding model '{model_name}'");
            return Err(self
                .error(ErrorKind::NotFound, doing, message)
                .remedy("`labtop docs ls` shows the documents and their models."));
        };
        let model = self.model(doing, &row)?;
        let given = query.embedding.len();
        if given != model.dimension {
            let message = format!(
                "the query has {given} dimensions, but embedding model '{model_name}' has {}",
                model.dimension
            );
            return Err(self.error(ErrorKind::Invalid, doing, message));
        }
        if query.embedding.iter().any(|value| !value.is_finite()) {
            return Err(self.error(ErrorKind::Invalid, doing, "the query vector holds NaN or infinity"));
        }
        let operator = operator(query.distance);
        let sql = format!(
            "SELECT document_id, model_name, content, metadata, embedding {operator} $1 AS distance \
             FROM ml_schema.document_embeddings WHERE model_name = $2 ORDER BY distance, document_id COLLATE \"C\" LIMIT $3"
        );
        let embedding = Vector::from(query.embedding.clone());
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let rows = reader.rows(doing, &sql, &[&embedding, &model_name, &limit]).await?;
        rows.iter().map(|row| self.hit(doing, row)).collect()
    }

    async fn remove(&self, document_ids: &[String]) -> Result<u64> {
        let doing = "deleting documents";
        let client = self.writer(Part::Documents, doing).await?;
        let sql = "DELETE FROM ml_schema.document_embeddings WHERE document_id = ANY ($1)";
        self.within(doing, client.execute(sql, &[&json::texts(document_ids)])).await
    }
}

fn operator(distance: Distance) -> &'static str {
    match distance {
        Distance::Cosine => "<=>",
        Distance::L2 => "<->",
        Distance::Ip => "<#>",
        Distance::L1 => "<+>",
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

    fn hit(&self, doing: &str, row: &Row) -> Result<DocumentHit> {
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

    async fn copy_documents(
        &self,
        doing: &str,
        dimensions: &[(String, usize)],
        documents: &[Document],
    ) -> Result<u64> {
        let told = |error| self.told(doing, error);
        let mut client = self.writer(Part::Documents, doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        for (model, dimension) in dimensions {
            let known = partition::ensure(&transaction, model, *dimension).await.map_err(told)?;
            let other = documents.iter().find(|document| json::text(&document.model_name) == model.as_str());
            if let Some(document) = other.filter(|_| known != *dimension) {
                return Err(self.mixed(doing, document, known));
            }
        }
        let stored = stage_and_insert(&transaction, documents).await.map_err(told)?;
        transaction.commit().await.map_err(told)?;
        Ok(stored)
    }
}

async fn stage_and_insert(
    transaction: &Transaction<'_>,
    documents: &[Document],
) -> Result<u64, tokio_postgres::Error> {
    transaction.batch_execute(&format!("SET LOCAL labtop.bulk = 'on'; {STAGING}")).await?;
    // The type's number differs from database to database.
    let vector = transaction.type_named("vector").await?;
    let types = [Type::TEXT, Type::TEXT, vector, Type::TEXT, Type::JSONB, Type::TEXT];
    let rows = documents.iter().map(|document| -> Vec<Value<'_>> {
        vec![
            Box::new(json::text(&document.document_id)),
            Box::new(document.content_hash()),
            Box::new(Vector::from(document.embedding.clone())),
            Box::new(json::text(&document.model_name)),
            Box::new(json::object(&document.metadata)),
            Box::new(json::text(&document.content)),
        ]
    });
    copy::rows(transaction, INTO_STAGING, &types, rows).await?;
    transaction.execute(FROM_STAGING, &[]).await
}
