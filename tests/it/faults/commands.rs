//! Commands whose labtop is killed, stopped or overtaken, and machines that may not run them.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::labtop::Labtop;
use crate::support::terminal::signal;
use crate::support::{patience, servers};

const PATIENCE: Duration = Duration::from_secs(60);

/// The first try starts a child that leaves for a session of its own, and stays; the second ends at once.
const SCRIPT: &str = r#"
if [ -e own ]; then echo '{"result": {"accuracy": 0.5}}'; exit 0; fi
setsid sh -c 'echo $$ > far.new; mv far.new far; exec sleep 1000' &
while ! [ -e far ]; do :; done
echo $$ > own.new; mv own.new own
wait
"#;

const BATCH: &str = "name = 'stays'\ndataset = 'd'\nrunner = 'process'\ncommand = ['sh', 'stays.sh']\n[params]\nmodel = 'A'\n";

/// Of a process that has ended and that nobody waited for there is only its name.
fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    patience::until(PATIENCE, what, look)
}

/// Starts a command of labtop that runs the batch, and waits for the processes of its script.
fn start(lab: &Labtop, arguments: &[&str]) -> (Child, [i32; 2]) {
    let mut command = lab.command();
    let child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    (child, processes(lab))
}

/// Those of the script, once they are there.
fn processes(lab: &Labtop) -> [i32; 2] {
    let pids = ["own", "far"].map(|name| {
        until(name, || {
            let text = fs::read_to_string(lab.folder.path().join(name)).ok()?;
            text.trim().parse().ok()
        })
    });
    assert_eq!(pids.map(lives), [true; 2]);
    pids
}

fn with_script() -> (Labtop, String) {
    let lab = Labtop::new();
    lab.write("stays.sh", SCRIPT);
    let file = lab.write("stays.toml", BATCH);
    (lab, file)
}

fn only_run(lab: &Labtop) -> Value {
    lab.json(&["ls"])[0].clone()
}

#[test]
fn what_outlived_a_killed_labtop_is_ended_before_the_run_is_tried_again() {
    let (lab, file) = with_script();
    let (mut child, pids) = start(&lab, &["batch", "run", &file]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(pids.map(lives), [true; 2], "nobody was there to end them");
    lab.ok(&["batch", "resume", "1"]);
    assert_eq!(pids.map(lives), [false; 2]);
    let run = only_run(&lab);
    assert_eq!(
        (&run["status"], &run["attempt"], &run["accuracy"]),
        (&json!("completed"), &json!(2), &json!(0.5))
    );
}

#[test]
fn a_worker_ends_what_a_killed_one_left_and_goes_on() {
    let (lab, file) = with_script();
    lab.write("labtop.toml", "[worker]\ncommands = [['sh', 'stays.sh']]\n");
    lab.ok(&["batch", "queue", &file]);
    let (mut child, pids) = start(&lab, &["worker"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(pids.map(lives), [true; 2]);
    lab.ok(&["worker", "--once"]);
    assert_eq!(pids.map(lives), [false; 2]);
    let run = only_run(&lab);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("completed"), &json!(2)));
}

#[test]
fn a_labtop_that_is_told_to_end_takes_its_commands_with_it() {
    let (lab, file) = with_script();
    let (mut child, pids) = start(&lab, &["batch", "run", &file]);
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(pids.map(lives), [false; 2]);
    lab.ok(&["batch", "resume", "1"]);
    assert_eq!(only_run(&lab)["status"], "completed");
}

#[test]
fn a_run_that_is_cancelled_from_elsewhere_ends() {
    let (lab, file) = with_script();
    let (mut child, pids) = start(&lab, &["batch", "run", &file]);
    lab.ok(&["cancel", "1"]);
    until("the end of the processes", || (pids.map(lives) == [false; 2]).then_some(()));
    child.wait().unwrap();
    assert_eq!(only_run(&lab)["status"], "cancelled");
}

#[test]
fn a_run_that_is_cancelled_on_the_screen_leaves_nobody() {
    let (lab, _) = with_script();
    fs::create_dir_all(lab.folder.path().join("config/batches")).unwrap();
    lab.write("config/batches/stays.toml", &BATCH.replace("[params]", "cwd = '../..'\n[params]"));
    let mut terminal = lab.dashboard(100, 30);
    terminal.wait_for("No experiments yet");
    terminal.press("b");
    terminal.wait_for("1 trial · grid · process");
    terminal.press("\r");
    let pids = processes(&lab);
    terminal.wait_for("running");
    terminal.press("x");
    terminal.wait_for("cancelled");
    until("the end of the processes", || (pids.map(lives) == [false; 2]).then_some(()));
    terminal.wait_for("Batch 1: 0 completed");
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

/// Machines with folders, homes and settings of their own on one database.
#[test]
fn on_one_postgres_each_machine_decides_what_it_runs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((pg, _pg_place)) = runtime.block_on(servers::postgres()) else { return };
    let Some((chroma, _chroma_place)) = runtime.block_on(servers::chroma()) else { return };
    let variables = servers::variables(&pg, &chroma);
    let [desk, strict, able] = [(); 3].map(|()| Labtop::new().with(variables.clone()));
    desk.write("train.sh", "echo \"{\\\"result\\\": {\\\"accuracy\\\": 0.$1}}\"\n");
    let file = desk.write(
        "b.toml",
        "name = 'b'\ndataset = 'd'\nrunner = 'process'\ncommand = ['sh', 'train.sh', '{digit}']\n[params]\nmodel = 'A'\n\
         digit = [1, 2, 3]\n",
    );
    desk.ok(&["batch", "queue", &file]);
    let counts = || {
        let batch = &desk.json(&["batch", "ls"])[0];
        (batch["queued"].as_u64().unwrap(), batch["completed"].as_u64().unwrap())
    };

    let ran = strict.run(&["worker", "--once"]);
    assert!(ran.code == 0 && ran.stderr.contains("worker.commands"), "{ran:?}");
    assert_eq!(counts(), (3, 0));
    let ran = strict.run(&["batch", "resume", "1"]);
    assert!(ran.code == 2 && ran.stderr.contains("--allow-command"), "{ran:?}");
    assert_eq!(counts(), (3, 0));

    let folder = desk.folder.path().display().to_string();
    let allowed =
        format!("[worker]\ncommands = [{{ command = ['sh', 'train.sh', '*'], cwd = '{folder}' }}]\n");
    able.write("labtop.toml", &allowed);
    able.ok(&["worker", "--once"]);
    assert_eq!(counts(), (0, 3));

    // What somebody puts into the database in the place of what was queued.
    desk.ok(&["batch", "queue", &file]);
    let client = runtime.block_on(servers::plainly(&pg));
    let sql = "UPDATE ml_schema.batches SET spec = jsonb_set(spec, '{command,1}', '\"-c\"') WHERE id = 2";
    runtime.block_on(client.execute(sql, &[])).unwrap();
    able.ok(&["worker", "--once"]);
    assert_eq!(counts(), (3, 0), "the settings do not allow this one");
    let ran = desk.run(&["batch", "resume", "2"]);
    assert!(ran.code == 2 && ran.stderr.contains("sh -c {digit}"), "{ran:?}");
}
