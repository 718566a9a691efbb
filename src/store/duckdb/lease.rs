//! The open database: shared by the lanes of this process, closed when the last one lets go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use duckdb::{AccessMode, Config, Connection};
use tokio::sync::Notify;

use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::error::{from_duckdb, is_held_elsewhere};
use super::schema;
use super::turn::{Held, STEP, Turn};

/// Size and time of the file and of its log: what changes when somebody writes.
pub type Fingerprint = [Option<(u64, SystemTime)>; 2];

/// What a process has the file for at least, though another labtop asks for it: opening and closing cost half of that.
const TURN: Duration = Duration::from_millis(50);

/// Longest that this process keeps the file while it is busy. Processes of labtop ask for their turn; other programs can
/// only try again and again, and this is when they get in.
const SHIFT: Duration = Duration::from_millis(1500);

/// How long the file is left alone after a whole shift: more than the pause of one who tries again.
const BREATH: Duration = Duration::from_millis(80);

/// Up to how many rows a join looks up one by one instead of reading whole columns: more than a window has.
const WINDOW_ROWS: &str = "1000";

/// The file and who of this process has it open.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    wait: Duration,
    turn: Turn,
    read_only: bool,
    open: Mutex<Open>,
    closed: Condvar,
    /// Another process wrote since we last had the file.
    changed_outside: AtomicBool,
    /// Rung when that is noticed while taking the file.
    bell: Notify,
    adopt: AtomicBool,
    /// Migrations that this process applied and has not told of yet.
    applied: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Open {
    root: Option<Root>,
    lanes: usize,
    /// The file as we left it.
    left: Option<Fingerprint>,
    let_go: Option<Instant>,
    /// Until when the file belongs to whoever wants it.
    breath: Option<Instant>,
}

/// The open database. Fields are dropped in order: closing writes the log into the file, only then may others have it.
#[derive(Debug)]
struct Root {
    connection: Connection,
    held: Held,
    since: Instant,
    /// Which file it is, whatever has its name by now.
    file: Identity,
}

/// Device and inode.
type Identity = Option<(u64, u64)>;

impl Lease {
    pub fn new(path: PathBuf, wait: Duration, read_only: bool) -> Self {
        let turn = if read_only { Turn::looking_at(&path) } else { Turn::of(&path) };
        Lease {
            path,
            wait,
            turn,
            read_only,
            open: Mutex::default(),
            closed: Condvar::new(),
            changed_outside: AtomicBool::new(false),
            bell: Notify::new(),
            adopt: AtomicBool::new(false),
            applied: Mutex::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file is opened for reading, and neither made nor migrated.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How long somebody may wait for the file.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// A connection of one lane; opens the file if no lane has it. Waits for other processes while `patient` says so,
    /// and tries once in any case.
    pub fn enter(&self, patient: &dyn Fn() -> bool) -> Result<Connection> {
        let mut open = self.lock();
        // Let the last lane leave first, or two busy lanes would keep the file from others for ever. For another labtop
        // it is made to; for other programs it is not, and then the file stays open a while longer.
        let asked = Instant::now();
        while open.root.as_ref().is_some_and(|root| self.is_over(root))
            && (asked.elapsed() < BREATH || self.turn.is_wanted())
        {
            let waited = self.closed.wait_timeout(open, STEP).unwrap_or_else(PoisonError::into_inner);
            open = waited.0;
        }
        if open.root.is_none() {
            self.stay_away(&open);
            if open.left.is_some() && identity(&self.path).is_none() {
                return Err(self.removed());
            }
            // Looked at once more after the turn came: whoever had it may have written.
            let (connection, held, found) = self.open_file(patient)?;
            open.root = Some(Root { connection, held, since: Instant::now(), file: identity(&self.path) });
            if open.left.is_some_and(|left| left != found) {
                self.changed_outside.store(true, Ordering::Release);
                self.bell.notify_one();
            }
        }
        let connection = match &open.root {
            Some(root) => {
                root.connection.try_clone().map_err(|error| from_duckdb(error, "opening", &self.path))?
            }
            None => return Err(self.unavailable("it is not open")),
        };
        open.lanes += 1;
        Ok(connection)
    }

    /// An error once the file that is open is no longer the one of that name: what is written to it would be lost.
    pub fn check(&self) -> Result<()> {
        let open = self.lock();
        match &open.root {
            Some(root) if identity(&self.path) != root.file => Err(self.removed()),
            _ => Ok(()),
        }
    }

    /// Somebody else should have the file now: another labtop asks for it, or this process had it for long.
    pub fn is_due(&self) -> bool {
        self.lock().root.as_ref().is_some_and(|root| self.is_over(root))
    }

    fn is_over(&self, root: &Root) -> bool {
        let had = root.since.elapsed();
        had >= SHIFT || (had >= TURN && self.turn.is_wanted())
    }

    /// A lane lets go; the last one closes the file.
    pub fn leave(&self, connection: Connection) {
        let mut open = self.lock();
        drop(connection);
        open.lanes = open.lanes.saturating_sub(1);
        if open.lanes == 0
            && let Some(Root { connection, held, since, .. }) = open.root.take()
        {
            // Closing writes the log into the file; only then may others have it.
            drop(connection);
            open.left = Some(self.fingerprint());
            open.let_go = Some(Instant::now());
            open.breath = (since.elapsed() >= SHIFT).then(|| Instant::now() + BREATH);
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

    /// Returns when taking the file showed that another process wrote; [`Lease::take_change`] tells.
    pub async fn change_noticed(&self) {
        self.bell.notified().await;
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
        if let Some(until) = open.breath {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        if open.let_go.is_some_and(|at| at.elapsed() < STEP) && self.turn.is_wanted() {
            std::thread::sleep(STEP * 2);
        }
    }

    fn open_file(&self, patient: &dyn Fn() -> bool) -> Result<(Connection, Held, Fingerprint)> {
        if self.read_only {
            self.must_exist()?;
        } else if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
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
            .and_then(|config| config.with("dynamic_or_filter_threshold", WINDOW_ROWS))
            .and_then(|config| match self.read_only {
                true => config.access_mode(AccessMode::ReadOnly),
                false => Ok(config),
            })
            .map_err(failed)?;
        let connection = Connection::open_with_flags(&self.path, config).map_err(failed)?;
        if self.read_only {
            schema::must_be_current(&connection, &self.path)?;
            return Ok(connection);
        }
        let mut applied = schema::ensure(&connection, &self.path, self.adopt.load(Ordering::Acquire))?;
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).append(&mut applied);
        Ok(connection)
    }

    fn must_exist(&self) -> Result<()> {
        if self.path.try_exists().map_err(|error| self.no_access(&error))? {
            return Ok(());
        }
        Err(self
            .unavailable("there is no such file, and read-only mode makes none")
            .remedy("Name another file with --store FILE, or leave out --read-only to have it made."))
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

    fn removed(&self) -> StoreError {
        self.unavailable("it was removed or replaced while labtop was using it")
            .remedy("Put it back, or start labtop again to begin with what is there now.")
    }

    fn no_access(&self, error: &std::io::Error) -> StoreError {
        self.unavailable(&error.to_string())
            .remedy("Choose a file that can be written: --store FILE, or duckdb.path in the settings.")
    }
}

/// None where there is no such file.
fn identity(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
