//! Building an index over one model's documents, while others read and write.
//!
//! CREATE INDEX CONCURRENTLY stands in no transaction and takes its settings from the session: it has a connection of its own,
//! closed afterwards. Broken off, it leaves an invalid index, which is dropped at once, or by the next build.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};
use tokio_util::sync::CancellationToken;

use crate::config::Pooler;
use crate::domain::document::Distance;
use crate::domain::index::{BuildProgress, Index, IndexKind, IndexState, NewIndex, Over};
use crate::store::documents::DocumentIndexes;
use crate::store::{ErrorKind, Result};

use super::extension::Extension;
use super::schema::Part;
use super::{Pg, indexes, json, nearest, partition};

/// Longest vectors that an index takes whole, and at half their size.
const LONGEST: usize = 2000;
const LONGEST_HALF: usize = 4000;

/// How often a build is asked how far it is.
const TICK: Duration = Duration::from_millis(250);

const PROGRESS: &str = "SELECT phase, blocks_done, blocks_total, lockers_done, lockers_total, current_locker_pid::int8 \
     FROM pg_stat_progress_create_index WHERE pid = $1";

/// A build that has been looked into and can begin.
#[derive(Clone, Debug)]
struct Order {
    doing: &'static str,
    name: String,
    table: String,
    sql: String,
    /// What the server is to use, kilobytes; none when it has that much anyway.
    memory: Option<u64>,
    /// Vectors that lie outside the table make it look too small for more than one process.
    outside: bool,
    /// What an earlier build left.
    broken: bool,
}

/// What the task that builds and those who watch it tell each other.
#[derive(Debug, Default)]
struct Course {
    unwanted: AtomicBool,
    /// From here on nothing is to be broken off any more.
    ending: AtomicBool,
}

impl Pg {
    pub(super) async fn build_index(
        &self,
        new: &NewIndex,
        told: &(dyn Fn(BuildProgress) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Index> {
        let doing = "building the index";
        self.may_write(doing)?;
        self.own_session(doing)?;
        new.over.check().map_err(|message| self.error(ErrorKind::Invalid, doing, message))?;
        let order = self.look_into(doing, new, told).await?;
        let name = order.name.clone();
        let client = self.writer(Part::Documents, doing).await?.take();
        let asked = client.query_typed("SELECT pg_backend_pid()", &[]);
        let answer = self.within(doing, asked).await?;
        let pid: i32 = match answer.first() {
            Some(row) => self.value(doing, row, 0)?,
            None => {
                return Err(self.error(ErrorKind::Backend, doing, "PostgreSQL does not name its process"));
            }
        };
        let course = Arc::new(Course::default());
        let building = tokio::spawn(build(client, order, course.clone()));
        let mut watch = Watch { pg: self.clone(), pid, course, over: false };
        let built = watch.until_done(building, told, stop).await;
        if let Err(error) = built {
            let error = error.map_or_else(
                |stopped| self.error(ErrorKind::Cancelled, doing, "the program is ending").source(stopped),
                |error| self.told(doing, error),
            );
            if error.kind == ErrorKind::Cancelled {
                return Err(self.error(
                    ErrorKind::Cancelled,
                    doing,
                    "it was cancelled, and nothing of it is left",
                ));
            }
            return Err(error);
        }
        let all = DocumentIndexes::list(self).await?;
        let made = all.into_iter().find(|index| index.name == name);
        made.ok_or_else(|| {
            self.error(ErrorKind::Conflict, doing, "somebody else dropped it right afterwards")
        })
    }

    /// Neither building nor dropping without keeping others from the table can be done within a transaction.
    pub(super) fn own_session(&self, doing: &str) -> Result<()> {
        if self.shared.settings.pooler == Pooler::None {
            return Ok(());
        }
        let message = "it needs a session of its own, which a pooler of transactions does not give";
        let remedy = "For this one command set LABTOP__POSTGRES__POOLER=none, and PGHOST and PGPORT to the server itself.";
        Err(self.error(ErrorKind::Invalid, doing, message).remedy(remedy))
    }

    /// Everything that can be said before anything is done.
    async fn look_into(
        &self,
        doing: &'static str,
        new: &NewIndex,
        told: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Result<Order> {
        let mut reader = self.reader(Part::Documents, doing).await?;
        let model = json::text(&new.model_name).into_owned();
        let table = partition::table(&model);
        let sql = "SELECT m.dimension, coalesce((SELECT extversion FROM pg_extension WHERE extname = 'vector'), ''), \
             to_regclass('ml_schema.' || $2::text) IS NOT NULL, \
             (SELECT count(*) FROM ml_schema.document_embeddings d WHERE d.model_name = m.name), \
             pg_size_bytes(current_setting('maintenance_work_mem')) / 1024 \
             FROM ml_schema.embedding_models m WHERE m.name = $1";
        let Some(row) = reader.optional(doing, sql, &[&model, &table]).await? else {
            return Err(self.no_model(doing, &model));
        };
        drop(reader);
        let dimension: i32 = self.value(doing, &row, 0)?;
        let dimension = usize::try_from(dimension).unwrap_or_default();
        let version: String = self.value(doing, &row, 1)?;
        let half = dimension > LONGEST;
        self.can_be_made(doing, new.over, dimension, &version)?;
        if !self.value::<bool>(doing, &row, 2)? {
            self.partition_off(doing, &model, dimension).await?;
        }
        let name = indexes::name(&model, new.over);
        let broken = self.no_other(doing, &model, new.over, &name).await?;
        if broken {
            told(note("dropping what a broken build left".to_owned()));
        }
        let rows = self.value::<i64>(doing, &row, 3)?.unsigned_abs();
        let has = self.value::<i64>(doing, &row, 4)?.unsigned_abs();
        let memory = self.memory(new.over, rows, dimension, told).filter(|wanted| *wanted > has);
        let sql = making(&name, &table, new.over, dimension, half);
        let outside = dimension > partition::INLINE && new.over != Over::Metadata;
        Ok(Order { doing, name, table, sql, memory, outside, broken })
    }

    /// What this version of the extension can index.
    fn can_be_made(&self, doing: &str, over: Over, dimension: usize, version: &str) -> Result<()> {
        let Over::Vectors { distance, .. } = over else { return Ok(()) };
        let extension = Extension::new(version);
        if dimension > LONGEST_HALF {
            let message =
                format!("pgvector indexes vectors of at most 4,000 dimensions, and these have {dimension}");
            let remedy = "Searches among them compare every vector; that needs no index.";
            return Err(self.error(ErrorKind::Invalid, doing, message).remedy(remedy));
        }
        if !extension.has_hnsw() {
            return Err(self.too_old(doing, version, "HNSW needs pgvector 0.5"));
        }
        if !extension.has_half() && (distance == Distance::L1 || dimension > LONGEST) {
            return Err(self.too_old(
                doing,
                version,
                "an index for l1 or for more than 2,000 dimensions needs pgvector 0.7",
            ));
        }
        Ok(())
    }

    /// Moves the documents of a model that plain SQL has stored to a partition of their own.
    async fn partition_off(&self, doing: &'static str, model: &str, dimension: usize) -> Result<()> {
        let (pg, model) = (self.clone(), model.to_owned());
        self.carried_out(doing, self.long_patience(), async move {
            let told = |error| pg.told(doing, error);
            let mut client = pg.writer(Part::Documents, doing).await?;
            let transaction = client.transaction().await.map_err(told)?;
            partition::ensure(&transaction, &model, dimension).await.map_err(told)?;
            transaction.commit().await.map_err(told)
        })
        .await
    }

    /// Whether a broken one of ours is in the way; `Conflict` for one that works or is being built.
    async fn no_other(&self, doing: &str, model: &str, over: Over, name: &str) -> Result<bool> {
        let same = |index: &Index| match over {
            Over::Metadata => index.kind == IndexKind::Metadata,
            Over::Vectors { distance, .. } => {
                index.kind == IndexKind::Hnsw && index.distance == Some(distance)
            }
        };
        let known = DocumentIndexes::list(self).await?;
        for index in known.iter().filter(|index| index.model_name == model && same(index)) {
            let there = &index.name;
            let (message, remedy) = match index.state {
                IndexState::Ready => (
                    format!("there is one already: {there}"),
                    format!("To build it anew: labtop docs index drop {there}"),
                ),
                IndexState::Building => (
                    format!("{there} is being built right now"),
                    "Wait for it, or end that build.".to_owned(),
                ),
                IndexState::Broken => continue,
            };
            return Err(self.error(ErrorKind::Conflict, doing, message).remedy(remedy));
        }
        Ok(known.iter().any(|index| index.name == name))
    }

    /// Kilobytes in which the whole graph fits; a build that outgrows its memory takes many times as long.
    fn memory(
        &self,
        over: Over,
        rows: u64,
        dimension: usize,
        told: &(dyn Fn(BuildProgress) + Send + Sync),
    ) -> Option<u64> {
        let Over::Vectors { m, .. } = over else { return None };
        let figure = if dimension > LONGEST { 2 } else { 4 };
        let vector = figure * dimension as u64 + 64 * u64::from(m) + 256;
        // And something for what is written meanwhile.
        let wanted = (rows + rows / 8) * vector / 1024 + 16 * 1024;
        let most = self.shared.settings.index_memory_mb * 1024;
        if wanted > most {
            let phase = format!(
                "the graph needs about {} MB and may take {} (postgres.index_memory_mb): this will be slow",
                wanted / 1024,
                most / 1024
            );
            told(note(phase));
        }
        Some(wanted.min(most))
    }
}

/// Something to say of a build beforehand.
fn note(phase: String) -> BuildProgress {
    BuildProgress { phase, done: 0, total: 0, elapsed: Duration::ZERO }
}

fn making(name: &str, table: &str, over: Over, dimension: usize, half: bool) -> String {
    let using = match over {
        Over::Metadata => "gin (metadata jsonb_path_ops)".to_owned(),
        Over::Vectors { distance, m, ef_construction } => {
            let kind = if half { "halfvec" } else { "vector" };
            let class = nearest::operator_class(distance, half);
            format!(
                "hnsw ((embedding::{kind}({dimension})) {class}) WITH (m = {m}, ef_construction = {ef_construction})"
            )
        }
    };
    format!("CREATE INDEX CONCURRENTLY {name} ON ml_schema.{table} USING {using}")
}

/// The build itself, in a task of its own: whatever becomes of who asked for it, it tidies up.
async fn build(client: ClientWrapper, order: Order, course: Arc<Course>) -> Result<(), Error> {
    let built = in_session(&client, &order, &course).await;
    course.ending.store(true, Ordering::Release);
    if built.is_err() {
        clear(&client, &order.name).await;
    }
    if order.outside {
        let usual = format!("ALTER TABLE ml_schema.{} RESET (parallel_workers)", order.table);
        if let Err(error) = client.batch_execute(&usual).await {
            tracing::debug!(%error, "a table keeps its number of parallel workers");
        }
    }
    built
}

async fn in_session(client: &ClientWrapper, order: &Order, course: &Course) -> Result<(), Error> {
    let mut settings = "SET statement_timeout = 0; SET lock_timeout = 0".to_owned();
    if let Some(kilobytes) = order.memory {
        settings.push_str(&format!("; SET maintenance_work_mem = {kilobytes}"));
    }
    client.batch_execute(&settings).await?;
    // A labtop that is gone is noticed, where the server can do that; an index that nobody waits for is not built.
    let noticing = "SET client_connection_check_interval = '2s'";
    if let Err(error) = client.batch_execute(noticing).await {
        tracing::debug!(%error, "the server does not look whether its client is there");
    }
    if order.broken {
        client.batch_execute(&indexes::dropping(&order.name)).await?;
    }
    if order.outside {
        let more = format!("ALTER TABLE ml_schema.{} SET (parallel_workers = 2)", order.table);
        client.batch_execute(&more).await?;
    }
    if course.unwanted.load(Ordering::Acquire) {
        // The cancel hit between two statements: this one is for the error's sake.
        return client.batch_execute("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)").await;
    }
    match client.batch_execute(&order.sql).await {
        Err(error) if lacks_shared_memory(&error) => {
            tracing::warn!(%error, doing = order.doing, "no room for several processes; going on with one");
            client.batch_execute(&indexes::dropping(&order.name)).await?;
            client.batch_execute("SET max_parallel_maintenance_workers = 0").await?;
            client.batch_execute(&order.sql).await
        }
        built => built,
    }
}

/// As in a container with the usual 64 MB of it.
fn lacks_shared_memory(error: &Error) -> bool {
    error.as_db_error().is_some_and(|answer| {
        *answer.code() == SqlState::DISK_FULL && answer.message().contains("shared memory")
    })
}

/// Drops what the build left. A cancel that was on its way may hit this instead.
async fn clear(client: &ClientWrapper, name: &str) {
    for _ in 0..5 {
        match client.batch_execute(&indexes::dropping(name)).await {
            Ok(()) => return,
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {}
            Err(error) => {
                return tracing::warn!(%error, index = name, "a broken index is left; the next build drops it");
            }
        }
    }
    tracing::warn!(index = name, "a broken index is left; the next build drops it");
}

/// Who looks how far a build is. Dropped before its end, it breaks it off.
struct Watch {
    pg: Pg,
    pid: i32,
    course: Arc<Course>,
    over: bool,
}

impl Watch {
    async fn until_done(
        &mut self,
        mut building: JoinHandle<Result<(), Error>>,
        told: &(dyn Fn(BuildProgress) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Result<Error, tokio::task::JoinError>> {
        let mut ticks = tokio::time::interval(TICK);
        let mut asked = false;
        let mut phase = (String::new(), Instant::now());
        loop {
            tokio::select! {
                done = &mut building => {
                    self.over = true;
                    return match done {
                        Ok(built) => built.map_err(Ok),
                        Err(stopped) => Err(Err(stopped)),
                    };
                }
                () = stop.cancelled(), if !asked => {
                    asked = true;
                    self.break_off();
                }
                _ = ticks.tick() => {
                    let progress = if asked { Some(ending(&mut phase)) } else { self.progress(&mut phase).await };
                    if let Some(progress) = progress {
                        told(progress);
                    }
                }
            }
        }
    }

    async fn progress(&self, last: &mut (String, Instant)) -> Option<BuildProgress> {
        let doing = "asking how far the build is";
        let asked = async {
            let mut reader = self.pg.bare_reader(doing).await?;
            reader.rows_once(doing, PROGRESS, &[(&self.pid, Type::INT4)]).await
        };
        let rows = match asked.await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::debug!(%error, "how far the build is stays unknown");
                return None;
            }
        };
        let (phase, done, total) = in_words(rows.first()?)?;
        Some(BuildProgress { elapsed: since(last, &phase), phase, done, total })
    }

    /// Cancels on the server until the build has heard it.
    fn break_off(&self) {
        self.course.unwanted.store(true, Ordering::Release);
        let (pg, pid, course) = (self.pg.clone(), self.pid, self.course.clone());
        let work = async move {
            let doing = "cancelling the build";
            while !course.ending.load(Ordering::Acquire) {
                let asked = async {
                    let mut reader = pg.bare_reader(doing).await?;
                    reader.rows_once(doing, "SELECT pg_cancel_backend($1)", &[(&pid, Type::INT4)]).await
                };
                if let Err(error) = asked.await {
                    return tracing::warn!(%error, "the build could not be cancelled");
                }
                tokio::time::sleep(TICK).await;
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.over {
            self.break_off();
        }
    }
}

/// How long this has gone on.
fn since(last: &mut (String, Instant), phase: &str) -> Duration {
    if last.0 != phase {
        *last = (phase.to_owned(), Instant::now());
    }
    last.1.elapsed()
}

/// Dropping waits for whoever has touched the table and is not done.
fn ending(last: &mut (String, Instant)) -> BuildProgress {
    let phase = "cancelled: dropping what was built so far".to_owned();
    BuildProgress { elapsed: since(last, &phase), phase, done: 0, total: 0 }
}

/// What the server says of a build, in plain words, and how much of it is done.
fn in_words(row: &Row) -> Option<(String, u64, u64)> {
    let phase: &str = row.try_get(0).ok()?;
    let figure = |column| row.try_get::<_, Option<i64>>(column).ok().flatten().unwrap_or(0).unsigned_abs();
    let (blocks, lockers) = ((figure(1), figure(2)), (figure(3), figure(4)));
    let waits = phase.starts_with("waiting") && (lockers.1 > 0 || figure(5) > 0);
    Some(if waits {
        let whom = match figure(5) {
            0 => String::new(),
            process => format!(" (process {process})"),
        };
        (format!("waiting for transactions of others to end{whom}"), lockers.0, lockers.1)
    } else if phase.starts_with("building") {
        ("building".to_owned(), blocks.0, blocks.1)
    } else if phase.starts_with("index validation") {
        ("adding what was written meanwhile".to_owned(), blocks.0, blocks.1)
    } else {
        ("beginning".to_owned(), 0, 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_vectors_are_indexed_at_half_their_size() {
        let over = Over::Vectors { distance: Distance::Ip, m: 8, ef_construction: 32 };
        assert_eq!(
            making("i", "t", over, 3072, true),
            "CREATE INDEX CONCURRENTLY i ON ml_schema.t USING hnsw ((embedding::halfvec(3072)) halfvec_ip_ops) \
             WITH (m = 8, ef_construction = 32)"
        );
        assert!(making("i", "t", over, 2, false).contains("(embedding::vector(2)) vector_ip_ops"));
        assert!(making("i", "t", Over::Metadata, 2, false).ends_with("gin (metadata jsonb_path_ops)"));
    }
}
