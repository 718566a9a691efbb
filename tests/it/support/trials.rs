//! What holds for the trials of a batch, whatever befell it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::labtop::Labtop;

/// The number of the only batch. One that was killed before it was stored may have taken a number with it.
pub fn batch(labtop: &Labtop) -> Option<String> {
    let batches = labtop.json(&["batch", "ls"]);
    batches.as_array().unwrap().first().map(|batch| batch["id"].to_string())
}

/// Each of the only batch's trials is there once and completed, no twin of any, and each has one performance row. Gives
/// back the runs.
pub fn each_once(labtop: &Labtop, trials: usize) -> Vec<Value> {
    let report = labtop.json(&["batch", "show", &batch(labtop).unwrap()]);
    let runs = report["experiments"].as_array().unwrap();
    let distinct: BTreeSet<u64> = runs.iter().map(|run| run["trial"].as_u64().unwrap()).collect();
    assert_eq!((runs.len(), distinct.len()), (trials, trials));
    let ends: BTreeSet<&str> = runs.iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(ends, BTreeSet::from(["completed"]));
    assert!(runs.iter().all(|run| run["error"].is_null()), "{report}");
    assert_eq!(labtop.json(&["ls", "--limit", "1000"]).as_array().unwrap().len(), trials, "no twin");
    let sql = "SELECT count(*) AS n, count(DISTINCT experiment_id) AS ids FROM experiments_performance";
    let rows = labtop.json(&["analytics", "sql", sql]);
    assert_eq!((&rows[0]["n"], &rows[0]["ids"]), (&trials.into(), &trials.into()), "{rows}");
    runs.clone()
}

/// The points of a run's last attempt.
pub fn points(labtop: &Labtop, run: &Value) -> usize {
    let shown = labtop.json(&["show", &run["id"].to_string(), "--points"]);
    shown["points"].as_array().unwrap().len()
}

/// The records of all collections.
pub fn documents(labtop: &Labtop) -> u64 {
    let collections = labtop.json(&["collections", "ls"]);
    collections.as_array().unwrap().iter().map(|one| one["records"].as_u64().unwrap()).sum()
}
