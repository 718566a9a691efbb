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
}

/// Held while the database is open; dropping it gives the turn away.
#[derive(Debug)]
pub struct Held {
    _lock: File,
}

impl Turn {
    pub fn of(database: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = database.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            database.with_file_name(name)
        };
        Turn { lock: beside(".lock"), wait: beside(".wait") }
    }

    /// Waits for the turn while `patient` says so; none when it did not come.
    pub fn take(&self, patient: &dyn Fn() -> bool) -> io::Result<Option<Held>> {
        let lock = open(&self.lock)?;
        if try_lock(&lock)? {
            return Ok(Some(Held { _lock: lock }));
        }
        let waiting = open(&self.wait)?;
        waiting.lock_shared()?;
        while patient() {
            std::thread::sleep(STEP);
            if try_lock(&lock)? {
                return Ok(Some(Held { _lock: lock }));
            }
        }
        Ok(None)
    }

    /// Another process waits for its turn.
    pub fn is_wanted(&self) -> bool {
        // A file that cannot be opened means that nobody waits by it.
        File::open(&self.wait).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
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
}
