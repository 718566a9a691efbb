//! Vectors in memory: the same answers as DuckDB's, in step with the file whoever writes, within their memory.

use std::sync::Arc;

use labtop::domain::collection::{NewCollection, RecordFilter, Space};
use labtop::domain::document::{Distance, Document, DocumentHit, DocumentQuery};
use labtop::domain::metadata_filter::MetadataFilter;
use labtop::store::collections::CollectionStore;
use labtop::store::documents::DocumentStore;
use labtop::store::duckdb::collections::Collections;
use labtop::store::duckdb::documents::Documents;
use labtop::store::duckdb::engine::Engine;
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, json};
use tempfile::TempDir;

use crate::support::backends::engine;
use crate::support::samples::{object, record};

/// Searches of the one go by DuckDB, of the other by memory; both have the same file.
struct Both {
    folder: TempDir,
    by_file: Arc<Engine>,
    by_memory: Arc<Engine>,
}

impl Both {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (by_file, by_memory) = (engine(&folder), engine(&folder));
        by_file.matrices().limit(0);
        by_memory.matrices().be_eager();
        Both { folder, by_file, by_memory }
    }
}

/// Coarse figures, so that there are ties, and now and then a vector without direction.
fn vector(random: &mut ChaCha12Rng, dimension: usize) -> Vec<f32> {
    let all_zero = random.random_range(0..12) == 0;
    let figure = |random: &mut ChaCha12Rng| f32::from(random.random_range(-2_i8..=2)) * 0.25;
    (0..dimension).map(|_| if all_zero { 0.0 } else { figure(random) }).collect()
}

fn some_documents(random: &mut ChaCha12Rng, count: usize, dimension: usize) -> Vec<Document> {
    (0..count)
        .map(|number| Document {
            document_id: format!("d{}", (number * 7919) % count),
            content: format!("text {number}"),
            embedding: vector(random, dimension),
            model_name: format!("m{dimension}"),
            metadata: object(
                json!({ "n": number % 5, "kind": if number % 2 == 0 { "even" } else { "odd" } }),
            ),
        })
        .collect()
}

fn same(one: &[(String, f64)], other: &[(String, f64)], of: &str) {
    assert_eq!(one.len(), other.len(), "{of}");
    for (one, other) in one.iter().zip(other) {
        let near = (one.1 - other.1).abs() <= 1e-5 * one.1.abs().max(1.0);
        assert!(near || (one.1.is_nan() && other.1.is_nan()), "{of}: {one:?} {other:?}");
    }
    // Between distances that differ by rounding alone the order may differ; at equal ones it is that of the keys.
    let apart = |hits: &[(String, f64)]| {
        let mut named: Vec<(i64, String)> =
            hits.iter().map(|(id, far)| ((far * 1e4).round() as i64, id.clone())).collect();
        // The last distance may have more rows than the answer had room for.
        let last = named.last().map(|one| one.0);
        named.retain(|one| Some(one.0) != last);
        named.sort();
        named
    };
    assert_eq!(apart(one), apart(other), "{of}");
}

fn hits(found: Vec<DocumentHit>) -> Vec<(String, f64)> {
    for hit in &found {
        assert!(hit.content.starts_with("text ") && hit.metadata.contains_key("n"));
    }
    found.into_iter().map(|hit| (hit.document_id, hit.distance)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_answers_as_the_file_does() {
    let both = Both::new();
    let (file, memory) = (Documents::new(both.by_file.clone()), Documents::new(both.by_memory.clone()));
    let mut random = ChaCha12Rng::seed_from_u64(5);
    for dimension in [1, 3, 16, 33] {
        file.put(&some_documents(&mut random, 300, dimension)).await.unwrap();
        for round in 0..24 {
            let filter = ["", "kind = odd", "n >= 3 and kind = even", "n > 9"][round % 4];
            let query = DocumentQuery {
                model_name: format!("m{dimension}"),
                embedding: vector(&mut random, dimension),
                limit: [1, 10, 299, 1000][(round / 4) % 4],
                distance: Distance::ALL[round % 4],
                filter: if filter.is_empty() { MetadataFilter::default() } else { filter.parse().unwrap() },
                ..DocumentQuery::default()
            };
            let (one, other) = (file.search(&query).await.unwrap(), memory.search(&query).await.unwrap());
            same(&hits(one.hits), &hits(other.hits), &format!("{query:?}"));
            assert!(both.by_memory.matrices().bytes() > 0, "nothing was in memory");
        }
    }
    assert_eq!(both.by_file.matrices().bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_answers_as_the_file_does_for_collections() {
    let both = Both::new();
    let (file, memory) = (Collections::new(both.by_file.clone()), Collections::new(both.by_memory.clone()));
    let mut random = ChaCha12Rng::seed_from_u64(6);
    for space in [Space::Cosine, Space::L2, Space::Ip] {
        let name = format!("in-{}", space.as_str());
        file.create(&NewCollection::new(&name, &Map::new(), space)).await.unwrap();
        let records: Vec<_> = (0..400)
            .map(|number| record(&format!("r{number}"), &vector(&mut random, 7), json!({ "n": number % 10 })))
            .collect();
        file.upsert(&name, &records).await.unwrap();
        for round in 0..12 {
            let filter = RecordFilter {
                r#where: (round % 2 == 1).then(|| object(json!({ "n": { "$lt": 4 } }))),
                where_document: (round % 3 == 2).then(|| object(json!({ "$contains": "r1" }))),
            };
            let (asked, limit) = (vector(&mut random, 7), [1, 25, 1000][round % 3]);
            let [one, other] = [
                file.query(&name, &asked, limit, &filter).await.unwrap(),
                memory.query(&name, &asked, limit, &filter).await.unwrap(),
            ]
            .map(|found| found.into_iter().map(|hit| (hit.record.id, hit.distance)).collect::<Vec<_>>());
            same(&one, &other, &format!("{space:?} {asked:?} {limit} {filter:?}"));
        }
    }
}

async fn ids(store: &Documents) -> Vec<String> {
    let query = DocumentQuery {
        model_name: "m".to_owned(),
        embedding: vec![1.0, 0.0],
        limit: 10,
        distance: Distance::L2,
        ..DocumentQuery::default()
    };
    store.search(&query).await.unwrap().hits.into_iter().map(|hit| hit.content).collect()
}

fn at(id: &str, far: f32, content: &str) -> Document {
    Document {
        document_id: id.to_owned(),
        content: content.to_owned(),
        embedding: vec![1.0 + far, 0.0],
        model_name: "m".to_owned(),
        metadata: Map::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_in_step_with_every_writer() {
    let both = Both::new();
    let (theirs, ours) = (Documents::new(both.by_file.clone()), Documents::new(both.by_memory.clone()));
    theirs.put(&[at("a", 1.0, "a"), at("b", 2.0, "b")]).await.unwrap();
    assert_eq!(ids(&ours).await, ["a", "b"]);
    // Our own writes.
    ours.put(&[at("b", 0.5, "b again"), at("c", 3.0, "c")]).await.unwrap();
    assert_eq!(ids(&ours).await, ["b again", "a", "c"]);
    ours.remove(&["a".to_owned()]).await.unwrap();
    assert_eq!(ids(&ours).await, ["b again", "c"]);
    // Those of another process, again and again.
    for round in 0..5 {
        theirs.put(&[at("c", 4.0 + round as f32, &format!("c {round}"))]).await.unwrap();
        assert_eq!(ids(&ours).await, ["b again".to_owned(), format!("c {round}")]);
    }
    // Those of another program, in SQL.
    both.by_file.let_go().await;
    both.by_memory.let_go().await;
    let path = both.folder.path().join("lab.duckdb");
    let other = duckdb::Connection::open(path).unwrap();
    other.execute_batch("DELETE FROM ml_schema.embeddings_1 WHERE document_id = 'c'").unwrap();
    drop(other);
    assert_eq!(ids(&ours).await, ["b again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_searched_in_the_file() {
    let both = Both::new();
    let store = Documents::new(both.by_memory.clone());
    store.put(&[at("a", 1.0, "a"), at("b", 2.0, "b")]).await.unwrap();
    both.by_memory.matrices().limit(10);
    assert_eq!(ids(&store).await, ["a", "b"]);
    assert_eq!(both.by_memory.matrices().bytes(), 0);
    both.by_memory.matrices().limit(1000);
    assert_eq!(ids(&store).await, ["a", "b"]);
    let bytes = both.by_memory.matrices().bytes();
    assert!((1..=1000).contains(&bytes), "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_are_no_vectors_are_refused() {
    let both = Both::new();
    let store = Documents::new(both.by_memory.clone());
    store.put(&[at("a", 1.0, "a")]).await.unwrap();
    for wrong in [vec![f32::NAN, 0.0], vec![f32::INFINITY, 0.0], vec![1.0], vec![]] {
        let query = DocumentQuery {
            model_name: "m".to_owned(),
            embedding: wrong,
            limit: 1,
            ..DocumentQuery::default()
        };
        let error = store.search(&query).await.unwrap_err();
        assert_eq!(error.kind, labtop::store::ErrorKind::Invalid);
        assert!(error.message.starts_with("the query has"), "{error}");
    }
}
