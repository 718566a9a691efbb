//! Chroma goes away and comes back: runs go on, and their documents arrive, each once and the newest version.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use labtop::domain::collection::Record;
use labtop::store::outbox::{NewDelivery, Outbox};
use labtop::store::postgres::Pg;
use serde_json::{Map, json};
use tokio::runtime::Runtime;

use crate::support::labtop::{Labtop, Ran};
use crate::support::proxy::{Mode, Proxy};
use crate::support::{patience, servers};

const TRIALS: u64 = 200;

const BATCH: &str = r#"
name = "without chroma"
dataset = "reviews"
runner = "simulate"
steps = 5
delay_ms = 20
parallel = 8
repeats = 100
[params]
model = ["XGBoost", "BERT"]
"#;

/// A clean PostgreSQL database and a clean Chroma one behind a proxy, and labtop on both.
struct Lab {
    labtop: Labtop,
    proxy: Proxy,
    pg: Arc<Pg>,
    /// The address of the database in Chroma, past the proxy.
    database: String,
    runtime: Runtime,
}

impl Lab {
    fn open() -> Option<Lab> {
        let runtime = Runtime::new().unwrap();
        let (pg, pg_place) = runtime.block_on(servers::postgres())?;
        let (mut chroma, chroma_place) = runtime.block_on(servers::chroma())?;
        let proxy = Proxy::to(chroma.url.strip_prefix("http://").unwrap().trim_end_matches('/'));
        let database =
            format!("{}/api/v2/tenants/{}/databases/{}", chroma.url, chroma.tenant, chroma.database);
        chroma.url = format!("http://{}", proxy.address());
        let labtop = Labtop::new().with(servers::variables(&pg, &chroma));
        let labtop = labtop.keeping(pg_place).keeping(chroma_place);
        Some(Lab { labtop, proxy, pg: Pg::new(&pg), database, runtime })
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.labtop.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn waiting(&self) -> u64 {
        self.runtime.block_on(self.pg.waiting()).unwrap()
    }

    /// Whether somebody has a claim on something that waits.
    fn is_claimed(&self) -> bool {
        let claims = self.runtime.block_on(self.pg.claim("a look", Duration::ZERO, 0, &[])).unwrap();
        !claims.held.is_empty()
    }

    fn finished(&self) -> u64 {
        let batches = self.labtop.json(&["batch", "ls"]);
        batches.get(0).and_then(|batch| batch["completed"].as_u64()).unwrap_or(0)
    }

    fn records(&self) -> Vec<(String, u64)> {
        let collections = self.labtop.json(&["collections", "ls"]);
        let all = collections.as_array().unwrap().iter();
        all.map(|one| (one["name"].as_str().unwrap().to_owned(), one["records"].as_u64().unwrap())).collect()
    }

    fn put(&self, collection: &str, id: &str, version: usize) {
        let document = Some(format!("version {version}"));
        let record = Record { id: id.to_owned(), document, embedding: vec![1.0, 0.5], metadata: Map::new() };
        let collection = collection.to_owned();
        let delivery = NewDelivery { collection, records: vec![record], experiment: None };
        self.runtime.block_on(self.pg.put(&delivery)).unwrap();
    }
}

/// Asks again and again, but not for ever.
fn until(what: &str, condition: impl Fn() -> bool) {
    patience::until(Duration::from_secs(60), what, || condition().then_some(()));
}

fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    stderr
}

#[test]
fn a_batch_goes_on_without_chroma_and_everything_arrives_when_it_is_back() {
    let Some(lab) = Lab::open() else { return };
    let file = lab.labtop.write("batch.toml", BATCH);
    let batch = lab.start(&["batch", "run", &file]);
    until("the first run", || lab.finished() >= TRIALS / 10);
    lab.proxy.set(Mode::Refuse);
    let before = lab.finished();
    until("runs without Chroma", || lab.finished() >= before + TRIALS / 4);
    assert!(lab.waiting() > 0);
    lab.proxy.set(Mode::ResetAfter(0));
    until("runs with a Chroma that hangs up", || lab.finished() >= before + TRIALS / 3);
    lab.proxy.set(Mode::Pass);
    let stderr = ended(batch);
    assert_eq!(stderr.matches("Documents wait in the outbox").count(), 1, "told once: {stderr}");
    assert_eq!((lab.finished(), lab.waiting()), (TRIALS, 0));
    let runs = lab.labtop.json(&["ls", "--limit", "1000"]);
    assert_eq!(runs.as_array().unwrap().len() as u64, TRIALS, "no twin of any trial");
    let each = 5 * TRIALS / 2;
    assert_eq!(lab.records(), [("bert_reviews".to_owned(), each), ("xgboost_reviews".to_owned(), each)]);
    assert_eq!(lab.labtop.json(&["outbox", "ls"]), json!([]));
}

#[test]
fn what_was_left_is_delivered_by_a_worker_that_has_nothing_to_run() {
    let Some(lab) = Lab::open() else { return };
    lab.proxy.set(Mode::Refuse);
    let left = lab.start(&["run", "--model", "BERT", "--dataset", "reviews", "--repeat", "3"]);
    let stderr = ended(left);
    assert!(stderr.contains("of 3 runs wait in the outbox"), "{stderr}");
    let waiting = lab.labtop.json(&["outbox", "ls"]);
    assert_eq!((&waiting[0]["collection"], &waiting[2]["records"]), (&json!("bert_reviews"), &json!(5)));
    assert!(waiting[0]["last_error"].as_str().unwrap().contains("does not answer"), "{waiting}");

    let mut worker = lab.start(&["worker"]);
    until("a try", || lab.labtop.json(&["outbox", "ls"])[0]["tries"] != waiting[0]["tries"]);
    lab.proxy.set(Mode::Pass);
    let back = Instant::now();
    until("the delivery", || lab.waiting() == 0);
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(lab.records(), [("bert_reviews".to_owned(), 15)]);
}

#[test]
fn several_processes_deliver_in_turns_and_the_newest_version_stays() {
    let Some(lab) = Lab::open() else { return };
    const VERSIONS: usize = 60;
    for version in 1..=VERSIONS {
        for collection in ["first_docs", "second_docs"] {
            lab.put(collection, "same", version);
            lab.put(collection, &format!("other{version}"), version);
        }
    }
    lab.proxy.set(Mode::Delay(Duration::from_millis(20)));
    let crowd: Vec<Child> = (0..3).map(|_| lab.start(&["outbox", "retry"])).collect();
    for child in crowd {
        ended(child);
    }
    until("the last delivery", || lab.waiting() == 0);
    for collection in ["first_docs", "second_docs"] {
        let found = lab.labtop.json(&["collections", "get", collection, "--ids", "same"]);
        assert_eq!(found[0]["document"], format!("version {VERSIONS}"));
    }
    let each = VERSIONS as u64 + 1;
    assert_eq!(lab.records(), [("first_docs".to_owned(), each), ("second_docs".to_owned(), each)]);
}

#[test]
fn what_a_killed_process_was_about_to_deliver_is_delivered_by_the_next() {
    let Some(lab) = Lab::open() else { return };
    lab.put("some_docs", "a", 1);
    lab.proxy.set(Mode::HalfOpen);
    let mut hanging = lab.start(&["outbox", "retry"]);
    until("a claim", || lab.is_claimed());
    hanging.kill().unwrap();
    hanging.wait().unwrap();
    assert!(lab.is_claimed(), "nobody gave it back");
    lab.proxy.set(Mode::Pass);
    let begun = Instant::now();
    ended(lab.start(&["outbox", "retry"]));
    assert!(begun.elapsed() < Duration::from_secs(30), "the lease is longer: {:?}", begun.elapsed());
    assert_eq!((lab.waiting(), lab.records()), (0, vec![("some_docs".to_owned(), 1)]));
}

#[test]
fn a_database_that_is_missing_is_no_empty_one_and_init_makes_it() {
    let Some(lab) = Lab::open() else { return };
    lab.runtime.block_on(servers::remove_chroma(&lab.database));
    let Ran { stderr, code, .. } = lab.labtop.run(&["collections", "ls"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("Chroma has no database") && stderr.contains("labtop init"), "{stderr}");
    ended(lab.start(&["run", "--model", "BERT", "--dataset", "reviews"]));
    assert_eq!(lab.waiting(), 1, "what a database is missing for waits for it");
    assert_eq!(lab.labtop.run(&["migrate"]).code, 3);
    let made = lab.labtop.json(&["init"]);
    let chroma =
        made.as_array().unwrap().iter().find(|one| one["database"].as_str().unwrap().contains("Chroma"));
    assert!(chroma.unwrap()["applied"][0].as_str().unwrap().starts_with("database "), "{made}");
    assert_eq!(lab.records(), []);
    ended(lab.start(&["outbox", "retry"]));
    assert_eq!((lab.waiting(), lab.records()), (0, vec![("bert_reviews".to_owned(), 5)]));
}
