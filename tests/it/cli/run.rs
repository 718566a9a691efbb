//! `run`, and what is known of an experiment afterwards.

use std::process::Stdio;

use serde_json::json;

use crate::support::labtop::Labtop;

const RUN: [&str; 7] =
    ["run", "--model", "RandomForest", "--dataset", "sentiment_analysis_v3", "--seed", "7"];

#[test]
fn the_log_goes_to_a_file_as_well_where_one_is_named() {
    let lab = Labtop::new();
    let logged = |file: &str| {
        let mut command = lab.command();
        command.args(RUN).env("LABTOP_LOG", "labtop::store=debug").env("LABTOP_LOG_FILE", file);
        command.output().unwrap()
    };
    assert!(logged("labtop.log").status.success());
    let log = std::fs::read_to_string(lab.folder.path().join("labtop.log")).unwrap();
    assert!(log.contains("had the file for"), "{log}");
    let refused = logged("labtop.log/inside");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("LABTOP_LOG_FILE: labtop.log/inside"));
}

#[test]
fn prints_the_published_lines() {
    let lab = Labtop::new();
    let stdout = lab.ok(&RUN);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "Starting ML experiment: RandomForest on sentiment_analysis_v3",
            "Created experiment: 1",
            "Added 5 documents to randomforest_sentiment_analysis_v3",
            "Experiment 1 completed successfully!",
            "Model: RandomForest",
        ]
    );
    let figure = |line: &str, before: &str, after: &str| -> f64 {
        line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap().parse().unwrap()
    };
    assert!((0.7..1.0).contains(&figure(lines[5], "Accuracy: ", "")), "{}", lines[5]);
    assert_eq!(figure(lines[6], "Training Time: ", "s").fract(), 0.0);
    assert!((3.0..30.0).contains(&figure(lines[7], "Inference Time: ", "ms")), "{}", lines[7]);
    assert_eq!(lines[8..], ["---"]);
}

#[test]
fn json_is_one_array_and_equal_seeds_give_equal_results() {
    let lab = Labtop::new();
    let first = lab.json(&RUN);
    let second = lab.json(&RUN);
    assert_eq!(first[0]["results"], second[0]["results"]);
    assert_eq!(first[0]["accuracy"], first[0]["results"]["accuracy"]);
    assert_ne!(first[0]["key"], second[0]["key"]);
    assert_eq!((&first[0]["id"], &second[0]["id"]), (&json!(1), &json!(2)));
}

#[test]
fn parameters_tags_and_repeats_are_kept() {
    let lab = Labtop::new();
    let runs = lab.json(&[
        "run",
        "--model",
        "BERT",
        "--dataset",
        "d",
        "--name",
        "mine",
        "--description",
        "why",
        "--param",
        "lr=2e-5",
        "--param",
        "opt=adam",
        "--tag",
        "baseline",
        "--repeat",
        "2",
        "--steps",
        "3",
        "--seed",
        "1",
    ]);
    assert_eq!(runs.as_array().unwrap().len(), 2);
    assert_ne!(runs[0]["seed"], runs[1]["seed"]);
    assert_eq!(runs[0]["parameters"], json!({ "lr": 2e-5, "opt": "adam" }));
    let shown = lab.json(&["show", "1", "--points"]);
    assert_eq!((&shown["name"], &shown["tags"]), (&json!("mine"), &json!(["baseline"])));
    assert_eq!(shown["collection"], "bert_d");
    let last = shown["points"].as_array().unwrap().iter().rfind(|point| point["name"] == "accuracy").unwrap();
    assert_eq!((&last["step"], &last["value"]), (&json!(3), &shown["accuracy"]));
}

#[test]
fn lists_filters_sorts_and_compares() {
    let lab = Labtop::new();
    for (model, lr) in [("XGBoost", "0.1"), ("NeuralNet", "0.01"), ("RandomForest", "0.001")] {
        lab.ok(&["run", "-m", model, "-d", "d", "--param", &format!("lr={lr}"), "--seed", "3"]);
    }
    let models = |arguments: &[&str]| -> Vec<String> {
        let rows = lab.json(arguments);
        rows.as_array().unwrap().iter().map(|row| row["model_type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(models(&["ls", "--sort", "params.lr"]), ["RandomForest", "NeuralNet", "XGBoost"]);
    assert_eq!(models(&["ls", "--sort", "-accuracy"])[2], "RandomForest");
    assert_eq!(models(&["ls", "--filter", "params.lr < 0.05 and model != 'NeuralNet'"]), ["RandomForest"]);
    let csv = lab.ok(&["ls", "--columns", "id,params.lr", "--format", "csv", "--sort", "id"]);
    assert_eq!(csv, "id,params.lr\n1,0.1\n2,0.01\n3,0.001\n");
    let best = lab.json(&["ls", "--columns", "id,best(accuracy),params.lr", "--sort", "id"]);
    assert_eq!((&best[0]["id"], &best[0]["params.lr"]), (&json!(1), &json!(0.1)));
    assert!(best[2]["best(accuracy)"].is_number(), "{best}");
    let diff = lab.ok(&["diff", "1", "2"]);
    assert!(diff.contains("lr") && diff.contains("0.01") && !diff.contains("dataset"), "{diff}");
}

#[test]
fn runs_are_grouped_by_all_but_the_seed() {
    let lab = Labtop::new();
    lab.ok(&["run", "-m", "XGBoost", "-d", "d", "--param", "lr=0.1", "--repeat", "3"]);
    lab.ok(&["run", "-m", "XGBoost", "-d", "d", "--param", "lr=0.2"]);
    let groups = lab.json(&["ls", "--group", "--sort", "accuracy"]);
    let mut runs: Vec<_> = groups.as_array().unwrap().iter().map(|group| group["runs"].clone()).collect();
    runs.sort_by_key(|runs| runs.as_i64());
    assert_eq!(runs, [json!(1), json!(3)]);
    let three = groups.as_array().unwrap().iter().find(|group| group["runs"] == 3).unwrap();
    assert_eq!((&three["completed"], &three["figures"]["accuracy"]["n"]), (&json!(3), &json!(3)));
    assert!(three["figures"]["accuracy"]["deviation"].as_f64().unwrap() > 0.0, "{three}");
    let refused = lab.run(&["ls", "--group", "--sort", "name"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("accuracy, inference_time_ms"), "{refused:?}");
}

#[test]
fn tags_and_deletion() {
    let lab = Labtop::new();
    lab.ok(&RUN);
    lab.ok(&["tag", "1", "a", "b"]);
    assert_eq!(lab.json(&["tag", "1", "a", "--remove"])[0]["tags"], json!(["b"]));
    let refused = lab.run(&["rm", "1"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(lab.ok(&["rm", "1", "--yes"]), "Deleted 1 experiments\n");
    assert_eq!(lab.run(&["show", "1"]).code, 2);
    let rows = lab.json(&["analytics", "sql", "SELECT count(*) AS n FROM experiments_performance"]);
    assert_eq!(rows, json!([{ "n": 0 }]));
}

#[test]
fn notes_come_from_the_line_from_stdin_and_never_by_accident() {
    let lab = Labtop::new();
    lab.ok(&RUN);
    assert_eq!(lab.json(&["note", "1", "from the line"])[0]["note"], "from the line");
    let refused = lab.run(&["note", "1"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("stdin is empty"), "{refused:?}");
    let file = std::fs::File::open(lab.write("note.txt", "two\nlines\n\n")).unwrap();
    let status = lab.command().args(["note", "1"]).stdin(file).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    assert_eq!(lab.json(&["show", "1"])["note"], "two\nlines");
    lab.ok(&["note", "1", ""]);
    assert_eq!(lab.json(&["show", "1"])["note"], "");
    assert_eq!(lab.run(&["--read-only", "note", "1", "x"]).code, 2);
}

#[test]
fn export_writes_every_format() {
    let lab = Labtop::new();
    lab.ok(&RUN);
    for name in ["e.csv", "e.jsonl", "e.parquet"] {
        assert_eq!(lab.ok(&["export", name]), format!("Wrote 1 experiments to {name}\n"));
    }
    let csv = std::fs::read_to_string(lab.folder.path().join("e.csv")).unwrap();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let line = std::fs::read_to_string(lab.folder.path().join("e.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["model_type"], "RandomForest");
    let rows = lab.json(&["analytics", "sql", "SELECT model_type FROM read_parquet('e.parquet')"]);
    assert_eq!(rows, json!([{ "model_type": "RandomForest" }]));
    assert_eq!(lab.run(&["export", "e.doc"]).code, 2);
}
