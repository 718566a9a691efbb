//! Documents by words, by selection and in sums, in PostgreSQL: its own full text in English, without an index of it.

use async_trait::async_trait;
use pgvector::Vector;
use tokio_postgres::types::Type;

use crate::domain::document::{DocumentQuery, ModelSize, Selection, Stub, TextHit, TextQuery};
use crate::domain::embedding_map::{DocumentPoint, Points};
use crate::store::catalogue::DocumentCatalogue;
use crate::store::{ErrorKind, Result};

use super::nearest::{Compared, Values, condition};
use super::reader::Typed;
use super::schema::Part;
use super::{Pg, json, partition};

#[async_trait]
impl DocumentCatalogue for Pg {
    async fn stubs(&self, model_name: &str, ids: &[String]) -> Result<Vec<Stub>> {
        let doing = "comparing documents";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let sql = "SELECT document_id, content_hash, metadata FROM ml_schema.document_embeddings \
                   WHERE model_name = $1 AND document_id = ANY ($2)";
        let rows = reader.rows(doing, sql, &[&json::text(model_name), &json::texts(ids)]).await?;
        let stub = |row| {
            Ok(Stub {
                document_id: self.value(doing, row, 0)?,
                content_hash: self.value(doing, row, 1)?,
                metadata: json::as_object(self.value(doing, row, 2)?),
            })
        };
        rows.iter().map(stub).collect()
    }

    async fn text_search(&self, query: &TextQuery) -> Result<Vec<TextHit>> {
        let doing = "searching documents by words";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let model = json::text(&query.model_name).into_owned();
        let known = "SELECT 1 FROM ml_schema.embedding_models WHERE name = $1";
        if reader.optional(doing, known, &[&model]).await?.is_none() {
            return Err(self.no_model(doing, &model));
        }
        let TextQuery { model_name, limit, filter, .. } = query.clone();
        let plain = DocumentQuery { model_name, limit, filter, ..DocumentQuery::default() };
        let mut values = Values::of(&plain);
        let fits = condition(&plain.filter, &mut values);
        let words = values.push(Compared::Text(json::text(&query.text).into_owned()));
        // Any word will do, and each that is there counts: all of them at once are asked for by few documents. The text is cut
        // into words once a row, not once for finding and once for ranking.
        let sql = format!(
            "WITH asked AS MATERIALIZED (SELECT replace(plainto_tsquery('english', {words})::text, ' & ', ' | ')::tsquery AS q) \
             SELECT document_id, model_name, content, metadata, ts_rank(found.words, q, 1)::double precision AS score FROM asked, \
             LATERAL (SELECT document_id, model_name, content, metadata, to_tsvector('english', content) AS words \
                      FROM ml_schema.document_embeddings WHERE model_name = $2{fits} OFFSET 0) found \
             WHERE numnode(q) > 0 AND found.words @@ q AND ($1::real[] IS NOT NULL) \
             ORDER BY score DESC, document_id COLLATE \"C\" LIMIT $3"
        );
        let rows = reader.rows_once(doing, &sql, &values.typed()).await?;
        let hit = |row| {
            Ok(TextHit {
                document_id: self.value(doing, row, 0)?,
                model_name: self.value(doing, row, 1)?,
                content: self.value(doing, row, 2)?,
                metadata: json::as_object(self.value(doing, row, 3)?),
                score: self.value(doing, row, 4)?,
            })
        };
        rows.iter().map(hit).collect()
    }

    async fn count(&self, which: &Selection) -> Result<u64> {
        let doing = "counting documents";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let plain = DocumentQuery { filter: which.filter.clone(), ..DocumentQuery::default() };
        let mut values = Values::of(&plain);
        let fits = selected(which, &mut values);
        let sql = format!("SELECT count(*) FROM ml_schema.document_embeddings WHERE {fits}");
        let rows = reader.rows_once(doing, &sql, &values.typed()).await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| self.value(doing, row, 0))?;
        Ok(count.unsigned_abs())
    }

    async fn remove_selected(&self, which: &Selection) -> Result<u64> {
        let doing = "deleting documents";
        if which.is_everything() {
            let message = "a selection of everything: name documents, a model or a filter";
            return Err(self.error(ErrorKind::Invalid, doing, message));
        }
        let (pg, which) = (self.clone(), which.clone());
        self.carried_out(doing, self.long_patience(), async move {
            let told = |error| pg.told(doing, error);
            let mut client = pg.writer(Part::Documents, doing).await?;
            let plain = DocumentQuery { filter: which.filter.clone(), ..DocumentQuery::default() };
            let mut values = Values::of(&plain);
            let fits = selected(&which, &mut values);
            let transaction = client.transaction().await.map_err(told)?;
            let limit = pg.long_patience().as_millis();
            transaction.batch_execute(&format!("SET LOCAL statement_timeout = {limit}")).await.map_err(told)?;
            let sql = format!(
                "WITH gone AS (DELETE FROM ml_schema.document_embeddings WHERE {fits} RETURNING 1) SELECT count(*) FROM gone"
            );
            let rows = transaction.query_typed(&sql, &values.typed()).await.map_err(told)?;
            let count: i64 = rows.first().map_or(Ok(0), |row| pg.value(doing, row, 0))?;
            transaction.commit().await.map_err(told)?;
            Ok(count.unsigned_abs())
        })
        .await
    }

    async fn sizes(&self) -> Result<Vec<ModelSize>> {
        let doing = "measuring documents";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let sql = "SELECT name FROM ml_schema.embedding_models ORDER BY name COLLATE \"C\"";
        let mut sizes = Vec::new();
        for row in reader.rows(doing, sql, &[]).await? {
            let model_name: String = self.value(doing, &row, 0)?;
            let table = partition::table(&model_name);
            let sql = "SELECT coalesce(pg_table_size(to_regclass('ml_schema.' || $1::text)), 0)";
            let parameters: [Typed<'_>; 1] = [(&table, Type::TEXT)];
            let rows = reader.rows_once(doing, sql, &parameters).await?;
            let bytes: i64 = rows.first().map_or(Ok(0), |row| self.value(doing, row, 0))?;
            sizes.push(ModelSize { model_name, bytes: bytes.unsigned_abs() });
        }
        Ok(sizes)
    }

    async fn points(&self, model_name: &str, which: &Points) -> Result<Vec<DocumentPoint>> {
        let doing = "reading vectors";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let model = json::text(model_name);
        let columns = format!(
            "SELECT document_id, left(content, {}), metadata, embedding FROM ml_schema.document_embeddings WHERE model_name = $1",
            DocumentPoint::EXCERPT
        );
        let rows = match which {
            Points::These(ids) => {
                let sql = format!("{columns} AND document_id = ANY ($2)");
                reader.rows(doing, &sql, &[&model, &json::texts(ids)]).await?
            }
            Points::Sample(limit) => {
                let sql = format!(
                    "{columns} ORDER BY content_hash COLLATE \"C\", document_id COLLATE \"C\" LIMIT $2"
                );
                reader.rows(doing, &sql, &[&model, &i64::try_from(*limit).unwrap_or(i64::MAX)]).await?
            }
        };
        let point = |row| {
            let embedding: Vector = self.value(doing, row, 3)?;
            Ok(DocumentPoint {
                document_id: self.value(doing, row, 0)?,
                excerpt: self.value(doing, row, 1)?,
                metadata: json::as_object(self.value(doing, row, 2)?),
                embedding: embedding.to_vec(),
            })
        };
        rows.iter().map(point).collect()
    }
}

/// The selection as SQL. What a search needs beside is a parameter that is not looked at.
fn selected(which: &Selection, values: &mut Values<'_>) -> String {
    let mut sql = "$1::real[] IS NOT NULL AND $2::text IS NOT NULL AND $3::bigint IS NOT NULL".to_owned();
    sql.push_str(&condition(&which.filter, values));
    if let Some(model) = &which.model {
        let model = values.push(Compared::Text(json::text(model).into_owned()));
        sql.push_str(&format!(" AND model_name = {model}"));
    }
    if let Some(ids) = &which.ids {
        let ids: Vec<_> = json::texts(ids);
        let ids = values.push(Compared::Json(serde_json::json!(ids)));
        sql.push_str(&format!(" AND document_id IN (SELECT jsonb_array_elements_text({ids}))"));
    }
    sql
}
