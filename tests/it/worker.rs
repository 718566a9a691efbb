//! The worker, spoken to as the dashboard does.

use std::sync::Arc;
use std::time::Duration;

use labtop::config::{self, Flags, Places, Variables};
use labtop::domain::collection::{CollectionEdit, NewCollection, RecordEdit, RecordFilter, Space};
use labtop::domain::document::Metadata;
use labtop::domain::experiment::Status;
use labtop::domain::filter::Field;
use labtop::domain::window::Window;
use labtop::ops::Lab;
use labtop::worker::protocol::{
    Answer, Cancel, CollectionChange, Command, Event, ExperimentsRead, ExportForm, HybridRead, IngestForm,
    IngestPlace, JobState, Likeness, Read, RecordQuestion, Request, RunForm, SearchTerms, Slot, Ticket,
    Write,
};
use labtop::worker::{self, Worker};
use serde_json::json;
use tempfile::TempDir;

/// A worker on a store of its own; runs of `steps` with a pause after each.
fn start(steps: u32, delay_ms: u64) -> (TempDir, Worker) {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { store: Some(folder.path().join("lab.duckdb")), ..Flags::default() };
    let variables: Variables = [("STEPS", u64::from(steps)), ("DELAY_MS", delay_ms)]
        .map(|(name, value)| (format!("LABTOP__SIMULATE__{name}"), value.to_string()))
        .into();
    let settings = config::load(&flags, &Places::default(), &variables).unwrap();
    (folder, worker::start(Arc::new(Lab::open(settings).unwrap()), None))
}

async fn send(worker: &Worker, ticket: u64, command: Command) {
    worker.requests.send(Request { ticket: Ticket(ticket), command }).await.unwrap();
}

/// Every event up to and with the one that is waited for.
async fn until(worker: &mut Worker, what: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    let waiting = async {
        loop {
            let event = worker.events.recv().await.unwrap();
            let last = what(&event);
            events.push(event);
            if last {
                break;
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(in_time.is_ok(), "waited in vain after {events:?}");
    events
}

fn run(model: &str, repeat: u32) -> Command {
    let form = RunForm { model: model.to_owned(), dataset: "d".to_owned(), repeat, ..RunForm::default() };
    Command::Write(Write::StartRun(form))
}

fn is_done(event: &Event, wanted: u64) -> bool {
    matches!(event, Event::Done { ticket, .. } if *ticket == Ticket(wanted))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_from_its_start_to_its_end() {
    let (_folder, mut worker) = start(20, 1);
    send(&worker, 1, run("XGBoost", 1)).await;
    let mut events = until(&mut worker, |event| is_done(event, 1)).await;
    // The end of the run and the word of its job may come in either order.
    let ended = |event: &Event| matches!(event, Event::Experiment(run) if run.status == Status::Completed);
    if !events.iter().any(ended) {
        events.extend(until(&mut worker, ended).await);
    }
    let points: usize = events
        .iter()
        .map(|event| if let Event::Points { points, .. } = event { points.len() } else { 0 })
        .sum();
    assert_eq!(points, 60, "three metrics of twenty steps");
    let job = events.iter().rfind(|event| matches!(event, Event::Job(_)));
    assert!(
        matches!(job, Some(Event::Job(job)) if job.state == JobState::Completed && job.done == 1),
        "{job:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_told_with_its_runs() {
    let (_folder, mut worker) = start(1, 0);
    send(&worker, 1, run("XGBoost", 2)).await;
    until(&mut worker, |event| is_done(event, 1)).await;
    send(&worker, 2, Command::Write(Write::Remove(vec![1, 2]))).await;
    let events = until(&mut worker, |event| is_done(event, 2)).await;
    assert!(events.contains(&Event::Removed(vec![1, 2])), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stops_and_keeps_its_points() {
    let (_folder, mut worker) = start(10_000, 20);
    send(&worker, 1, run("XGBoost", 5)).await;
    until(&mut worker, |event| matches!(event, Event::Points { .. })).await;
    send(&worker, 2, Command::Cancel(Cancel::Job(Ticket(1)))).await;
    until(&mut worker, |event| is_done(event, 1)).await;
    let window = ExperimentsRead {
        filter: String::new(),
        sort: Field::Id,
        descending: true,
        window: Window::First,
        limit: 10,
        with_archived: false,
        next: Vec::new(),
    };
    send(&worker, 3, Command::Read(Slot::Experiments, Read::Experiments(window))).await;
    let answer = |event: &Event| matches!(event, Event::Answer { ticket, .. } if *ticket == Ticket(3));
    let events = until(&mut worker, answer).await;
    let Some(Event::Answer { result: Ok(Answer::Experiments(found)), .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (found.total, found.rows[0].status),
        (1, Status::Cancelled),
        "the other repeats were not begun"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_read_ends_the_older_one_of_its_slot() {
    let (_folder, mut worker) = start(1, 0);
    let ask = |query: &str| Command::Read(Slot::Sql, Read::Sql(query.to_owned()));
    send(&worker, 1, ask("SELECT count(*) FROM range(100000000000) a, range(1000000) b")).await;
    send(&worker, 2, ask("SELECT 42 AS answer")).await;
    let events = until(&mut worker, |event| matches!(event, Event::Answer { slot: Slot::Sql, .. })).await;
    let Some(Event::Answer { ticket, result, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(*ticket, Ticket(2));
    assert!(matches!(result, Ok(Answer::Table { table, .. }) if table.rows[0][0] == 42), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_added_as_a_job_and_found_by_meaning_and_words() {
    let (folder, mut worker) = start(1, 0);
    let path = folder.path().join("notes.jsonl");
    let rows =
        "{\"id\": \"cat\", \"text\": \"a cat sleeps\"}\n{\"id\": \"net\", \"text\": \"network bandwidth\"}\n";
    std::fs::write(&path, rows).unwrap();
    let form = IngestForm { path: path.clone(), place: IngestPlace::Both, ..IngestForm::default() };
    send(&worker, 1, Command::Write(Write::Ingest(form.clone()))).await;
    let events = until(&mut worker, |event| is_done(event, 1)).await;
    let Some(Event::Done { result: Ok(told), .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(told, "Stored 2 documents, 2 records of notes");
    assert!(events.contains(&Event::Changed), "{events:?}");
    let job = events.iter().rfind(|event| matches!(event, Event::Job(_)));
    assert!(
        matches!(job, Some(Event::Job(job)) if job.state == JobState::Completed && job.done == 2 && job.what == "adding notes.jsonl"),
        "{job:?}"
    );

    let read = HybridRead {
        text: "kitten network".to_owned(),
        terms: SearchTerms { limit: 5, ..SearchTerms::default() },
    };
    send(&worker, 2, Command::Read(Slot::Search, Read::Hybrid(read))).await;
    let answer = |event: &Event| matches!(event, Event::Answer { slot: Slot::Search, .. });
    let events = until(&mut worker, answer).await;
    let Some(Event::Answer { result: Ok(Answer::Hybrid { hits, .. }), .. }) = events.last() else {
        panic!("{events:?}")
    };
    let ranks: Vec<_> = hits.iter().map(|hit| (hit.document_id.as_str(), hit.text_rank)).collect();
    assert_eq!(ranks, [("net", Some(1)), ("cat", None)]);
    send(&worker, 3, Command::Read(Slot::Models, Read::DocumentStats)).await;
    let events = until(&mut worker, |event| matches!(event, Event::Answer { slot: Slot::Models, .. })).await;
    let Some(Event::Answer { result: Ok(Answer::DocumentStats { models: sums, .. }), .. }) = events.last()
    else {
        panic!("{events:?}")
    };
    assert_eq!((sums.len(), sums[0].documents, sums[0].dimension, sums[0].here), (1, 2, 256, true));

    // A bad row is told with its line, and what is there stays.
    std::fs::write(&path, format!("{rows}{{\"id\": \"x\"}}\n")).unwrap();
    send(&worker, 4, Command::Write(Write::Ingest(form.clone()))).await;
    let events = until(&mut worker, |event| is_done(event, 4)).await;
    let Some(Event::Done { result: Err(failure), .. }) = events.last() else { panic!("{events:?}") };
    assert!(failure.message.contains("notes.jsonl:3: no text"), "{failure:?}");
    send(&worker, 5, Command::Write(Write::Ingest(IngestForm { skip_bad: true, ..form }))).await;
    let events = until(&mut worker, |event| is_done(event, 5)).await;
    let Some(Event::Done { result: Ok(told), .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(told, "Stored 0 records of notes, 2 unchanged, 1 passed over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_changed_asked_copied_and_written() {
    let (folder, mut worker) = start(1, 0);
    let mut ticket = 0;
    let mut write = async |worker: &mut Worker, write: Write| {
        ticket += 1;
        send(worker, ticket, Command::Write(write)).await;
        let events = until(worker, |event| is_done(event, ticket)).await;
        let Some(Event::Done { result, .. }) = events.last() else { panic!("{events:?}") };
        result.clone().map_err(|failure| failure.message)
    };
    let name = || "notes".to_owned();
    let create = Write::CreateCollection(NewCollection::new("notes", &Metadata::new(), Space::Cosine));
    write(&mut worker, create).await.unwrap();
    let add = |id: &str, text: &str, replace| Write::AddRecord {
        collection: name(),
        id: id.to_owned(),
        text: text.to_owned(),
        metadata: Metadata::from_iter([("a".to_owned(), json!(1))]),
        replace,
    };
    write(&mut worker, add("cat", "a cat sleeps", false)).await.unwrap();
    write(&mut worker, add("net", "network bandwidth", false)).await.unwrap();
    let taken = write(&mut worker, add("net", "other", false)).await.unwrap_err();
    assert!(taken.contains("holds these ids already: net"), "{taken}");
    write(&mut worker, add("net", "speed of a network", true)).await.unwrap();

    let metadata = Metadata::from_iter([("a".to_owned(), json!(null)), ("b".to_owned(), json!(2))]);
    let edit = RecordEdit { id: "cat".to_owned(), metadata, ..RecordEdit::default() };
    let update = CollectionChange::UpdateRecord { collection: name(), edit };
    assert_eq!(write(&mut worker, Write::Collection(update)).await.unwrap(), "Changed record cat of notes");
    let question = RecordQuestion {
        collection: name(),
        by: Likeness::Record("cat".to_owned()),
        n_results: 5,
        filter: RecordFilter { r#where: json!({ "b": 2 }).as_object().cloned(), where_document: None },
    };
    send(&worker, 100, Command::Read(Slot::Records, Read::QueryCollection(question))).await;
    let events = until(&mut worker, |event| matches!(event, Event::Answer { .. })).await;
    let Some(Event::Answer { result: Ok(Answer::RecordHits { hits, .. }), .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((hits.len(), hits[0].record.id.as_str(), hits[0].record.metadata.len()), (1, "cat", 1));

    let edit = CollectionEdit { name: Some("thoughts".to_owned()), metadata: None };
    let rename = Write::Collection(CollectionChange::Edit { name: name(), edit });
    assert_eq!(write(&mut worker, rename).await.unwrap(), "Renamed collection: notes is thoughts");
    let copy = CollectionChange::Copy { from: "thoughts".to_owned(), to: "again".to_owned() };
    let told = write(&mut worker, Write::Collection(copy)).await.unwrap();
    assert_eq!(told, "Copied 2 records of thoughts to again");
    let path = folder.path().join("again.jsonl");
    let collection = "again".to_owned();
    let export = ExportForm { collection, path: path.clone(), ..ExportForm::default() };
    write(&mut worker, Write::Collection(CollectionChange::Export(export))).await.unwrap();
    let lines = std::fs::read_to_string(path).unwrap();
    assert!(lines.lines().count() == 2 && lines.contains("speed of a network"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_stops_the_jobs_and_ends_the_worker() {
    let (_folder, mut worker) = start(10_000, 20);
    send(&worker, 1, run("XGBoost", 1)).await;
    until(&mut worker, |event| matches!(event, Event::Points { .. })).await;
    let Worker { requests, events, ended } = worker;
    drop((requests, events));
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
}
