//! `copy`, `backup`, `restore` and `sync`: everything arrives, once, and is compared.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use labtop::config;
use labtop::domain::batch::NewBatch;
use labtop::domain::collection::{NewCollection, Space};
use labtop::domain::experiment::{NewExperiment, Status};
use labtop::store::collections::CollectionStore;
use labtop::store::documents::DocumentStore;
use labtop::store::duckdb::collections::Collections;
use labtop::store::duckdb::documents::Documents;
use labtop::store::duckdb::engine::Engine;
use labtop::store::duckdb::experiments::Experiments;
use labtop::store::duckdb::outbox::DuckOutbox;
use labtop::store::duckdb::queue::Queue;
use labtop::store::duckdb::transfer::Mover;
use labtop::store::experiments::ExperimentStore;
use labtop::store::outbox::{NewDelivery, Outbox};
use labtop::store::queue::BatchQueue;
use labtop::store::transfer::Transfer;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::labtop::Labtop;
use crate::support::samples::{document, hostile, object, point, record, running, whole};
use crate::support::servers;

const KINDS: [&str; 7] =
    ["batches", "experiments", "metric points", "documents", "collections", "records", "deliveries"];

/// Where the embedded profile keeps everything.
pub fn store(lab: &Labtop) -> std::path::PathBuf {
    lab.folder.path().join("data/duckdb/ml_analytics.duckdb")
}

fn engine(path: &Path) -> std::sync::Arc<Engine> {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Engine::new(&config::DuckDb { path: path.to_owned(), wait_ms: 10_000, idle_ms: 50 })
}

/// A lab with something of everything: finished, queued and foreign runs, hostile texts, NaN points, models of different
/// dimensions, collections of every space with every kind of metadata, a delivery that waits. `runs` are finished ones.
pub fn fill(path: &Path, runs: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = engine(path);
        let queue = Queue::new(engine.clone());
        let trial = |trial| NewExperiment {
            status: Status::Queued,
            worker: None,
            trial: Some(trial),
            ..running(&format!("trial {trial}"))
        };
        let spec = object(json!({ "name": hostile(), "big": 1e16, "small": 1e-9, "whole": 3.0 }));
        let batch = NewBatch { key: Uuid::new_v4(), name: hostile(), spec, parallel: 2 };
        let batch = queue.create_batch(&batch, &[trial(0), trial(1), trial(2)]).await.unwrap();
        let experiments = Experiments::new(engine.clone());
        experiments.create(&NewExperiment { worker: None, ..running("foreign") }).await.unwrap();
        // Begun in the future, so that nobody takes its worker for dead.
        let later = Timestamp::now() + SignedDuration::from_hours(1);
        experiments.create(&NewExperiment { created_at: Some(later), ..running("worked on") }).await.unwrap();
        let mut finished: Vec<_> = (1..=runs as i64).map(|id| whole(10 + id)).collect();
        finished[0].experiment.batch_id = Some(batch.id);
        finished[0].experiment.note = "a note with NUL \0 in it".to_owned();
        finished[1].points = vec![point("loss", 1, f64::NAN), point("loss", 2, f64::NEG_INFINITY)];
        let mover = Mover::new(engine.clone());
        assert!(mover.reserve(0, 10 + runs as i64).await.unwrap());
        mover.take_runs(&finished, true).await.unwrap();

        let documents = Documents::new(engine.clone());
        let mut about = document("about a run", "small", &[0.1, -0.0, 1e-20]);
        about.metadata = object(json!({ "experiment_id": 11, "deep": { "a": [1, null] } }));
        about.content = hostile();
        let wide: Vec<_> = (0..600).map(|id| document(&format!("doc {id}"), "wide", &[0.3; 64])).collect();
        documents.put(&[about, document("about a run", "other", &[1.0])]).await.unwrap();
        documents.put(&wide).await.unwrap();

        let collections = Collections::new(engine.clone());
        for (name, space) in [("cosines", Space::Cosine), ("squares", Space::L2), ("products", Space::Ip)] {
            let metadata = object(json!({ "text": hostile(), "whole": 1, "part": 0.5, "yes": true }));
            collections.create(&NewCollection::new(name, &metadata, space)).await.unwrap();
        }
        // No lists: Chroma 1.5.9 leaves those of deleted records to whatever record of another test comes in their place.
        let every_kind =
            json!({ "experiment_id": 12, "text": hostile(), "whole": 7, "part": 2.5, "no": false });
        let mut records =
            vec![record(&format!("{}/note", finished[1].experiment.key), &[0.6, 0.8], every_kind)];
        records.extend((0..700).map(|id| record(&format!("r{id}"), &[1.0, 0.001], json!({ "n": id }))));
        records[1].document = None;
        collections.upsert("cosines", &records).await.unwrap();
        collections.upsert("squares", &[record("one", &[3.0; 5], json!({}))]).await.unwrap();
        let waiting = NewDelivery {
            collection: "later".to_owned(),
            records: vec![record("w", &[0.5], json!({}))],
            experiment: None,
        };
        DuckOutbox::new(engine.clone()).put(&waiting).await.unwrap();
        engine.let_go().await;
    });
}

/// Counts and checksums of a copy, by kind; each kind agrees.
fn sums(report: &Value) -> BTreeMap<String, (u64, String)> {
    assert_eq!(report["agrees"], true, "{report}");
    let parts = report["parts"].as_array().unwrap();
    assert_eq!(parts.iter().map(|part| part["kind"].as_str().unwrap()).collect::<Vec<_>>(), KINDS);
    let sum = |part: &Value| {
        assert_eq!(part["source_checksum"], part["target_checksum"], "{part}");
        assert_eq!(part["source"], part["target"], "{part}");
        let sum = part["source_checksum"].as_str().unwrap().to_owned();
        (part["kind"].as_str().unwrap().to_owned(), (part["source"].as_u64().unwrap(), sum))
    };
    parts.iter().map(sum).collect()
}

fn copied(report: &Value) -> u64 {
    report["parts"].as_array().unwrap().iter().map(|part| part["copied"].as_u64().unwrap()).sum()
}

#[test]
fn there_and_back_is_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((pg, pg_place)) = runtime.block_on(servers::postgres()) else { return };
    let Some((chroma, chroma_place)) = runtime.block_on(servers::chroma()) else { return };
    let lab = Labtop::new().keeping(pg_place).keeping(chroma_place);
    fill(&store(&lab), 5);
    let run = |arguments: &[&str]| {
        let mut command = lab.command();
        command.envs(servers::variables(&pg, &chroma)).args(arguments).args(["--format", "json"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let up = ["copy", "--from", "embedded", "--to", "servers"];
    let preview = run(&[&up[..], &["--dry-run"]].concat());
    assert_eq!(preview["parts"][1]["different"], 9, "{preview}");
    let there = run(&up);
    assert_eq!((&there["running"], &there["ids_kept"]), (&json!(1), &json!(true)), "{there}");
    let expected = sums(&there);
    let counts: Vec<u64> = KINDS.iter().map(|kind| expected[*kind].0).collect();
    assert_eq!(counts, [1, 9, 14, 602, 3, 702, 1], "{there}");
    assert_eq!(copied(&there), counts.iter().sum::<u64>());

    let again = run(&up);
    assert_eq!((copied(&again), sums(&again)), (0, expected.clone()), "twice is once");
    let back = run(&["copy", "--from", "servers", "--to-file", "back.duckdb"]);
    assert_eq!(sums(&back), expected);
    let back = run(&["copy", "--from-file", "back.duckdb", "--to", "servers"]);
    assert_eq!((copied(&back), sums(&back)), (0, expected));

    let queued = run(&["ls", "--profile", "servers", "--filter", "status = 'queued'"]);
    assert_eq!(queued.as_array().unwrap().len(), 3);
    assert_eq!(queued[0]["batch_id"], 1);
    let models = run(&["analytics", "models", "--profile", "servers"]);
    assert_eq!(models[0]["experiment_count"], 5, "the reports of the servers are there: {models}");
    let embedded = run(&["analytics", "models", "--profile", "embedded"]);
    assert_eq!(embedded, models, "and those of the file beside them");
}

#[test]
fn ids_that_are_taken_are_made_anew_and_followed() {
    let lab = Labtop::new();
    fill(&store(&lab), 3);
    let target = lab.folder.path().join("target.duckdb");
    let target = target.to_str().unwrap();
    for _ in 0..12 {
        lab.ok(&["--store", target, "run", "-m", "Own", "-d", "own"]);
    }
    let report = lab.json(&["copy", "--to-file", target]);
    assert_eq!(report["ids_kept"], false);
    let expected = sums(&report);
    let runs = lab.json(&["--store", target, "ls", "--archived", "--limit", "100"]);
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 12 + 7);
    let ids: std::collections::BTreeSet<i64> = runs.iter().map(|run| run["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), runs.len());

    let source = lab.json(&["ls", "--archived", "--limit", "100"]);
    let key = |id: i64| source.as_array().unwrap().iter().find(|run| run["id"] == id).unwrap()["key"].clone();
    let new_id = |id: i64| runs.iter().find(|run| run["key"] == key(id)).unwrap()["id"].clone();
    let records = lab.json(&["--store", target, "collections", "get", "cosines", "--limit", "1"]);
    assert_eq!(records[0]["metadata"]["experiment_id"], new_id(12), "{records}");
    let sql = "SELECT metadata->>'experiment_id' AS id FROM ml_schema.document_embeddings WHERE metadata->>'deep' <> ''";
    let named = lab.json(&["--store", target, "analytics", "sql", sql]);
    assert_eq!(named[0]["id"].as_str().unwrap(), new_id(11).to_string());
    let sql = "SELECT count(*) AS n FROM experiments_performance p JOIN ml_schema.experiments e ON e.id = p.experiment_id";
    assert_eq!(lab.json(&["--store", target, "analytics", "sql", sql])[0]["n"], 12 + 3);

    let again = lab.json(&["copy", "--to-file", target]);
    assert_eq!((copied(&again), sums(&again)), (0, expected));
}

#[test]
fn what_people_did_in_the_target_stays_and_what_went_on_in_the_source_comes() {
    let lab = Labtop::new();
    fill(&store(&lab), 3);
    lab.ok(&["copy", "--to-file", "target.duckdb"]);
    lab.ok(&["--store", "target.duckdb", "tag", "11", "mine"]);
    lab.ok(&["worker", "--once"]);
    let report = lab.json(&["copy", "--to-file", "target.duckdb"]);
    assert_eq!((&report["agrees"], &report["ids_kept"]), (&json!(true), &json!(true)), "{report}");
    let runs = &report["parts"][1];
    assert_eq!((&runs["copied"], &runs["kept"]), (&json!(3), &json!(1)), "{report}");
    let tagged = lab.json(&["--store", "target.duckdb", "show", "11"]);
    assert!(tagged["tags"].as_array().unwrap().contains(&json!("mine")));
    let queued = lab.json(&["--store", "target.duckdb", "ls", "--filter", "status = 'queued'"]);
    assert_eq!(queued, json!([]));
    // The other way round the target is the one that is behind.
    let only = lab.json(&["copy", "--from-file", "target.duckdb", "--only", "experiments", "--dry-run"]);
    assert_eq!(only["parts"].as_array().unwrap().len(), 3);
    assert_eq!(only["parts"][1]["different"], 0, "{only}");
}

#[test]
fn a_backup_is_whole_and_comes_back() {
    let lab = Labtop::new();
    fill(&store(&lab), 4);
    let made = lab.json(&["backup", "saved.duckdb"]);
    let expected = sums(&made);
    let ran = lab.run(&["backup", "saved.duckdb"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--force"), "{ran:?}");
    lab.ok(&["backup", "saved.duckdb", "--force"]);
    let ours = store(&lab).display().to_string();
    assert_eq!(lab.run(&["backup", &ours, "--force"]).code, 2, "what is to be saved is not overwritten");
    let left: Vec<_> = std::fs::read_dir(lab.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".part"))
        .collect();
    assert_eq!(left, [""; 0]);

    let before = std::fs::read(lab.folder.path().join("saved.duckdb")).unwrap();
    let restored = lab.json(&["--store", "new.duckdb", "restore", "saved.duckdb"]);
    assert_eq!((sums(&restored), &restored["ids_kept"]), (expected, &json!(true)));
    assert_eq!(
        std::fs::read(lab.folder.path().join("saved.duckdb")).unwrap(),
        before,
        "a backup stays as it is"
    );
    let ran = lab.run(&["restore", "nothing.duckdb"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_place_is_not_copied_into_itself() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    for arguments in [
        &["copy", "--from", "embedded", "--to", "embedded"][..],
        &["copy", "--to-file", "./data/../data/duckdb/ml_analytics.duckdb"],
        &["copy"],
    ] {
        let ran = lab.run(arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("same place") || ran.stderr.contains("say where to"), "{ran:?}");
    }
    let ran = lab.run(&["copy", "--to-file", "other.duckdb", "--only", "experiments,nothing"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("unknown part 'nothing'"), "{ran:?}");
}

#[test]
fn looking_makes_and_changes_nothing() {
    let lab = Labtop::new();
    fill(&store(&lab), 3);
    let report = lab.json(&["copy", "--to-file", "other.duckdb", "--dry-run"]);
    assert_eq!(report["parts"][1]["different"], 7, "{report}");
    assert!(!lab.folder.path().join("other.duckdb").exists());
    assert_eq!(lab.run(&["--read-only", "copy", "--to-file", "other.duckdb"]).code, 2);
}

#[test]
fn sync_tells_and_puts_right() {
    let lab = Labtop::new();
    fill(&store(&lab), 4);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = engine(&store(&lab));
        let spoil = "DELETE FROM experiments_performance WHERE experiment_id = 11;
                     UPDATE experiments_performance SET accuracy = 0 WHERE experiment_id = 12;
                     UPDATE experiments_performance SET experiment_id = 99 WHERE experiment_id = 13";
        engine.write_plain("spoiling", |connection| connection.execute_batch(spoil)).await.unwrap();
        engine.let_go().await;
    });
    let found = |report: &Value| {
        ["missing", "superfluous", "changed"].map(|kind| report[kind].as_array().unwrap().clone())
    };
    let preview = lab.json(&["sync", "--dry-run"]);
    let expected = [vec![json!(13), json!(11)], vec![json!(99)], vec![json!(12)]];
    assert_eq!(found(&preview), expected, "{preview}");
    assert_eq!((&preview["repaired"], &preview["waiting"]), (&json!(0), &json!(1)));
    let synced = lab.json(&["sync"]);
    assert_eq!(found(&synced), expected);
    assert_eq!(
        (&synced["repaired"], &synced["delivered"], &synced["waiting"]),
        (&json!(4), &json!(1), &json!(0))
    );
    let again = lab.json(&["sync"]);
    assert_eq!((&again["repaired"], &again["rows"]), (&json!(0), &json!(4)), "{again}");
    assert_eq!(lab.json(&["collections", "get", "later"])[0]["id"], "w");
}

#[test]
fn every_machine_follows_what_others_do() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((pg, pg_place)) = runtime.block_on(servers::postgres()) else { return };
    let Some((chroma, chroma_place)) = runtime.block_on(servers::chroma()) else { return };
    let lab = Labtop::new().keeping(pg_place).keeping(chroma_place);
    let on = |machine: &str, arguments: &[&str]| {
        let mut command = lab.command();
        command.envs(servers::variables(&pg, &chroma)).args(["--store", machine]).args(arguments);
        let output = command.args(["--format", "json"]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output.stdout
    };
    let counts = |machine: &str| {
        let models: Value = serde_json::from_slice(&on(machine, &["analytics", "models"])).unwrap();
        let count = |model: &Value| {
            (model["model_name"].as_str().unwrap().to_owned(), model["experiment_count"].as_u64().unwrap())
        };
        models.as_array().unwrap().iter().map(count).collect::<BTreeMap<_, _>>()
    };
    on("one.duckdb", &["run", "-m", "A", "-d", "d", "--repeat", "3"]);
    assert_eq!(counts("two.duckdb"), BTreeMap::from([("A".to_owned(), 3)]));
    on("one.duckdb", &["run", "-m", "B", "-d", "d"]);
    on("one.duckdb", &["rm", "2", "--yes"]);
    let expected = BTreeMap::from([("A".to_owned(), 2), ("B".to_owned(), 1)]);
    assert_eq!(counts("two.duckdb"), expected);
    assert_eq!(counts("one.duckdb"), expected);
    assert_eq!(counts("three.duckdb"), expected);
}
