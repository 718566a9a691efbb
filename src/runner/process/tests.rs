//! Real commands: what goes in, what comes out, and that nothing of them stays behind.

use std::fs;
use std::path::Path;
use std::process::{Command as Plain, Stdio};
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::domain::process::{MARK, ProcessKeys, ProcessSpec};

/// A folder for a script and what it writes.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    /// `sh -c SCRIPT` with an argument of its own behind it.
    fn keys(&self, script: &str) -> ProcessKeys {
        let doubled = script.replace('{', "{{").replace('}', "}}");
        let command = ["sh", "-c", &doubled, "sh", "--lr={lr}"].map(str::to_owned).to_vec();
        let cwd = Some(self.0.path().display().to_string());
        ProcessKeys { command: Some(command), cwd, ..ProcessKeys::default() }
    }

    fn job(&self, keys: ProcessKeys) -> Job {
        let process: ProcessSpec = keys.check(&["lr"]).unwrap();
        Job {
            experiment_id: 7,
            key: Uuid::new_v4(),
            model: "XGBoost".to_owned(),
            dataset: "reviews".to_owned(),
            parameters: json!({ "lr": 0.5 }).as_object().cloned().unwrap(),
            seed: 3,
            steps: 1,
            delay_ms: 0,
            process: Some(Arc::new(process)),
        }
    }

    fn script(&self, script: &str) -> Job {
        self.job(self.keys(script))
    }

    /// What a script wrote, once it has.
    async fn written(&self, name: &str) -> i32 {
        loop {
            let text = fs::read_to_string(self.0.path().join(name)).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                return number.parse().unwrap();
            }
            tokio::task::yield_now().await;
        }
    }
}

type Ended = Result<Map<String, Value>, RunError>;

/// A run under way, and what cancels it.
fn begin(job: Job) -> (JoinHandle<(Ended, Vec<Report>)>, CancellationToken) {
    let cancel = CancellationToken::new();
    let told = cancel.clone();
    let task = tokio::spawn(async move {
        let (sink, mut reports) = mpsc::channel(4);
        let hearing = async {
            let mut heard = Vec::new();
            while let Some(report) = reports.recv().await {
                heard.push(report);
            }
            heard
        };
        let running = async move { Process.run(&job, &sink, &told).await };
        tokio::join!(running, hearing)
    });
    (task, cancel)
}

async fn run(job: Job) -> (Ended, Vec<Report>) {
    begin(job).0.await.unwrap()
}

fn failure(ended: Ended) -> String {
    match ended {
        Err(RunError::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Of a process that has ended and that nobody waited for there is only its name.
fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn parameters_go_in_and_metrics_come_out() {
    let place = Place::new();
    let script = r#"
        echo "{\"step\": 1, \"metrics\": {\"accuracy\": $LABTOP_PARAM_LR}}"
        echo "{\"step\": 2, \"metrics\": {\"accuracy\": 0.75}}"
        echo "$1 $LABTOP_MODEL $LABTOP_DATASET $LABTOP_SEED $LABTOP_RUN_ID ${#LABTOP_RUN_KEY}"
        echo "from stderr" >&2
        pwd > where
    "#;
    let (ended, reports) = run(place.script(script)).await;
    let mut results = ended.unwrap();
    assert!(results.remove("training_time_seconds").is_some_and(|took| took.as_f64() > Some(0.0)));
    assert_eq!(json!(results), json!({ "accuracy": 0.75 }), "the last point");
    let step = |step, value| Report::Step { step, metrics: vec![("accuracy".to_owned(), value)] };
    for expected in [
        step(1, 0.5),
        step(2, 0.75),
        Report::Log("--lr=0.5 XGBoost reviews 3 7 36".to_owned()),
        Report::Log("from stderr".to_owned()),
    ] {
        assert!(reports.contains(&expected), "{expected:?}: {reports:?}");
    }
    let there = fs::read_to_string(place.0.path().join("where")).unwrap();
    assert_eq!(Path::new(there.trim()).canonicalize().unwrap(), place.0.path().canonicalize().unwrap());
}

#[tokio::test]
async fn a_script_that_knows_nothing_of_us_is_read_by_patterns() {
    let place = Place::new();
    let metrics =
        json!({ "accuracy": "val_acc: ([0-9.]+)", "loss": "^epoch (?P<step>[0-9]+) .*loss ([0-9.]+)" });
    let keys = ProcessKeys {
        metrics: metrics.as_object().cloned(),
        ..place.keys("for i in 1 2; do echo \"epoch $((i * 10)) loss 0.$i val_acc: 0.8$i\"; done >&2")
    };
    let (ended, reports) = run(place.job(keys)).await;
    let results = ended.unwrap();
    assert_eq!((results["accuracy"].as_f64(), results["loss"].as_f64()), (Some(0.82), Some(0.2)));
    let step = |name: &str, step, value| Report::Step { step, metrics: vec![(name.to_owned(), value)] };
    for expected in [step("accuracy", 1, 0.81), step("accuracy", 2, 0.82), step("loss", 20, 0.2)] {
        assert!(reports.contains(&expected), "{expected:?}: {reports:?}");
    }
}

#[tokio::test]
async fn a_failure_says_what_the_command_said_last() {
    let place = Place::new();
    let (ended, _) =
        run(place.script("echo fine; for i in 1 2 3 4; do echo line $i >&2; done; exit 3")).await;
    assert_eq!(failure(ended), "exited with status 3: line 2 | line 3 | line 4");
    let (ended, _) = run(place.script("echo out; exit 1")).await;
    assert_eq!(failure(ended), "exited with status 1: out");
    let (ended, _) = run(place.script("kill -ABRT $$")).await;
    assert_eq!(failure(ended), "was killed by signal 6");
}

#[tokio::test]
async fn what_cannot_be_started_says_what_to_do() {
    let place = Place::new();
    let with = |program: &str| {
        let keys = ProcessKeys { command: Some(vec![program.to_owned()]), ..place.keys("") };
        run(place.job(keys))
    };
    let (ended, reports) = with("no-such-program").await;
    let why = failure(ended);
    assert!(why.contains("'no-such-program' is not in PATH") && why.contains("install"), "{why}");
    assert_eq!(reports, []);
    assert!(failure(with("./missing.sh").await.0).contains("there is no program /"));
    fs::write(place.0.path().join("plain.sh"), "#!/bin/sh\n").unwrap();
    assert!(failure(with("./plain.sh").await.0).contains("chmod +x /"));
    let keys = ProcessKeys { cwd: Some("/no/such/folder".to_owned()), ..place.keys("true") };
    let why = failure(run(place.job(keys)).await.0);
    assert!(why.contains("/no/such/folder") && why.contains("`cwd`"), "{why}");
}

#[tokio::test]
async fn only_what_is_named_is_inherited() {
    let place = Place::new();
    let keys = ProcessKeys { env: Some(vec!["PATH".to_owned()]), ..place.keys("env | sort") };
    let (ended, reports) = run(place.job(keys)).await;
    ended.unwrap();
    let names: Vec<&str> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Log(line) => line.split('=').next(),
            _ => None,
        })
        // What the shell adds by itself.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    let own =
        ["DATASET", "MODEL", "PARAM_LR", "RUN_ID", "RUN_KEY", "SEED"].map(|name| format!("LABTOP_{name}"));
    assert_eq!(names, own.iter().map(String::as_str).chain(["PATH"]).collect::<Vec<_>>());
}

/// A child that does not listen, and one that left for a session of its own.
const FAMILY: &str = r#"
    sh -c 'trap "" TERM; echo $$ > deaf.new; mv deaf.new deaf; exec sleep 1000' &
    setsid sh -c 'echo $$ > far.new; mv far.new far; exec sleep 1000' &
    echo $$ > own.new; mv own.new own
    wait
"#;

async fn family(place: &Place) -> [i32; 3] {
    let pids = [place.written("own").await, place.written("deaf").await, place.written("far").await];
    assert!(pids.iter().all(|&pid| lives(pid)));
    pids
}

#[tokio::test]
async fn a_cancelled_run_leaves_nobody_behind() {
    let place = Place::new();
    let (task, cancel) = begin(place.script(FAMILY));
    let pids = family(&place).await;
    cancel.cancel();
    assert!(matches!(task.await.unwrap().0, Err(RunError::Cancelled)));
    assert_eq!(pids.map(lives), [false; 3]);
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_stopped() {
    let place = Place::new();
    let keys = ProcessKeys { timeout: Some("4s".to_owned()), ..place.keys(FAMILY) };
    let (task, _) = begin(place.job(keys));
    let pids = family(&place).await;
    assert_eq!(failure(task.await.unwrap().0), "stopped after 4s, its `timeout`");
    assert_eq!(pids.map(lives), [false; 3]);
}

#[tokio::test]
async fn who_ends_kindly_may_say_so() {
    let place = Place::new();
    let script = "trap 'echo saved; exit 0' TERM; echo $$ > own; while :; do sleep 0.01; done";
    let (task, cancel) = begin(place.script(script));
    place.written("own").await;
    cancel.cancel();
    let (ended, reports) = task.await.unwrap();
    assert!(matches!(ended, Err(RunError::Cancelled)));
    assert!(reports.contains(&Report::Log("saved".to_owned())), "{reports:?}");
}

#[tokio::test]
async fn what_a_finished_command_left_running_is_ended() {
    let place = Place::new();
    let script = r#"setsid sh -c 'echo $$ > far; exec sleep 1000' & while ! [ -s far ]; do :; done; echo '{"result": {"accuracy": 1}}'"#;
    let (ended, _) = run(place.script(script)).await;
    assert_eq!(ended.unwrap()["accuracy"], 1);
    assert!(!lives(place.written("far").await), "it held the output open as well");
}

#[tokio::test]
async fn what_an_earlier_try_left_is_ended_first() {
    let place = Place::new();
    let job = place.script("true");
    let mut left =
        Plain::new("sleep").arg("1000").env(MARK, job.key.to_string()).stdin(Stdio::null()).spawn().unwrap();
    let mut other = Plain::new("sleep")
        .arg("1000")
        .env(MARK, Uuid::new_v4().to_string())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let (ended, reports) = run(job).await;
    ended.unwrap();
    assert!(!left.wait().unwrap().success());
    assert!(other.try_wait().unwrap().is_none(), "that of another run goes on");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(matches!(&reports[0], Report::Log(line) if line.contains("earlier try")), "{reports:?}");
}

#[tokio::test]
async fn a_run_that_is_given_up_is_killed() {
    let place = Place::new();
    let (task, _) = begin(place.script(FAMILY));
    let pids = family(&place).await;
    task.abort();
    until(|| pids.map(lives) == [false; 3]).await;
}

#[tokio::test]
async fn a_flood_without_line_breaks_is_cut() {
    let place = Place::new();
    let (ended, reports) = run(place.script("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end")).await;
    ended.unwrap();
    let [Report::Log(cut), Report::Log(end)] = reports.as_slice() else { panic!("{}", reports.len()) };
    assert!(
        cut.len() < 5000 && cut.ends_with("(19996000 bytes more were cut)"),
        "{}",
        &cut[cut.len() - 50..]
    );
    assert_eq!(end, "end");
}
