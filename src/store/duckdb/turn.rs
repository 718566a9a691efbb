//! Whose turn it is: processes of labtop take the DuckDB file one after another, in the order in which they came.
//!
//! Two files beside the database: `.lock` is held by the process that has the database open, `.wait` by the one whose
//! turn is next; all others queue for `.wait`. Both are flocks that block, so that the kernel keeps the order, wakes the
//! next at once, and forgets who dies. A holder who sees that somebody is next lets go after its transaction. DuckDB's
//! own lock stays the guarantee; this only orders labtop's processes, so that nobody starves. The database file itself
//! is never opened here: closing a second descriptor of it would drop DuckDB's own lock, which is an fcntl lock.
//!
//! Other programs cannot queue, they can only try again and again. For their sake the file is left alone for a moment
//! when processes of labtop have had it one after another for long. The files' times of change tell how long: that of
//! `.lock` when the database was last let go, that of `.wait` when it was last left alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often one who waits looks whether it is still wanted. Who lets go for another stays away for that long: the kernel
/// wakes the next, but gives a lock to whoever asks first.
pub const STEP: Duration = Duration::from_millis(5);

/// How long the file is left alone for other programs: more than the pause of one who tries again.
pub const BREATH: Duration = Duration::from_millis(50);

/// How long processes of labtop have the file one after another before they leave it alone.
pub const ROUND: Duration = Duration::from_millis(350);

/// The queue, and the place of this process in it.
#[derive(Debug)]
pub struct Turn {
    files: Arc<Files>,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Files {
    lock: PathBuf,
    wait: PathBuf,
    /// Takes turns with those that write, but not with those that only look, and makes no files.
    looks_only: bool,
}

/// Held while the database is open; dropping it gives the turn away.
#[derive(Debug)]
pub struct Held {
    lock: Lock,
    looks_only: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.as_ref().filter(|_| !self.looks_only) {
            stamp(lock);
        }
    }
}

impl Turn {
    pub fn of(database: &Path) -> Self {
        Turn::with(database, false)
    }

    /// See [`Turn::of`]; shares its turn with others that only look.
    pub fn looking_at(database: &Path) -> Self {
        Turn::with(database, true)
    }

    fn with(database: &Path, looks_only: bool) -> Self {
        let beside = |ending: &str| {
            let mut name = database.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            database.with_file_name(name)
        };
        let files = Files { lock: beside(".lock"), wait: beside(".wait"), looks_only };
        Turn { files: Arc::new(files), place: Arc::default() }
    }

    /// Waits for the turn while `patient` says so; none when it did not come. One who gave up and comes again finds its
    /// place in the queue kept, unless its turn has come and gone meanwhile.
    pub fn take(&self, patient: &dyn Fn() -> bool) -> io::Result<Option<Held>> {
        let lock = match self.files.try_take()? {
            Tried::Taken(lock) => Some(lock),
            Tried::Busy { next } if patient() => self.place.wait(patient, &self.files, next)?,
            Tried::Busy { .. } => None,
        };
        lock.map(|lock| self.files.hold(lock)).transpose()
    }

    /// Another process is next.
    pub fn is_wanted(&self) -> bool {
        // A file that cannot be opened means that nobody waits by it.
        File::open(&self.files.wait)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// The lock of one whose turn it is; none for one that only looks, where no labtop has ever written.
type Lock = Option<File>;

/// What came of taking a turn without waiting.
enum Tried {
    Taken(Lock),
    /// With `.wait` locked, where nobody else is next.
    Busy {
        next: Option<File>,
    },
}

impl Files {
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

    /// The lock, if nobody has it and nobody is next.
    fn try_take(&self) -> io::Result<Tried> {
        // Made before it is needed: one that only looks can wait by it, but not make it.
        let next = self.open(&self.wait)?;
        if next.as_ref().is_some_and(|next| matches!(next.try_lock(), Err(TryLockError::WouldBlock))) {
            return Ok(Tried::Busy { next: None });
        }
        let Some(lock) = self.open(&self.lock)? else { return Ok(Tried::Taken(None)) };
        match if self.looks_only { lock.try_lock_shared() } else { lock.try_lock() } {
            Ok(()) => Ok(Tried::Taken(Some(lock))),
            Err(TryLockError::WouldBlock) => Ok(Tried::Busy { next }),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Blocks until the turn comes. Who has `.wait` locked already is next.
    fn queue(&self, next: Option<File>) -> io::Result<Lock> {
        // Only one waits for the lock itself: one that lets go and wants it again queues behind that one.
        let next = next.map_or_else(|| self.open(&self.wait), |next| Ok(Some(next)))?;
        if let Some(next) = &next {
            uninterrupted(|| next.lock())?;
        }
        let lock = self.open(&self.lock)?;
        if let Some(lock) = &lock {
            uninterrupted(|| if self.looks_only { lock.lock_shared() } else { lock.lock() })?;
        }
        Ok(lock)
    }

    fn hold(&self, lock: Lock) -> io::Result<Held> {
        if let Some(lock) = lock.as_ref().filter(|_| !self.looks_only) {
            self.leave_alone(lock)?;
        }
        Ok(Held { lock, looks_only: self.looks_only })
    }

    /// Leaves the database alone for a moment when that is due.
    fn leave_alone(&self, lock: &File) -> io::Result<()> {
        let Some(wait) = self.open(&self.wait)? else { return Ok(()) };
        let alone = age(lock)?;
        if alone < BREATH {
            if age(&wait)? < ROUND {
                return Ok(());
            }
            thread::sleep(BREATH - alone);
        }
        stamp(&wait);
        Ok(())
    }
}

/// A signal ends a wait for a lock.
fn uninterrupted(lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Time since a file was changed. A clock that was set back makes it new.
fn age(file: &File) -> io::Result<Duration> {
    Ok(file.metadata()?.modified()?.elapsed().unwrap_or_default())
}

/// Makes now a file's time of change: by writing to it, which whoever may lock it may do.
fn stamp(file: &File) {
    if let Err(error) = file.write_all_at(b"\n", 0) {
        // Other programs then wait a little longer or shorter, no more.
        tracing::debug!("noting the time of a turn: {error}");
    }
}

/// The place of this process in the queue. Locks that block cannot be given up, so a thread waits for them: when nobody
/// wants the turn any more it stays in line, and passes the turn on once it comes.
#[derive(Debug, Default)]
struct Place {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Out,
    InLine {
        wanted: bool,
    },
    Come(io::Result<Lock>),
}

impl Place {
    /// Queues, unless this process is in line already, and waits while `patient` says so.
    fn wait(
        self: &Arc<Self>,
        patient: &dyn Fn() -> bool,
        files: &Arc<Files>,
        mut next: Option<File>,
    ) -> io::Result<Option<Lock>> {
        let mut state = self.lock();
        loop {
            *state = match std::mem::take(&mut *state) {
                State::Come(lock) => return lock.map(Some),
                State::InLine { .. } => {
                    // Else the one in line would wait for this one.
                    next = None;
                    State::InLine { wanted: true }
                }
                State::Out => {
                    let (place, files, next) = (self.clone(), files.clone(), next.take());
                    thread::Builder::new()
                        .name("duckdb-turn".to_owned())
                        .spawn(move || place.come(files.queue(next)))?;
                    State::InLine { wanted: true }
                }
            };
            if !patient() {
                *state = State::InLine { wanted: false };
                return Ok(None);
            }
            state = self.moved.wait_timeout(state, STEP).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The turn has come, or cannot come.
    fn come(&self, lock: io::Result<Lock>) {
        let mut state = self.lock();
        *state = match *state {
            State::InLine { wanted: true } => State::Come(lock),
            _ => State::Out,
        };
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(30);

    fn eventually(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < LIMIT, "waited in vain");
            thread::yield_now();
        }
    }

    /// Threads of this process that stand in line for a lock, as the kernel tells: first who waits for `.lock`.
    fn in_line(folder: &Path) -> usize {
        use std::os::unix::fs::MetadataExt;
        let inodes: Vec<String> = ["a.duckdb.lock", "a.duckdb.wait"]
            .iter()
            .filter_map(|name| std::fs::metadata(folder.join(name)).ok())
            .map(|metadata| format!(":{} ", metadata.ino()))
            .collect();
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks
            .lines()
            .filter(|line| line.contains("-> FLOCK") && inodes.iter().any(|inode| line.contains(inode)))
            .count()
    }

    #[test]
    fn a_waiter_is_seen_and_gets_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let turn = Turn::of(&folder.path().join("a.duckdb"));
        let held = turn.take(&|| false).unwrap().unwrap();
        assert!(!turn.is_wanted());
        assert!(turn.take(&|| false).unwrap().is_none());
        let waiter = thread::scope(|scope| {
            let waiter = scope.spawn(|| turn.take(&|| true).unwrap());
            eventually(|| turn.is_wanted());
            drop(held);
            waiter.join().unwrap()
        });
        assert!(waiter.is_some());
        eventually(|| !turn.is_wanted());
    }

    #[test]
    fn turns_come_in_the_order_of_arrival() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.duckdb");
        let held = Turn::of(&path).take(&|| false).unwrap().unwrap();
        let (tell, told) = mpsc::sync_channel(16);
        let begun = AtomicBool::new(false);
        thread::scope(|scope| {
            for number in 0..8 {
                let (path, folder, tell, begun) = (&path, folder.path(), tell.clone(), &begun);
                scope.spawn(move || {
                    let held = Turn::of(path).take(&|| true).unwrap().unwrap();
                    tell.send(number).unwrap();
                    if number == 0 {
                        begun.store(true, Ordering::Release);
                        eventually(|| in_line(folder) == 8);
                    }
                    drop(held);
                });
                // It has arrived when it waits: the first for the lock, the others behind it.
                eventually(|| in_line(folder) == number + 1);
            }
            drop(held);
            eventually(|| begun.load(Ordering::Acquire) && in_line(folder.path()) == 7);
            // One who lets go and wants it again comes after all that wait.
            let again = Turn::of(&path).take(&|| true).unwrap().unwrap();
            tell.send(8).unwrap();
            drop(again);
        });
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn one_who_gives_up_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.duckdb");
        let (first, impatient) = (Turn::of(&path), Turn::of(&path));
        let held = first.take(&|| false).unwrap().unwrap();
        let begun = Instant::now();
        let patient = || begun.elapsed() < Duration::from_millis(20);
        assert!(impatient.take(&patient).unwrap().is_none());
        // Its place is kept: asked again, it does not stand in line twice.
        let begun = Instant::now();
        let patient = || begun.elapsed() < Duration::from_millis(20);
        assert!(impatient.take(&patient).unwrap().is_none());
        eventually(|| in_line(folder.path()) == 1);
        drop(held);
        // Its turn comes and is passed on.
        let held = Turn::of(&path).take(&|| true).unwrap().unwrap();
        eventually(|| !first.is_wanted());
        drop(held);
        assert!(impatient.take(&|| true).unwrap().is_some());
    }

    #[test]
    fn the_file_is_left_alone_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let turn = Turn::of(&folder.path().join("a.duckdb"));
        let (begun, mut last) = (Instant::now(), Instant::now());
        let mut longest = Duration::ZERO;
        while begun.elapsed() < ROUND * 3 {
            let held = turn.take(&|| true).unwrap().unwrap();
            longest = longest.max(last.elapsed());
            last = Instant::now();
            drop(held);
        }
        assert!(longest >= BREATH / 2, "never for longer than {longest:?}");
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
