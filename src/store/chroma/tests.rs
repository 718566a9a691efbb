//! Chroma's oddities, played by a mock; what it does well is tried on a real server by the contract suite.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use tokio::io::AsyncReadExt;
use wiremock::matchers::{any, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::config::{self, ChromaAuth};
use crate::domain::collection::{NewCollection, Record, RecordFilter, Space};
use crate::domain::document::Metadata;
use crate::store::collections::CollectionStore;
use crate::store::{ErrorKind, StoreError};

use super::Chroma;

const COLLECTIONS: &str = "/api/v2/tenants/default_tenant/databases/default_database/collections";

fn settings(url: &str) -> config::Chroma {
    config::Chroma { url: url.to_owned(), timeout_ms: 2000, ..config::Chroma::default() }
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
    chroma.create(&NewCollection::new("once", &Metadata::new(), Space::Cosine)).await.unwrap_err();
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
        .expect(2)
        .mount(&server)
        .await;
    let with_token = config::Chroma { token: SecretString::from("t0k3n"), ..settings(&server.uri()) };
    let chroma = Chroma::new(&with_token);
    chroma.list().await.unwrap();
    assert!(!format!("{chroma:?}").contains("t0k3n"));
}

fn key() -> SecretString {
    SecretString::from("t0k3n")
}

/// What headers a request of these settings has.
async fn sent(settings: impl FnOnce(config::Chroma) -> config::Chroma) -> wiremock::Request {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(json!([]))).mount(&server).await;
    Chroma::new(&settings(super::tests::settings(&server.uri()))).list().await.unwrap();
    server.received_requests().await.unwrap().remove(0)
}

#[tokio::test]
async fn the_token_goes_as_the_settings_say_and_a_proxy_gets_its_headers_and_path() {
    let with = |auth| move |plain| config::Chroma { token: key(), auth, ..plain };
    let request = sent(with(ChromaAuth::Bearer)).await;
    assert_eq!(request.headers["authorization"], "Bearer t0k3n");
    assert!(!request.headers.contains_key("x-chroma-token"));
    let request = sent(with(ChromaAuth::Basic)).await;
    assert_eq!(request.headers["authorization"], "Basic dDBrM24=");

    let headers = [("X-Lab".to_owned(), SecretString::from("s3cret"))].into_iter().collect();
    let shown = format!("{:?}", config::Chroma { headers, ..config::Chroma::default() });
    assert!(!shown.contains("s3cret"), "{shown}");
    let headers = [("X-Lab".to_owned(), SecretString::from("s3cret"))].into_iter().collect();
    let request = sent(|plain| {
        let url = format!("{}/proxied/chroma/", plain.url);
        config::Chroma { url, headers, ..plain }
    })
    .await;
    assert_eq!(
        (request.headers["x-lab"].to_str().unwrap(), request.url.path()),
        ("s3cret", format!("/proxied/chroma{COLLECTIONS}").as_str())
    );

    let broken = [("X-Lab".to_owned(), SecretString::from("two\nlines"))].into_iter().collect();
    let broken = config::Chroma { headers: broken, ..settings("http://127.0.0.1:1") };
    let error = Chroma::new(&broken).list().await.unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && !format!("{error:?}").contains("two"), "{error:?}");
}

#[tokio::test]
async fn a_redirection_is_told_and_the_token_does_not_follow_it() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    let error = refusal(ResponseTemplate::new(302).insert_header("location", elsewhere.uri())).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("sends us elsewhere: http://127.0.0.1"), "{error}");
}

#[tokio::test]
async fn who_is_turned_away_comes_back_when_told() {
    let server = MockServer::start().await;
    let made = json!({ "id": "1", "name": "once" });
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "1");
    Mock::given(any()).respond_with(busy).up_to_n_times(1).with_priority(1).mount(&server).await;
    let unavailable = ResponseTemplate::new(503).insert_header("retry-after", "0");
    Mock::given(any()).respond_with(unavailable).up_to_n_times(1).with_priority(2).mount(&server).await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(made))
        .with_priority(3)
        .mount(&server)
        .await;
    let begun = std::time::Instant::now();
    // Making a collection is not done twice lightly; nobody did anything when we were turned away.
    Chroma::new(&settings(&server.uri()))
        .create(&NewCollection::new("once", &Metadata::new(), Space::Cosine))
        .await
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(server.received_requests().await.unwrap().len(), 3);

    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "60");
    Mock::given(any()).respond_with(busy).expect(1).mount(&server).await;
    let error = Chroma::new(&settings(&server.uri())).list().await.unwrap_err();
    assert_eq!(error.remedy.as_deref(), Some("Try again in 60 s: it says so."));
}

#[tokio::test]
async fn one_broken_collection_hides_no_other() {
    let server = MockServer::start().await;
    let known = |id: &str| json!({ "id": id, "name": format!("{id}_docs"), "dimension": 3 });
    let all = json!([known("broken"), known("whole"), known("gone")]);
    Mock::given(path(COLLECTIONS))
        .respond_with(ResponseTemplate::new(200).set_body_json(all))
        .mount(&server)
        .await;
    let counts = [
        ("broken", ResponseTemplate::new(500).set_body_json(refused("InternalError", "no such segment"))),
        ("gone", ResponseTemplate::new(404).set_body_json(refused("NotFoundError", "gone"))),
        ("whole", ResponseTemplate::new(200).set_body_json(json!(7))),
    ];
    for (id, answer) in counts {
        let count = format!("{COLLECTIONS}/{id}/count");
        Mock::given(path(count)).respond_with(answer).mount(&server).await;
    }
    let list = Chroma::new(&settings(&server.uri())).list().await.unwrap();
    let seen: Vec<_> =
        list.iter().map(|one| (one.name.as_str(), one.records, one.problem.is_some())).collect();
    assert_eq!(seen, [("broken_docs", 0, true), ("whole_docs", 7, false)]);
    assert!(list[0].problem.as_ref().unwrap().contains("no such segment"));
}

#[tokio::test]
async fn an_unknown_database_is_no_empty_one() {
    let server = MockServer::start().await;
    Mock::given(path(COLLECTIONS))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .mount(&server)
        .await;
    let missing =
        ResponseTemplate::new(404).set_body_json(refused("NotFoundError", "Database [x] not found"));
    Mock::given(any()).respond_with(missing).with_priority(9).mount(&server).await;
    let chroma = Chroma::new(&settings(&server.uri()));
    let error = chroma.list().await.unwrap_err();
    assert_eq!(error.message, "Chroma has no database 'default_database' in tenant 'default_tenant'");
    assert!(error.remedy.unwrap().contains("labtop init"));
}

fn some(count: usize) -> Vec<Record> {
    let record = |n: usize| Record {
        id: n.to_string(),
        document: None,
        embedding: vec![1.0],
        metadata: Metadata::new(),
    };
    (0..count).map(record).collect()
}

/// Sizes of the upserts that a server got.
async fn upserts(server: &MockServer) -> Vec<usize> {
    let requests = server.received_requests().await.unwrap();
    let upserts = requests.iter().filter(|request| request.url.path().ends_with("/upsert"));
    let ids = |request: &wiremock::Request| request.body_json::<serde_json::Value>().unwrap()["ids"].clone();
    upserts.map(|request| ids(request).as_array().unwrap().len()).collect()
}

/// A server with one collection; `upsert` says what becomes of upserts.
async fn keeper(most: usize) -> MockServer {
    let server = MockServer::start().await;
    let known = json!({ "id": "1", "name": "docs", "dimension": 1 });
    let with = |body: serde_json::Value| ResponseTemplate::new(200).set_body_json(body);
    Mock::given(path(format!("{COLLECTIONS}/docs"))).respond_with(with(known)).mount(&server).await;
    Mock::given(path(format!("{COLLECTIONS}/1/get")))
        .respond_with(with(json!({ "ids": [] })))
        .mount(&server)
        .await;
    let limits = json!({ "max_batch_size": most, "supports_base64_encoding": most < 1000 });
    Mock::given(path("/api/v2/pre-flight-checks")).respond_with(with(limits)).expect(1).mount(&server).await;
    server
}

#[tokio::test]
async fn what_the_server_says_it_takes_at_once_is_held_to() {
    let server = keeper(300).await;
    let taken = ResponseTemplate::new(200).set_body_json(json!({}));
    Mock::given(path(format!("{COLLECTIONS}/1/upsert"))).respond_with(taken).mount(&server).await;
    let chroma = Chroma::new(&settings(&server.uri()));
    for _ in 0..2 {
        assert_eq!(chroma.upsert("docs", &some(700)).await.unwrap(), 700);
    }
    assert_eq!(upserts(&server).await, [300, 300, 100, 300, 300, 100]);
}

#[tokio::test]
async fn what_is_too_large_for_a_proxy_goes_in_halves() {
    let server = keeper(5000).await;
    let upsert = || Mock::given(path(format!("{COLLECTIONS}/1/upsert")));
    let small = |request: &wiremock::Request| {
        let body: serde_json::Value = request.body_json().unwrap();
        assert_eq!(body["embeddings"][0], json!([1.0]), "no base64 where the server does not know it");
        let small = body["ids"].as_array().unwrap().len() <= 30;
        if small { ResponseTemplate::new(200) } else { ResponseTemplate::new(413) }
    };
    upsert().respond_with(small).mount(&server).await;
    Chroma::new(&settings(&server.uri())).upsert("docs", &some(100)).await.unwrap();
    assert_eq!(upserts(&server).await, [100, 50, 25, 25, 50, 25, 25]);
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_carried_out() {
    let server = keeper(5000).await;
    let slow = ResponseTemplate::new(200).set_body_json(json!({})).set_delay(Duration::from_millis(200));
    Mock::given(path(format!("{COLLECTIONS}/1/upsert"))).respond_with(slow).mount(&server).await;
    let chroma = Chroma::new(&config::Chroma { batch_records: 10, ..settings(&server.uri()) });
    let records = some(30);
    let write = chroma.upsert("docs", &records);
    assert!(tokio::time::timeout(Duration::from_millis(50), write).await.is_err());
    while upserts(&server).await.len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(upserts(&server).await, [10, 10, 10]);
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_hung_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let chroma = Chroma::new(&settings(&format!("http://{}", listener.local_addr().unwrap())));
    let mut stream = {
        let mut read = std::pin::pin!(chroma.list());
        let mut stream = tokio::select! {
            _ = &mut read => unreachable!("nobody answers"),
            accepted = listener.accept() => accepted.unwrap().0,
        };
        let mut request = [0; 4096];
        tokio::select! {
            _ = &mut read => unreachable!("nobody answers"),
            asked = stream.read(&mut request) => assert!(asked.unwrap() > 0),
        }
        stream
    };
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

/// Prints how much goes through: `cargo test -- --ignored speed --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn speed() {
    let Ok(url) = std::env::var("CHROMA_URL") else { return };
    let chroma = Chroma::new(&settings(&url));
    for dimension in [384_usize, 1536] {
        let name = format!("speed_{dimension}");
        chroma.create(&NewCollection::new(&name, &Metadata::new(), Space::Cosine)).await.unwrap();
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
