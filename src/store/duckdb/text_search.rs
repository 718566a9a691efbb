//! Documents by words, by selection and in sums, on DuckDB.
//!
//! DuckDB's own full text needs an extension that is not in the library, and an index. A search by words is a scan instead: SQL
//! finds the documents that may hold one, and BM25 is worked out here, over the documents that fit the filter.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use duckdb::types::Value;
use duckdb::{Connection, params, params_from_iter};

use crate::domain::collection::RecordFilter;
use crate::domain::document::{ModelSize, Selection, Stub, TextHit, TextQuery};
use crate::domain::embedding_map::{DocumentPoint, Points};
use crate::domain::metadata_filter::MetadataFilter;
use crate::store::catalogue::DocumentCatalogue;
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::documents::{Documents, ID_AMONG};
use super::error::from_duckdb;
use super::row;
use super::vectors::Group;
use super::where_sql::{self, Condition};

/// How quickly more of a word stops counting, and how much a long text is held against it: the usual figures.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Words of a query that count.
const MOST_WORDS: usize = 32;

#[async_trait]
impl DocumentCatalogue for Documents {
    async fn stubs(&self, model_name: &str, ids: &[String]) -> Result<Vec<Stub>> {
        let (model, ids) = (model_name.to_owned(), serde_json::json!(ids).to_string());
        let work = move |connection: &Connection| {
            let Some((table, _)) = table(connection, &model)? else { return Ok(Vec::new()) };
            let sql =
                format!("SELECT document_id, content_hash, metadata::VARCHAR FROM {table} WHERE {ID_AMONG}");
            let mut statement = connection.prepare(&sql)?;
            let stub = |row: &duckdb::Row<'_>| {
                let (document_id, content_hash) = (row.get(0)?, row.get(1)?);
                Ok(Stub { document_id, content_hash, metadata: row::object(row, 2)? })
            };
            statement.query_map([ids.as_str()], stub)?.collect()
        };
        self.engine.read("comparing documents", work).await
    }

    async fn text_search(&self, query: &TextQuery) -> Result<Vec<TextHit>> {
        let query = query.clone();
        let work = move |connection: &Connection, path: &Path| by_words(connection, path, &query);
        self.engine.read_checked("searching documents by words", work).await
    }

    async fn count(&self, which: &Selection) -> Result<u64> {
        let (which, doing) = (which.clone(), "counting documents");
        let work = move |connection: &Connection, path: &Path| {
            let failed = |error| from_duckdb(error, doing, path);
            let fits = condition(&which, doing)?;
            let mut count = 0;
            for table in tables(connection, which.model.as_deref()).map_err(failed)? {
                let sql = format!("SELECT count(*) FROM {table} WHERE {}", fits.sql);
                let one: u64 = connection
                    .query_row(&sql, params_from_iter(fits.values.clone()), |row| row.get(0))
                    .map_err(failed)?;
                count += one;
            }
            Ok(count)
        };
        self.engine.read_checked(doing, work).await
    }

    async fn remove_selected(&self, which: &Selection) -> Result<u64> {
        let (which, doing) = (which.clone(), "deleting documents");
        if which.is_everything() {
            let message = "a selection of everything: name documents, a model or a filter";
            return Err(StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, message));
        }
        let work = move |connection: &Connection, path: &Path| {
            let failed = |error| from_duckdb(error, doing, path);
            let fits = condition(&which, doing)?;
            let mut count = 0;
            for table in tables(connection, which.model.as_deref()).map_err(failed)? {
                let sql = format!("DELETE FROM {table} WHERE {}", fits.sql);
                count += connection.execute(&sql, params_from_iter(fits.values.clone())).map_err(failed)?;
            }
            Ok(count as u64)
        };
        self.engine.write_vectors(Group::Documents, doing, work).await
    }

    async fn sizes(&self) -> Result<Vec<ModelSize>> {
        let work = |connection: &Connection| {
            let mut sizes = Vec::new();
            for (model_name, table, dimension) in models(connection)? {
                // Two hashes of a row: its content's, and what DuckDB keeps beside the values.
                let sql = format!(
                    "SELECT coalesce(sum(strlen(content) + strlen(metadata::VARCHAR) + strlen(document_id) + 80), 0)::UBIGINT
                            + count(*) * {} FROM {table}",
                    4 * dimension
                );
                let bytes = connection.query_row(&sql, [], |row| row.get(0))?;
                sizes.push(ModelSize { model_name, bytes });
            }
            Ok(sizes)
        };
        self.engine.read("measuring documents", work).await
    }

    async fn points(&self, model_name: &str, which: &Points) -> Result<Vec<DocumentPoint>> {
        let (model, which) = (model_name.to_owned(), which.clone());
        let work = move |connection: &Connection| {
            let Some((table, _)) = table(connection, &model)? else { return Ok(Vec::new()) };
            let (rest, values) = match &which {
                Points::These(ids) => {
                    (format!("WHERE {ID_AMONG}"), vec![Value::Text(serde_json::json!(ids).to_string())])
                }
                Points::Sample(limit) => {
                    (format!("ORDER BY content_hash, document_id LIMIT {limit}"), Vec::new())
                }
            };
            let sql = format!(
                "SELECT document_id, left(content, {}), metadata::VARCHAR, to_json(embedding)::VARCHAR FROM {table} {rest}",
                DocumentPoint::EXCERPT
            );
            let mut statement = connection.prepare(&sql)?;
            let point = |row: &duckdb::Row<'_>| {
                Ok(DocumentPoint {
                    document_id: row.get(0)?,
                    excerpt: row.get(1)?,
                    metadata: row::object(row, 2)?,
                    embedding: row::json(row, 3)?,
                })
            };
            statement.query_map(params_from_iter(values), point)?.collect()
        };
        self.engine.read("reading vectors", work).await
    }
}

/// Name, table and dimension of every model, by name.
fn models(connection: &Connection) -> duckdb::Result<Vec<(String, String, u32)>> {
    let sql =
        "SELECT name, 'ml_schema.embeddings_' || id, dimension FROM ml_schema.embedding_models ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn table(connection: &Connection, model: &str) -> duckdb::Result<Option<(String, u32)>> {
    let models = models(connection)?.into_iter();
    Ok(models.filter(|(name, ..)| name == model).map(|(_, table, dimension)| (table, dimension)).next())
}

/// The tables of one model, or of all.
fn tables(connection: &Connection, model: Option<&str>) -> duckdb::Result<Vec<String>> {
    let models = models(connection)?.into_iter();
    Ok(models
        .filter(|(name, ..)| model.is_none_or(|model| name == model))
        .map(|(_, table, _)| table)
        .collect())
}

fn metadata(filter: &MetadataFilter, doing: &str) -> Result<Condition> {
    let filter = RecordFilter { r#where: filter.to_where(), where_document: None };
    where_sql::compile(&filter)
        .map_err(|message| StoreError::new(ErrorKind::Invalid, Backend::DuckDb, doing, message))
}

fn condition(which: &Selection, doing: &str) -> Result<Condition> {
    let mut condition = metadata(&which.filter, doing)?;
    if let Some(ids) = &which.ids {
        condition.sql.push_str(&format!(" AND {ID_AMONG}"));
        condition.values.push(Value::Text(serde_json::json!(ids).to_string()));
    }
    Ok(condition)
}

/// A document that holds some of the words.
struct Candidate {
    id: String,
    /// How often it holds each.
    counts: Vec<u32>,
    length: f64,
}

fn by_words(connection: &Connection, path: &Path, query: &TextQuery) -> Result<Vec<TextHit>> {
    let doing = "searching documents by words";
    let failed = |error| from_duckdb(error, doing, path);
    let Some((table, _)) = table(connection, &query.model_name).map_err(failed)? else {
        let message = format!("no documents of model {} are stored", query.model_name);
        return Err(StoreError::new(ErrorKind::NotFound, Backend::DuckDb, doing, message)
            .remedy("Store some first: labtop docs add FILE."));
    };
    let wanted = distinct_words(&query.text);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let fits = metadata(&query.filter, doing)?;
    let scored = scored(connection, &table, &fits, &wanted, query.limit).map_err(failed)?;
    let mut texts = texts(connection, &table, &scored).map_err(failed)?;
    let hit = |(document_id, score): (String, f64)| {
        let (content, metadata) = texts.remove(&document_id)?;
        Some(TextHit { document_id, model_name: query.model_name.clone(), content, metadata, score })
    };
    Ok(scored.into_iter().filter_map(hit).collect())
}

/// Ids and scores of the best.
fn scored(
    connection: &Connection,
    table: &str,
    fits: &Condition,
    wanted: &[String],
    limit: usize,
) -> duckdb::Result<Vec<(String, f64)>> {
    let sql = format!(
        "SELECT count(*)::DOUBLE, coalesce(avg(length(content)), 0)::DOUBLE FROM {table} WHERE {}",
        fits.sql
    );
    let (all, mean): (f64, f64) =
        connection
            .query_row(&sql, params_from_iter(fits.values.clone()), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let holds = vec!["contains(lower(content), ?)"; wanted.len()].join(" OR ");
    let sql = format!("SELECT document_id, content FROM {table} WHERE {} AND ({holds})", fits.sql);
    let mut values = fits.values.clone();
    values.extend(wanted.iter().map(|word| Value::Text(needle(word).to_owned())));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut candidates = Vec::new();
    while let Some(row) = rows.next()? {
        let content: String = row.get(1)?;
        let counts = counts(&content, wanted);
        if counts.iter().any(|count| *count > 0) {
            candidates.push(Candidate { id: row.get(0)?, counts, length: content.chars().count() as f64 });
        }
    }
    Ok(best(candidates, all, mean, wanted.len(), limit))
}

/// BM25: rare words count for more, many of one word for little more than some, and short texts for more than long ones.
fn best(candidates: Vec<Candidate>, all: f64, mean: f64, words: usize, limit: usize) -> Vec<(String, f64)> {
    let weight = |word: usize| {
        let with = candidates.iter().filter(|candidate| candidate.counts[word] > 0).count() as f64;
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    };
    let weights: Vec<f64> = (0..words).map(weight).collect();
    let score = |candidate: Candidate| {
        let long = K1 * (1.0 - B + B * candidate.length / mean.max(1.0));
        let part = |(count, weight): (&u32, &f64)| {
            weight * f64::from(*count) * (K1 + 1.0) / (f64::from(*count) + long)
        };
        let score: f64 = candidate.counts.iter().zip(&weights).map(part).sum();
        (candidate.id, score)
    };
    let mut scored: Vec<(String, f64)> = candidates.into_iter().map(score).collect();
    scored.sort_by(|(one, a), (two, b)| b.total_cmp(a).then_with(|| one.cmp(two)));
    scored.truncate(limit);
    scored
}

type Texts = HashMap<String, (String, serde_json::Map<String, serde_json::Value>)>;

fn texts(connection: &Connection, table: &str, scored: &[(String, f64)]) -> duckdb::Result<Texts> {
    let ids: Vec<&String> = scored.iter().map(|(id, _)| id).collect();
    let sql = format!("SELECT document_id, content, metadata::VARCHAR FROM {table} WHERE {ID_AMONG}");
    let mut statement = connection.prepare(&sql)?;
    let text = |row: &duckdb::Row<'_>| Ok((row.get(0)?, (row.get(1)?, row::object(row, 2)?)));
    statement.query_map(params![serde_json::json!(ids).to_string()], text)?.collect()
}

/// The words of a query, each once, as they are compared.
fn distinct_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in split(text) {
        if words.len() < MOST_WORDS && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn counts(content: &str, wanted: &[String]) -> Vec<u32> {
    let mut counts = vec![0; wanted.len()];
    for word in split(content) {
        if let Some(place) = wanted.iter().position(|wanted| *wanted == word) {
            counts[place] += 1;
        }
    }
    counts
}

/// Letters and digits that stand together, as [`stem`] makes them.
fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(stem)
}

/// A word in small letters without the usual endings of English, so that `measure`, `measures` and `measuring` are one. Of other
/// languages' words only the same ending goes, on both sides of a comparison.
fn stem(word: &str) -> String {
    /// What is left of a word must still say something.
    const LEAST: usize = 3;
    let mut word = word.to_lowercase();
    if word.len() > LEAST && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    let shorter = ["ing", "ed"].iter().find_map(|ending| word.strip_suffix(ending));
    if let Some(shorter) = shorter.filter(|shorter| shorter.len() > LEAST) {
        word.truncate(shorter.len());
        let mut letters = word.chars().rev();
        if let (Some(last), Some(before)) = (letters.next(), letters.next())
            && last == before
            && !"aeiouls".contains(last)
        {
            word.pop();
        }
    } else if word.len() > LEAST && word.ends_with('e') {
        word.pop();
    }
    if word.len() > LEAST && word.ends_with('y') {
        word.pop();
        word.push('i');
    }
    word
}

/// What every form of a word holds.
fn needle(stem: &str) -> &str {
    stem.strip_suffix('i').filter(|rest| !rest.is_empty()).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_word_are_one() {
        let words: Vec<String> = split("Measures TCP/UDP networks; glass is 3x").collect();
        assert_eq!(words, ["measur", "tcp", "udp", "network", "glass", "is", "3x"]);
        for forms in [
            "measure measures measured measuring",
            "network networks networking Networked",
            "library libraries",
            "process processes processing processed",
            "database databases",
            "call calls calling",
            "plan plans planning planned",
            "string strings",
            "é",
        ] {
            let stems = distinct_words(forms);
            assert_eq!(stems.len(), 1, "{stems:?}");
            for form in forms.split(' ') {
                assert!(form.to_lowercase().contains(needle(&stems[0])), "{form}: {stems:?}");
            }
        }
        assert_eq!(distinct_words("a A b"), ["a", "b"]);
    }

    #[test]
    fn rare_words_and_short_texts_win() {
        let candidate = |id: &str, counts: &[u32], length: f64| Candidate {
            id: id.to_owned(),
            counts: counts.to_vec(),
            length,
        };
        let candidates = vec![
            candidate("common", &[1, 0], 20.0),
            candidate("rare", &[0, 1], 20.0),
            candidate("long", &[0, 0], 20.0),
            candidate("common-b", &[3, 0], 200.0),
            candidate("common-a", &[3, 0], 200.0),
        ];
        let ranked: Vec<String> =
            best(candidates, 1000.0, 30.0, 2, 4).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ranked, ["rare", "common", "common-a", "common-b"]);
    }
}
