//! What a document store tells and does beside similarity search.

use labtop::domain::document::{Distance, Document, DocumentQuery, Selection, TextQuery, content_hash};
use labtop::domain::embedding_map::{DocumentPoint, Points};
use labtop::store::ErrorKind;
use labtop::store::documents::DocumentStore;
use serde_json::{Value, json};

use crate::support::backends::Backends;
use crate::support::samples::{document, hostile, object};

macro_rules! cases {
    ($backend:ident) => {
        super::suite!(
            $backend,
            words_find_documents_in_the_same_order_everywhere,
            a_search_by_words_keeps_to_its_model_and_filter,
            words_that_are_hostile_or_none_find_nothing,
            stubs_are_of_one_model,
            a_selection_is_counted_and_deleted,
            what_is_deleted_is_found_no_more,
            sizes_are_of_each_model,
            points_are_a_sample_or_those_asked_for,
        );
    };
}
cases!(duckdb);
cases!(in_memory);
cases!(postgres);

fn text(id: &str, content: &str, metadata: Value) -> Document {
    Document { content: content.to_owned(), metadata: object(metadata), ..document(id, "m", &[1.0, 0.5]) }
}

async fn found(store: &dyn DocumentStore, words: &str, filter: &str, limit: usize) -> String {
    let (model_name, filter) = ("m".to_owned(), filter.parse().unwrap());
    let query = TextQuery { model_name, text: words.to_owned(), limit, filter };
    let hits = store.text_search(&query).await.unwrap();
    assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.score.is_finite()), "{hits:?}");
    assert!(hits.is_sorted_by(|a, b| a.score >= b.score), "{hits:?}");
    hits.into_iter().map(|hit| hit.document_id).collect()
}

async fn tools(store: &dyn DocumentStore) {
    let long = format!("network {}", "of many other words about something else altogether ".repeat(8));
    let documents = [
        text("d", &long, json!({ "year": 2020 })),
        text("c", "network", json!({ "year": 2021 })),
        text("a", "measuring the bandwidth of networks", json!({ "year": 2021 })),
        text("b", "network bandwidth", json!({ "year": 2020 })),
        text("e", "pictures of cats", json!({})),
        text("f", "pictures of cats", json!({})),
    ];
    assert_eq!(store.put(&documents).await.unwrap(), 6);
    store.put(&[Document { content: "network".to_owned(), ..document("x", "other", &[1.0]) }]).await.unwrap();
}

async fn words_find_documents_in_the_same_order_everywhere(backends: &Backends) {
    let store = backends.documents();
    tools(store).await;
    // Three words, two, one in a short text, one in a long text; forms of a word are one.
    assert_eq!(found(store, "Measure network BANDWIDTH", "", 10).await, "abcd");
    assert_eq!(found(store, "measure network bandwidth", "", 2).await, "ab");
    assert_eq!(found(store, "networks", "", 1).await, "c");
    assert_eq!(found(store, "picture", "", 10).await, "ef", "ties by id");
    let query =
        TextQuery { model_name: "m".to_owned(), text: "cats".to_owned(), limit: 1, ..TextQuery::default() };
    let hit = store.text_search(&query).await.unwrap().remove(0);
    assert_eq!((hit.content.as_str(), hit.model_name.as_str()), ("pictures of cats", "m"));
}

async fn a_search_by_words_keeps_to_its_model_and_filter(backends: &Backends) {
    let store = backends.documents();
    tools(store).await;
    assert_eq!(found(store, "network", "year = 2020", 10).await, "bd");
    assert_eq!(found(store, "network", "year > 2020", 10).await, "ca");
    assert_eq!(found(store, "network", "year > 2021", 10).await, "");
    let unknown = TextQuery {
        model_name: "none".to_owned(),
        text: "network".to_owned(),
        limit: 1,
        ..TextQuery::default()
    };
    assert_eq!(store.text_search(&unknown).await.unwrap_err().kind, ErrorKind::NotFound);
}

async fn words_that_are_hostile_or_none_find_nothing(backends: &Backends) {
    let store = backends.documents();
    tools(store).await;
    for words in ["", "  ", "'; -- & | ! ( ) :* <->", "%", "_", "\u{0}", "xyzzy & ! |"] {
        assert_eq!(found(store, words, "", 10).await, "", "{words:?}");
    }
    let odd = Document { content: hostile(), ..document("odd", "m", &[1.0, 0.5]) };
    store.put(&[odd]).await.unwrap();
    // It is told or found, and nothing breaks.
    found(store, &hostile(), "", 10).await;
    let many: String = (0..2000).map(|number| format!("word{number} ")).collect();
    assert_eq!(found(store, &format!("network {many}"), "", 10).await.len(), 4);
}

async fn stubs_are_of_one_model(backends: &Backends) {
    let store = backends.documents();
    tools(store).await;
    let ids: Vec<String> = ["a", "x", "none", "c"].map(str::to_owned).to_vec();
    let mut stubs = store.stubs("m", &ids).await.unwrap();
    stubs.sort_by(|one, two| one.document_id.cmp(&two.document_id));
    let known: Vec<&str> = stubs.iter().map(|stub| stub.document_id.as_str()).collect();
    assert_eq!(known, ["a", "c"]);
    assert_eq!(stubs[1].content_hash, content_hash("network"));
    assert_eq!(stubs[1].metadata, object(json!({ "year": 2021 })));
    assert_eq!(store.stubs("none", &ids).await.unwrap(), []);
    assert_eq!(store.stubs("m", &[]).await.unwrap(), []);
}

async fn a_selection_is_counted_and_deleted(backends: &Backends) {
    let store = backends.documents();
    tools(store).await;
    let everything = Selection::default();
    assert_eq!(store.count(&everything).await.unwrap(), 7);
    let refused = store.remove_selected(&everything).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    let of = |ids: Option<&[&str]>, model: Option<&str>, filter: &str| Selection {
        ids: ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
        model: model.map(str::to_owned),
        filter: filter.parse().unwrap(),
    };
    for (which, count) in [
        (of(Some(&["a", "x", "none"]), None, ""), 2),
        (of(Some(&["a", "x"]), Some("other"), ""), 1),
        (of(Some(&["a", "b"]), Some("m"), "year = 2021"), 1),
        (of(None, Some("m"), "year = 2020"), 2),
        (of(None, Some("none"), ""), 0),
        (of(Some(&[]), None, ""), 0),
        (of(None, Some("m"), ""), 3),
    ] {
        assert_eq!(store.count(&which).await.unwrap(), count, "{which:?}");
        assert_eq!(store.remove_selected(&which).await.unwrap(), count, "{which:?}");
        assert_eq!(store.count(&which).await.unwrap(), 0, "{which:?}");
        if which.ids.as_deref() == Some(&["a".to_owned(), "x".to_owned(), "none".to_owned()][..]) {
            // Both are wanted again below.
            tools(store).await;
        }
    }
}

async fn what_is_deleted_is_found_no_more(backends: &Backends) {
    let store = backends.documents();
    tools(store).await;
    let query = DocumentQuery {
        model_name: "m".to_owned(),
        embedding: vec![1.0, 0.5],
        limit: 10,
        distance: Distance::Cosine,
        ..DocumentQuery::default()
    };
    assert_eq!(store.search(&query).await.unwrap().hits.len(), 6);
    let which = Selection { filter: "year = 2021".parse().unwrap(), ..Selection::default() };
    assert_eq!(store.remove_selected(&which).await.unwrap(), 2);
    let left: String =
        store.search(&query).await.unwrap().hits.into_iter().map(|hit| hit.document_id).collect();
    assert_eq!(left, "bdef");
    assert_eq!(found(store, "network", "", 10).await, "bd");
}

async fn sizes_are_of_each_model(backends: &Backends) {
    let store = backends.documents();
    assert_eq!(store.sizes().await.unwrap(), []);
    store.put(&[document("a", "one", &[1.0, 2.0])]).await.unwrap();
    let many: Vec<Document> =
        (0..500).map(|number| document(&number.to_string(), "many", &[1.0; 64])).collect();
    store.put(&many).await.unwrap();
    let sizes = store.sizes().await.unwrap();
    let names: Vec<&str> = sizes.iter().map(|size| size.model_name.as_str()).collect();
    assert_eq!(names, ["many", "one"]);
    assert!(sizes[0].bytes >= 500 * 64 * 4, "{sizes:?}");
    assert!((1..sizes[0].bytes).contains(&sizes[1].bytes), "{sizes:?}");
}

async fn points_are_a_sample_or_those_asked_for(backends: &Backends) {
    let store = backends.documents();
    assert_eq!(store.points("m", &Points::Sample(5)).await.unwrap(), []);
    let long = "é".repeat(300);
    let mut documents: Vec<Document> =
        (0..20).map(|number| text(&format!("d{number:02}"), &format!("text {number}"), json!({}))).collect();
    documents.push(text("long", &long, json!({ "year": 2020 })));
    // The same text twice: the id decides.
    documents.push(text("d99", "text 0", json!({})));
    documents.push(document("d00", "other", &[1.0]));
    store.put(&documents).await.unwrap();
    let mut expected: Vec<(String, String)> = documents
        .iter()
        .filter(|document| document.model_name == "m")
        .map(|document| (document.content_hash(), document.document_id.clone()))
        .collect();
    expected.sort();
    let ids = |points: Vec<DocumentPoint>| -> Vec<String> {
        points.into_iter().map(|point| point.document_id).collect()
    };
    let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids(store.points("m", &Points::Sample(100)).await.unwrap()), expected);
    assert_eq!(ids(store.points("m", &Points::Sample(7)).await.unwrap()), expected[..7]);
    assert_eq!(store.points("m", &Points::Sample(0)).await.unwrap(), []);

    let asked = Points::These(["long", "gone", "d'; --"].map(str::to_owned).to_vec());
    let point = store.points("m", &asked).await.unwrap().remove(0);
    assert_eq!((point.document_id.as_str(), point.embedding), ("long", vec![1.0, 0.5]));
    assert_eq!((point.excerpt.chars().count(), &point.metadata), (200, &object(json!({ "year": 2020 }))));
    assert_eq!(store.points("m", &Points::These(Vec::new())).await.unwrap(), []);
    assert_eq!(store.points("none", &Points::Sample(5)).await.unwrap(), []);
}
