//! Reads that can be cancelled.

use futures_util::TryStreamExt;
use futures_util::future::{join_all, join3};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::store::{ErrorKind, Result};

use super::Pg;
use super::link::Connection;

/// A parameter with its type, for statements that are not prepared.
pub(super) type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

/// A pooled connection for reads. Dropped in the middle of one, it cancels the statement in the database and gives the
/// connection up, since a late cancel must not hit somebody else's statement.
pub(super) struct Reader {
    pg: Pg,
    client: Option<Connection>,
    busy: bool,
    in_transaction: bool,
}

impl Reader {
    pub(super) fn new(pg: &Pg, client: Connection) -> Self {
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
        // Dropped before the end, the connection is given up.
        self.in_transaction = true;
        let own = self.client.as_mut().map_or(String::new(), |client| {
            client.within = true;
            client.settings()
        });
        let begin = format!("BEGIN READ ONLY{own}; {settings}");
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
        if let Some(client) = &mut self.client {
            client.within = false;
        }
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
        let mut begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
        if let Some(client) = &mut self.client {
            client.within = true;
            begin.push_str(&client.settings());
        }
        self.run(doing, &begin).await
    }

    pub(super) async fn look_away(&mut self, doing: &str) -> Result<()> {
        self.run(doing, "ROLLBACK").await?;
        self.in_transaction = false;
        if let Some(client) = &mut self.client {
            client.within = false;
        }
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

    fn begin(&mut self, doing: &str) -> Result<&Connection> {
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
        let client = client.take();
        let Some((way, _)) = self.pg.shared.pool.get() else { return };
        let tls = way.tls.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = client.cancel_token().cancel_query(tls).await {
                    tracing::debug!(%error, "could not cancel a statement that nobody waits for");
                }
            });
        }
    }
}
