//! The open database: shared by the lanes of this process, closed when the last one lets go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use duckdb::{AccessMode, Config, Connection};
use tokio::sync::Notify;

use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::error::{from_duckdb, is_held_elsewhere};
use super::schema;
use super::turn::{BREATH, Held, ROUND, STEP, Turn};

/// Size and time of the file and of its log: what changes when somebody writes.
pub type Fingerprint = [Option<(u64, SystemTime)>; 2];

/// What a process has the file for at least, though another labtop asks for it: opening and closing cost about as much.
const TURN: Duration = Duration::from_millis(40);

/// The same for its first turn: a command that does one thing ends in it, on a busy machine too, and needs no second one.
const FIRST_TURN: Duration = Duration::from_millis(150);

/// Longest that this process keeps the file while it is busy and no labtop asks for it. Other programs can only try
/// again and again; between shifts they get in.
const SHIFT: Duration = Duration::from_millis(1500);

/// The same for as long as another program uses the file now and then.
const SHARED_SHIFT: Duration = ROUND;
/// How long one that was met at the file is reckoned with.
const COMPANY: Duration = Duration::from_secs(10);

/// Bytes of DuckDB's log that are left to the next who opens the file: about five turns of a busy batch.
const LONGEST_LOG: u64 = 128 * 1024;

/// A wait for one turn beyond that is told to the user.
const LONG: Duration = Duration::from_millis(500);

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
    /// How often that was found.
    outside: AtomicU64,
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
    /// When it was let go for another labtop.
    gave_way: Option<Instant>,
    /// When another program was met at the file.
    company: Option<Instant>,
}

/// The open database. Fields are dropped in order: closing writes the log into the file, only then may others have it.
#[derive(Debug)]
struct Root {
    connection: Connection,
    held: Held,
    since: Instant,
    /// How long it was waited for.
    wait: Wait,
    /// Which file it is, whatever has its name by now.
    file: Identity,
}

/// What the way to the open file took.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// Other processes of labtop, and leaving the file alone.
    turn: Duration,
    /// Another program.
    program: Duration,
    opening: Duration,
}

impl Wait {
    /// Tells of the turn that is over, and what it was like.
    fn tell(self, had: Duration, closing: Duration) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        tracing::debug!(
            "had the file for {:.1} ms: turn {:.1} program {:.1} opening {:.1} closing {:.1}",
            ms(had),
            ms(self.turn),
            ms(self.program),
            ms(self.opening),
            ms(closing)
        );
        let waited = self.turn + self.program;
        if waited > LONG {
            tracing::info!("waited {} ms for the DuckDB file", waited.as_millis());
        }
    }
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
            outside: AtomicU64::new(0),
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
        while self.is_over(&open) && (asked.elapsed() < BREATH || self.turn.is_wanted()) {
            let waited = self.closed.wait_timeout(open, STEP).unwrap_or_else(PoisonError::into_inner);
            open = waited.0;
        }
        if open.root.is_none() {
            if let Some(since) = open.gave_way.take() {
                std::thread::sleep(STEP.saturating_sub(since.elapsed()));
            }
            if open.left.is_some() && identity(&self.path).is_none() {
                return Err(self.removed());
            }
            let (root, found) = self.open_file(patient, &mut open.company)?;
            open.root = Some(root);
            if open.left.is_some_and(|left| left != found) {
                self.outside.fetch_add(1, Ordering::AcqRel);
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
        self.is_over(&self.lock())
    }

    fn is_over(&self, open: &Open) -> bool {
        let Some(root) = &open.root else { return false };
        let had = root.since.elapsed();
        let has_company = open.company.is_some_and(|met| met.elapsed() < COMPANY);
        let shift = if has_company { SHARED_SHIFT } else { SHIFT };
        let turn = if open.left.is_none() { FIRST_TURN } else { TURN };
        had >= shift || (had >= turn && self.turn.is_wanted())
    }

    /// A lane lets go; the last one closes the file.
    pub fn leave(&self, connection: Connection) {
        let mut open = self.lock();
        drop(connection);
        open.lanes = open.lanes.saturating_sub(1);
        if open.lanes == 0
            && let Some(Root { connection, held, since, wait, .. }) = open.root.take()
        {
            let had = since.elapsed();
            let wanted = self.turn.is_wanted();
            if wanted {
                self.hurry(&connection);
            }
            // Closing writes the log into the file, or leaves it to the next; only then may others have it.
            drop(connection);
            open.left = Some(self.fingerprint());
            drop(held);
            open.gave_way = wanted.then(Instant::now);
            self.closed.notify_all();
            wait.tell(had, since.elapsed().saturating_sub(had));
        }
    }

    /// Has the log left as it is, since somebody waits: the next reads it in 15 ms, and writing it into a file with many
    /// experiments takes 60 ms. That is done once the log has become long, or nobody waits.
    fn hurry(&self, connection: &Connection) {
        let log = fs::metadata(self.log()).map_or(0, |metadata| metadata.len());
        if log > LONGEST_LOG {
            return;
        }
        if let Err(error) = connection.execute_batch("PRAGMA disable_checkpoint_on_shutdown") {
            // It only takes longer.
            tracing::debug!("closing the file: {error}");
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

    /// How often another process was found to have written to the file. While it is open here that cannot change.
    pub fn outside(&self) -> u64 {
        self.outside.load(Ordering::Acquire)
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
        let mut changed = self.changed_outside.swap(false, Ordering::AcqRel);
        let Ok(mut open) = self.open.try_lock() else { return changed };
        if open.root.is_none() && open.left.is_some() {
            let now = Some(self.fingerprint());
            if open.left != now {
                self.outside.fetch_add(1, Ordering::AcqRel);
                changed = true;
            }
            open.left = now;
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // A panic while holding it leaves counts that are still right: every change is made at once.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Also the state in which the file was found. Notes in `company` when another program had it.
    fn open_file(
        &self,
        patient: &dyn Fn() -> bool,
        company: &mut Option<Instant>,
    ) -> Result<(Root, Fingerprint)> {
        if self.read_only {
            self.must_exist()?;
        } else if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| self.no_access(&error))?;
        }
        let asked = Instant::now();
        let held = self.turn.take(patient).map_err(|error| self.no_access(&error))?;
        let Some(held) = held else {
            return Err(self
                .unavailable("another labtop keeps it busy")
                .remedy("Try again, or raise duckdb.wait_ms in the settings."));
        };
        let came = Instant::now();
        loop {
            // Looked at only now: whoever had it before may have written.
            let (found, begun) = (self.fingerprint(), Instant::now());
            match self.connect() {
                Ok(connection) => {
                    let wait = Wait { turn: came - asked, program: begun - came, opening: begun.elapsed() };
                    let file = identity(&self.path);
                    return Ok((Root { connection, held, since: Instant::now(), wait, file }, found));
                }
                Err(error) if is_held_elsewhere(&error) => {
                    *company = Some(Instant::now());
                    if !patient() {
                        return Err(error);
                    }
                    // The longer it lasts, the less often.
                    std::thread::sleep((came.elapsed() / 8).clamp(STEP, 20 * STEP));
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
        [&self.path, &self.log()].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        })
    }

    /// Where DuckDB keeps what is not in the file yet.
    fn log(&self) -> PathBuf {
        let mut log = self.path.clone().into_os_string();
        log.push(".wal");
        log.into()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(folder: &tempfile::TempDir, read_only: bool) -> Lease {
        Lease::new(folder.path().join("a.duckdb"), Duration::from_secs(30), read_only)
    }

    #[test]
    fn whoever_waits_in_vain_is_told_of_the_other_labtop() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (lease(&folder, false), lease(&folder, false));
        let connection = first.enter(&|| true).unwrap();
        let begun = Instant::now();
        let error = second.enter(&|| begun.elapsed() < Duration::from_millis(30)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("another labtop keeps it busy"), "{error}");
        assert!(error.remedy.unwrap().contains("duckdb.wait_ms"));
        first.leave(connection);
        assert!(second.enter(&|| true).is_ok());
    }

    #[test]
    fn the_log_is_left_to_one_who_waits_and_written_when_nobody_does() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (lease(&folder, false), lease(&folder, false));
        let log = || fs::metadata(first.log()).is_ok_and(|metadata| metadata.len() > 0);
        let connection = first.enter(&|| true).unwrap();
        connection.execute_batch("CREATE TABLE t AS SELECT 42 AS answer").unwrap();
        first.leave(connection);
        assert!(!log());
        let connection = first.enter(&|| true).unwrap();
        connection.execute_batch("INSERT INTO t VALUES (43)").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| second.enter(&|| true).unwrap());
            while !first.is_wanted() {
                std::thread::yield_now();
            }
            first.leave(connection);
            let connection = waiting.join().unwrap();
            assert!(log());
            let sum = |connection: &Connection| {
                connection.query_row("SELECT sum(answer)::INTEGER FROM t", [], |row| row.get(0))
            };
            assert_eq!(sum(&connection), Ok(85));
            // One that only looks reads the log as well.
            let looking = lease(&folder, true);
            let looking = scope.spawn(move || sum(&looking.enter(&|| true).unwrap()));
            while !second.is_wanted() {
                std::thread::yield_now();
            }
            connection.execute_batch("INSERT INTO t VALUES (44)").unwrap();
            second.leave(connection);
            assert_eq!(looking.join().unwrap(), Ok(129));
            assert!(log());
        });
        first.leave(first.enter(&|| true).unwrap());
        assert!(!log());
    }
}
