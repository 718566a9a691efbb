//! Looking into another database of the collection store, with one lab and behind the dashboard.

use std::sync::Arc;
use std::time::Duration;

use labtop::config::{self, CollectionBackend, Flags, Places, Settings, Variables};
use labtop::domain::collection::{Hnsw, NewCollection, Space};
use labtop::domain::database::Database;
use labtop::ops::news::Nobody;
use labtop::ops::{Lab, Stop, collection, database};
use labtop::worker::protocol::{
    Answer, CollectionChange, Command, DatabaseChange, Event, Read, Request, Slot, Ticket, Write,
};
use labtop::worker::{self, Worker};
use serde_json::Map;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::servers;

/// A database that no other test has.
fn own(tenant: &str) -> Database {
    Database::new(tenant, format!("there-{}", Uuid::now_v7().simple()))
}

/// An embedded lab's settings.
fn embedded() -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { store: Some(folder.path().join("lab.duckdb")), ..Flags::default() };
    (folder, config::load(&flags, &Places::default(), &Variables::new()).unwrap())
}

/// A lab with its collections in Chroma.
fn lab(chroma: config::Chroma, read_only: bool) -> (TempDir, Lab) {
    let (folder, settings) = embedded();
    let mut settings = Settings { chroma, read_only, ..settings };
    settings.roles.collections = CollectionBackend::Chroma;
    (folder, Lab::open(settings).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_looks_into_another_database() {
    let Some((settings, _guard)) = servers::chroma().await else { return };
    let (_folder, here) = lab(settings.clone(), false);
    let there = own(&settings.tenant);
    database::create(&here, &there, false).await.unwrap();
    let other = here.at(&there).unwrap();
    assert_eq!(database::here(&other), Some(there.clone()));

    let hnsw = Hnsw {
        ef_construction: Some(120),
        max_neighbors: Some(24),
        ef_search: Some(77),
        resize_factor: Some(1.5),
        sync_threshold: Some(500),
    };
    let new = NewCollection { hnsw, ..NewCollection::new("only_there", &Map::new(), Space::L2) };
    assert_eq!(collection::create(&other, &new).await.unwrap().hnsw, hnsw);
    collection::edit::copy(&other, "only_there", "copy", &Nobody, &Stop::default()).await.unwrap();
    let copy = collection::get(&other, "copy").await.unwrap();
    assert_eq!((copy.hnsw, copy.space), (hnsw, Space::L2), "a copy is indexed as its original is");
    assert_eq!(collection::list(&other).await.unwrap().len(), 2);
    assert_eq!(collection::list(&here).await.unwrap(), []);
    assert_eq!(database::get(&here, &there).await.unwrap().collections, Some(2));

    let (_folder, reader) = lab(settings, true);
    assert!(database::remove(&reader, &there).await.is_err());
    assert!(database::create(&reader, &there, false).await.is_err());
    let looking = reader.at(&there).unwrap();
    assert_eq!(collection::list(&looking).await.unwrap().len(), 2);
    assert!(collection::remove(&looking, "copy").await.is_err(), "read-only there too");
    database::remove(&here, &there).await.unwrap();
    assert!(collection::list(&other).await.unwrap_err().to_string().contains("has no database"));
}

#[tokio::test]
async fn the_embedded_store_says_that_it_is_one_database() {
    let (_folder, settings) = embedded();
    let lab = Lab::open(settings).unwrap();
    assert_eq!(database::here(&lab), None);
    let there = Database::new("tenant", "database");
    for error in [database::list(&lab, "tenant").await.unwrap_err(), lab.at(&there).unwrap_err()] {
        assert!(error.to_string().contains("is one database and has no tenants"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

/// What comes of a request.
async fn told(worker: &mut Worker, number: u64, command: Command) -> Event {
    worker.requests.send(Request { ticket: Ticket(number), command }).await.unwrap();
    let answer = async {
        loop {
            let event = worker.events.recv().await.unwrap();
            match &event {
                Event::Answer { ticket, .. } | Event::Done { ticket, .. } if ticket.0 == number => {
                    return event;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("no answer came")
}

fn names(event: Event) -> Vec<String> {
    match event {
        Event::Answer { result: Ok(Answer::Collections(list)), .. } => {
            list.into_iter().map(|one| one.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_say_which_database_they_are_about() {
    let Some((settings, _guard)) = servers::chroma().await else { return };
    let home = Database::new(&settings.tenant, &settings.database);
    let there = own(&settings.tenant);
    let (_folder, lab) = lab(settings, false);
    let mut worker = worker::start(Arc::new(lab), None);
    let done = |event: Event| match event {
        Event::Done { result, .. } => result.unwrap(),
        other => panic!("{other:?}"),
    };
    let change = |change| Command::Write(Write::Database(change));
    done(told(&mut worker, 1, change(DatabaseChange::Create(there.clone()))).await);
    let list = Command::Read(Slot::Databases, Read::Databases { tenant: None });
    let Event::Answer { result: Ok(Answer::Databases { home: told_home, databases, .. }), .. } =
        told(&mut worker, 2, list).await
    else {
        panic!("the databases are not listed")
    };
    assert_eq!(told_home, home);
    assert!(databases.iter().any(|known| known.database == there));

    let create = |name: &str| Write::CreateCollection(NewCollection::new(name, &Map::new(), Space::L2));
    done(told(&mut worker, 3, Command::Write(create("here"))).await);
    done(told(&mut worker, 4, Command::Write(create("there").at(Some(&there)))).await);
    let copy = CollectionChange::Copy { from: "there".to_owned(), to: "again".to_owned() };
    done(told(&mut worker, 5, Command::Write(Write::Collection(copy).at(Some(&there)))).await);
    let list = |at: Option<&Database>| Command::Read(Slot::Collections, Read::Collections.at(at));
    assert_eq!(names(told(&mut worker, 6, list(None)).await), ["here"]);
    assert_eq!(names(told(&mut worker, 7, list(Some(&there))).await), ["again", "there"]);
    assert_eq!(names(told(&mut worker, 8, list(Some(&home))).await), ["here"]);
    done(told(&mut worker, 9, change(DatabaseChange::Remove(there.clone()))).await);
    let Event::Answer { result: Err(failure), .. } = told(&mut worker, 10, list(Some(&there))).await else {
        panic!("it is gone")
    };
    assert!(failure.message.contains("has no database"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_embedded_store_is_answered_with_why_not() {
    let (_folder, settings) = embedded();
    let mut worker = worker::start(Arc::new(Lab::open(settings).unwrap()), None);
    let there = Database::new("tenant", "database");
    let read = Command::Read(Slot::Collections, Read::Collections.at(Some(&there)));
    let Event::Answer { result: Err(failure), .. } = told(&mut worker, 1, read).await else {
        panic!("there is no such database")
    };
    assert!(failure.message.contains("is one database and has no tenants"), "{failure:?}");
    let write = Command::Write(Write::RemoveCollection("notes".to_owned()).at(Some(&there)));
    assert!(matches!(told(&mut worker, 2, write).await, Event::Done { result: Err(_), .. }));
}
