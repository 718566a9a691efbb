//! A backup: everything of a lab in one DuckDB file, which is there whole and compared, or not at all.

use std::io;
use std::path::{Path, PathBuf};

use super::{OpsError, Part, Report, Result, Stop, Watcher, Wish, copy};
use crate::config::{CollectionBackend, Roles, Settings, TableBackend};
use crate::ops::Lab;
use crate::store::duckdb;

/// A backup that was made, unless what it should hold went on changing: then its report tells what differs.
#[derive(Debug)]
pub struct Backup {
    pub report: Report,
    pub bytes: u64,
}

/// Writes everything of a lab to `path`: under another name first, renamed once it is whole. A file that is there is replaced only
/// with `force`.
pub async fn backup(
    lab: &Lab,
    path: &Path,
    force: bool,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<Backup> {
    if !force && path.exists() {
        let message =
            format!("{} is there already: name another file, or replace it with --force", path.display());
        return Err(OpsError::Invalid(message));
    }
    if duckdb::transfer::identity(path) == duckdb::transfer::identity(&lab.settings.duckdb.path) {
        return Err(OpsError::Invalid(format!(
            "{} is what is to be saved: name another file",
            path.display()
        )));
    }
    let draft = beside(path);
    remove(&draft);
    let made = fill(lab, &draft, watcher, stop).await.and_then(|report| {
        let failed = |source| OpsError::File { path: path.display().to_string(), source };
        if report.agrees() {
            std::fs::rename(&draft, path).map_err(failed)?;
        }
        let bytes = path.metadata().map(|file| file.len()).unwrap_or_default();
        Ok(Backup { report, bytes })
    });
    remove(&draft);
    made
}

async fn fill(lab: &Lab, draft: &Path, watcher: &dyn Watcher, stop: &Stop) -> Result<Report> {
    let file = Lab::open(on_file(&lab.settings, draft))?;
    let wish = Wish { parts: Part::ALL.to_vec(), dry_run: false };
    let report = copy(lab, &file, &wish, watcher, stop).await;
    file.close().await;
    report
}

/// The same settings with every role in one file.
pub fn on_file(settings: &Settings, path: &Path) -> Settings {
    let mut settings = settings.clone();
    settings.roles = Roles {
        experiments: TableBackend::DuckDb,
        documents: TableBackend::DuckDb,
        collections: CollectionBackend::DuckDb,
    };
    settings.duckdb.path = path.to_owned();
    settings.read_only = false;
    settings
}

/// A file of the same folder, so that renaming it is one step.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// Takes away a draft with what lies beside it.
fn remove(draft: &Path) {
    for ending in ["", ".lock", ".wait", ".wal"] {
        let mut name = draft.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        match std::fs::remove_file(draft.with_file_name(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("{}{ending} was left behind: {error}", draft.display());
            }
            _ => {}
        }
    }
}
