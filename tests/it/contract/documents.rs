//! The document store.

use labtop::domain::document::{Distance, Document, DocumentQuery};
use labtop::store::ErrorKind;

use crate::support::backends::Backends;
use crate::support::samples::{document, hostile};

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
        );
    };
}
cases!(duckdb);
cases!(postgres);

fn query(model: &str, embedding: &[f32], distance: Distance, limit: usize) -> DocumentQuery {
    DocumentQuery { model_name: model.to_owned(), embedding: embedding.to_vec(), limit, distance }
}

async fn search_finds_the_nearest_first(backends: &Backends) {
    let store = backends.documents();
    let documents = [
        document("far", "m", &[-1.0, 0.1]),
        document("near", "m", &[1.0, 0.1]),
        document("mid", "m", &[0.5, 1.0]),
    ];
    assert_eq!(store.put(&documents).await.unwrap(), 3);
    let hits = store.search(&query("m", &[1.0, 0.0], Distance::Cosine, 2)).await.unwrap();
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
        let hits = store.search(&query("m", &[1.0, 0.0], distance, 1)).await.unwrap();
        assert!((hits[0].distance - expected).abs() < 1e-6, "{distance}: {}", hits[0].distance);
    }
    store.put(&[document("zero", "m", &[0.0, 0.0])]).await.unwrap();
    let hits = store.search(&query("m", &[1.0, 0.0], Distance::Cosine, 5)).await.unwrap();
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
