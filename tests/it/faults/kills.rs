//! A batch whose process is killed at any moment is resumed with every trial exactly once.
//!
//! `LABTOP_KILLS` says how many kills (a handful by default), `LABTOP_SEED` where the random moments begin.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::support::labtop::Labtop;
use crate::support::servers;

const TRIALS: usize = 200;
const STEPS: usize = 4;
/// Kills in one batch, at most.
const MOST: usize = 4;
/// A batch of this size takes about that long.
const SPAN: Duration = Duration::from_millis(1200);

const BATCH: &str = r#"
name = "killed"
dataset = "reviews"
runner = "simulate"
steps = 4
delay_ms = 2
parallel = 8
repeats = 200
[params]
model = ["XGBoost"]
"#;

#[test]
fn embedded() {
    campaign(5, &|| Some(Lab { labtop: Labtop::new(), variables: Vec::new() }));
}

#[test]
fn on_servers() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(servers::postgres()).is_none() {
        return;
    }
    campaign(4, &|| {
        let (pg, pg_place) = runtime.block_on(servers::postgres())?;
        let (chroma, chroma_place) = runtime.block_on(servers::chroma())?;
        let labtop = Labtop::new().keeping(pg_place).keeping(chroma_place);
        Some(Lab { labtop, variables: servers::variables(&pg, &chroma) })
    });
}

/// A clean folder and how to run labtop there.
struct Lab {
    labtop: Labtop,
    variables: Vec<(String, String)>,
}

impl Lab {
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.labtop.command();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(arguments);
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--format", "json"]].concat()).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {:?} {stderr}", output.status);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"))
    }

    /// Starts it and kills it after a while; false when it was faster.
    fn killed(&self, arguments: &[&str], after: Duration) -> bool {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < after {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{arguments:?}: {status}");
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        true
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn campaign(kills: u64, open: &dyn Fn() -> Option<Lab>) {
    let (kills, seed) = (number("LABTOP_KILLS").unwrap_or(kills), number("LABTOP_SEED").unwrap_or(1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut done = 0;
    while done < kills {
        let Some(lab) = open() else { return };
        let file = lab.labtop.write("killed.toml", BATCH);
        for _ in 0..random.random_range(1..=MOST) {
            let after = SPAN.mul_f64(random.random_range(0.0..1.0));
            let known = !lab.json(&["batch", "ls"]).as_array().unwrap().is_empty();
            let arguments: &[&str] = if known { &["batch", "resume", "1"] } else { &["batch", "run", &file] };
            if lab.killed(arguments, after) {
                done += 1;
            }
        }
        if lab.json(&["batch", "ls"]).as_array().unwrap().is_empty() {
            continue;
        }
        let report = lab.json(&["batch", "resume", "1"]);
        check(&lab, &report);
    }
}

/// Each trial is there once and completed, with its curve, its performance and its documents.
fn check(lab: &Lab, report: &Value) {
    let runs = report["experiments"].as_array().unwrap();
    let trials: BTreeSet<u64> = runs.iter().map(|run| run["trial"].as_u64().unwrap()).collect();
    assert_eq!((runs.len(), trials.len()), (TRIALS, TRIALS));
    let ends: BTreeSet<&str> = runs.iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(ends, BTreeSet::from(["completed"]));
    assert_eq!(
        lab.json(&["ls", "--limit", "1000"]).as_array().unwrap().len(),
        TRIALS,
        "no twin of any trial"
    );

    let sql = "SELECT count(*) AS n, count(DISTINCT experiment_id) AS ids FROM experiments_performance";
    let rows = lab.json(&["analytics", "sql", sql]);
    assert_eq!((&rows[0]["n"], &rows[0]["ids"]), (&TRIALS.into(), &TRIALS.into()), "{rows}");

    for run in [&runs[0], &runs[TRIALS / 2], &runs[TRIALS - 1]] {
        let id = run["id"].to_string();
        let points = &lab.json(&["show", &id, "--points"])["points"];
        assert_eq!(points.as_array().unwrap().len(), STEPS * 3, "the curve of {id} is that of one attempt");
    }
    let collections = lab.json(&["collections", "ls"]);
    let documents: Vec<u64> = collections
        .as_array()
        .unwrap()
        .iter()
        .map(|collection| collection["records"].as_u64().unwrap())
        .collect();
    assert_eq!(documents, [5 * TRIALS as u64], "{collections}");
}
