//! Chroma's oddities, played by a mock; what it does well is tried on a real server by the contract suite.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use tokio::io::AsyncReadExt;
use wiremock::matchers::{any, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::config;
use crate::domain::collection::{Record, RecordFilter, Space};
use crate::domain::document::Metadata;
use crate::store::collections::CollectionStore;
use crate::store::{ErrorKind, StoreError};

use super::Chroma;

const COLLECTIONS: &str = "/api/v2/tenants/default_tenant/databases/default_database/collections";

fn settings(url: &str) -> config::Chroma {
    config::Chroma {
        url: url.to_owned(),
        tenant: "default_tenant".to_owned(),
        database: "default_database".to_owned(),
        token: SecretString::from(""),
        timeout_ms: 2000,
    }
}

/// What a server that answers everything alike gets for a list of collections.
async fn refusal(answer: ResponseTemplate) -> StoreError {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    Chroma::new(&settings(&server.uri())).list().await.unwrap_err()
}

fn refused(class: &str, message: &str) -> serde_json::Value {
    json!({ "error": class, "message": message })
}

#[tokio::test]
async fn refusals_are_told_in_plain_words() {
    let body =
        "Failed to deserialize the JSON body into the target type: ids[0]: invalid type at line 1 column 9";
    for (status, body, kind, message) in [
        (
            400,
            refused("InvalidArgumentError", "Invalid where clause"),
            ErrorKind::Invalid,
            "Invalid where clause",
        ),
        (422, refused("ChromaError", body), ErrorKind::Invalid, "ids[0]: invalid type"),
        (404, refused("NotFoundError", "Tenant [x] not found"), ErrorKind::NotFound, "Tenant [x] not found"),
        (409, refused("ChromaError", "it is there"), ErrorKind::Conflict, "it is there"),
        (401, json!({}), ErrorKind::Unavailable, "does not let us in"),
        (500, refused("InternalError", "boom"), ErrorKind::Backend, "boom"),
        (501, refused("ChromaError", "not implemented"), ErrorKind::Backend, "not implemented"),
        (
            500,
            refused("InternalError", "Error sending message to compactor"),
            ErrorKind::Unavailable,
            "no more writes",
        ),
    ] {
        let error = refusal(ResponseTemplate::new(status).set_body_json(body)).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(error.to_string().starts_with("Error listing collections: "), "{error}");
    }
}

#[tokio::test]
async fn answers_that_are_no_json_are_understood() {
    let error = refusal(ResponseTemplate::new(413).set_body_string("Payload too large")).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.remedy.unwrap().contains("max_payload_size_bytes"));
    let page = || ResponseTemplate::new(200).set_body_raw("<html>hello</html>", "text/html; charset=utf-8");
    let error = refusal(page()).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.ends_with("is not Chroma but a web page"), "{error}");
    let error = refusal(ResponseTemplate::new(502).set_body_raw("<html>bad</html>", "text/html")).await;
    assert!(error.message.contains("finds no Chroma behind it"), "{error}");
    let error = refusal(ResponseTemplate::new(404)).await;
    assert!(error.message.contains("is not Chroma"), "{error}");
    let error = refusal(ResponseTemplate::new(200).set_body_json(json!({ "other": 1 }))).await;
    assert!(error.message.contains("is not what Chroma answers"), "{error}");
}

#[tokio::test]
async fn a_server_of_version_1_only_is_recognised() {
    let server = MockServer::start().await;
    let heartbeat = ResponseTemplate::new(200).set_body_json(json!({ "nanosecond heartbeat": 1 }));
    Mock::given(path("/api/v1/heartbeat")).respond_with(heartbeat).mount(&server).await;
    let missing = ResponseTemplate::new(404).set_body_json(json!({ "detail": "Not Found" }));
    Mock::given(any()).respond_with(missing).with_priority(9).mount(&server).await;
    let error = Chroma::new(&settings(&server.uri())).health().await.unwrap_err();
    assert!(error.message.ends_with("is older than 0.5.16"), "{error}");
    let gone = refused("Unimplemented", "The v1 API is deprecated");
    let error = refusal(ResponseTemplate::new(410).set_body_json(gone)).await;
    assert!(error.message.ends_with("is older than 0.5.16"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let error = Chroma::new(&settings(&url)).health().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.message, format!("Chroma at {url} does not answer (connection refused)"));
    assert!(error.remedy.unwrap().contains("CHROMA_URL"));
    let error = Chroma::new(&settings("http://no-such-host.invalid:8000")).health().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let error = Chroma::new(&settings("http://[oops")).health().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    let secret = Chroma::new(&settings("http://me:secret@127.0.0.1:1")).health().await.unwrap_err();
    assert!(!format!("{secret} {secret:?}").contains("secret@"), "{secret:?}");
}

#[tokio::test]
async fn a_closed_connection_is_tried_again_for_what_is_safe() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, mut count) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            told.send(read).await.unwrap();
        }
    });
    let chroma = Chroma::new(&settings(&url));
    let error = chroma.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.ends_with("closed the connection without an answer"), "{error}");
    let mut requests = |limit| {
        let mut seen = 0;
        while seen < limit && count.try_recv().is_ok() {
            seen += 1;
        }
        seen
    };
    assert_eq!(requests(9), 3);
    // Making a collection twice would be told as a conflict.
    chroma.create("once", &Metadata::new(), Space::Cosine).await.unwrap_err();
    assert_eq!(requests(9), 1);
}

#[tokio::test]
async fn silence_ends_with_a_timeout() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let hurried = config::Chroma { timeout_ms: 100, ..settings(&server.uri()) };
    assert_eq!(Chroma::new(&hurried).list().await.unwrap_err().kind, ErrorKind::Timeout);
}

#[tokio::test]
async fn a_collection_made_again_is_found_under_its_new_id() {
    let server = MockServer::start().await;
    let named = |id: &str| ResponseTemplate::new(200).set_body_json(json!({ "id": id, "name": "docs" }));
    let by_name = format!("{COLLECTIONS}/docs");
    Mock::given(path(&by_name)).respond_with(named("old")).up_to_n_times(1).mount(&server).await;
    Mock::given(path(&by_name)).respond_with(named("new")).mount(&server).await;
    let empty = json!({ "ids": [[]], "distances": [[]] });
    let answer = ResponseTemplate::new(200).set_body_json(empty);
    let old = format!("{COLLECTIONS}/old/query");
    Mock::given(path(&old)).respond_with(answer.clone()).up_to_n_times(1).mount(&server).await;
    let gone = ResponseTemplate::new(404).set_body_json(refused("NotFoundError", "Collection [old]"));
    Mock::given(path(&old)).respond_with(gone).mount(&server).await;
    Mock::given(path(format!("{COLLECTIONS}/new/query"))).respond_with(answer).expect(1).mount(&server).await;
    let chroma = Chroma::new(&settings(&server.uri()));
    for _ in 0..2 {
        assert!(chroma.query("docs", &[1.0], 3, &RecordFilter::default()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_token_is_sent_and_never_shown() {
    let server = MockServer::start().await;
    let list = ResponseTemplate::new(200).set_body_json(json!([]));
    Mock::given(method("GET"))
        .and(header("x-chroma-token", "t0k3n"))
        .respond_with(list)
        .expect(1)
        .mount(&server)
        .await;
    let with_token = config::Chroma { token: SecretString::from("t0k3n"), ..settings(&server.uri()) };
    let chroma = Chroma::new(&with_token);
    chroma.list().await.unwrap();
    assert!(!format!("{chroma:?}").contains("t0k3n"));
}

/// Prints how much goes through: `cargo test -- --ignored speed --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn speed() {
    let Ok(url) = std::env::var("CHROMA_URL") else { return };
    let chroma = Chroma::new(&settings(&url));
    for dimension in [384_usize, 1536] {
        let name = format!("speed_{dimension}");
        chroma.create(&name, &Metadata::new(), Space::Cosine).await.unwrap();
        let record = |n: usize| Record {
            id: n.to_string(),
            document: Some(format!("text {n}")),
            embedding: (0..dimension).map(|i| ((n * 31 + i * i) % 97) as f32).collect(),
            metadata: Metadata::from_iter([("n".to_owned(), json!(n))]),
        };
        let many: Vec<Record> = (0..2000).map(record).collect();
        for what in ["new", "replaced"] {
            let began = std::time::Instant::now();
            chroma.upsert(&name, &many).await.unwrap();
            println!("{:.0} {what} records/s of {dimension}", 2000.0 / began.elapsed().as_secs_f64());
        }
        chroma.remove(&name).await.unwrap();
    }
}
