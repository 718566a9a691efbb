//! A copy that is killed at any moment goes on when it is run again, and everything arrives once.
//!
//! `LABTOP_KILLS` says how many kills (a handful by default), `LABTOP_SEED` where the random moments begin.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::cli::copy::{fill, store};
use crate::support::labtop::Labtop;
use crate::support::servers;

/// Finished runs in the source.
const RUNS: usize = 3000;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// Kills the command at random moments of `span`, then lets it end; gives back its report.
fn campaign(command: &dyn Fn() -> Command, span: Duration) -> Value {
    let mut random = StdRng::seed_from_u64(number("LABTOP_SEED", 1));
    for _ in 0..number("LABTOP_KILLS", 6) {
        let after = span.mul_f64(random.random_range(0.0..1.0));
        let mut child = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < after && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // It may have ended.
        let _ = child.kill();
        child.wait().unwrap();
    }
    let output = command().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(report: &Value) {
    assert_eq!((&report["agrees"], &report["ids_kept"]), (&true.into(), &true.into()), "{report}");
    let runs = &report["parts"][1];
    assert_eq!((&runs["source"], &runs["target"]), (&(RUNS + 4).into(), &(RUNS + 4).into()), "{report}");
}

#[test]
fn into_a_file() {
    let lab = Labtop::new();
    fill(&store(&lab), RUNS);
    let command = || {
        let mut command = lab.command();
        command.args(["copy", "--to-file", "target.duckdb", "--format", "json"]);
        command
    };
    let report = campaign(&command, Duration::from_secs(3));
    check(&report);
    let sql = "SELECT (SELECT count(*) FROM ml_schema.experiments) AS runs, (SELECT count(*) FROM experiments_performance) AS rows,
               (SELECT count(DISTINCT key) FROM ml_schema.experiments) AS keys,
               (SELECT count(*) FROM ml_schema.experiment_metrics) AS points";
    let counts = lab.json(&["--store", "target.duckdb", "analytics", "sql", sql]);
    // One run has two points instead of three.
    let expected =
        serde_json::json!([{ "runs": RUNS + 4, "rows": RUNS, "keys": RUNS + 4, "points": 3 * RUNS - 1 }]);
    assert_eq!(counts, expected);
}

#[test]
fn onto_servers() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((pg, pg_place)) = runtime.block_on(servers::postgres()) else { return };
    let Some((chroma, chroma_place)) = runtime.block_on(servers::chroma()) else { return };
    let lab = Labtop::new().keeping(pg_place).keeping(chroma_place);
    fill(&store(&lab), RUNS);
    let command = || {
        let mut command = lab.command();
        command.envs(servers::variables(&pg, &chroma));
        command.args(["copy", "--from", "embedded", "--to", "servers", "--format", "json"]);
        command
    };
    let report = campaign(&command, Duration::from_secs(4));
    check(&report);
    let output = command().args(["--dry-run"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["parts"].as_array().unwrap().iter().all(|part| part["different"] == 0), "{report}");
}
