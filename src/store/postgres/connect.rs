//! Connections: the pool, what each connection is told at its start, and reads that can be cancelled.

use std::time::Duration;

use deadpool_postgres::{
    BuildError, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use futures_util::TryStreamExt;
use futures_util::future::{join_all, join3};
use secrecy::ExposeSecret;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Row};

use crate::config;
use crate::store::{ErrorKind, Result};

use super::Pg;

/// A parameter with its type, for statements that are not prepared.
pub(super) type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) fn config(settings: &config::Postgres) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .dbname(&settings.database)
        .user(&settings.user)
        .password(settings.password.expose_secret())
        .application_name("labtop")
        .ssl_mode(SslMode::Disable)
        .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
        // A server that vanished without a word is noticed within half a minute.
        .keepalives_idle(Duration::from_secs(15))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(20));
    config
}

/// The pool; it connects when it is first asked for a connection.
pub(super) fn pool(settings: &config::Postgres, read_only: bool) -> Result<Pool, BuildError> {
    let limit = Duration::from_millis(settings.connect_timeout_ms);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config(settings), NoTls, recycling);
    // By SET and not as a start-up option: poolers between us and the server refuse options they do not know.
    let mut greeting = format!("SET statement_timeout = {}", settings.statement_timeout_ms);
    if read_only {
        greeting.push_str("; SET default_transaction_read_only = on");
    }
    Pool::builder(manager)
        .max_size(settings.pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(limit))
        .create_timeout(Some(limit))
        .recycle_timeout(Some(limit))
        .post_create(Hook::async_fn(move |client, _| {
            let greeting = greeting.clone();
            Box::pin(async move { client.batch_execute(&greeting).await.map_err(HookError::Backend) })
        }))
        .build()
}

/// A pooled connection for reads. Dropped in the middle of one, it cancels the statement in the database and gives the
/// connection up, since a late cancel must not hit somebody else's statement.
pub(super) struct Reader {
    pg: Pg,
    client: Option<Object>,
    busy: bool,
    in_transaction: bool,
}

impl Reader {
    pub(super) fn new(pg: &Pg, client: Object) -> Self {
        Reader { pg: pg.clone(), client: Some(client), busy: false, in_transaction: false }
    }

    /// All rows of a statement that is prepared once per connection.
    pub(super) async fn rows(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        let patience = self.pg.patience();
        let client = self.begin(doing)?;
        let asked = async { client.query(&client.prepare_cached(sql).await?, parameters).await };
        let answer = tokio::time::timeout(patience, asked).await;
        self.end(doing, answer)
    }

    /// All rows of a statement whose text varies: one round trip, nothing kept.
    pub(super) async fn rows_once(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[Typed<'_>],
    ) -> Result<Vec<Row>> {
        let patience = self.pg.patience();
        let client = self.begin(doing)?;
        let answer = tokio::time::timeout(patience, client.query_typed(sql, parameters)).await;
        self.end(doing, answer)
    }

    /// The rows of each statement, all in one transaction under `settings` (SET LOCAL ...) and in one round trip.
    pub(super) async fn rows_under(
        &mut self,
        doing: &str,
        settings: &str,
        statements: &[(&str, &[Typed<'_>])],
    ) -> Result<Vec<Vec<Row>>> {
        let patience = self.pg.patience();
        let begin = format!("BEGIN READ ONLY; {settings}");
        // Dropped before the end, the connection is given up.
        self.in_transaction = true;
        let client = self.begin(doing)?;
        let asked = async {
            let reading = statements.iter().map(|(sql, parameters)| client.query_typed(sql, parameters));
            // Sent in this order before the first answer is here. After an error, COMMIT rolls back.
            let (begun, rows, ended) =
                join3(client.batch_execute(&begin), join_all(reading), client.batch_execute("COMMIT")).await;
            begun?;
            let rows = rows.into_iter().collect::<Result<Vec<_>, _>>();
            ended?;
            rows
        };
        let answer = tokio::time::timeout(patience, asked).await;
        self.in_transaction = answer.is_err();
        self.end(doing, answer)
    }

    pub(super) async fn optional(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>> {
        Ok(self.rows(doing, sql, parameters).await?.into_iter().next())
    }

    pub(super) async fn one(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row> {
        let row = self.optional(doing, sql, parameters).await?;
        row.ok_or_else(|| self.pg.error(ErrorKind::NotFound, doing, "PostgreSQL gave no row back"))
    }

    /// From here to [`Reader::look_away`] every read sees the same: what had been committed at the first of them.
    pub(super) async fn look(&mut self, doing: &str) -> Result<()> {
        self.in_transaction = true;
        self.run(doing, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    pub(super) async fn look_away(&mut self, doing: &str) -> Result<()> {
        self.run(doing, "ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }

    pub(super) async fn run(&mut self, doing: &str, sql: &str) -> Result<()> {
        let patience = self.pg.patience();
        let client = self.begin(doing)?;
        let answer = tokio::time::timeout(patience, client.batch_execute(sql)).await;
        self.end(doing, answer)
    }

    /// The first column of many rows, which are never all in memory.
    pub(super) async fn numbers(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[Typed<'_>],
    ) -> Result<Vec<i64>> {
        let patience = self.pg.patience();
        let client = self.begin(doing)?;
        let reading = async {
            let parameters = parameters.iter().map(|(value, kind)| (*value, kind.clone()));
            let rows = client.query_typed_raw(sql, parameters).await?;
            let mut rows = std::pin::pin!(rows);
            let mut numbers = Vec::new();
            while let Some(row) = rows.try_next().await? {
                numbers.push(row.try_get(0)?);
            }
            Ok(numbers)
        };
        let answer = tokio::time::timeout(patience, reading).await;
        self.end(doing, answer)
    }

    fn begin(&mut self, doing: &str) -> Result<&Object> {
        self.busy = true;
        let lost = || self.pg.error(ErrorKind::Backend, doing, "the connection was given up");
        self.client.as_ref().ok_or_else(lost)
    }

    fn end<T>(
        &mut self,
        doing: &str,
        answer: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        match answer {
            Ok(answer) => {
                self.busy = false;
                answer.map_err(|error| self.pg.told(doing, error))
            }
            // Still busy: dropping the reader cancels it.
            Err(elapsed) => Err(super::error::silent(&self.pg.shared.settings, doing).source(elapsed)),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (true, Some(client)) = (self.busy || self.in_transaction, self.client.take()) else {
            return;
        };
        let client = Object::take(client);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = client.cancel_token().cancel_query(NoTls).await {
                    tracing::debug!(%error, "could not cancel a statement that nobody waits for");
                }
            });
        }
    }
}
