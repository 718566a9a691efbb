//! The page of figures over HTTP: the one thing that labtop serves.
//!
//! A responder of its own: one path, one method, one answer a connection. Whoever asks for anything else is told so, and
//! whoever dawdles or floods is let go.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::ops::metrics::Metrics;

/// Connections at once; more wait in the system's queue. Prometheus needs one.
const CONNECTIONS: usize = 16;
/// Longest head of a request.
const LONGEST: usize = 8 * 1024;
/// For the request: who connects and says nothing keeps a place from others.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// For a whole exchange: reading the request, asking the stores, and writing the page.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a connection could not be taken, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Exporter {
    /// Where, with the port that was found if any was asked for.
    pub address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Exporter {
    /// Listens at `host:port`, or at a port of this machine only.
    pub async fn start(place: &str, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(whole(place)).await.map_err(|error| {
            let text = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("metrics cannot be served at {place}: another program has this port (a second labtop?)")
                }
                _ => format!("metrics cannot be served at {place}: {error} (expected HOST:PORT)"),
            };
            io::Error::new(error.kind(), text)
        })?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(serve(listener, Arc::new(metrics)));
        Ok(Exporter { address, serving })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// `9464` and `:9464` are `127.0.0.1:9464`: other machines are let in only by name.
fn whole(place: &str) -> String {
    let port = place.strip_prefix(':').unwrap_or(place);
    if port.parse::<u16>().is_ok() { format!("127.0.0.1:{port}") } else { place.to_owned() }
}

async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropped with this future: open connections end with the exporter.
    let mut open = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                open.spawn(async move {
                    let answered = tokio::time::timeout(PATIENCE, answer(stream, &metrics)).await;
                    if let Ok(Err(error)) = answered {
                        tracing::debug!("a reader of the metrics went away: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("a connection for metrics could not be taken: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let Ok(head) = tokio::time::timeout(SHORT_PATIENCE, head(&mut stream)).await else { return Ok(()) };
    let response = match head? {
        Head::Whole(head) => match request(&head) {
            Request::Page => response("200 OK", PAGE, &metrics.page().await, true),
            Request::HeadOfPage => response("200 OK", PAGE, &metrics.page().await, false),
            Request::Elsewhere => response("404 Not Found", TEXT, "The figures are at /metrics.\n", true),
            Request::OtherMethod => response("405 Method Not Allowed", TEXT, "Only GET works here.\n", true),
            Request::Nonsense => response("400 Bad Request", TEXT, "That is no HTTP request.\n", true),
        },
        Head::TooLong => {
            response("431 Request Header Fields Too Large", TEXT, "The request is too long.\n", true)
        }
        Head::BrokenOff => return Ok(()),
    };
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

const PAGE: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

enum Head {
    Whole(Vec<u8>),
    TooLong,
    /// The other side left before it had asked anything.
    BrokenOff,
}

/// Reads up to the empty line. A body is not looked at: nothing here wants one.
async fn head(stream: &mut TcpStream) -> io::Result<Head> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(Head::BrokenOff);
        }
        head.extend_from_slice(&piece[..count]);
        if head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n") {
            return Ok(Head::Whole(head));
        }
        if head.len() > LONGEST {
            return Ok(Head::TooLong);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Page,
    HeadOfPage,
    Elsewhere,
    OtherMethod,
    Nonsense,
}

fn request(head: &[u8]) -> Request {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Request::Nonsense };
    let words: Vec<&str> = line.trim_end_matches('\r').split(' ').collect();
    let [method, target, version] = words[..] else { return Request::Nonsense };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return Request::Nonsense;
    }
    let path = target.split('?').next().unwrap_or(target);
    match (method, path) {
        ("GET", "/metrics") => Request::Page,
        ("HEAD", "/metrics") => Request::HeadOfPage,
        ("GET" | "HEAD", _) => Request::Elsewhere,
        _ if method.bytes().all(|byte| byte.is_ascii_uppercase()) => Request::OtherMethod,
        _ => Request::Nonsense,
    }
}

fn response(status: &str, kind: &str, body: &str, with_body: bool) -> String {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    if with_body { head + body } else { head }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_or_refused() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Request::Page),
            ("GET /metrics?name=x HTTP/1.0\n\n", Request::Page),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", Request::HeadOfPage),
            ("GET / HTTP/1.1\r\n\r\n", Request::Elsewhere),
            ("GET /metrics/../etc HTTP/1.1\r\n\r\n", Request::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Request::OtherMethod),
            ("GET /metrics\r\n\r\n", Request::Nonsense),
            ("GET http://x/metrics HTTP/1.1\r\n\r\n", Request::Nonsense),
            ("GET /metrics HTTP/2\r\n\r\n", Request::Nonsense),
            ("get /metrics HTTP/1.1\r\n\r\n", Request::Nonsense),
            ("\u{1}\u{2}\r\n\r\n", Request::Nonsense),
        ] {
            assert_eq!(request(head.as_bytes()), expected, "{head:?}");
        }
        assert_eq!(request(b"\xff\xfe\r\n\r\n"), Request::Nonsense);
    }

    #[test]
    fn a_port_alone_is_of_this_machine() {
        let places = ["9464", ":9464", "0.0.0.0:9464", "localhost:1", "x"].map(whole);
        assert_eq!(places, ["127.0.0.1:9464", "127.0.0.1:9464", "0.0.0.0:9464", "localhost:1", "x"]);
    }
}
