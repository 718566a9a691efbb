//! The document store.

use labtop::domain::document::{Distance, Document, DocumentQuery};
use labtop::domain::index::{NewIndex, Over, Scan};
use labtop::store::ErrorKind;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::backends::Backends;
use crate::support::samples::{document, hostile, object};

macro_rules! cases {
    ($backend:ident) => {
        super::suite!(
            $backend,
            search_finds_the_nearest_first,
            every_metric_has_its_formula,
            storing_again_replaces,
            models_keep_their_dimension,
            a_bad_document_stores_none,
            lists_gets_and_removes,
            hostile_texts_come_back,
            a_filter_is_about_the_metadata,
            indexes_change_nothing_but_speed,
        );
    };
}
cases!(duckdb);
cases!(in_memory);
cases!(postgres);

fn query(model: &str, embedding: &[f32], distance: Distance, limit: usize) -> DocumentQuery {
    let (model_name, embedding) = (model.to_owned(), embedding.to_vec());
    DocumentQuery { model_name, embedding, limit, distance, ..DocumentQuery::default() }
}

async fn search_finds_the_nearest_first(backends: &Backends) {
    let store = backends.documents();
    let documents = [
        document("far", "m", &[-1.0, 0.1]),
        document("near", "m", &[1.0, 0.1]),
        document("mid", "m", &[0.5, 1.0]),
    ];
    assert_eq!(store.put(&documents).await.unwrap(), 3);
    let hits = store.search(&query("m", &[1.0, 0.0], Distance::Cosine, 2)).await.unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.document_id.as_str()).collect::<Vec<_>>(), ["near", "mid"]);
    assert_eq!((hits[0].content.as_str(), hits[0].metadata["type"].as_str()), ("text of near", Some("test")));
}

async fn every_metric_has_its_formula(backends: &Backends) {
    let store = backends.documents();
    store.put(&[document("x", "m", &[3.0, 4.0])]).await.unwrap();
    for (distance, expected) in [
        (Distance::Cosine, 1.0 - 0.6),
        (Distance::L2, 20.0_f64.sqrt()),
        (Distance::Ip, -3.0),
        (Distance::L1, 6.0),
    ] {
        let hits = store.search(&query("m", &[1.0, 0.0], distance, 1)).await.unwrap().hits;
        assert!((hits[0].distance - expected).abs() < 1e-6, "{distance}: {}", hits[0].distance);
    }
    store.put(&[document("zero", "m", &[0.0, 0.0])]).await.unwrap();
    let hits = store.search(&query("m", &[1.0, 0.0], Distance::Cosine, 5)).await.unwrap().hits;
    assert_eq!(hits[0].document_id, "x");
    assert!(hits[1].distance.is_nan(), "{}", hits[1].distance);
}

async fn storing_again_replaces(backends: &Backends) {
    let store = backends.documents();
    store.put(&[document("a", "m", &[1.0, 0.0]), document("b", "m", &[0.0, 1.0])]).await.unwrap();
    let newer = Document { content: "newer".to_owned(), ..document("a", "m", &[0.0, 2.0]) };
    store.put(std::slice::from_ref(&newer)).await.unwrap();
    assert_eq!(store.get("a", None).await.unwrap(), [newer]);
    assert_eq!(store.models().await.unwrap()[0].documents, 2);
}

async fn models_keep_their_dimension(backends: &Backends) {
    let store = backends.documents();
    store.put(&[document("a", "m2", &[1.0, 0.0])]).await.unwrap();
    store.put(&[document("a", "m3", &[1.0, 0.0, 0.5])]).await.unwrap();
    let models = store.models().await.unwrap();
    let known: Vec<_> =
        models.iter().map(|model| (model.name.as_str(), model.dimension, model.documents)).collect();
    assert_eq!(known, [("m2", 2, 1), ("m3", 3, 1)]);
    let error =
        store.put(&[document("b", "m2", &[1.0, 0.0]), document("c", "m2", &[1.0])]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    for word in ["c", "m2", "1", "2"] {
        assert!(error.message.contains(word), "{error}");
    }
    assert_eq!(store.get("b", None).await.unwrap(), [], "nothing was stored");
    let wrong = store.search(&query("m3", &[1.0, 0.0], Distance::Cosine, 1)).await.unwrap_err();
    assert_eq!(wrong.kind, ErrorKind::Invalid);
    let unknown = store.search(&query("m9", &[1.0], Distance::Cosine, 1)).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::NotFound);
    assert_eq!(store.get("a", None).await.unwrap().len(), 2);
    assert_eq!(store.get("a", Some("m3")).await.unwrap()[0].embedding, [1.0, 0.0, 0.5]);
}

async fn a_bad_document_stores_none(backends: &Backends) {
    let store = backends.documents();
    for bad in [
        document("bad", "m", &[f32::NAN, 0.0]),
        document("bad", "m", &[f32::INFINITY, 0.0]),
        document("bad", "m", &[]),
        document("", "m", &[1.0, 0.0]),
        document("good", "m", &[1.0, 0.0]),
    ] {
        let error = store.put(&[document("good", "m", &[1.0, 0.0]), bad]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
    assert_eq!(store.models().await.unwrap(), []);
}

async fn lists_gets_and_removes(backends: &Backends) {
    let store = backends.documents();
    store
        .put(&[document("b", "m", &[1.0]), document("a", "m", &[1.0]), document("c", "n", &[1.0, 2.0])])
        .await
        .unwrap();
    let ids = |hits: Vec<labtop::domain::document::DocumentHit>| {
        hits.into_iter().map(|hit| hit.document_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(store.list(None, 0, 10).await.unwrap()), ["a", "b", "c"]);
    assert_eq!(ids(store.list(Some("m"), 1, 10).await.unwrap()), ["b"]);
    assert_eq!(store.remove(&["a".to_owned(), "c".to_owned(), "x".to_owned()]).await.unwrap(), 2);
    assert_eq!(ids(store.list(None, 0, 10).await.unwrap()), ["b"]);
    assert_eq!(store.get("a", None).await.unwrap(), []);
}

async fn hostile_texts_come_back(backends: &Backends) {
    let store = backends.documents();
    let odd = Document { content: hostile(), ..document(&hostile(), &hostile(), &[0.1, 1e-30]) };
    store.put(std::slice::from_ref(&odd)).await.unwrap();
    assert_eq!(store.get(&hostile(), Some(&hostile())).await.unwrap(), std::slice::from_ref(&odd));
    let long = Document { content: "é".repeat(500_000), ..document("long", "m", &[1.0, 2.0]) };
    store.put(std::slice::from_ref(&long)).await.unwrap();
    assert_eq!(store.get("long", None).await.unwrap(), [long]);
}

async fn a_filter_is_about_the_metadata(backends: &Backends) {
    let store = backends.documents();
    let rows = [
        ("a", json!({ "year": 2019, "topic": "war \"and\" peace", "odd key": true })),
        ("b", json!({ "year": 2020.5, "topic": "science" })),
        ("c", json!({ "year": "2021", "topic": "science" })),
        ("d", json!({})),
    ];
    let documents: Vec<Document> = rows
        .into_iter()
        .map(|(id, metadata)| Document { metadata: object(metadata), ..document(id, "m", &[1.0, 0.0]) })
        .collect();
    store.put(&documents).await.unwrap();
    for (filter, expected) in [
        ("", "abcd"),
        ("topic = science", "bc"),
        ("topic='war \"and\" peace'", "a"),
        ("topic != science", "ad"),
        ("year > 2000", "ab"),
        ("year <= 2019", "a"),
        ("year=2021", ""),
        ("year='2021'", "c"),
        ("year >= 2019 and topic = science", "b"),
        ("'odd key' = true", "a"),
        ("\"' OR 1=1 --\" = 1", ""),
    ] {
        let asked = DocumentQuery {
            filter: filter.parse().unwrap(),
            ..query("m", &[1.0, 0.0], Distance::Cosine, 10)
        };
        let hits = store.search(&asked).await.unwrap().hits;
        let ids: String = hits.into_iter().map(|hit| hit.document_id).collect();
        assert_eq!(ids, expected, "{filter}");
    }
}

async fn indexes_change_nothing_but_speed(backends: &Backends) {
    let store = backends.documents();
    let documents: Vec<Document> = (0..100u8)
        .map(|number| document(&format!("{number:02}"), "m", &[1.0, f32::from(number) / 50.0]))
        .collect();
    store.put(&documents).await.unwrap();
    let asked = query("m", &[1.0, 0.5], Distance::Cosine, 20);
    let before = store.search(&asked).await.unwrap();
    assert!(matches!(before.scan, Scan::Exact(_)));
    let Some(indexes) = store.indexes() else {
        let odd = DocumentQuery { exact: true, ef_search: Some(1), ..asked };
        assert_eq!(store.search(&odd).await.unwrap(), before);
        return;
    };
    assert_eq!(indexes.list().await.unwrap(), []);
    let over =
        Over::Vectors { distance: Distance::Cosine, m: Over::M, ef_construction: Over::EF_CONSTRUCTION };
    let new = NewIndex { model_name: "m".to_owned(), over };
    let built = indexes.build(&new, &|_| {}, &CancellationToken::new()).await.unwrap();
    assert_eq!(indexes.list().await.unwrap(), std::slice::from_ref(&built));
    let along = store.search(&asked).await.unwrap();
    assert!(matches!(along.scan, Scan::Index { .. }));
    assert_eq!(along.hits, before.hits);
    assert_eq!(store.search(&DocumentQuery { exact: true, ..asked }).await.unwrap().hits, before.hits);
    // Documents that come later are found along it.
    store.put(&[document("new", "m", &[1.0, 0.5])]).await.unwrap();
    assert_eq!(store.remove(&["25".to_owned()]).await.unwrap(), 1);
    let later = store.search(&query("m", &[1.0, 0.5], Distance::Cosine, 20)).await.unwrap();
    assert_eq!(later.hits[0].document_id, "new");
    assert!(later.hits.len() == 20 && later.hits.iter().all(|hit| hit.document_id != "25"));
    indexes.remove(&built.name).await.unwrap();
    assert_eq!(indexes.list().await.unwrap(), []);
}
