//! The embedder behind HTTP against a server of our own: everything that one may answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;

pub fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        name: "mine".to_owned(),
        url: url.to_owned(),
        model: "m".to_owned(),
        dimension: None,
        api_key: Some(SecretString::from("s3cret-key")),
        batch: 3,
        batch_chars: 100,
        concurrency: 2,
        timeout: Duration::from_secs(5),
        retries: 3,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Answers with the length of each text on the first axis and 1 on the second, last text first.
fn answer(request: &Request) -> ResponseTemplate {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["model"], "m");
    let inputs = body["input"].as_array().unwrap().iter().enumerate().rev();
    let data: Vec<Value> = inputs
        .map(|(index, text)| json!({ "index": index, "embedding": [text.as_str().unwrap().len(), 1] }))
        .collect();
    ResponseTemplate::new(200).set_body_json(json!({ "data": data }))
}

async fn serving(reply: impl wiremock::Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/embeddings"))
        .and(header("authorization", "Bearer s3cret-key"))
        .respond_with(reply)
        .mount(&server)
        .await;
    server
}

fn direction(length: usize) -> Vec<f32> {
    let whole = ((length * length + 1) as f64).sqrt();
    vec![(length as f64 / whole) as f32, (1.0 / whole) as f32]
}

#[tokio::test]
async fn texts_go_in_lots_and_vectors_come_in_order_with_length_one() {
    let server = serving(answer).await;
    let http = Http::new(endpoint(&server.uri()), None);
    assert_eq!(http.dimension(), None);
    let asked = texts(&["a", "bb", "ccc", "dddd", "e", &"long ".repeat(30), "g"]);
    let vectors = http.embed(&asked).await.unwrap();
    let expected: Vec<Vec<f32>> = asked.iter().map(|text| direction(text.len())).collect();
    assert_eq!((vectors, http.dimension()), (expected, Some(2)));
    let sent: Vec<usize> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| {
            serde_json::from_slice::<Value>(&request.body).unwrap()["input"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!((sent.len(), sent.iter().max(), sent.iter().sum::<usize>()), (4, Some(&3), 7));
    assert!(http.embed(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_text_is_asked_for_once() {
    let server = serving(answer).await;
    let folder = tempfile::tempdir().unwrap();
    let place = CachePlace { folder: folder.path().to_owned(), most: 1 << 20 };
    let first = Http::new(endpoint(&server.uri()), Some(place.clone()));
    let made = first.embed(&texts(&["a", "bb"])).await.unwrap();
    let second = Http::new(endpoint(&server.uri()), Some(place));
    assert_eq!(second.embed(&texts(&["bb", "a"])).await.unwrap(), [made[1].clone(), made[0].clone()]);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    second.embed(&texts(&["bb", "new"])).await.unwrap();
    let sent: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[1].body).unwrap();
    assert_eq!(sent["input"], json!(["new"]));
}

#[tokio::test]
async fn one_who_is_turned_away_waits_and_asks_again() {
    let times = AtomicUsize::new(0);
    let server = serving(move |request: &Request| match times.fetch_add(1, Ordering::SeqCst) {
        0 => ResponseTemplate::new(429).insert_header("retry-after", "1"),
        1 => ResponseTemplate::new(500).set_body_string("<html>upset</html>"),
        _ => answer(request),
    })
    .await;
    let begun = Instant::now();
    let http = Http::new(endpoint(&server.uri()), None);
    assert_eq!(http.embed(&texts(&["a"])).await.unwrap(), [direction(1)]);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it did not wait as it was told");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_the_key() {
    let far = "wait-for-an-hour";
    let cases: [(&str, ResponseTemplate, &str, bool); 9] = [
        (
            "limit",
            ResponseTemplate::new(429).insert_header("retry-after", "3600"),
            "left alone for 3600 s",
            true,
        ),
        (
            "page",
            ResponseTemplate::new(502).set_body_string("<html><h1>Bad Gateway</h1></html>"),
            "502 Bad Gateway: Bad Gateway",
            true,
        ),
        (
            "key",
            ResponseTemplate::new(401).set_body_json(json!({"error": {"message": "wrong key s3cret-key"}})),
            "refuses the API key (401 Unauthorized): wrong key ***",
            false,
        ),
        (
            "model",
            ResponseTemplate::new(404).set_body_json(json!({"error": "model not found"})),
            "model not found",
            false,
        ),
        (
            "count",
            ResponseTemplate::new(200).set_body_json(json!({"data": []})),
            "0 vectors for 1 texts",
            false,
        ),
        (
            "zero",
            ResponseTemplate::new(200).set_body_json(json!({"data": [{"embedding": [0, 0]}]})),
            "vector of zeros",
            false,
        ),
        (
            "nan",
            ResponseTemplate::new(200).set_body_json(json!({"data": [{"embedding": [null, 0]}]})),
            "NaN or infinity",
            false,
        ),
        ("text", ResponseTemplate::new(200).set_body_string("hello"), "no JSON: hello", false),
        (
            "moved",
            ResponseTemplate::new(307).insert_header("location", "http://elsewhere"),
            "points elsewhere",
            false,
        ),
    ];
    for (name, reply, words, unavailable) in cases {
        let server = serving(reply).await;
        let http = Http::new(Endpoint { retries: 1, ..endpoint(&server.uri()) }, None);
        let error = http.embed(&texts(&["a"])).await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains(words) && told.contains("mine"), "{name} {far}: {told}");
        assert!(!format!("{error:?} {http:?}").contains("s3cret"), "{name}: {error:?}");
        assert_eq!(matches!(error, EmbedError::Unavailable { .. }), unavailable, "{name}: {told}");
    }
}

#[tokio::test]
async fn a_dimension_that_is_not_expected_is_refused() {
    let server = serving(answer).await;
    let http = Http::new(Endpoint { dimension: Some(3), ..endpoint(&server.uri()) }, None);
    let told = http.embed(&texts(&["a"])).await.unwrap_err().to_string();
    assert!(told.contains("2 dimensions where 3 were expected"), "{told}");
}

#[tokio::test]
async fn the_text_that_is_refused_is_found() {
    let server = serving(|request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let too_long = body["input"].as_array().unwrap().iter().any(|text| text == "bad");
        if too_long {
            return ResponseTemplate::new(400)
                .set_body_json(json!({"error": {"message": "too many tokens"}}));
        }
        answer(request)
    })
    .await;
    let http = Http::new(endpoint(&server.uri()), None);
    let error = http.embed(&texts(&["a", "b", "c", "d", "bad"])).await.unwrap_err();
    let why = "too many tokens".to_owned();
    assert_eq!(error, EmbedError::Text { index: 4, model: "mine".to_owned(), why });
    let error = http.embed(&texts(&["a", " "])).await.unwrap_err();
    assert_eq!(error, EmbedError::Empty { index: 1, model: "mine".to_owned() });
}

#[tokio::test]
async fn a_model_that_the_server_does_not_know_is_not_blamed_on_the_text() {
    let plain = json!({ "error": { "message": "Invalid model name passed in" } });
    let coded =
        json!({ "error": { "message": "no such thing", "param": "model", "code": "model_not_found" } });
    for (body, words, asked) in [
        (
            plain,
            "refuses every text, one plain word too: Invalid model name passed in. Is the model 'm' there",
            2,
        ),
        (coded, "does not know the model 'm' (400 Bad Request): no such thing", 1),
    ] {
        let server = serving(ResponseTemplate::new(400).set_body_json(body)).await;
        let http = Http::new(endpoint(&server.uri()), None);
        let error = http.embed(&texts(&["a"])).await.unwrap_err();
        assert!(matches!(&error, EmbedError::Failed { model, .. } if model == "mine"), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(server.received_requests().await.unwrap().len(), asked);
    }
}

#[tokio::test]
async fn a_single_text_that_is_refused_is_to_blame_where_a_plain_word_is_taken() {
    let server = serving(|request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if body["input"][0] == "bad" { ResponseTemplate::new(400) } else { answer(request) }
    })
    .await;
    let http = Http::new(endpoint(&server.uri()), None);
    for asked in [2, 3] {
        let error = http.embed(&texts(&["bad"])).await.unwrap_err();
        assert!(matches!(error, EmbedError::Text { index: 0, .. }), "{error:?}");
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            asked,
            "the plain word is asked for once"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_slow_or_gone_is_unavailable() {
    let server = serving(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let http = Http::new(Endpoint { timeout: Duration::from_millis(200), ..endpoint(&server.uri()) }, None);
    let told = http.embed(&texts(&["a"])).await.unwrap_err().to_string();
    assert!(told.contains("no answer within 0.2 s"), "{told}");
    let http = Http::new(endpoint("http://me:s3cret@127.0.0.1:1"), None);
    let error = http.embed(&texts(&["a"])).await.unwrap_err();
    assert!(matches!(error, EmbedError::Unavailable { .. }));
    let told = error.to_string();
    assert!(
        told.contains("http://127.0.0.1:1/v1/embeddings cannot be reached") && !told.contains("s3cret"),
        "{told}"
    );
}
