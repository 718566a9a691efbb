//! The open database: shared by the lanes of this process, closed when the last one lets go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use duckdb::{Config, Connection};

use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::error::{from_duckdb, is_held_elsewhere};
use super::schema;
use super::turn::{Held, STEP, Turn};

/// Size and time of the file and of its log: what changes when somebody writes.
pub type Fingerprint = [Option<(u64, SystemTime)>; 2];

/// The file and who of this process has it open.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    wait: Duration,
    turn: Turn,
    open: Mutex<Open>,
    closed: Condvar,
    /// Another process wrote since we last had the file.
    changed_outside: AtomicBool,
    adopt: AtomicBool,
    /// Migrations that this process applied and has not told of yet.
    applied: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Open {
    root: Option<(Connection, Held)>,
    lanes: usize,
    /// The file as we left it.
    left: Option<Fingerprint>,
    let_go: Option<Instant>,
}

impl Lease {
    pub fn new(path: PathBuf, wait: Duration) -> Self {
        let turn = Turn::of(&path);
        Lease {
            path,
            wait,
            turn,
            open: Mutex::default(),
            closed: Condvar::new(),
            changed_outside: AtomicBool::new(false),
            adopt: AtomicBool::new(false),
            applied: Mutex::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long somebody may wait for the file.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// A connection of one lane; opens the file if no lane has it. Waits for other processes while `patient` says so,
    /// and tries once in any case.
    pub fn enter(&self, patient: &dyn Fn() -> bool) -> Result<Connection> {
        let mut open = self.lock();
        // Let the last lane leave first, or two busy lanes would keep the file from other processes for ever.
        while open.root.is_some() && self.turn.is_wanted() {
            let waited = self.closed.wait_timeout(open, STEP).unwrap_or_else(PoisonError::into_inner);
            open = waited.0;
        }
        if open.root.is_none() {
            self.stay_away(&open);
            // Looked at once more after the turn came: whoever had it may have written.
            let (connection, held, found) = self.open_file(patient)?;
            open.root = Some((connection, held));
            if open.left.is_some_and(|left| left != found) {
                self.changed_outside.store(true, Ordering::Release);
            }
        }
        let connection = match &open.root {
            Some((root, _)) => root.try_clone().map_err(|error| from_duckdb(error, "opening", &self.path))?,
            None => return Err(self.unavailable("it is not open")),
        };
        open.lanes += 1;
        Ok(connection)
    }

    /// A lane lets go; the last one closes the file.
    pub fn leave(&self, connection: Connection) {
        let mut open = self.lock();
        drop(connection);
        open.lanes = open.lanes.saturating_sub(1);
        if open.lanes == 0
            && let Some((root, held)) = open.root.take()
        {
            // Closing writes the log into the file; only then may others have it.
            drop(root);
            open.left = Some(self.fingerprint());
            open.let_go = Some(Instant::now());
            drop(held);
            self.closed.notify_all();
        }
    }

    /// From now on foreign tables under our names are taken over when the file is opened.
    pub fn adopt(&self) {
        self.adopt.store(true, Ordering::Release);
    }

    /// Names of the migrations applied since the last call.
    pub fn take_applied(&self) -> Vec<String> {
        std::mem::take(&mut *self.applied.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another process waits for the file.
    pub fn is_wanted(&self) -> bool {
        self.turn.is_wanted()
    }

    /// True once after another process wrote. Never waits: while the file is being opened there is nothing to see.
    pub fn take_change(&self) -> bool {
        let Ok(mut open) = self.open.try_lock() else { return false };
        let mut changed = self.changed_outside.swap(false, Ordering::AcqRel);
        if open.root.is_none() && open.left.is_some() {
            let now = Some(self.fingerprint());
            changed |= open.left != now;
            open.left = now;
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // A panic while holding it leaves counts that are still right: every change is made at once.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After letting go for somebody, that somebody comes first.
    fn stay_away(&self, open: &Open) {
        if open.let_go.is_some_and(|at| at.elapsed() < STEP) && self.turn.is_wanted() {
            std::thread::sleep(STEP * 2);
        }
    }

    fn open_file(&self, patient: &dyn Fn() -> bool) -> Result<(Connection, Held, Fingerprint)> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| self.no_access(&error))?;
        }
        let held = self.turn.take(patient).map_err(|error| self.no_access(&error))?;
        let Some(held) = held else {
            return Err(self
                .unavailable("another labtop keeps it busy")
                .remedy("Try again, or raise duckdb.wait_ms in the settings."));
        };
        let mut pause = STEP;
        loop {
            let found = self.fingerprint();
            match self.connect() {
                Ok(connection) => return Ok((connection, held, found)),
                Err(error) if is_held_elsewhere(&error) && patient() => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn connect(&self) -> Result<Connection> {
        let failed = |error| from_duckdb(error, "opening the DuckDB file", &self.path);
        let config = Config::default()
            .enable_autoload_extension(false)
            .and_then(|config| config.custom_user_agent("labtop"))
            .map_err(failed)?;
        let connection = Connection::open_with_flags(&self.path, config).map_err(failed)?;
        let mut applied = schema::ensure(&connection, &self.path, self.adopt.load(Ordering::Acquire))?;
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).append(&mut applied);
        Ok(connection)
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut log = self.path.clone().into_os_string();
        log.push(".wal");
        [self.path.as_path(), Path::new(&log)].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        })
    }

    fn unavailable(&self, why: &str) -> StoreError {
        let message = format!("{}: {why}", self.path.display());
        StoreError::new(ErrorKind::Unavailable, Backend::DuckDb, "opening the DuckDB file", message)
    }

    fn no_access(&self, error: &std::io::Error) -> StoreError {
        self.unavailable(&error.to_string())
            .remedy("Choose a file that can be written: --store FILE, or duckdb.path in the settings.")
    }
}
