//! Similarity search with pgvector: along an HNSW index where one serves, else by comparing every vector.
//!
//! An index is over `embedding::vector(n)`, an exact scan compares `embedding` itself: no setting is needed to keep the server
//! from an index. What steers the scan along one is set for the one transaction only.

use std::fmt::Write as _;

use serde_json::json;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::domain::document::{Distance, DocumentHit, DocumentQuery};
use crate::domain::index::{Nearest, Scan, Why};
use crate::domain::metadata_filter::{MetadataFilter, Test};
use crate::store::{ErrorKind, Result};

use super::extension::Extension;
use super::reader::{Reader, Typed};
use super::schema::Part;
use super::{Pg, json as clean, partition};

/// The server takes no more.
const MOST_CANDIDATES: u32 = 1000;

/// What decides how a search is done. The index: of several for one metric the one that is ready.
const FACTS: &str = "SELECT m.dimension, x.extversion, i.relname::text, i.opcname::text, i.indisvalid \
     FROM ml_schema.embedding_models m \
     LEFT JOIN pg_extension x ON x.extname = 'vector' \
     LEFT JOIN LATERAL ( \
         SELECT c.relname, o.opcname, p.indisvalid FROM pg_index p \
         JOIN pg_class c ON c.oid = p.indexrelid JOIN pg_am a ON a.oid = c.relam AND a.amname = 'hnsw' \
         JOIN pg_opclass o ON o.oid = p.indclass[0] \
         WHERE p.indrelid = (SELECT to_regclass('ml_schema.' || $2::text)::oid) AND p.indpred IS NULL AND o.opcname = ANY ($3) \
         ORDER BY p.indisvalid DESC LIMIT 1 \
     ) i ON true WHERE m.name = $1";

struct Facts {
    dimension: usize,
    extension: Extension,
    index: Option<Found>,
}

/// An HNSW index for the metric that is asked for.
struct Found {
    name: String,
    half: bool,
    ready: bool,
}

/// How a search is to be done.
enum Way {
    Exact(Why),
    Index { half: bool, ef_search: u32 },
}

pub(super) fn operator(distance: Distance) -> &'static str {
    match distance {
        Distance::Cosine => "<=>",
        Distance::L2 => "<->",
        Distance::Ip => "<#>",
        Distance::L1 => "<+>",
    }
}

/// What pgvector calls the way of ordering that an index is made with.
pub(super) fn operator_class(distance: Distance, half: bool) -> String {
    let kind = if half { "halfvec" } else { "vector" };
    format!("{kind}_{}_ops", distance.as_str())
}

impl Pg {
    pub(super) async fn nearest(&self, query: &DocumentQuery) -> Result<Nearest> {
        let doing = "searching documents";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let facts = self.facts(doing, &mut reader, query).await?;
        let given = query.embedding.len();
        if given != facts.dimension {
            let message = format!(
                "the query has {given} dimensions, but embedding model '{}' has {}",
                query.model_name, facts.dimension
            );
            return Err(self.error(ErrorKind::Invalid, doing, message));
        }
        if query.embedding.iter().any(|value| !value.is_finite()) {
            return Err(self.error(ErrorKind::Invalid, doing, "the query vector holds NaN or infinity"));
        }
        match way(query, &facts, self.shared.settings.ef_search) {
            Way::Exact(why) => self.exact(doing, &mut reader, query, why).await,
            Way::Index { half, ef_search } => {
                let found = self.along_index(doing, &mut reader, query, &facts, half, ef_search).await?;
                if found.hits.len() >= query.limit || matches!(found.scan, Scan::Exact(_)) {
                    return Ok(found);
                }
                // It lacks zero vectors, and gives up after many that do not fit the filter.
                let all = self.exact(doing, &mut reader, query, Why::Few).await?;
                Ok(if all.hits.len() > found.hits.len() { all } else { found })
            }
        }
    }

    async fn facts(&self, doing: &str, reader: &mut Reader, query: &DocumentQuery) -> Result<Facts> {
        let model = clean::text(&query.model_name);
        let classes: Vec<String> =
            [false, true].map(|half| operator_class(query.distance, half)).into_iter().collect();
        let table = partition::table(&model);
        let Some(row) = reader.optional(doing, FACTS, &[&model, &table, &classes]).await? else {
            return Err(self.no_model(doing, &model));
        };
        let dimension: i32 = self.value(doing, &row, 0)?;
        let version: Option<&str> = self.value(doing, &row, 1)?;
        let name: Option<String> = self.value(doing, &row, 2)?;
        let class: Option<&str> = self.value(doing, &row, 3)?;
        let ready: Option<bool> = self.value(doing, &row, 4)?;
        let index = name.map(|name| Found {
            name,
            half: class.is_some_and(|class| class.starts_with("halfvec")),
            ready: ready == Some(true),
        });
        let extension = Extension::new(version.unwrap_or_default());
        Ok(Facts { dimension: usize::try_from(dimension).unwrap_or_default(), extension, index })
    }

    async fn exact(
        &self,
        doing: &str,
        reader: &mut Reader,
        query: &DocumentQuery,
        why: Why,
    ) -> Result<Nearest> {
        let mut values = Values::of(query);
        let fits = condition(&query.filter, &mut values);
        let operator = operator(query.distance);
        let sql = format!(
            "SELECT document_id, model_name, content, metadata, embedding {operator} $1::real[]::vector AS distance \
             FROM ml_schema.document_embeddings WHERE model_name = $2{fits} \
             ORDER BY distance, document_id COLLATE \"C\" LIMIT $3"
        );
        let rows = reader.rows_once(doing, &sql, &values.typed()).await?;
        Ok(Nearest { hits: self.hits(doing, &rows)?, scan: Scan::Exact(why) })
    }

    async fn along_index(
        &self,
        doing: &str,
        reader: &mut Reader,
        query: &DocumentQuery,
        facts: &Facts,
        half: bool,
        ef_search: u32,
    ) -> Result<Nearest> {
        let mut values = Values::of(query);
        let fits = condition(&query.filter, &mut values);
        let sql = index_sql(query.distance, facts.dimension, half, &fits);
        let parameters = values.typed();
        let settings = settings(ef_search, &facts.extension, query.filter.is_empty());
        let explain = format!("EXPLAIN {sql}");
        let mut statements: Vec<(&str, &[Typed<'_>])> = vec![(&sql, &parameters)];
        if !query.filter.is_empty() {
            // With a filter the server may know a quicker way; it is asked which it takes.
            statements.push((&explain, &parameters));
        }
        let mut answers = reader.rows_under(doing, &settings, &statements).await?.into_iter();
        let hits = self.hits(doing, &answers.next().unwrap_or_default())?;
        let scan = match (answers.next(), &facts.index) {
            (Some(plan), Some(index)) if !self.goes_along(doing, &plan, &index.name)? => {
                Scan::Exact(Why::Planned)
            }
            _ => Scan::Index { ef_search },
        };
        Ok(Nearest { hits, scan })
    }

    /// Whether a plan names the index.
    fn goes_along(&self, doing: &str, plan: &[Row], index: &str) -> Result<bool> {
        for row in plan {
            let line: &str = self.value(doing, row, 0)?;
            if line.contains("Index Scan using") && line.contains(index) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn hits(&self, doing: &str, rows: &[Row]) -> Result<Vec<DocumentHit>> {
        rows.iter().map(|row| self.hit(doing, row)).collect()
    }
}

fn way(query: &DocumentQuery, facts: &Facts, usual: u32) -> Way {
    if query.exact {
        return Way::Exact(Why::Asked);
    }
    let Some(index) = &facts.index else { return Way::Exact(Why::NoIndex(query.distance)) };
    if !index.ready {
        return Way::Exact(Why::NotReady);
    }
    if query.distance == Distance::Cosine && query.embedding.iter().all(|value| *value == 0.0) {
        // No direction: every distance is NaN, and what an index gives is anything.
        return Way::Exact(Why::Few);
    }
    let wanted = u32::try_from(query.limit).unwrap_or(u32::MAX);
    let ef_search = query.ef_search.unwrap_or(usual).max(wanted).clamp(1, MOST_CANDIDATES);
    if !facts.extension.iterates() && (!query.filter.is_empty() || wanted > ef_search) {
        return Way::Exact(Why::Old);
    }
    Way::Index { half: index.half, ef_search }
}

/// The inner part goes along the index, whose order may be that of shortened figures; the outer orders by the true ones.
fn index_sql(distance: Distance, dimension: usize, half: bool, fits: &str) -> String {
    let operator = operator(distance);
    let kind = if half { "halfvec" } else { "vector" };
    format!(
        "SELECT document_id, $2::text, content, metadata, embedding {operator} $1::real[]::vector AS distance FROM ( \
             SELECT document_id, content, metadata, embedding FROM ml_schema.document_embeddings \
             WHERE model_name = $2{fits} \
             ORDER BY (embedding::{kind}({dimension})) {operator} $1::real[]::{kind}({dimension}) LIMIT $3 \
         ) nearest ORDER BY distance, document_id COLLATE \"C\""
    )
}

fn settings(ef_search: u32, extension: &Extension, all: bool) -> String {
    let mut settings = format!("SET LOCAL hnsw.ef_search = {ef_search}");
    if extension.iterates() {
        // Without, a scan ends after ef_search vectors, however few of them fit a filter.
        settings.push_str("; SET LOCAL hnsw.iterative_scan = strict_order");
    }
    if all {
        // Every other way must sort. Among few vectors the server would take one, and whoever measures an index would
        // measure something else.
        settings.push_str("; SET LOCAL enable_sort = off");
    }
    settings
}

/// The parameters of a search: `$1` the vector, `$2` the model, `$3` how many, then what a filter compares with.
pub(super) struct Values<'a> {
    embedding: &'a [f32],
    model: std::borrow::Cow<'a, str>,
    limit: i64,
    compared: Vec<Compared>,
}

pub(super) enum Compared {
    Text(String),
    Json(serde_json::Value),
}

impl<'a> Values<'a> {
    pub(super) fn of(query: &'a DocumentQuery) -> Self {
        Values {
            embedding: &query.embedding,
            model: clean::text(&query.model_name),
            limit: i64::try_from(query.limit).unwrap_or(i64::MAX),
            compared: Vec::new(),
        }
    }

    /// Takes a value in; says how it is written in SQL.
    pub(super) fn push(&mut self, value: Compared) -> String {
        let kind = match value {
            Compared::Text(_) => "text",
            Compared::Json(_) => "jsonb",
        };
        self.compared.push(value);
        format!("${}::{kind}", 3 + self.compared.len())
    }

    pub(super) fn typed(&self) -> Vec<Typed<'_>> {
        let mut typed: Vec<Typed<'_>> =
            vec![(&self.embedding, Type::FLOAT4_ARRAY), (&self.model, Type::TEXT), (&self.limit, Type::INT8)];
        typed.extend(self.compared.iter().map(|value| -> Typed<'_> {
            match value {
                Compared::Text(text) => (text, Type::TEXT),
                Compared::Json(json) => (json, Type::JSONB),
            }
        }));
        typed
    }
}

/// The filter as SQL, to follow another condition. Keys and values are parameters.
pub(super) fn condition(filter: &MetadataFilter, values: &mut Values<'_>) -> String {
    let mut sql = String::new();
    for one in &filter.conditions {
        let key = clean::text(&one.key).into_owned();
        let value = match &one.value {
            serde_json::Value::String(text) => json!(clean::text(text)),
            plain => plain.clone(),
        };
        let test = match one.test {
            // The one form that an index on metadata serves.
            Test::Equal | Test::NotEqual => {
                let holds = values.push(Compared::Json(json!({ key: value })));
                match one.test {
                    Test::NotEqual => format!("NOT coalesce(metadata @> {holds}, false)"),
                    _ => format!("metadata @> {holds}"),
                }
            }
            order => {
                let key = values.push(Compared::Text(key));
                let value = values.push(Compared::Json(value));
                let sign = order.sign();
                format!("(jsonb_typeof(metadata -> {key}) = 'number' AND metadata -> {key} {sign} {value})")
            }
        };
        // Writing to a String cannot fail.
        let _ = write!(sql, " AND {test}");
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(version: &str, index: Option<(bool, bool)>) -> Facts {
        let index = index.map(|(half, ready)| Found { name: "i".to_owned(), half, ready });
        Facts { dimension: 2, extension: Extension::new(version), index }
    }

    fn query(limit: usize) -> DocumentQuery {
        DocumentQuery { embedding: vec![1.0, 0.0], limit, ..DocumentQuery::default() }
    }

    #[test]
    fn the_way_depends_on_question_index_and_version() {
        let told = |query: &DocumentQuery, facts: &Facts| match way(query, facts, 100) {
            Way::Exact(why) => Scan::Exact(why),
            Way::Index { ef_search, .. } => Scan::Index { ef_search },
        };
        let ready = facts("0.8.1", Some((false, true)));
        assert_eq!(told(&query(10), &ready), Scan::Index { ef_search: 100 });
        assert_eq!(told(&query(500), &ready), Scan::Index { ef_search: 500 });
        assert_eq!(told(&query(5000), &ready), Scan::Index { ef_search: 1000 });
        assert_eq!(
            told(&DocumentQuery { ef_search: Some(20), ..query(10) }, &ready),
            Scan::Index { ef_search: 20 }
        );
        assert_eq!(told(&DocumentQuery { exact: true, ..query(10) }, &ready), Scan::Exact(Why::Asked));
        let zero = DocumentQuery { embedding: vec![0.0, 0.0], ..query(10) };
        assert_eq!(told(&zero, &ready), Scan::Exact(Why::Few));
        assert_eq!(told(&query(10), &facts("0.8.1", None)), Scan::Exact(Why::NoIndex(Distance::Cosine)));
        assert_eq!(told(&query(10), &facts("0.8.1", Some((true, false)))), Scan::Exact(Why::NotReady));

        let old = facts("0.7.4", Some((false, true)));
        assert_eq!(told(&query(10), &old), Scan::Index { ef_search: 100 });
        assert_eq!(told(&query(5000), &old), Scan::Exact(Why::Old));
        let filtered = DocumentQuery { filter: "a=1".parse().unwrap(), ..query(10) };
        assert_eq!(told(&filtered, &old), Scan::Exact(Why::Old));
        assert!(!settings(100, &old.extension, true).contains("iterative"));
    }

    #[test]
    fn filters_become_parameters() {
        let query = DocumentQuery { filter: "a=1 and b != x and c >= 2.5".parse().unwrap(), ..query(1) };
        let mut values = Values::of(&query);
        assert_eq!(
            condition(&query.filter, &mut values),
            " AND metadata @> $4::jsonb AND NOT coalesce(metadata @> $5::jsonb, false) \
             AND (jsonb_typeof(metadata -> $6::text) = 'number' AND metadata -> $6::text >= $7::jsonb)"
        );
        assert_eq!(values.typed().len(), 7);
    }
}
