//! `batch`: files, blocks, exit codes, cancel and retry.

use serde_json::json;

use crate::support::labtop::Labtop;

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/batches/published.toml");

#[test]
fn the_published_batch_prints_the_published_lines() {
    let lab = Labtop::new();
    let stdout = lab.ok(&["batch", "run", PUBLISHED]);
    for (id, model) in [(1, "RandomForest"), (2, "XGBoost"), (3, "NeuralNet")] {
        let block = format!(
            "Starting ML experiment: {model} on sentiment_analysis_v3\nCreated experiment: {id}\nAdded 5 documents to \
             {}_sentiment_analysis_v3\nExperiment {id} completed successfully!\nModel: {model}\n",
            model.to_lowercase()
        );
        assert!(stdout.contains(&block), "{block}\n{stdout}");
    }
    let (_, summary) = stdout.split_once("\nExperiment Summary:\n").unwrap();
    let header = summary.lines().next().unwrap();
    assert_eq!(
        header.split_whitespace().collect::<Vec<_>>(),
        ["model", "accuracy", "training_time_seconds", "inference_time_ms"]
    );
    assert!(stdout.trim_end().lines().last().unwrap().starts_with("Best performing model: "), "{stdout}");
}

#[test]
fn blocks_of_parallel_runs_do_not_mix() {
    let lab = Labtop::new();
    let file = lab.write(
        "b.toml",
        "name = 'p'\ndataset = 'd'\nparallel = 4\nseed = 1\nsteps = 5\ndelay_ms = 2\n[params]\nmodel = ['A', 'B', 'C', 'D']\n\
         lr = [0.1, 0.2]\n",
    );
    let stdout = lab.ok(&["batch", "run", &file]);
    let (blocks, _) = stdout.split_once("\nExperiment Summary:").unwrap();
    for block in blocks.split_terminator("---\n") {
        assert_eq!(block.lines().count(), 8, "{block}");
        assert_eq!(block.matches("Starting ML experiment").count(), 1, "{block}");
    }
    let json = lab.json(&["batch", "show", "1"]);
    assert_eq!(json["batch"]["completed"], 8);
    let trials: Vec<_> =
        json["experiments"].as_array().unwrap().iter().map(|run| run["trial"].clone()).collect();
    assert_eq!(trials, (0..8).map(|trial| json!(trial)).collect::<Vec<_>>());
}

#[test]
fn parallelism_changes_no_result() {
    let results = |parallel: u32| {
        let lab = Labtop::new();
        let text = format!(
            "name = 'p'\ndataset = 'd'\nparallel = {parallel}\nseed = 5\nsteps = 3\n[params]\nmodel = ['A', 'B', 'C']\n"
        );
        let file = lab.write("b.toml", &text);
        let json = lab.json(&["batch", "run", &file]);
        json["experiments"].as_array().unwrap().iter().map(|run| run["results"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(results(1), results(3));
}

#[test]
fn a_dry_run_writes_nothing() {
    let lab = Labtop::new();
    let trials = lab.json(&["batch", "run", PUBLISHED, "--dry-run"]);
    assert_eq!(trials.as_array().unwrap().len(), 3);
    assert_eq!(trials[0]["model"], "RandomForest");
    assert_eq!(lab.json(&["batch", "ls"]), json!([]));
}

#[test]
fn a_bad_file_names_the_key_and_what_is_accepted() {
    let lab = Labtop::new();
    for (text, expected) in [
        ("name = 'x'\ndataset = 'd'\nparalel = 2\n[params]\nmodel = 'A'\n", "paralel"),
        ("name = 'x'\ndataset = 'd'\nparallel = 0\n[params]\nmodel = 'A'\n", "parallel"),
        ("name = 'x'\ndataset = 'd'\nrunner = 'magic'\n[params]\nmodel = 'A'\n", "simulate"),
        ("name = 'x'\ndataset = 'd'\n[params]\nmodel = 'A'\nlr = { uniform = [0, 1] }\n", "random"),
        ("name = ", "line 1"),
    ] {
        let file = lab.write("bad.toml", text);
        let ran = lab.run(&["batch", "run", &file]);
        assert_eq!(ran.code, 2, "{text}: {ran:?}");
        assert!(ran.stderr.contains("bad.toml") && ran.stderr.contains(expected), "{text}: {}", ran.stderr);
    }
    assert_eq!(lab.run(&["batch", "run", "missing.toml"]).code, 2);
    assert_eq!(lab.json(&["batch", "ls"]), json!([]));
}

#[test]
fn cancel_and_retry_of_what_does_not_exist_say_so() {
    let lab = Labtop::new();
    for command in ["show", "cancel", "retry", "resume"] {
        let ran = lab.run(&["batch", command, "9"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains('9'), "{ran:?}");
    }
}

const SLOW: &str = "name = 'slow'\ndataset = 'd'\nparallel = 2\nseed = 1\nsteps = 1000\ndelay_ms = 20\n[params]\n\
                    model = ['A', 'B', 'C', 'D']\n";

/// Waits until `batch show 1` has that many running, and gives it back.
fn until_running(lab: &Labtop, count: u64) -> serde_json::Value {
    loop {
        let batches = lab.json(&["batch", "ls"]);
        if batches[0]["running"] == count {
            return lab.json(&["batch", "show", "1"]);
        }
    }
}

#[test]
fn a_stopped_batch_goes_on_where_it_broke_off() {
    let lab = Labtop::new();
    let file = lab.write("slow.toml", SLOW);
    let child =
        lab.command().args(["batch", "run", &file]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    until_running(&lab, 2);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(130));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.contains("labtop batch resume 1"), "{said}");
    let stopped = lab.json(&["batch", "show", "1"]);
    assert_eq!((&stopped["batch"]["interrupted"], &stopped["batch"]["queued"]), (&json!(2), &json!(2)));

    // A process that is killed can say nothing: the next command sees that its lock is free.
    let mut child = lab.command().args(["batch", "resume", "1"]).spawn().unwrap();
    until_running(&lab, 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = lab.json(&["batch", "show", "1"]);
    assert_eq!((&killed["batch"]["interrupted"], &killed["batch"]["running"]), (&json!(2), &json!(0)));
    let run = &killed["experiments"][0];
    assert_eq!((&run["status"], &run["attempt"]), (&json!("interrupted"), &json!(2)));
    assert_eq!(run["error"], "the process that ran it ended");
}

#[test]
fn a_worker_runs_what_is_queued_and_takes_up_what_broke_off() {
    let lab = Labtop::new();
    let quick = SLOW.replace("delay_ms = 20", "delay_ms = 0").replace("steps = 1000", "steps = 3");
    let (slow, quick) =
        (lab.write("slow.toml", &SLOW.replace("1000", "150")), lab.write("quick.toml", &quick));
    let mut child = lab.command().args(["batch", "run", &slow]).spawn().unwrap();
    until_running(&lab, 2);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lab.ok(&["batch", "queue", &quick]).contains("Queued 4 experiments as batch 2"));
    let ran = lab.run(&["worker", "--once", "--parallel", "8"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("8 experiments ended"), "{ran:?}");
    for id in ["1", "2"] {
        assert_eq!(lab.json(&["batch", "show", id])["batch"]["completed"], 4);
    }
    assert!(lab.run(&["worker", "--once"]).stderr.contains("0 experiments ended"));
}

#[test]
fn labels_say_which_workers_take_a_batch() {
    let lab = Labtop::new();
    let file = lab.write(
        "gpu.toml",
        "name = 'g'\ndataset = 'd'\nsteps = 3\nlabels = ['gpu', 'big']\n[params]\nmodel = ['A', 'B']\n",
    );
    let queued = lab.run(&["batch", "queue", &file]);
    assert!(queued.stderr.contains("no worker with gpu, big is at work"), "{queued:?}");
    assert!(queued.stderr.contains("labtop worker --label gpu --label big"), "{queued:?}");
    assert!(lab.run(&["worker", "--once", "--label", "gpu"]).stderr.contains("0 experiments ended"));
    let ran = lab
        .command()
        .args(["worker", "--once", "--label", "big"])
        .env("LABTOP__WORKER__LABELS", "gpu,x")
        .output();
    let said = String::from_utf8(ran.unwrap().stderr).unwrap();
    assert!(said.contains("with gpu, x, big") && said.contains("2 experiments ended"), "{said}");
    assert_eq!(lab.json(&["batch", "show", "1"])["batch"]["spec"]["labels"], json!(["gpu", "big"]));
    // Here and by hand: whatever it asks for.
    assert_eq!(lab.json(&["batch", "run", &file])["batch"]["completed"], 2);
    let bad = lab.run(&["worker", "--once", "--label", "a b"]);
    assert!(bad.code == 2 && bad.stderr.contains("'a b' is no label"), "{bad:?}");
    let file = lab.write("bad.toml", "name = 'g'\ndataset = 'd'\nlabels = ['a b']\n[params]\nmodel = 'A'\n");
    let bad = lab.run(&["batch", "queue", &file]);
    assert!(bad.code == 2 && bad.stderr.contains("`labels`: 'a b' is no label"), "{bad:?}");
}

#[test]
fn workers_are_listed_while_they_are_there() {
    let lab = Labtop::new();
    let none = lab.run(&["worker", "ls"]);
    assert!(none.code == 0 && none.stderr.contains("labtop worker starts one"), "{none:?}");
    let mut child = lab.command().args(["worker", "--parallel", "3", "--label", "gpu"]).spawn().unwrap();
    let worker = loop {
        if let Some(worker) = lab.json(&["worker", "ls"]).as_array().unwrap().first() {
            break worker.clone();
        }
    };
    assert_eq!(
        (&worker["kind"], &worker["state"], &worker["pid"]),
        (&json!("worker"), &json!("alive"), &json!(child.id()))
    );
    assert_eq!(
        (&worker["labels"], &worker["runners"], &worker["parallel"]),
        (&json!(["gpu"]), &json!(["simulate"]), &json!(3))
    );
    assert_eq!(worker["running"], json!([]));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(lab.json(&["worker", "ls"]), json!([]));
}

#[test]
fn what_another_process_runs_can_be_cancelled() {
    let lab = Labtop::new();
    let file = lab.write("slow.toml", SLOW);
    let mut child =
        lab.command().args(["batch", "run", &file]).stdout(std::process::Stdio::null()).spawn().unwrap();
    until_running(&lab, 2);
    let cancelled = lab.json(&["cancel", "1"]);
    assert_eq!((&cancelled[0]["id"], &cancelled[0]["status"]), (&json!(1), &json!("cancelled")));
    // Its lane goes on with the next one.
    while lab.json(&["show", "3"])["status"] == "queued" {}
    let said = lab.ok(&["batch", "cancel", "1"]);
    assert_eq!(said.trim(), "Cancelled 1 queued and 2 running experiments of batch 1");
    assert_eq!(child.wait().unwrap().code(), Some(4), "it ends by itself, with none completed");
    assert_eq!(lab.json(&["batch", "show", "1"])["batch"]["cancelled"], 4);
    let again = lab.run(&["cancel", "1"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("experiment 1 is cancelled already"), "{again:?}");
}

#[test]
fn archived_runs_are_out_of_sight_until_they_are_taken_back() {
    let lab = Labtop::new();
    lab.ok(&["run", "--model", "BERT", "--dataset", "d", "--seed", "7", "--steps", "3"]);
    let again = lab.json(&["rerun", "1"]);
    let first = lab.json(&["show", "1"]);
    assert_eq!(
        (&again[0]["id"], &again[0]["results"]),
        (&json!(2), &first["results"]),
        "equal seeds, equal results"
    );
    lab.ok(&["archive", "1"]);
    assert_eq!(lab.json(&["ls"]).as_array().unwrap().len(), 1);
    lab.ok(&["archive", "1", "--undo"]);
    assert_eq!(lab.json(&["ls"]).as_array().unwrap().len(), 2);
}
