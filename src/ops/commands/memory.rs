//! Memory: which batches of commands this user made here, so that going on with them needs no other word.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::batch::Batch;
use crate::domain::process::ProcessSpec;

/// What was remembered of a batch is forgotten after that long.
const REMEMBERED: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// A folder with an empty file for each batch.
#[derive(Debug)]
pub(in crate::ops) struct Memory {
    /// None without a home: then nothing is remembered.
    folder: Option<PathBuf>,
}

impl Memory {
    /// In the user's state folder.
    pub fn of_user() -> Self {
        let state = etcetera::choose_base_strategy().ok().and_then(|base| base.state_dir());
        Memory { folder: state.map(|state| state.join("labtop").join("commands")) }
    }

    #[cfg(test)]
    pub fn at(folder: PathBuf) -> Self {
        Memory { folder: Some(folder) }
    }

    /// Notes that a batch was made here with this command.
    pub fn keep(&self, batch: &Batch, command: &ProcessSpec) {
        let Some(folder) = &self.folder else { return };
        let place = folder.join(name(batch, command));
        if let Err(error) = fs::create_dir_all(folder).and_then(|()| fs::write(&place, "")) {
            // It costs a question later.
            tracing::warn!(
                "{}: that batch {} was made here is not remembered: {error}",
                place.display(),
                batch.id
            );
        }
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
            if matches!(age, Ok(Ok(age)) if age > REMEMBERED)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::debug!("{}: {error}", entry.path().display());
            }
        }
    }

    /// Whether a batch was made here with this very command.
    pub fn has(&self, batch: &Batch, command: &ProcessSpec) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.join(name(batch, command)).is_file())
    }
}

/// Made of the batch and all that is said of its command, so that one that others changed is another one.
fn name(batch: &Batch, command: &ProcessSpec) -> String {
    let keys = command.keys();
    let mut patterns: Vec<(String, Value)> = keys.metrics.unwrap_or_default().into_iter().collect();
    // A store may give them back in another order.
    patterns.sort_by(|left, right| left.0.cmp(&right.0));
    let all = json!([batch.key, keys.command, keys.cwd, keys.timeout, keys.retries, keys.env, patterns]);
    Sha256::digest(all.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}
