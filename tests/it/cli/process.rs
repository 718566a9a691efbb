//! Commands as experiments: batches, single runs, and who may run what.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::labtop::Labtop;

/// Three points of accuracy by JSON, one of loss by a pattern.
const SCRIPT: &str = r#"#!/bin/sh
for i in 1 2 3; do echo "{\"step\": $i, \"metrics\": {\"accuracy\": 0.$1$i}}"; done
echo "final loss=0.25" >&2
echo "{\"result\": {\"accuracy\": 0.$1, \"model\": \"$LABTOP_MODEL\"}}"
"#;

const BATCH: &str = r#"
name = "scripts"
dataset = "any/path.csv"
runner = "process"
seed = 1
command = ["sh", "train.sh", "{digit}"]
metrics = { loss = "loss=([0-9.]+)" }
[params]
model = ["A", "B"]
digit = [7, 8]
"#;

fn with_script() -> (Labtop, String) {
    let lab = Labtop::new();
    lab.write("train.sh", SCRIPT);
    let file = lab.write("b.toml", BATCH);
    (lab, file)
}

#[test]
fn a_batch_of_commands_is_run_and_read() {
    let (lab, file) = with_script();
    let report = lab.json(&["batch", "run", &file]);
    let runs = report["experiments"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for (run, (model, digit)) in runs.iter().zip([("A", 7), ("A", 8), ("B", 7), ("B", 8)]) {
        assert_eq!(run["status"], "completed", "{run}");
        assert_eq!(run["accuracy"].as_f64(), Some(f64::from(digit) / 10.0));
        assert_eq!(run["results"]["model"], model);
        assert_eq!(run["command"], format!("sh train.sh {digit}"));
        assert!(run["training_time_seconds"].as_f64() > Some(0.0));
    }
    assert_eq!(report["best"]["parameters"]["digit"], 8);
    let shown = lab.json(&["show", "1", "--points"]);
    let points = shown["points"].as_array().unwrap();
    let of = |name: &str| points.iter().filter(|point| point["name"] == name).count();
    assert_eq!((of("accuracy"), of("loss")), (3, 1), "{shown}");
    let documents = lab.json(&["collections", "ls"]);
    assert_eq!(documents.as_array().unwrap().len(), 2, "{documents}");
}

#[test]
fn the_shipped_example_trains() {
    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/batches/script.toml");
    let lab = Labtop::new();
    let report = lab.json(&["batch", "run", EXAMPLE]);
    assert_eq!(report["batch"]["completed"], 6, "{report}");
    for run in report["experiments"].as_array().unwrap() {
        let figures = ["accuracy", "precision", "recall", "f1_score"].map(|name| run[name].as_f64().unwrap());
        assert!(figures.iter().all(|figure| (0.0..1.0).contains(figure)), "{run}");
        assert_eq!(run["attempt"], 1);
    }
    let best = report["best"]["accuracy"].as_f64().unwrap();
    assert!(best > 0.85, "it has learned: {best}");
    let points = lab.json(&["show", "1", "--points"])["points"].as_array().unwrap().len();
    assert_eq!(points, 2 * 40);
}

#[test]
fn what_a_command_prints_goes_to_stderr() {
    let (lab, file) = with_script();
    let ran = lab.run(&["batch", "run", &file]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("[1] final loss=0.25") && !ran.stdout.contains("final loss"), "{ran:?}");
}

#[test]
fn a_single_command_is_an_experiment() {
    let lab = Labtop::new();
    lab.write("train.sh", SCRIPT);
    let line = ["run", "-m", "A", "-d", "d", "-p", "digit=6", "--", "sh", "train.sh", "{digit}"];
    let ran = lab.run(&line);
    assert_eq!(ran.code, 0, "{ran:?}");
    let run = &lab.json(&["ls"])[0];
    assert_eq!((&run["runner"], &run["accuracy"]), (&json!("process"), &json!(0.6)));
    std::fs::set_permissions(lab.folder.path().join("train.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    lab.ok(&["run", "-m", "A", "-d", "d", "--", "./train.sh", "5"]);
    for (line, expected) in [
        (&["run", "-m", "A", "-d", "d", "--steps", "3", "--", "true"][..], "--steps"),
        (&["run", "-m", "A", "-d", "d", "--", "sh", "{rate}"], "'rate'"),
        (&["run", "-m", "A", "-d", "d", "--runner", "process"], "needs a command"),
        (&["run", "-m", "A", "-d", "d", "--runner", "simulate", "--", "true"], "leave --runner out"),
    ] {
        let ran = lab.run(line);
        assert!(ran.code == 2 && ran.stderr.contains(expected), "{line:?}: {ran:?}");
    }
}

#[test]
fn a_failed_run_is_tried_again_as_often_as_asked() {
    let lab = Labtop::new();
    lab.write("flaky.sh", "echo x >> tries; echo no luck >&2; [ $(wc -l < tries) -ge 3 ]\n");
    let batch = |retries: u32| {
        format!(
            "name = 'f'\ndataset = 'd'\nrunner = 'process'\ncommand = ['sh', 'flaky.sh']\nretries = {retries}\n\
             [params]\nmodel = 'A'\n"
        )
    };
    let file = lab.write("one.toml", &batch(1));
    let ran = lab.run(&["batch", "run", &file, "--format", "json"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let run = &serde_json::from_str::<Value>(&ran.stdout).unwrap()["experiments"][0];
    assert_eq!((&run["attempt"], &run["status"]), (&json!(2), &json!("failed")));
    assert_eq!(run["error"], "exited with status 1: no luck");
    assert!(ran.stderr.contains("attempt 1 of 2 failed: it is queued again"), "{}", ran.stderr);
    let file = lab.write("two.toml", &batch(2));
    let run = &lab.json(&["batch", "run", &file])["experiments"][0];
    assert_eq!((&run["attempt"], &run["status"]), (&json!(1), &json!("completed")), "the third try in all");
}

#[test]
fn a_wrong_file_names_the_key() {
    let lab = Labtop::new();
    for (line, expected) in [
        ("runner = 'process'", "`command` is missing"),
        ("command = ['true']", "`command` belongs to runner = \"process\""),
        ("runner = 'process'\ncommand = ['true', '{rate}']", "known: model, lr, dataset, seed, key"),
        ("runner = 'process'\ncommand = ['true']\nsteps = 3", "`steps` belongs to"),
        ("runner = 'process'\ncommand = ['true']\nenv = ['PGPASSWORD']", "`env`"),
        ("runner = 'process'\ncommand = ['true']\nmetrics = { a = 'x' }", "`metrics.a`"),
        ("runner = 'process'\ncommand = 'true'", "command"),
    ] {
        let text = format!("name = 'x'\ndataset = 'd'\n{line}\n[params]\nmodel = 'A'\nlr = 1\n");
        let ran = lab.run(&["batch", "run", &lab.write("bad.toml", &text)]);
        assert!(ran.code == 2 && ran.stderr.contains(expected), "{line}: {ran:?}");
    }
}

#[test]
fn a_worker_runs_only_commands_that_its_settings_allow() {
    let (lab, file) = with_script();
    lab.ok(&["batch", "queue", &file]);
    lab.write("sim.toml", "name = 's'\ndataset = 'd'\nsteps = 1\n[params]\nmodel = 'S'\n");
    lab.ok(&["batch", "queue", "sim.toml"]);
    lab.write("labtop.toml", "[worker]\ncommands = [['sh', 'other.sh', '*']]\n");
    let ran = lab.run(&["worker", "--once"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stderr.matches("worker.commands").count(), 1, "told once: {}", ran.stderr);
    assert!(
        ran.stderr.contains("4 queued experiments of batch 1") && ran.stderr.contains("sh train.sh"),
        "{ran:?}"
    );
    let batches = lab.json(&["batch", "ls"]);
    let counts = |batch: &Value| (batch["queued"].clone(), batch["completed"].clone());
    assert_eq!(counts(&batches[1]), (json!(4), json!(0)), "they wait for another");
    assert_eq!(counts(&batches[0]), (json!(0), json!(1)), "and keep nobody back");

    lab.write("labtop.toml", "[worker]\ncommands = [['sh', 'train.sh', '*']]\n");
    lab.ok(&["worker", "--once"]);
    assert_eq!(counts(&lab.json(&["batch", "ls"])[1]), (json!(0), json!(4)));
}

#[test]
fn a_batch_of_others_is_not_resumed_unseen() {
    let (lab, file) = with_script();
    lab.ok(&["batch", "queue", &file]);
    // As on the machine of somebody else: nothing says that it was made here.
    std::fs::remove_dir_all(lab.folder.path().join(".local/state/labtop/commands")).unwrap();
    for command in ["resume", "retry"] {
        let ran = lab.run(&["batch", command, "1"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.stderr.contains("sh train.sh {digit}") && ran.stderr.contains("--allow-command"),
            "{ran:?}"
        );
    }
    assert_eq!(lab.json(&["batch", "ls"])[0]["queued"], 4, "nothing was touched");
    assert!(lab.ok(&["batch", "show", "1"]).contains("Command: sh train.sh {digit} in /"));
    lab.ok(&["batch", "resume", "1", "--allow-command"]);
    assert_eq!(lab.json(&["batch", "ls"])[0]["completed"], 4);

    lab.ok(&["batch", "queue", &file]);
    lab.ok(&["batch", "resume", "2"]);
    assert_eq!(lab.json(&["batch", "ls"])[0]["completed"], 4, "one's own needs no word");
}
