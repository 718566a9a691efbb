//! A server that greets as Chroma does, at an address that can be closed and opened again.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A port of this machine that nobody listens on.
pub fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Opens the port: from now on a Chroma without collections answers there, until it is dropped.
pub async fn open(address: SocketAddr) -> MockServer {
    let server = MockServer::builder().listener(TcpListener::bind(address).unwrap()).start().await;
    let database = "/api/v2/tenants/default_tenant/databases/default_database";
    let collections = format!("{database}/collections");
    let now = jiff::Timestamp::now().as_nanosecond() as i64;
    for (route, answer) in [
        ("/api/v2/heartbeat", json!({ "nanosecond heartbeat": now })),
        ("/api/v2/version", json!("1.0.0")),
        ("/api/v2/pre-flight-checks", json!({ "max_batch_size": 5461 })),
        (database, json!({ "name": "default_database" })),
        (collections.as_str(), json!([])),
    ] {
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        Mock::given(method("GET")).and(path(route)).respond_with(answer).mount(&server).await;
    }
    server
}
