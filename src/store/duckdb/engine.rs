//! The DuckDB file as a lease: its own threads, opened for the work at hand, let go when idle.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use duckdb::Connection;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::config;
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

use super::budget::Budget;
use super::error::{from_duckdb, is_interrupt};
use super::lane::{Job, Lane, Next, Ticket};
use super::lease::{Fingerprint, Lease};
use super::vectors::{Group, Matrices, State};

/// Handle to one DuckDB file, shared by every role that lives in it. Making it does no I/O.
#[derive(Debug)]
pub struct Engine {
    lease: Arc<Lease>,
    idle: Duration,
    /// Transactions that this process committed.
    commits: Arc<AtomicU64>,
    budget: Arc<Budget>,
    matrices: Arc<Matrices>,
    // Reads and writes have their own connections, so that a chart never delays a write and an interrupt never hits one.
    reader: OnceLock<Lane>,
    writer: OnceLock<Lane>,
    /// Reads whole tables, for which nobody waits.
    loader: OnceLock<Lane>,
    /// Work on what nobody has asked for yet.
    ahead: Mutex<Vec<AbortHandle>>,
}

impl Engine {
    pub fn new(settings: &config::DuckDb) -> Arc<Self> {
        Engine::with(settings, false)
    }

    /// `read_only` refuses every write, and neither makes nor migrates the file.
    pub fn with(settings: &config::DuckDb, read_only: bool) -> Arc<Self> {
        let wait = Duration::from_millis(settings.wait_ms);
        Arc::new(Engine {
            lease: Arc::new(Lease::new(settings.path.clone(), wait, read_only)),
            idle: Duration::from_millis(settings.idle_ms),
            commits: Arc::default(),
            budget: Arc::default(),
            matrices: Arc::default(),
            reader: OnceLock::new(),
            writer: OnceLock::new(),
            loader: OnceLock::new(),
            ahead: Mutex::default(),
        })
    }

    pub fn path(&self) -> &Path {
        self.lease.path()
    }

    /// What stays the same as long as nobody writes.
    pub(super) fn stamp(&self) -> Stamp {
        // The count as well: a commit is in the file a moment before readers see it.
        Stamp { commits: self.commits.load(Ordering::Acquire), file: self.lease.fingerprint() }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The vectors that are held in memory.
    pub fn matrices(&self) -> &Arc<Matrices> {
        &self.matrices
    }

    /// The state of the vectors of a group; to be asked while the file is open, in the work of a read.
    pub(super) fn vectors(&self, group: &Group) -> State {
        self.matrices.state(group, self.lease.outside())
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Reads. Dropping the future interrupts the query, or skips it if it has not begun. A long one may be interrupted
    /// and done again when another process waits for the file, so `work` must not change anything.
    pub async fn read<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> duckdb::Result<T> + Send + 'static,
    {
        self.read_checked(doing, move |connection, path| {
            work(connection).map_err(|error| from_duckdb(error, doing, path))
        })
        .await
    }

    /// Reads, with errors of the store's own.
    pub async fn read_checked<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection, &Path) -> Result<T> + Send + 'static,
    {
        let budget = self.budget.clone();
        let work = move |connection: &Connection, path: &Path| {
            budget.or_plenty(connection, || work(connection, path))
        };
        self.read_on(self.lane(&self.reader, "duckdb-read", true)?, doing, work).await
    }

    /// Reads what takes long, beside the reads that somebody waits for.
    pub(super) async fn read_aside<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection, &Path) -> Result<T> + Send + 'static,
    {
        self.read_on(self.lane(&self.loader, "duckdb-load", true)?, doing, work).await
    }

    async fn read_on<T, F>(&self, lane: &Lane, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection, &Path) -> Result<T> + Send + 'static,
    {
        let ticket = Ticket::default();
        let unwanted = CancelOnDrop(ticket.clone());
        let (tell, answer) = oneshot::channel();
        let path = self.path().to_owned();
        let mut tell = Some(tell);
        let work = Box::new(move |connection: Result<&Connection>, yielded: &AtomicBool| {
            let result = connection.and_then(|connection| work(connection, &path));
            let interrupted = matches!(&result, Err(error) if error.kind == ErrorKind::Cancelled);
            if interrupted && yielded.load(Ordering::Acquire) {
                return Next::Again;
            }
            answer_with(&mut tell, result)
        });
        lane.send(Job::new(ticket, work)).await?;
        let result = answer.await.unwrap_or_else(|_| Err(ended(doing)));
        drop(unwanted);
        result.map_err(|error| named(error, doing))
    }

    /// Writes in one transaction: committed when `work` succeeds, rolled back when it fails. Once handed over it is
    /// carried out, whether or not anybody waits for it.
    pub async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Path) -> Result<T> + Send + 'static,
    {
        self.write_of(None, doing, work).await
    }

    /// Writes vectors: what is held of that group in memory is good no more. Whoever writes to their tables must come by
    /// here.
    pub(super) async fn write_vectors<T, F>(&self, group: Group, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Path) -> Result<T> + Send + 'static,
    {
        self.write_of(Some(group), doing, work).await
    }

    async fn write_of<T, F>(&self, group: Option<Group>, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Path) -> Result<T> + Send + 'static,
    {
        if self.lease.is_read_only() {
            return Err(StoreError::read_only(Backend::DuckDb, doing));
        }
        let lane = self.lane(&self.writer, "duckdb-write", false)?;
        let (tell, answer) = oneshot::channel();
        let path = self.path().to_owned();
        let (commits, budget, matrices) = (self.commits.clone(), self.budget.clone(), self.matrices.clone());
        let (mut tell, mut work) = (Some(tell), Some(work));
        let work = Box::new(move |connection: Result<&Connection>, _: &AtomicBool| {
            let Some(work) = work.take() else { return Next::Go };
            group.iter().for_each(|group| matrices.written(group));
            let result = connection.and_then(|connection| {
                let _plenty = budget.write(connection);
                transaction(connection, doing, &path, work)
            });
            group.iter().for_each(|group| matrices.written(group));
            commits.fetch_add(1, Ordering::AcqRel);
            answer_with(&mut tell, result)
        });
        lane.send(Job::new(Ticket::default(), work)).await?;
        answer.await.unwrap_or_else(|_| Err(ended(doing))).map_err(|error| named(error, doing))
    }

    /// Writes where nothing can go wrong but DuckDB itself.
    pub async fn write_plain<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> duckdb::Result<T> + Send + 'static,
    {
        self.write(doing, move |connection, path| {
            work(connection).map_err(|error| from_duckdb(error, doing, path))
        })
        .await
    }

    pub async fn health(&self) -> Result<Health> {
        let begun = Instant::now();
        let version = self
            .read("asking DuckDB for its version", |connection| {
                connection.query_row("SELECT version()", [], |row| row.get::<_, String>(0))
            })
            .await?;
        Ok(Health {
            backend: Backend::DuckDb,
            place: self.path().display().to_string(),
            version: format!("DuckDB {}", version.trim_start_matches('v')),
            latency: begun.elapsed(),
        })
    }

    /// Works on what nobody has asked for yet; given up when the file is let go.
    pub(super) fn spawn_ahead(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let work = tokio::spawn(work).abort_handle();
        let mut ahead = self.ahead();
        ahead.retain(|work| !work.is_finished());
        ahead.push(work.clone());
        work
    }

    fn ahead(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        // Each change leaves it right at once.
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes what is under way and closes the file, so that everything is in it and its log is empty. What comes
    /// later opens it again.
    pub async fn let_go(&self) {
        self.ahead().drain(..).for_each(|work| work.abort());
        for lane in [&self.writer, &self.reader, &self.loader].into_iter().filter_map(OnceLock::get) {
            lane.let_go().await;
        }
    }

    fn lane<'a>(&self, cell: &'a OnceLock<Lane>, name: &str, yields: bool) -> Result<&'a Lane> {
        if cell.get().is_none() {
            let lane = Lane::start(name, self.lease.clone(), self.idle, yields)?;
            // Somebody else may have been faster; then this thread ends at once.
            let _ = cell.set(lane);
        }
        cell.get().ok_or_else(|| ended("starting a thread"))
    }
}

/// A state of the file, as far as it can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: Fingerprint,
    commits: u64,
}

/// Tells the result to who asked, who may be gone, and says what the lane does next.
fn answer_with<T>(tell: &mut Option<oneshot::Sender<Result<T>>>, result: Result<T>) -> Next {
    let broken =
        matches!(&result, Err(error) if matches!(error.kind, ErrorKind::Backend | ErrorKind::Unavailable));
    if let Some(tell) = tell.take() {
        let _ = tell.send(result);
    }
    if broken { Next::Reopen } else { Next::Go }
}

/// One look at everything: nothing that is written between two statements is seen by the second alone.
pub(super) fn snapshot<T>(
    connection: &Connection,
    look: impl FnOnce() -> duckdb::Result<T>,
) -> duckdb::Result<T> {
    let found = connection.execute_batch("BEGIN TRANSACTION").and_then(|()| look());
    roll_back(connection);
    found
}

/// Ends the transaction, if there is one. An interrupt that comes late hits this instead of the work, and a transaction
/// that it leaves open refuses all that comes after.
fn roll_back(connection: &Connection) {
    while let Err(error) = connection.execute_batch("ROLLBACK") {
        if !is_interrupt(&error) {
            // As when the beginning was interrupted before there was one.
            return tracing::debug!("rolling back: {error}");
        }
    }
}

fn transaction<T>(
    connection: &Connection,
    doing: &str,
    path: &Path,
    work: impl FnOnce(&Connection, &Path) -> Result<T>,
) -> Result<T> {
    let failed = |error| from_duckdb(error, doing, path);
    connection.execute_batch("BEGIN TRANSACTION").map_err(failed)?;
    let result = work(connection, path);
    match result {
        Ok(value) => {
            connection.execute_batch("COMMIT").map_err(failed)?;
            Ok(value)
        }
        Err(error) => {
            if let Err(rollback) = connection.execute_batch("ROLLBACK") {
                tracing::warn!("rolling back: {rollback}");
            }
            Err(error)
        }
    }
}

fn ended(doing: &str) -> StoreError {
    StoreError::new(ErrorKind::Backend, Backend::DuckDb, doing, "the thread that worked on it ended")
}

/// An error of opening says what it was opened for.
fn named(error: StoreError, doing: &str) -> StoreError {
    error.doing(doing)
}

struct CancelOnDrop(Ticket);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Appetite;
    use super::*;

    #[test]
    fn an_interrupt_at_any_moment_leaves_no_transaction_behind() {
        let connection = Connection::open_in_memory().unwrap();
        let (handle, over) = (connection.interrupt_handle(), AtomicBool::new(false));
        let interrupt = || {
            for pause in (0..10_000).cycle().step_by(37).take_while(|_| !over.load(Ordering::Acquire)) {
                (0..pause).for_each(|_| std::hint::spin_loop());
                handle.interrupt();
            }
        };
        let count =
            || connection.query_row("SELECT count(*) FROM range(1000)", [], |row| row.get::<_, i64>(0));
        let errors: Vec<duckdb::Error> = std::thread::scope(|scope| {
            scope.spawn(interrupt);
            let errors = (0..2_000).filter_map(|_| snapshot(&connection, count).err()).collect();
            over.store(true, Ordering::Release);
            errors
        });
        assert!(!errors.is_empty());
        assert!(errors.iter().all(is_interrupt), "{errors:?}");
    }

    #[tokio::test]
    async fn a_read_that_takes_much_has_it_beside_one_that_is_kept_to_little() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.duckdb");
        let engine = Engine::new(&config::DuckDb { path, wait_ms: 30_000, idle_ms: 1_000 });
        let ((begun, has_begun), (end, ending)) = (oneshot::channel(), oneshot::channel::<()>());
        let waits = Mutex::new(Some((begun, ending)));
        let file = engine.clone();
        let aside = engine.read_aside("reading little", move |connection, _| {
            file.budget().read(connection, Appetite::Least, || {
                if let Some((begun, ending)) = waits.lock().unwrap().take() {
                    begun.send(()).unwrap();
                    ending.blocking_recv().unwrap();
                }
                Ok(())
            })
        });
        let much = async {
            has_begun.await.unwrap();
            let count = engine.read("counting", |connection| {
                connection.execute_batch("SET temp_directory = ''")?;
                let sql = "SELECT count(DISTINCT hash(range)) FROM range(5000000)";
                connection.query_row(sql, [], |row| row.get::<_, i64>(0))
            });
            let count = count.await;
            end.send(()).unwrap();
            count
        };
        let (aside, much) = tokio::join!(aside, much);
        aside.unwrap();
        assert_eq!(much.unwrap(), 5_000_000);
    }
}
