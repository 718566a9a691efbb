//! Experiments, batches, the outbox and documents in PostgreSQL, the last with pgvector.
//!
//! Everything goes through one pool. Reads are cancelled in the database when their future is dropped; writes of more than one
//! statement run as tasks of their own, so that one that has begun is carried out.

mod adopt;
mod build;
mod changes;
mod connect;
mod copy;
mod documents;
mod entries;
mod error;
mod experiments;
mod extension;
mod follow;
mod indexes;
mod inspect;
mod json;
mod link;
mod list;
mod nearest;
mod orders;
mod outbox;
mod outline;
mod partition;
mod passfile;
mod queue;
mod reader;
mod rows;
mod schema;
mod survey;
#[cfg(test)]
mod tests;
mod text_search;
mod tls;
mod transfer;
mod workers;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio::sync::OnceCell;

use crate::config;

use super::{Backend, ErrorKind, Health, Result, StoreError};

pub use changes::PgChanges;

use connect::Way;
use link::{Connection, Unnamed};
use reader::Reader;
use schema::Part;

/// A PostgreSQL database; cheap to clone. Making one does no I/O: it connects, and brings an empty or older schema up to
/// date, at its first use.
#[derive(Clone)]
pub struct Pg {
    shared: Arc<Shared>,
}

struct Shared {
    settings: config::Postgres,
    read_only: bool,
    /// Behind a pooler of transactions.
    unnamed: Option<Arc<Unnamed>>,
    pool: OnceCell<(Way, Pool)>,
    /// Set once the tables of experiments are known to be there.
    experiments_ready: OnceCell<()>,
    /// Set once the vector extension and the tables of documents are known to be there.
    documents_ready: OnceCell<()>,
    orders: orders::Orders,
}

impl fmt::Debug for Pg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pg").field("place", &self.address()).finish_non_exhaustive()
    }
}

impl Pg {
    pub fn new(settings: &config::Postgres) -> Arc<Self> {
        Pg::with(settings, false)
    }

    /// `read_only` refuses every write here, by the server too, and migrates nothing.
    pub fn with(settings: &config::Postgres, read_only: bool) -> Arc<Self> {
        let unnamed = match settings.pooler {
            config::Pooler::None => None,
            config::Pooler::Transaction => {
                Some(Arc::new(Unnamed::new(settings.statement_timeout_ms, read_only)))
            }
        };
        let shared = Shared {
            unnamed,
            settings: settings.clone(),
            read_only,
            pool: OnceCell::new(),
            experiments_ready: OnceCell::new(),
            documents_ready: OnceCell::new(),
            orders: orders::Orders::default(),
        };
        Arc::new(Pg { shared: Arc::new(shared) })
    }

    /// A listener on the changes that other programs make to experiments and batches. It connects at its first use.
    pub fn changes(&self) -> PgChanges {
        PgChanges::new(self.clone())
    }

    /// `host:port/database`.
    fn address(&self) -> String {
        let config::Postgres { host, port, database, .. } = &self.shared.settings;
        format!("{host}:{port}/{database}")
    }

    /// How long to wait for one statement before giving up on the connection: the server's own limit comes first.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.shared.settings.statement_timeout_ms) + Duration::from_secs(2)
    }

    /// The same for a write that moves much.
    fn long_patience(&self) -> Duration {
        self.patience() * 10
    }

    fn error(&self, kind: ErrorKind, doing: &str, message: impl Into<String>) -> StoreError {
        StoreError::new(kind, Backend::Postgres, doing, message)
    }

    /// Puts what the driver said into our words.
    fn told(&self, doing: &str, error: tokio_postgres::Error) -> StoreError {
        error::told(&self.shared.settings, doing, error)
    }

    /// How the server is reached, and the pool of connections to it.
    async fn reach(&self, doing: &str) -> Result<&(Way, Pool)> {
        let shared = &self.shared;
        let reach = || async {
            let settings = shared.settings.clone();
            // Files are read.
            let way = tokio::task::spawn_blocking(move || Way::find(&settings)).await.map_err(|stopped| {
                self.error(ErrorKind::Cancelled, doing, "the program is ending").source(stopped)
            })?;
            let way = way.map_err(|words| error::finish(doing, words))?;
            let pool = connect::pool(&way, &shared.settings, shared.read_only)
                .map_err(|problem| self.error(ErrorKind::Invalid, doing, problem.to_string()))?;
            Ok((way, pool))
        };
        shared.pool.get_or_try_init(reach).await
    }

    /// What stood in the way of the password file, for whoever is refused for want of a password.
    fn unheard(&self) -> Option<&str> {
        self.shared.pool.get()?.0.unheard.as_deref()
    }

    /// A connection, whatever the schema.
    async fn connection(&self, doing: &str) -> Result<Connection> {
        let (_, pool) = self.reach(doing).await?;
        match pool.get().await {
            Ok(object) => Ok(Connection::new(object, self.shared.unnamed.clone())),
            Err(error) => Err(error::pool(&self.shared.settings, doing, error, self.unheard())),
        }
    }

    /// A connection for reading, whatever the schema.
    async fn bare_reader(&self, doing: &str) -> Result<Reader> {
        Ok(Reader::new(self, self.connection(doing).await?))
    }

    /// A connection for reading one part of our tables.
    async fn reader(&self, part: Part, doing: &str) -> Result<Reader> {
        self.ready(part, doing).await?;
        self.bare_reader(doing).await
    }

    /// A connection for writing to one part of our tables.
    async fn writer(&self, part: Part, doing: &str) -> Result<Connection> {
        self.may_write(doing)?;
        self.ready(part, doing).await?;
        self.connection(doing).await
    }

    fn may_write(&self, doing: &str) -> Result<()> {
        if self.shared.read_only { Err(StoreError::read_only(Backend::Postgres, doing)) } else { Ok(()) }
    }

    /// Says who answers, and in what time.
    async fn greet(&self) -> Result<Health> {
        let doing = "asking PostgreSQL for its version";
        let mut reader = self.bare_reader(doing).await?;
        let asked = Instant::now();
        let sql = "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector'), \
                   current_setting('server_version_num')::int4";
        let row = reader.one(doing, sql, &[]).await?;
        let latency = asked.elapsed();
        let read = |error| self.told(doing, error);
        self.demand_version(doing, row.try_get(2).map_err(read)?)?;
        let server: String = row.try_get(0).map_err(read)?;
        let server = server.split_whitespace().next().unwrap_or_default();
        let vector: Option<String> = row.try_get(1).map_err(read)?;
        let vector = vector.map_or("no pgvector".to_owned(), |version| format!("pgvector {version}"));
        Ok(Health {
            backend: Backend::Postgres,
            place: self.address(),
            version: format!("PostgreSQL {server}, {vector}"),
            latency,
        })
    }

    /// Waits for a write of one statement, and puts what went wrong into our words.
    async fn within<T>(
        &self,
        doing: &str,
        statement: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.patience(), statement).await {
            Ok(answer) => answer.map_err(|error| self.told(doing, error)),
            Err(elapsed) => Err(error::silent(&self.shared.settings, doing).source(elapsed)),
        }
    }

    /// Runs a write of several statements in a task of its own: dropping the caller's future does not stop it half-way.
    async fn carried_out<T: Send + 'static>(
        &self,
        doing: &str,
        limit: Duration,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match tokio::spawn(tokio::time::timeout(limit, work)).await {
            Ok(Ok(result)) => result,
            Ok(Err(elapsed)) => Err(error::silent(&self.shared.settings, doing).source(elapsed)),
            Err(stopped) if stopped.is_cancelled() => {
                Err(self.error(ErrorKind::Cancelled, doing, "the program is ending").source(stopped))
            }
            Err(panicked) => Err(self
                .error(ErrorKind::Backend, doing, "a bug in labtop stopped it half-way; nothing was stored")
                .source(panicked)),
        }
    }
}
