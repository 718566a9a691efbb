//! Workers that share a queue, of which one is killed: every trial is done exactly once, and everybody sees it.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::labtop::Labtop;
use crate::support::terminal::signal;
use crate::support::{patience, servers, trials};

/// Longer than a lease and all the work.
const PATIENCE: Duration = Duration::from_secs(90);

const STEPS: i64 = 6;

fn batch(trials: usize) -> String {
    format!(
        "name = 'shared'\ndataset = 'reviews'\nsteps = {STEPS}\ndelay_ms = 40\nrepeats = {trials}\n[params]\nmodel = ['XGBoost']\n"
    )
}

/// A labtop that is killed with the test.
struct Process(Child);

impl Process {
    fn start(mut command: std::process::Command) -> Self {
        Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end and gives back its exit code.
    fn end(mut self) -> Option<i32> {
        signal(self.id(), "TERM");
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a look gives something.
fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    patience::until(PATIENCE, what, look)
}

fn worker(machine: &Labtop) -> Process {
    let mut command = machine.command();
    command.args(["worker", "--parallel", "4"]);
    Process::start(command)
}

/// The worker of that process in the list of workers.
fn listed(machine: &Labtop, pid: u32) -> Option<Value> {
    let workers = machine.json(&["worker", "ls"]);
    workers.as_array().unwrap().iter().find(|worker| worker["pid"] == pid).cloned()
}

/// Each trial is there once and completed, with its performance and its documents.
fn check(machine: &Labtop, trials: usize) {
    let runs = trials::each_once(machine, trials);
    assert!(runs.iter().all(|run| run["host"].is_string()), "it is known where each ran");
    // The dead one may have been delivering: another takes that up when its claim has run out.
    until("all documents", || (trials::documents(machine) >= 5 * trials as u64).then_some(()));
    assert_eq!(trials::documents(machine), 5 * trials as u64);
}

/// How many trials were tried twice.
fn tried_again(report: &Value) -> usize {
    report["experiments"].as_array().unwrap().iter().filter(|run| run["attempt"] == 2).count()
}

/// A look into the database without labtop.
struct Plain {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Plain {
    fn connect(settings: &labtop::config::Postgres) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let client = runtime.block_on(servers::plainly(settings));
        Plain { runtime, client }
    }

    fn count(&self, sql: &str) -> i64 {
        self.runtime.block_on(self.client.query_one(sql, &[])).unwrap().get(0)
    }

    fn completed(&self) -> i64 {
        self.count("SELECT count(*) FROM ml_schema.experiments WHERE status = 'completed'")
    }

    fn in_hand(&self, pid: u32) -> i64 {
        let of = format!("status = 'running' AND worker LIKE '%:{pid}:%'");
        self.count(&format!("SELECT count(*) FROM ml_schema.experiments WHERE {of}"))
    }

    /// Runs whose last attempt does not have every step of its three curves exactly once.
    fn crooked_curves(&self) -> i64 {
        let points = 3 * STEPS;
        self.count(&format!(
            "SELECT count(*) FROM (SELECT FROM ml_schema.experiments e JOIN ml_schema.experiment_metrics m \
                 ON m.experiment_id = e.id AND m.attempt = e.attempt GROUP BY e.id \
                 HAVING count(*) <> {points} OR count(DISTINCT (m.name, m.step)) <> {points}) crooked"
        ))
    }
}

/// The killed worker is one of another machine: nobody sees its lock, its lease runs out.
#[test]
fn three_workers_and_two_dashboards_on_one_postgres() {
    const TRIALS: usize = 300;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((pg, _pg_place)) = runtime.block_on(servers::postgres()) else { return };
    let Some((chroma, _chroma_place)) = runtime.block_on(servers::chroma()) else { return };
    let variables = servers::variables(&pg, &chroma);
    // Each with a folder and a home of its own, and so with its own locks.
    let machines = [(); 4].map(|()| Labtop::new().with(variables.clone()));
    let [near, far, other, desk] = &machines;
    let file = desk.write("shared.toml", &batch(TRIALS));
    desk.json(&["ls"]);

    let (mut table, mut activity) = (desk.dashboard(100, 30), desk.dashboard(160, 45));
    activity.wait_for("Experiments");
    activity.press("5");
    activity.wait_for("Jobs of this session");
    let (first, killed, third) = (worker(near), worker(far), worker(other));
    for worker in [&first, &killed, &third] {
        let pid = format!(":{}:", worker.id());
        activity.wait("every worker in the list, idle", |screen| {
            screen.lines().any(|line| line.contains(&pid) && line.contains("idle"))
        });
    }

    desk.json(&["batch", "queue", &file]);
    activity.wait("what a worker is doing", |screen| {
        screen.contains("4/4") && screen.contains("XGBoost · reviews")
    });
    let plain = Plain::connect(&pg);
    until("a quarter of the trials", || (plain.completed() >= TRIALS as i64 / 4).then_some(()));
    until("trials in the hands of the one to be killed", || (plain.in_hand(killed.id()) > 0).then_some(()));
    let pid = killed.id();
    signal(pid, "KILL");
    until("all trials", || (plain.completed() == TRIALS as i64).then_some(()));

    check(desk, TRIALS);
    assert_eq!(plain.crooked_curves(), 0);
    let again = tried_again(&desk.json(&["batch", "show", "1"]));
    assert!((1..=4).contains(&again), "{again} were in the hands of the dead");
    check(near, TRIALS);

    activity.wait("the dead one is lost", |screen| {
        screen.lines().any(|line| line.contains(&format!(":{pid}:")) && line.contains("lost"))
    });
    table.wait("all in the table", |screen| screen.contains("300") && !screen.contains("running"));
    for mut terminal in [table, activity] {
        terminal.press("q");
        assert_eq!(terminal.wait_for_end(), 0);
    }
    for worker in [first, third] {
        let pid = worker.id();
        assert_eq!(listed(near, pid).unwrap()["state"], "alive");
        assert_eq!(worker.end(), Some(130));
        assert_eq!(listed(near, pid), None, "who ends in order takes itself off the list");
    }
    assert_eq!(listed(near, pid).unwrap()["state"], "lost");
}

/// On one machine the death is known at once: the lock of the dead is free.
#[test]
fn two_workers_share_a_file_by_turns() {
    const TRIALS: usize = 24;
    let machine = Labtop::new();
    let file = machine.write("shared.toml", &batch(TRIALS));
    let (killed, living) = (worker(&machine), worker(&machine));
    for worker in [&killed, &living] {
        until("both workers in the list", || listed(&machine, worker.id()));
    }
    machine.json(&["batch", "queue", &file]);
    let pid = killed.id();
    until("trials in the hands of the one to be killed", || {
        let busy = |worker: &Value| !worker["running"].as_array().unwrap().is_empty();
        listed(&machine, pid).filter(busy)
    });
    signal(pid, "KILL");
    drop(killed);
    until("all trials", || {
        (machine.json(&["batch", "show", "1"])["batch"]["completed"] == TRIALS).then_some(())
    });
    check(&machine, TRIALS);
    let report = machine.json(&["batch", "show", "1"]);
    assert!(tried_again(&report) <= 4);
    for run in report["experiments"].as_array().unwrap() {
        if run["attempt"] == 2 {
            let points = trials::points(&machine, run);
            assert_eq!(points, 3 * STEPS as usize, "the curve of the last attempt alone");
        }
    }
    assert_eq!(listed(&machine, pid).unwrap()["state"], "lost");
    assert_eq!(living.end(), Some(130));
}
