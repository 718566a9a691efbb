//! A batch whose process is killed at any moment is resumed with every trial exactly once.
//!
//! `LABTOP_KILLS` says how many kills (a handful by default), `LABTOP_SEED` where the random moments begin.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::labtop::Labtop;
use crate::support::{servers, trials};

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
    campaign(5, &|| Some(Labtop::new()));
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
        let labtop = Labtop::new().with(servers::variables(&pg, &chroma));
        Some(labtop.keeping(pg_place).keeping(chroma_place))
    });
}

/// Starts it and kills it after a while; false when it was faster.
fn killed(labtop: &Labtop, arguments: &[&str], after: Duration) -> bool {
    let mut command = labtop.command();
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < after {
        if let Some(status) = child.try_wait().unwrap() {
            let said = child.wait_with_output().unwrap().stderr;
            assert!(status.success(), "{arguments:?}: {status}: {}", String::from_utf8_lossy(&said));
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn campaign(kills: u64, open: &dyn Fn() -> Option<Labtop>) {
    let (kills, seed) = (number("LABTOP_KILLS").unwrap_or(kills), number("LABTOP_SEED").unwrap_or(1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut done = 0;
    while done < kills {
        let Some(labtop) = open() else { return };
        let file = labtop.write("killed.toml", BATCH);
        for _ in 0..random.random_range(1..=MOST) {
            let after = SPAN.mul_f64(random.random_range(0.0..1.0));
            let known = trials::batch(&labtop);
            let arguments: &[&str] = match &known {
                Some(id) => &["batch", "resume", id],
                None => &["batch", "run", &file],
            };
            if killed(&labtop, arguments, after) {
                done += 1;
            }
        }
        let Some(id) = trials::batch(&labtop) else { continue };
        labtop.json(&["batch", "resume", &id]);
        let runs = trials::each_once(&labtop, TRIALS);
        for run in [&runs[0], &runs[TRIALS / 2], &runs[TRIALS - 1]] {
            assert_eq!(trials::points(&labtop, run), STEPS * 3, "the curve of one attempt: {run}");
        }
        assert_eq!(trials::documents(&labtop), 5 * TRIALS as u64);
    }
}
