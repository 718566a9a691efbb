//! What runs where: by hand, by a worker, again.

use super::*;
use crate::domain::experiment::Status;
use crate::ops::batch;
use crate::ops::experiment::rerun;
use crate::ops::news::Nobody;
use crate::ops::tests::{Bench, Witness};
use crate::ops::worker::{Offer, introduce, work};
use crate::ops::{News, Stop};

fn spec(program: &str) -> BatchSpec {
    let text = format!(
        "name = 'b'\ndataset = 'd'\nrunner = 'process'\ncommand = ['{program}', '{{lr}}']\n[params]\nmodel = 'A'\nlr = [1, 2]\n"
    );
    BatchSpec::parse(&text, "a test").unwrap()
}

fn allowing(mut bench: Bench, program: &str) -> Bench {
    bench.lab.settings.worker.commands = vec![Allowed::Program(program.to_owned())];
    bench
}

async fn work_once(bench: &Bench, watcher: &Witness) -> u64 {
    let worker = introduce(&bench.lab, &Offer::default()).unwrap();
    work(&bench.lab, &worker, true, watcher, &Stop::default()).await.unwrap()
}

fn with(bench: &Bench, status: Status) -> usize {
    bench.store.experiments().iter().filter(|run| run.status == status).count()
}

/// As on another machine, or as if others had put it there.
fn forget(bench: &mut Bench) {
    bench.lab.memory = Memory::at(bench.folder.path().join("nothing"));
}

#[tokio::test]
async fn a_worker_without_commands_has_no_runner_for_them() {
    let bench = Bench::embedded();
    let none = introduce(&bench.lab, &Offer::default()).unwrap();
    assert_eq!(none.runners, ["simulate"]);
    let some = introduce(&allowing(bench, "true").lab, &Offer::default()).unwrap();
    assert_eq!(some.runners, ["simulate", "process"]);
}

#[tokio::test]
async fn a_worker_takes_what_is_allowed_and_tells_of_the_rest_once() {
    let (bench, witness) = (allowing(Bench::embedded(), "true"), Witness::default());
    batch::create(&bench.lab, &spec("false")).await.unwrap();
    batch::create(&bench.lab, &spec("true")).await.unwrap();
    assert_eq!(work_once(&bench, &witness).await, 2);
    assert_eq!((with(&bench, Status::Completed), with(&bench, Status::Queued)), (2, 2));
    let told = witness.warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("2 queued experiments of batch 1") && told[0].contains("false {lr}"),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_queued_while_a_worker_works_is_judged_as_well() {
    let bench = allowing(Bench::embedded(), "true");
    let commands = Commands::of_worker(&bench.lab.settings.worker);
    let claimant = Claimant {
        worker: "w".to_owned(),
        host: None,
        runners: vec!["process".to_owned()],
        labels: Some(Vec::new()),
        commands: None,
    };
    let claim = async || commands.claim(bench.store.as_ref(), None, &claimant, 1).await.unwrap();
    assert_eq!(claim().await, []);
    let id = batch::create(&bench.lab, &spec("true")).await.unwrap().id;
    assert_eq!(claim().await.len(), 1, "the claim itself looks again when it comes back empty");
    assert_eq!(commands.of(id).unwrap().command, ["true", "{lr}"]);
    assert_eq!(commands.of(id + 1), None);
}

#[tokio::test]
async fn a_file_run_by_hand_is_ones_own_word() {
    let bench = Bench::embedded();
    let report = batch::run(&bench.lab, &spec("true"), &Nobody, &Stop::default()).await.unwrap();
    assert_eq!(report.batch.counts.completed, 2);
    assert_eq!(report.experiments[1].command.as_deref(), Some("true 2"));
}

#[tokio::test]
async fn going_on_with_a_batch_of_others_wants_consent() {
    let mut bench = Bench::embedded();
    let batch = batch::create(&bench.lab, &spec("true")).await.unwrap();
    let how = "labtop batch resume 1";
    let own = decide(&bench.lab, &batch, Consent::None, how).unwrap();
    assert_eq!(own.unwrap().command, ["true", "{lr}"]);

    let mut changed = batch.clone();
    changed.spec.insert("command".to_owned(), serde_json::json!(["rm", "{lr}"]));
    let refused = decide(&bench.lab, &changed, Consent::None, how).unwrap_err().to_string();
    assert!(
        refused.contains("rm {lr}") && refused.contains("labtop batch resume 1 --allow-command"),
        "{refused}"
    );

    forget(&mut bench);
    assert!(decide(&bench.lab, &batch, Consent::None, how).is_err());
    assert!(decide(&bench.lab, &batch, Consent::Given, how).unwrap().is_some());
    let nothing = batch::resume(&bench.lab, batch.id, Consent::None, &Nobody, &Stop::default()).await;
    assert!(matches!(nothing, Err(OpsError::Invalid(_))));
    assert_eq!(with(&bench, Status::Queued), 2);
    let bench = allowing(bench, "true");
    assert!(decide(&bench.lab, &batch, Consent::None, how).unwrap().is_some());
}

#[tokio::test]
async fn a_command_is_run_again_as_its_batch_has_it() {
    let (mut bench, witness) = (Bench::embedded(), Witness::default());
    batch::run(&bench.lab, &spec("true"), &Nobody, &Stop::default()).await.unwrap();
    let again = rerun(&bench.lab, 2, Consent::None, &witness, &Stop::default()).await.unwrap();
    assert_eq!((again.status, again.command.as_deref()), (Status::Completed, Some("true 2")));
    let error = rerun(&bench.lab, again.id, Consent::None, &witness, &Stop::default()).await.unwrap_err();
    assert!(error.to_string().ends_with("-- true 2"), "{error}");
    forget(&mut bench);
    let error = rerun(&bench.lab, 2, Consent::None, &witness, &Stop::default()).await.unwrap_err();
    assert!(error.to_string().contains("labtop rerun 2 --allow-command"), "{error}");
}

#[tokio::test]
async fn embeddings_of_a_run_are_in_its_collection() {
    let (bench, witness) = (Bench::embedded(), Witness::default());
    let line = r#"{"embeddings": [{"id": "one", "document": "a run that learns", "metadata": {"fold": 2}},
        {"id": "two", "embedding": [1, 0]}]}"#;
    let line = line.replace('\n', " ");
    let text = format!(
        "name = 'b'\ndataset = 'd'\nrunner = 'process'\ncommand = ['echo', '{}']\n[params]\nmodel = 'A'\n",
        line.replace('{', "{{").replace('}', "}}")
    );
    let spec = BatchSpec::parse(&text, "a test").unwrap();
    let report = batch::run(&bench.lab, &spec, &witness, &Stop::default()).await.unwrap();
    assert_eq!(report.batch.counts.completed, 1);
    let told =
        |news: &News| matches!(news, News::Log { line, .. } if line.starts_with("1 embeddings added to a_d"));
    assert_eq!(witness.count(told), 1, "{:?}", witness.all());
    let odd = |news: &News| matches!(news, News::Log { line, .. } if line.contains("'two' has 2 dimensions"));
    assert_eq!(witness.count(odd), 1, "{:?}", witness.all());
    let page = crate::domain::collection::RecordPage { limit: 10, ..Default::default() };
    let records = bench.lab.collections.records("a_d", &page).await.unwrap();
    let id = format!("{}/record/one", report.experiments[0].key);
    let own = records.iter().find(|record| record.id == id).unwrap();
    assert_eq!((&own.metadata["fold"], &own.metadata["experiment_id"]), (&2.into(), &1.into()));
    assert_eq!(records.len(), 6);
}
