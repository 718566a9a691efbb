//! `--read-only`: what it refuses, what it leaves untouched, and what still works.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::support::labtop::Labtop;

/// Every file and folder below, with what shows that it was written.
fn inventory(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        if metadata.is_dir() {
            found.extend(inventory(&entry.path()));
        }
    }
    found
}

#[test]
fn every_command_that_changes_something_is_refused() {
    let lab = Labtop::new();
    let batch = lab.write("batch.toml", "name = \"b\"\ndataset = \"d\"\n[params]\nmodel = [\"A\"]\n");
    let records = lab.write("records.jsonl", "{\"id\": \"a\", \"document\": \"text\"}\n");
    let before = inventory(lab.folder.path());
    for arguments in [
        &["demo"][..],
        &["run", "-m", "A", "-d", "d"],
        &["batch", "run", &batch],
        &["batch", "cancel", "1"],
        &["batch", "retry", "1"],
        &["batch", "resume", "1"],
        &["batch", "queue", &batch],
        &["worker", "--once"],
        &["tag", "1", "x"],
        &["rm", "1"],
        &["docs", "add", &records],
        &["docs", "rm", "a", "--yes"],
        &["collections", "create", "abc"],
        &["collections", "rm", "abc"],
        &["collections", "add", "abc", &records],
        &["copy", "--to-file", "other.duckdb"],
        &["restore", &batch],
        &["sync"],
        &["init"],
        &["migrate"],
    ] {
        for global in [&["--read-only"][..], &["--read-only", "--profile", "servers"]] {
            let ran = lab.run(&[global, arguments].concat());
            assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
            assert!(ran.stderr.contains("read-only"), "{arguments:?}: {}", ran.stderr);
        }
    }
    assert_eq!(inventory(lab.folder.path()), before);
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let lab = Labtop::new();
    for arguments in [&["ls"][..], &["docs", "ls"], &["collections", "ls"], &["analytics", "models"]] {
        let ran = lab.run(&[&["--read-only"], arguments].concat());
        assert_eq!(ran.code, 3, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("no such file"), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(inventory(lab.folder.path()).len(), 0);
}

#[test]
fn reading_works_and_leaves_no_trace() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let before = inventory(lab.folder.path());
    for arguments in [
        &["ls"][..],
        &["show", "1"],
        &["worker", "ls"],
        &["docs", "ls"],
        &["collections", "ls"],
        &["analytics", "models"],
        &["analytics", "sql", "SELECT count(*) FROM experiments_performance"],
        &["doctor"],
        &["render", "--keys", "12345", "--size", "80x24"],
    ] {
        let ran = lab.run(&[&["--read-only"], arguments].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert_eq!(inventory(lab.folder.path()), before, "{arguments:?}");
    }
    let ran = lab.command().args(["ls"]).env("LABTOP__READ_ONLY", "true").output().unwrap();
    assert!(ran.status.success());
    let ran = lab.command().args(["rm", "1"]).env("LABTOP__READ_ONLY", "true").output().unwrap();
    assert_eq!(ran.status.code(), Some(2), "a setting does as much as the flag");
}

#[test]
fn a_file_that_lacks_a_migration_is_left_as_it_is() {
    let lab = Labtop::new();
    let path = lab.folder.path().join("foreign.duckdb");
    duckdb::Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (a INTEGER)").unwrap();
    let before = inventory(lab.folder.path());
    let ran = lab.run(&["--read-only", "--store", "foreign.duckdb", "ls"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("labtop migrate"), "{}", ran.stderr);
    assert_eq!(inventory(lab.folder.path()), before);
}
