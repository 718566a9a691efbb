//! Short writes, one after another and never cancelled.

use tokio::sync::mpsc;

use crate::domain::experiment::Edit;
use crate::ops::collection::NewRecord;
use crate::ops::index::{self, Which};
use crate::ops::{Lab, OpsError, collection, database, demo, document, experiment, schema};

use super::Shared;
use super::protocol::{CollectionChange, DatabaseChange, Event, Ticket, Write};
use super::reads::failure;

/// Carries out writes in the order in which they were asked for, until nobody asks any more.
pub async fn one_after_another(mut queue: mpsc::Receiver<(Shared, Ticket, Write)>) {
    while let Some((shared, ticket, write)) = queue.recv().await {
        let result = carry_out(&shared, write).await.map_err(|error| failure(&error));
        let changed = result.is_ok();
        shared.tell(Event::Done { ticket, result }).await;
        if changed {
            shared.tell(Event::Changed).await;
        }
    }
}

async fn carry_out(shared: &Shared, write: Write) -> Result<String, OpsError> {
    let lab: &Lab = &shared.lab;
    Ok(match write {
        Write::Edit(ids, edit) => {
            let count = experiment::edit(lab, &ids, &edit).await?.len();
            format!("{} {count} {}", verb(&edit), plural(count as u64, "experiment"))
        }
        Write::Remove(ids) => {
            let count = experiment::remove(lab, &ids).await?;
            shared.tell(Event::Removed(ids)).await;
            format!("Deleted {count} {}", plural(count, "experiment"))
        }
        Write::AddDocument { id, text } => {
            let count = document::add_texts(lab, &[(id, text, serde_json::Map::new())]).await?;
            format!("Stored {count} embeddings")
        }
        Write::CreateCollection(new) => {
            let made = collection::create(lab, &new).await?;
            format!("Created collection: {}", made.name)
        }
        Write::RemoveCollection(name) => {
            collection::remove(lab, &name).await?;
            format!("Deleted collection: {name}")
        }
        Write::AddRecord { collection: name, id, text, metadata, replace } => {
            let record = NewRecord { id: Some(id), document: Some(text), embedding: None, metadata };
            let count = match replace {
                true => collection::replace(lab, &name, vec![record]).await?,
                false => collection::add(lab, &name, vec![record]).await?,
            };
            format!("Added {count} {} to {name}", plural(count, "document"))
        }
        Write::Collection(change) => change_collection(lab, change).await?,
        Write::Database(DatabaseChange::Create(new)) => {
            database::create(lab, &new, false).await?;
            format!("Created database: {new}")
        }
        Write::Database(DatabaseChange::Remove(old)) => {
            database::remove(lab, &old).await?;
            format!("Deleted database: {old}")
        }
        Write::RemoveRecords { collection: name, ids } => {
            let count = collection::remove_records(lab, &name, &ids).await?;
            format!("Deleted {count} {} of {name}", plural(count, "record"))
        }
        Write::DropIndex(name) => {
            let dropped = index::remove(lab, &Which::Named(name)).await?;
            format!("Dropped {}", dropped.unwrap_or_default().join(", "))
        }
        Write::LoadDemo => {
            let report = demo::load(lab, &*shared.live).await?;
            format!(
                "Sample data is loaded: {} performance rows, experiment {}",
                report.performance, report.experiment.id
            )
        }
        Write::Init => {
            let applied: usize = schema::init(lab).await?.iter().map(|database| database.applied.len()).sum();
            shared.try_now.notify_one();
            format!("Databases are ready: {applied} {} applied", plural(applied as u64, "migration"))
        }
        Write::LaunchBatch(_)
        | Write::RetryBatch(_)
        | Write::ResumeBatch(_)
        | Write::StartRun(_)
        | Write::Ingest(_)
        | Write::BuildIndex(_)
        | Write::At(..)
        | Write::Rerun(_) => return Err(OpsError::Invalid(NO_JOBS.to_owned())),
    })
}

/// Never told: jobs, and where something is to be done, are taken out before.
const NO_JOBS: &str = "runs, files and indexes are jobs and do not wait in line";

async fn change_collection(lab: &Lab, change: CollectionChange) -> Result<String, OpsError> {
    Ok(match change {
        CollectionChange::Edit { name, edit } => {
            let made = collection::edit::edit(lab, &name, &edit).await?;
            match edit.name {
                Some(_) => format!("Renamed collection: {name} is {}", made.name),
                None => format!("Changed collection: {name}"),
            }
        }
        CollectionChange::UpdateRecord { collection: name, edit } => {
            let id = edit.id.clone();
            collection::edit::update(lab, &name, vec![edit]).await?;
            format!("Changed record {id} of {name}")
        }
        CollectionChange::Copy { .. } | CollectionChange::Export(_) => {
            return Err(OpsError::Invalid(NO_JOBS.to_owned()));
        }
    })
}

fn verb(edit: &Edit) -> &'static str {
    match edit {
        Edit::AddTags(_) | Edit::RemoveTags(_) => "Tagged",
        Edit::Note(_) | Edit::ReviseNote { .. } => "Noted",
        Edit::Archive(true) => "Archived",
        Edit::Archive(false) => "Brought back",
    }
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
