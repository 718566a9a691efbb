//! Whose turn it is: processes of labtop take the DuckDB file one after another, fairly.
//!
//! Two files beside the database: `.lock` is held by the process that has the database open, `.wait` is shared by those
//! that want it. A holder who sees a waiter lets go after its transaction. DuckDB's own lock stays the guarantee; this
//! only orders labtop's processes, so that nobody starves. The database file itself is never opened here: closing a
//! second descriptor of it would drop DuckDB's own lock, which is an fcntl lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pause of one who waits; also the time a holder that let go stays away, so that a waiter comes in between.
pub const STEP: Duration = Duration::from_millis(5);

/// The two files.
#[derive(Debug)]
pub struct Turn {
    lock: PathBuf,
    wait: PathBuf,
    /// Takes turns with those that write, but not with those that only look, and makes no files.
    looks_only: bool,
}

/// Held while the database is open; dropping it gives the turn away.
#[derive(Debug)]
pub struct Held {
    /// None for one that only looks, where no labtop has ever written.
    _lock: Option<File>,
}

impl Turn {
    pub fn of(database: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = database.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            database.with_file_name(name)
        };
        Turn { lock: beside(".lock"), wait: beside(".wait"), looks_only: false }
    }

    /// See [`Turn::of`]; shares its turn with others that only look.
    pub fn looking_at(database: &Path) -> Self {
        Turn { looks_only: true, ..Turn::of(database) }
    }

    /// Waits for the turn while `patient` says so; none when it did not come.
    pub fn take(&self, patient: &dyn Fn() -> bool) -> io::Result<Option<Held>> {
        let Some(lock) = self.open(&self.lock)? else {
            return Ok(Some(Held { _lock: None }));
        };
        // Made before it is needed: one that only looks can wait by it, but not make it.
        let waiting = self.open(&self.wait)?;
        if self.try_lock(&lock)? {
            return Ok(Some(Held { _lock: Some(lock) }));
        }
        waiting.as_ref().map(File::lock_shared).transpose()?;
        while patient() {
            std::thread::sleep(STEP);
            if self.try_lock(&lock)? {
                return Ok(Some(Held { _lock: Some(lock) }));
            }
        }
        Ok(None)
    }

    /// None where one that only looks finds no such file.
    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        if !self.looks_only {
            return OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .read(true)
                .open(path)
                .map(Some);
        }
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn try_lock(&self, file: &File) -> io::Result<bool> {
        match if self.looks_only { file.try_lock_shared() } else { file.try_lock() } {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Another process waits for its turn.
    pub fn is_wanted(&self) -> bool {
        // A file that cannot be opened means that nobody waits by it.
        File::open(&self.wait).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_is_seen_and_gets_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let turn = Turn::of(&folder.path().join("a.duckdb"));
        let held = turn.take(&|| false).unwrap().unwrap();
        assert!(!turn.is_wanted());
        assert!(turn.take(&|| false).unwrap().is_none());
        let waiter = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| turn.take(&|| true).unwrap());
            while !turn.is_wanted() {
                std::thread::yield_now();
            }
            drop(held);
            waiter.join().unwrap()
        });
        assert!(waiter.is_some());
        assert!(!turn.is_wanted());
    }

    #[test]
    fn those_that_only_look_share_their_turn_and_make_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.duckdb");
        let (writes, looks) = (Turn::of(&path), Turn::looking_at(&path));
        drop(looks.take(&|| false).unwrap().unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let held = writes.take(&|| false).unwrap().unwrap();
        assert!(looks.take(&|| false).unwrap().is_none());
        drop(held);
        let both = [looks.take(&|| false).unwrap().unwrap(), looks.take(&|| false).unwrap().unwrap()];
        assert!(writes.take(&|| false).unwrap().is_none());
        drop(both);
        assert!(writes.take(&|| false).unwrap().is_some());
    }
}
