//! One DuckDB file for everybody: a dashboard busy with a batch, two loops of `labtop run`, and a shell that retries.
//!
//! `LABTOP_BENCH_SECONDS` says how long (60). Prints how long each waited for its turns and at worst, and after what
//! time the dashboard showed the runs of the others.

// A benchmark says its figures, and ends where it cannot go on.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use duckdb::Connection;
use jiff::Timestamp;
use serde_json::Value;

#[path = "../tests/it/support/terminal.rs"]
#[allow(dead_code)]
mod terminal;

use terminal::Terminal;

const BATCH: &str = "name = 'busy'\ndataset = 'inside'\nparallel = 4\nsteps = 30\ndelay_ms = 20\nrepeats = 100000\n\
                     [params]\nmodel = ['XGBoost']\n";
/// Pause of the shell before it tries again, and between its visits.
const RETRY: Duration = Duration::from_millis(20);
/// Has every turn told in the log.
const LOG: &str = "labtop::store::duckdb=debug";

/// A run of another process: its data set, by which it is found on the screen, and when it was created.
struct Outside {
    dataset: String,
    created: Timestamp,
}

fn main() {
    let seconds =
        std::env::var("LABTOP_BENCH_SECONDS").ok().and_then(|value| value.parse().ok()).unwrap_or(60);
    let until = Instant::now() + Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("batches")).unwrap();
    std::fs::write(folder.path().join("batches/busy.toml"), BATCH).unwrap();
    println!("load average at the start: {}", load());
    let variables =
        [("LABTOP__BATCHES", "batches"), ("LABTOP_LOG", LOG), ("LABTOP_LOG_FILE", "dashboard.log")];
    let mut dashboard = Terminal::start(folder.path(), &[], &variables, 160, 45);
    dashboard.wait_for("No experiments yet");
    dashboard.press("b");
    dashboard.wait_for("busy");
    dashboard.press("\r");
    // Storing so many trials is one long transaction.
    dashboard
        .wait("trials that ended", |screen| screen.contains("/100000") && !screen.contains("batch 0/100000"));
    dashboard.press("/dataset ~ 'out-'\r");

    let (tell, told) = sync_channel(1024);
    let runners: Vec<_> = ["a", "b"]
        .map(|name| {
            let (folder, tell) = (folder.path().to_owned(), tell.clone());
            thread::spawn(move || run(&folder, name, until, &tell))
        })
        .into();
    drop(tell);
    let store = folder.path().join("data/duckdb/ml_analytics.duckdb");
    let shell = thread::spawn(move || visit(&store, until));

    let mut seen: HashMap<String, Timestamp> = HashMap::new();
    let mut looked = Instant::now();
    while Instant::now() < until + Duration::from_secs(1) {
        if looked.elapsed() > Duration::from_millis(200) {
            // As somebody who watches the top: a selected run would keep its line, and the newest be above it.
            dashboard.press("g");
            looked = Instant::now();
        }
        assert!(dashboard.read(Duration::from_millis(5)), "the dashboard ended:\n{}", dashboard.text());
        let now = Timestamp::now();
        for word in dashboard.text().split_whitespace().filter(|word| word.starts_with("out-")) {
            seen.entry(word.to_owned()).or_insert(now);
        }
    }
    for (name, runner) in ["labtop run (1)", "labtop run (2)"].into_iter().zip(runners) {
        report(name, runner.join().unwrap());
    }
    report("shell, until it got in", shell.join().unwrap());
    let outside: Vec<Outside> = told.iter().collect();
    let shown: Vec<Duration> = outside
        .iter()
        .filter_map(|run| seen.get(&run.dataset)?.duration_since(run.created).try_into().ok())
        .collect();
    println!("{} of {} outside runs were seen on the screen", shown.len(), outside.len());
    report("created until on the screen", shown);
    dashboard.press("q");
    dashboard.wait_for("Leave labtop?");
    dashboard.press("l");
    assert_eq!(dashboard.wait_for_end(), 0);
    let sql = "SELECT status, count(*) FROM ml_schema.experiments GROUP BY ALL ORDER BY ALL";
    let store = Connection::open(folder.path().join("data/duckdb/ml_analytics.duckdb")).unwrap();
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let counts: Vec<(String, i64)> = rows.map(Result::unwrap).collect();
    println!("{counts:?}");
    let visits: i64 = store.query_row("SELECT count(*) FROM visits", [], |row| row.get(0)).unwrap();
    println!("the shell left {visits} rows");
    report_turns("dashboard", &folder.path().join("dashboard.log"), 1);
    report_turns("labtop run", &folder.path().join("runs.log"), outside.len());
    println!("load average at the end: {}", load());
}

/// What the log of `processes` processes tells of their turns.
fn report_turns(whose: &str, log: &Path, processes: usize) {
    let log = std::fs::read_to_string(log).unwrap();
    let turns: Vec<&str> = log.lines().filter(|line| line.contains("had the file for ")).collect();
    println!("{whose}: {:.1} turns for each process", turns.len() as f64 / processes.max(1) as f64);
    for (what, word) in [
        ("  waited for labtops", "turn"),
        ("  waited for other programs", "program"),
        ("  opening the file", "opening"),
        ("  having it", "for"),
        ("  closing it", "closing"),
    ] {
        report(what, turns.iter().map(|turn| after(turn, word)).collect());
    }
}

/// The milliseconds that follow a word.
fn after(line: &str, word: &str) -> Duration {
    let number = line.split_whitespace().skip_while(|other| *other != word).nth(1).unwrap();
    Duration::from_secs_f64(number.parse::<f64>().unwrap() / 1e3)
}

/// Of the machine, over one, five and fifteen minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// `labtop run` again and again; how long each took.
fn run(folder: &Path, name: &str, until: Instant, tell: &SyncSender<Outside>) -> Vec<Duration> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let dataset = format!("out-{name}{}", took.len());
        let begun = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_labtop"))
            .args([
                "run",
                "--model",
                "BERT",
                "--dataset",
                &dataset,
                "--steps",
                "3",
                "--format",
                "json",
                "--quiet",
            ])
            .current_dir(folder)
            .env("HOME", folder)
            .env("LABTOP_LOG", LOG)
            .env("LABTOP_LOG_FILE", "runs.log")
            .output()
            .unwrap();
        took.push(begun.elapsed());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let runs: Value = serde_json::from_slice(&output.stdout).unwrap();
        let created = runs[0]["created_at"].as_str().unwrap().parse().unwrap();
        tell.send(Outside { dataset, created }).unwrap();
        thread::sleep(Duration::from_millis(300));
    }
    took
}

/// A shell that opens the file, writes a row and closes it; how long it had to try each time.
fn visit(store: &Path, until: Instant) -> Vec<Duration> {
    let mut waited = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        let connection = loop {
            match Connection::open(store) {
                Ok(connection) => break connection,
                Err(error) => assert!(error.to_string().contains("Could not set lock"), "{error}"),
            }
            thread::sleep(RETRY);
        };
        waited.push(begun.elapsed());
        let sql =
            "CREATE TABLE IF NOT EXISTS visits (moment TIMESTAMP); INSERT INTO visits VALUES (now()::TIMESTAMP);
                   SELECT count(*) FROM ml_schema.experiments";
        connection.execute_batch(sql).unwrap();
        drop(connection);
        thread::sleep(Duration::from_millis(200));
    }
    waited
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    let [p50, p95, p99, worst] = [50, 95, 99, 100].map(|share| at(share).map_or(0, Duration::as_millis));
    println!(
        "{what:<28} {:>5} times  p50 {p50:>5} ms  p95 {p95:>5} ms  p99 {p99:>5} ms  worst {worst:>5} ms",
        times.len()
    );
}
