//! The page for Prometheus: valid, true, and there whatever is down or asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::chroma::closed_port;
use crate::support::labtop::Labtop;
use crate::support::prometheus::Page;
use crate::support::terminal::Terminal;

/// A worker that serves its figures; ended with the test.
struct Worker {
    child: Child,
    address: SocketAddr,
}

impl Worker {
    fn start(lab: &Labtop, environment: &[(&str, &str)]) -> Self {
        let mut command = lab.command();
        command.args(["worker", "--metrics-addr", "0"]).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = lines.find_map(|line| Some(line.unwrap().split_once("http://")?.1.to_owned())).unwrap();
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Worker { child, address: told.strip_suffix("/metrics").unwrap().parse().unwrap() }
    }

    async fn page(&self) -> Page {
        page(self.address).await
    }

    /// What is answered to these bytes.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        // A request that was not read to its end may be answered with a reset behind the answer.
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has ended already, or it is ended now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn page(address: SocketAddr) -> Page {
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Page::read(&response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_what_is_in_the_store_and_what_it_did() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let url = format!("http://{}", closed_port());
    let environment = [("CHROMA_URL", url.as_str()), ("LABTOP__ROLES__COLLECTIONS", "chroma")];
    let worker = Worker::start(&lab, &environment);
    let page = worker.page().await;
    let up = |role, backend| page.value("labtop_up", &[("role", role), ("backend", backend)]);
    assert_eq!((up("experiments", "DuckDB"), up("collections", "Chroma")), (Some(1.0), Some(0.0)));
    let shown = lab.json(&["ls", "--limit", "100"]);
    let of = |status| page.value("labtop_experiments", &[("status", status)]);
    let completed = shown.as_array().unwrap().iter().filter(|run| run["status"] == "completed").count();
    assert_eq!((of("completed"), of("failed")), (Some(completed as f64), Some(0.0)));
    assert_eq!(page.value("labtop_queue_depth", &[]), Some(0.0));
    assert_eq!(page.value("labtop_outbox_waiting", &[]), Some(0.0));
    assert_eq!(page.value("labtop_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    let started = page.value("process_start_time_seconds", &[]).unwrap();
    let age = jiff::Timestamp::now().as_second() as f64 - started;
    assert!((-1.0..600.0).contains(&age), "{age}");
    let operation = |name: &str, store, backend, role, operation, more: &[(&str, &str)]| {
        let labels = [("backend", backend), ("role", role), ("store", store), ("operation", operation)];
        page.value(name, &[&labels[..], more].concat())
    };
    let total = "labtop_operations_total";
    let refused = [("outcome", "unavailable")];
    assert_eq!(operation(total, "collections", "Chroma", "collections", "health", &refused), Some(1.0));
    let count = "labtop_operation_duration_seconds_count";
    assert_eq!(operation(count, "experiments", "DuckDB", "experiments", "statuses", &[]), Some(1.0));
    // What the worker itself does is counted as it does it.
    let claimed = [
        ("backend", "DuckDB"),
        ("role", "experiments"),
        ("store", "queue"),
        ("operation", "claim"),
        ("outcome", "ok"),
    ];
    let counted = async { while worker.page().await.value(total, &claimed).is_none() {} };
    tokio::time::timeout(Duration::from_secs(60), counted).await.unwrap();
}

#[test]
fn whoever_asks_for_anything_else_is_told_so() {
    let lab = Labtop::new();
    let worker = Worker::start(&lab, &[]);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "404"),
        (b"GET /metrics/x HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "405"),
        (b"nonsense\r\n\r\n", "400"),
        (b"\xff\xfe\x00\r\n\r\n", "400"),
        (long.as_bytes(), "431"),
    ] {
        let answer = worker.ask(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    let head = worker.ask(b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_say_nothing_keep_nobody_out_for_long() {
    let lab = Labtop::new();
    let worker = Worker::start(&lab, &[]);
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(worker.address).unwrap()).collect();
    let page = worker.page().await;
    assert_eq!(page.value("labtop_queue_depth", &[]), Some(0.0));
    drop(silent);
}

#[test]
fn a_place_that_is_taken_is_told_at_the_start() {
    let lab = Labtop::new();
    let worker = Worker::start(&lab, &[]);
    let place = worker.address.to_string();
    for arguments in
        [&["worker", "--once", "--metrics-addr", &place][..], &["--metrics-addr", &place, "worker"]]
    {
        let ran = lab.run(arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.stderr.contains(&place) && ran.stderr.contains("another program has this port"),
            "{ran:?}"
        );
    }
    let ran = lab.run(&["worker", "--metrics-addr", "here"]);
    assert!(ran.code == 2 && ran.stderr.contains("HOST:PORT"), "{ran:?}");
    let ran = lab.run(&["--metrics-addr", &place, "ls"]);
    assert!(ran.code == 2 && ran.stderr.contains("labtop worker"), "{ran:?}");
}

#[test]
fn the_dashboard_serves_its_figures_too() {
    let lab = Labtop::new();
    let address = closed_port();
    let place = address.to_string();
    let environment = [("LABTOP__METRICS__ADDR", place.as_str())];
    let mut terminal = Terminal::start(lab.folder.path(), &[], &environment, 100, 30);
    terminal.wait_for("No experiments yet");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let page = runtime.block_on(page(address));
    assert_eq!(page.value("labtop_up", &[("role", "analytics"), ("backend", "DuckDB")]), Some(1.0));
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}
