//! Workers that share a queue, of which one is killed: every trial is done exactly once, and everybody sees it.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::NoTls;

use crate::support::labtop::Labtop;
use crate::support::servers;
use crate::support::terminal::{Terminal, signal};

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
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
    }
}

/// A machine of its own: its folder, its home, and so its locks.
struct Machine {
    labtop: Labtop,
    variables: Vec<(String, String)>,
}

impl Machine {
    fn new(variables: &[(String, String)]) -> Self {
        Machine { labtop: Labtop::new(), variables: variables.to_vec() }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.labtop.command();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(arguments);
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--format", "json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn worker(&self) -> Process {
        Process::start(self.command(&["worker", "--parallel", "4"]))
    }

    fn dashboard(&self, columns: u16, rows: u16) -> Terminal {
        let environment: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Terminal::start(self.labtop.folder.path(), &[], &environment, columns, rows)
    }

    /// The worker of that process in the list of workers.
    fn listed(&self, pid: u32) -> Option<Value> {
        let workers = self.json(&["worker", "ls"]);
        workers.as_array().unwrap().iter().find(|worker| worker["pid"] == pid).cloned()
    }

    /// Each trial is there once and completed, with its performance and its documents.
    fn check(&self, trials: usize) {
        let report = self.json(&["batch", "show", "1"]);
        let runs = report["experiments"].as_array().unwrap();
        let distinct: BTreeSet<u64> = runs.iter().map(|run| run["trial"].as_u64().unwrap()).collect();
        assert_eq!((runs.len(), distinct.len()), (trials, trials));
        assert!(runs.iter().all(|run| run["status"] == "completed" && run["error"].is_null()));
        assert!(runs.iter().all(|run| run["host"].is_string()), "it is known where each ran");
        let all = self.json(&["ls", "--limit", "1000"]);
        assert_eq!(all.as_array().unwrap().len(), trials, "no twin of any trial");
        let sql = "SELECT count(*) AS n, count(DISTINCT experiment_id) AS ids FROM experiments_performance";
        let rows = self.json(&["analytics", "sql", sql]);
        assert_eq!((&rows[0]["n"], &rows[0]["ids"]), (&trials.into(), &trials.into()), "{rows}");
        let collections = self.json(&["collections", "ls"]);
        let records = collections.as_array().unwrap().iter().map(|one| one["records"].as_u64().unwrap());
        assert_eq!(records.collect::<Vec<_>>(), [5 * trials as u64], "{collections}");
    }
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
        let client = runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.host(&settings.host).port(settings.port).dbname(&settings.database).user(&settings.user);
            config.password(secrecy::ExposeSecret::expose_secret(&settings.password));
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
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
    let machines = [(); 4].map(|()| Machine::new(&variables));
    let [near, far, other, desk] = &machines;
    let file = desk.labtop.write("shared.toml", &batch(TRIALS));
    desk.json(&["ls"]);

    let (mut table, mut activity) = (desk.dashboard(100, 30), desk.dashboard(160, 45));
    activity.wait_for("Experiments");
    activity.press("5");
    activity.wait_for("Jobs of this session");
    let (first, killed, third) = (near.worker(), far.worker(), other.worker());
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

    desk.check(TRIALS);
    assert_eq!(plain.crooked_curves(), 0);
    let again = tried_again(&desk.json(&["batch", "show", "1"]));
    assert!((1..=4).contains(&again), "{again} were in the hands of the dead");
    near.check(TRIALS);

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
        assert_eq!(near.listed(pid).unwrap()["state"], "alive");
        assert_eq!(worker.end(), Some(130));
        assert_eq!(near.listed(pid), None, "who ends in order takes itself off the list");
    }
    assert_eq!(near.listed(pid).unwrap()["state"], "lost");
}

/// On one machine the death is known at once: the lock of the dead is free.
#[test]
fn two_workers_share_a_file_by_turns() {
    const TRIALS: usize = 24;
    let machine = Machine::new(&[]);
    let file = machine.labtop.write("shared.toml", &batch(TRIALS));
    let (killed, living) = (machine.worker(), machine.worker());
    for worker in [&killed, &living] {
        until("both workers in the list", || machine.listed(worker.id()));
    }
    machine.json(&["batch", "queue", &file]);
    let pid = killed.id();
    until("trials in the hands of the one to be killed", || {
        let busy = |worker: &Value| !worker["running"].as_array().unwrap().is_empty();
        machine.listed(pid).filter(busy)
    });
    signal(pid, "KILL");
    drop(killed);
    until("all trials", || {
        (machine.json(&["batch", "show", "1"])["batch"]["completed"] == TRIALS).then_some(())
    });
    machine.check(TRIALS);
    let report = machine.json(&["batch", "show", "1"]);
    assert!(tried_again(&report) <= 4);
    for run in report["experiments"].as_array().unwrap() {
        if run["attempt"] == 2 {
            let points = &machine.json(&["show", &run["id"].to_string(), "--points"])["points"];
            assert_eq!(
                points.as_array().unwrap().len(),
                3 * STEPS as usize,
                "the curve of the last attempt alone"
            );
        }
    }
    assert_eq!(machine.listed(pid).unwrap()["state"], "lost");
    assert_eq!(living.end(), Some(130));
}
