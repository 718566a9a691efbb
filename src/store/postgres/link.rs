//! A connection of the pool, and a transaction on it.
//!
//! Behind a pooler of transactions every statement may meet another server process, which knows nothing of what was prepared or
//! set before. There, statements have no name: their parameters' types are asked for once per program, and go along with
//! each use. What a session would be told is told to each transaction. The methods are those of the driver, so that whoever
//! has a connection need not know.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::{ClientWrapper, Object};
use tokio_postgres::types::{Kind, Oid, ToSql, Type};
use tokio_postgres::{Client, Error, Row, SimpleQueryMessage, Statement};
use uuid::Uuid;

use super::reader::Typed;

/// Statements whose types are remembered; there are far fewer, and should that ever change, they are asked for again.
const MOST_KNOWN: usize = 1000;

/// Names that the driver gave within this transaction; it has no way of doing without when it copies.
const NAMED: &str = "SELECT name FROM pg_prepared_statements WHERE prepare_time >= transaction_timestamp()";

/// What is kept where sessions keep nothing.
#[derive(Debug)]
pub(super) struct Unnamed {
    /// What each transaction is told at its start.
    settings: String,
    known: Mutex<HashMap<String, Arc<[Type]>>>,
}

impl Unnamed {
    pub(super) fn new(statement_timeout_ms: u64, read_only: bool) -> Self {
        let mut settings = format!("SET LOCAL statement_timeout = {statement_timeout_ms}");
        if read_only {
            settings.push_str("; SET TRANSACTION READ ONLY");
        }
        Unnamed { settings, known: Mutex::default() }
    }

    /// The types of a statement's parameters, as the server has them.
    async fn types(&self, client: &Client, sql: &str) -> Result<Arc<[Type]>, Error> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(types) = known().get(sql) {
            return Ok(types.clone());
        }
        let types: Arc<[Type]> = ask_types(client, sql).await?.into();
        let mut known = known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(sql.to_owned(), types.clone());
        Ok(types)
    }
}

/// In one message, which is one transaction if none is open: prepared, looked at and forgotten.
async fn ask_types(client: &Client, sql: &str) -> Result<Vec<Type>, Error> {
    let name = format!("labtop_{}", Uuid::new_v4().simple());
    let text = format!(
        "PREPARE {name} AS {sql}; \
         SELECT kind.oid::int8, kind.typname, space.nspname, coalesce(element.oid, 0)::int8, element.typname \
         FROM pg_prepared_statements statement, \
             unnest(statement.parameter_types::oid[]) WITH ORDINALITY AS parameter (oid, place) \
         JOIN pg_type kind ON kind.oid = parameter.oid JOIN pg_namespace space ON space.oid = kind.typnamespace \
         LEFT JOIN pg_type element ON element.oid = kind.typelem AND kind.typcategory = 'A' \
         WHERE statement.name = '{name}' ORDER BY parameter.place; \
         DEALLOCATE {name}"
    );
    let told = client.simple_query(&text).await?;
    let types = told.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let text = |column: usize| row.get(column).unwrap_or_default();
            let oid = |column: usize| text(column).parse::<Oid>().unwrap_or_default();
            let element = (oid(3) != 0).then(|| kind_of(oid(3), text(4), text(2), Kind::Simple));
            Some(kind_of(oid(0), text(1), text(2), element.map_or(Kind::Simple, Kind::Array)))
        }
        _ => None,
    });
    Ok(types.collect())
}

/// The numbers of an extension's types differ from database to database.
fn kind_of(oid: Oid, name: &str, space: &str, kind: Kind) -> Type {
    Type::from_oid(oid).unwrap_or_else(|| Type::new(name.to_owned(), oid, kind, space.to_owned()))
}

/// A statement that is prepared, or is to go unnamed.
pub(super) enum Prepared {
    Named(Statement),
    Unnamed(String),
}

/// What can be asked: a text, or something prepared.
pub(super) trait Ask {
    fn ask(&self) -> Asked<'_>;
}

pub(super) enum Asked<'a> {
    Text(&'a str),
    Named(&'a Statement),
}

impl Ask for str {
    fn ask(&self) -> Asked<'_> {
        Asked::Text(self)
    }
}

impl Ask for String {
    fn ask(&self) -> Asked<'_> {
        Asked::Text(self)
    }
}

impl Ask for Prepared {
    fn ask(&self) -> Asked<'_> {
        match self {
            Prepared::Named(statement) => Asked::Named(statement),
            Prepared::Unnamed(text) => Asked::Text(text),
        }
    }
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

fn typed<'a>(parameters: Parameters<'a>, types: &[Type]) -> Vec<Typed<'a>> {
    parameters.iter().copied().zip(types.iter().cloned()).collect()
}

/// A connection of the pool. What it does not do by itself, the driver's client does.
pub(super) struct Connection {
    object: Object,
    unnamed: Option<Arc<Unnamed>>,
    /// A transaction is open that was begun by hand.
    pub(super) within: bool,
}

impl Connection {
    pub(super) fn new(object: Object, unnamed: Option<Arc<Unnamed>>) -> Self {
        Connection { object, unnamed, within: false }
    }

    /// What a transaction that is begun by hand is told, after a semicolon.
    pub(super) fn settings(&self) -> String {
        self.unnamed.as_ref().map_or(String::new(), |unnamed| format!("; {}", unnamed.settings))
    }

    /// Takes it out of the pool.
    pub(super) fn take(self) -> ClientWrapper {
        Object::take(self.object)
    }

    pub(super) async fn prepare_cached(&self, sql: &str) -> Result<Prepared, Error> {
        match &self.unnamed {
            Some(_) => Ok(Prepared::Unnamed(sql.to_owned())),
            None => Ok(Prepared::Named(self.object.prepare_cached(sql).await?)),
        }
    }

    pub(super) async fn query<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        match (sql.ask(), &self.unnamed) {
            (Asked::Named(statement), _) => self.object.query(statement, parameters).await,
            (Asked::Text(text), None) => self.object.query(text, parameters).await,
            (Asked::Text(text), Some(unnamed)) => {
                let types = unnamed.types(self, text).await?;
                self.query_typed(text, &typed(parameters, &types)).await
            }
        }
    }

    pub(super) async fn query_opt<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    pub(super) async fn query_one<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<Row, Error> {
        match (sql.ask(), &self.unnamed) {
            (Asked::Named(statement), _) => self.object.query_one(statement, parameters).await,
            (Asked::Text(text), None) => self.object.query_one(text, parameters).await,
            (Asked::Text(text), Some(unnamed)) => {
                let types = unnamed.types(self, text).await?;
                self.alone(self.object.query_typed_one(text, &typed(parameters, &types))).await
            }
        }
    }

    pub(super) async fn execute<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<u64, Error> {
        match (sql.ask(), &self.unnamed) {
            (Asked::Named(statement), _) => self.object.execute(statement, parameters).await,
            (Asked::Text(text), None) => self.object.execute(text, parameters).await,
            (Asked::Text(text), Some(unnamed)) => {
                let types = unnamed.types(self, text).await?;
                self.alone(self.object.execute_typed(text, &typed(parameters, &types))).await
            }
        }
    }

    pub(super) async fn query_typed(&self, sql: &str, parameters: &[Typed<'_>]) -> Result<Vec<Row>, Error> {
        self.alone(self.object.query_typed(sql, parameters)).await
    }

    /// One statement in a transaction of its own, where that must be told what a session would know. The three go out
    /// together.
    async fn alone<T>(&self, statement: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(unnamed) = self.unnamed.as_ref().filter(|_| !self.within) else { return statement.await };
        let begin = format!("BEGIN; {}", unnamed.settings);
        let (begun, done, ended) =
            tokio::join!(self.object.batch_execute(&begin), statement, self.object.batch_execute("COMMIT"));
        begun?;
        let done = done?;
        ended?;
        Ok(done)
    }

    pub(super) async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        let inner = self.object.transaction().await?;
        if let Some(unnamed) = &self.unnamed {
            inner.batch_execute(&unnamed.settings).await?;
        }
        Ok(Transaction { inner, unnamed: self.unnamed.clone() })
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.object
    }
}

/// A transaction; dropped, it is rolled back. What it does not do by itself, the driver's does.
pub(super) struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    unnamed: Option<Arc<Unnamed>>,
}

impl<'a> Deref for Transaction<'a> {
    type Target = tokio_postgres::Transaction<'a>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl Transaction<'_> {
    pub(super) async fn prepare_cached(&self, sql: &str) -> Result<Prepared, Error> {
        match &self.unnamed {
            Some(_) => Ok(Prepared::Unnamed(sql.to_owned())),
            None => Ok(Prepared::Named(self.inner.prepare_cached(sql).await?)),
        }
    }

    pub(super) async fn query<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        match (sql.ask(), &self.unnamed) {
            (Asked::Named(statement), _) => self.inner.query(statement, parameters).await,
            (Asked::Text(text), None) => self.inner.query(text, parameters).await,
            (Asked::Text(text), Some(unnamed)) => {
                let types = unnamed.types(self.inner.client(), text).await?;
                self.inner.query_typed(text, &typed(parameters, &types)).await
            }
        }
    }

    pub(super) async fn query_opt<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    pub(super) async fn query_one<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<Row, Error> {
        match (sql.ask(), &self.unnamed) {
            (Asked::Named(statement), _) => self.inner.query_one(statement, parameters).await,
            (Asked::Text(text), None) => self.inner.query_one(text, parameters).await,
            (Asked::Text(text), Some(unnamed)) => {
                let types = unnamed.types(self.inner.client(), text).await?;
                self.inner.query_typed_one(text, &typed(parameters, &types)).await
            }
        }
    }

    pub(super) async fn execute<A: Ask + ?Sized>(
        &self,
        sql: &A,
        parameters: Parameters<'_>,
    ) -> Result<u64, Error> {
        match (sql.ask(), &self.unnamed) {
            (Asked::Named(statement), _) => self.inner.execute(statement, parameters).await,
            (Asked::Text(text), None) => self.inner.execute(text, parameters).await,
            (Asked::Text(text), Some(unnamed)) => {
                let types = unnamed.types(self.inner.client(), text).await?;
                self.inner.execute_typed(text, &typed(parameters, &types)).await
            }
        }
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        if self.unnamed.is_some() {
            self.forget_names().await?;
        }
        self.inner.commit().await
    }

    /// Another client of the server process may need the very names that the driver gave here.
    async fn forget_names(&self) -> Result<(), Error> {
        let rows = self.inner.query_typed(NAMED, &[]).await?;
        let names = rows.iter().map(|row| row.try_get::<_, String>(0)).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            return Ok(());
        }
        let forget = names.iter().map(|name| format!("DEALLOCATE \"{}\"", name.replace('"', "\"\"")));
        self.inner.batch_execute(&forget.collect::<Vec<_>>().join("; ")).await
    }
}
