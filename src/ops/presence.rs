//! Presence: a process that runs experiments holds a lock, so that others on its machine know at once when it died.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcetera::BaseStrategy;

/// A lock file that nobody holds is swept away after that long. Its owner may have been about to take it; and a server may
/// carry out the last thing that a dead one asked for after others have looked for its runs.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The lock files of this user's processes, and the one that this process holds.
#[derive(Debug, Default)]
pub struct Presence {
    /// None where the user has no home: then heartbeats alone tell.
    folder: Option<PathBuf>,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    _lock: File,
    path: PathBuf,
}

/// How a worker is, as far as its lock tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Alive,
    Dead,
    /// It runs on another machine, or for another user.
    Elsewhere,
}

impl Presence {
    /// In the user's cache folder.
    pub fn of_user() -> Self {
        let folder =
            etcetera::choose_base_strategy().ok().map(|base| base.cache_dir().join("labtop").join("workers"));
        Presence { folder, held: Mutex::default() }
    }

    #[cfg(test)]
    pub fn at(folder: &Path) -> Self {
        Presence { folder: Some(folder.to_owned()), held: Mutex::default() }
    }

    /// Takes the lock of this process, once; it is given back when this is dropped or the process ends in any way.
    pub fn announce(&self, worker: &str) -> io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (None, Some(path)) = (&*held, self.path(worker)) else { return Ok(()) };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
            sweep(folder);
        }
        let lock = open(OpenOptions::new().create(true), &path)?;
        lock.lock()?;
        *held = Some(Held { _lock: lock, path });
        Ok(())
    }

    /// How another worker is.
    pub fn life(&self, worker: &str) -> Life {
        let Some(path) = self.path(worker) else { return Life::Elsewhere };
        let Ok(file) = open(&mut OpenOptions::new(), &path) else { return Life::Elsewhere };
        match file.try_lock() {
            Ok(()) => Life::Dead,
            Err(TryLockError::WouldBlock) => Life::Alive,
            Err(TryLockError::Error(_)) => Life::Elsewhere,
        }
    }

    fn path(&self, worker: &str) -> Option<PathBuf> {
        let name: String = worker
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect();
        Some(self.folder.as_ref()?.join(name))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.read(true).write(true).open(path)
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!("{}: {error}", path.display());
    }
}

/// Removes what processes left behind that died long ago without any work of theirs in hand.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        let old = matches!(age, Ok(Ok(age)) if age > STALE);
        let path = entry.path();
        if old && open(&mut OpenOptions::new(), &path).is_ok_and(|file| file.try_lock().is_ok()) {
            remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_lives_as_long_as_it_holds_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (Presence::at(folder.path()), Presence::at(folder.path()));
        assert_eq!(ours.life("host:1:ab/c"), Life::Elsewhere);
        theirs.announce("host:1:ab/c").unwrap();
        theirs.announce("host:1:ab/c").unwrap();
        assert_eq!(ours.life("host:1:ab/c"), Life::Alive);
        // As when the process is killed: the lock goes, the file stays.
        let held = theirs.held.lock().unwrap().take().unwrap();
        let copy = folder.path().join("copy");
        fs::hard_link(&held.path, &copy).unwrap();
        drop(held);
        fs::rename(&copy, folder.path().join("host_1_ab_c")).unwrap();
        assert_eq!(ours.life("host:1:ab/c"), Life::Dead);
    }

    #[test]
    fn a_process_that_ends_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let presence = Presence::at(&folder.path().join("workers"));
        presence.announce("host:1").unwrap();
        assert_eq!(fs::read_dir(folder.path().join("workers")).unwrap().count(), 1);
        drop(presence);
        assert_eq!(fs::read_dir(folder.path().join("workers")).unwrap().count(), 0);
    }
}
