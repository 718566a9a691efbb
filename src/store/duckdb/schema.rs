//! The schema of a DuckDB file: brought up to date whenever the file is opened.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::{Connection, params};

use crate::store::migrations::{Migration, Plan, migration, plan};
use crate::store::schema::{Schema, SchemaState};
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::engine::Engine;
use super::error::from_duckdb;

static MIGRATIONS: [Migration; 6] = [
    migration!("duckdb", "0001_lab"),
    migration!("duckdb", "0002_analytics"),
    migration!("duckdb", "0003_search"),
    migration!("duckdb", "0004_workers"),
    migration!("duckdb", "0005_deliveries"),
    migration!("duckdb", "0006_followed"),
];

const DOING: &str = "preparing the DuckDB file";
/// Where the published script's own table waits while ours is made.
const PUBLISHED: &str = "experiments_performance_published";
/// The published table's columns, which ours has too.
const COLUMNS: &str =
    "date, model_name, dataset, accuracy, precision, recall, training_time_sec, inference_time_ms";

/// The schema as `init` and `migrate` see it.
#[derive(Debug)]
pub struct FileSchema {
    engine: Arc<Engine>,
}

impl FileSchema {
    pub fn new(engine: Arc<Engine>) -> Self {
        FileSchema { engine }
    }
}

#[async_trait]
impl Schema for FileSchema {
    fn place(&self) -> String {
        format!("DuckDB {}", self.engine.path().display())
    }

    async fn state(&self) -> Result<SchemaState> {
        // Opening brings an empty or older file up to date; what can be seen afterwards is the rest.
        match self.engine.read_checked(DOING, applied).await {
            Ok(_) => Ok(SchemaState::Current),
            Err(error) if error.kind == ErrorKind::Conflict => Ok(SchemaState::Foreign(vec![error.message])),
            Err(error) => Err(error),
        }
    }

    async fn migrate(&self, adopt: bool) -> Result<Vec<String>> {
        if adopt {
            self.engine.lease().adopt();
        }
        let names = self.engine.read_checked(DOING, applied).await?;
        let begun = self.engine.lease().take_applied();
        Ok(names.into_iter().map(|(name, _)| name).filter(|name| begun.contains(name)).collect())
    }
}

/// Read-only mode takes a file as it is, and so refuses one that lacks a migration.
pub fn must_be_current(connection: &Connection, path: &Path) -> Result<()> {
    let (_, missing) = missing(connection, path)?;
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} has not been prepared by this labtop, and read-only mode changes nothing",
        path.display()
    );
    Err(refused(ErrorKind::Invalid, message, "Open it once without --read-only, or run `labtop migrate`."))
}

/// Applies what is missing, in one transaction, and names it. Foreign tables are an error unless `adopt`.
pub fn ensure(connection: &Connection, path: &Path, adopt: bool) -> Result<Vec<String>> {
    let failed = |error| from_duckdb(error, DOING, path);
    let (ours, missing) = missing(connection, path)?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    connection.execute_batch("BEGIN TRANSACTION").map_err(failed)?;
    let outcome = (|| {
        if !ours {
            make_room(connection, path, adopt)?;
        }
        apply(connection, &missing).map_err(failed)?;
        take_over_published(connection).map_err(failed)
    })();
    if let Err(error) = outcome {
        connection.execute_batch("ROLLBACK").map_err(failed)?;
        return Err(error);
    }
    connection.execute_batch("COMMIT").map_err(failed)?;
    Ok(missing.iter().map(|migration| migration.name.to_owned()).collect())
}

/// Whether the file is ours, and what it lacks.
fn missing(connection: &Connection, path: &Path) -> Result<(bool, Vec<&'static Migration>)> {
    let failed = |error| from_duckdb(error, DOING, path);
    // Nearly always there; asking for that first takes twice as long.
    let (ours, applied) = match applied(connection, path) {
        Ok(applied) => (true, applied),
        Err(error) if exists(connection, "ml_schema", "labtop_migrations").map_err(failed)? => {
            return Err(error);
        }
        Err(_) => (false, Vec::new()),
    };
    match plan(&MIGRATIONS, &applied) {
        Plan::Apply(missing) => Ok((ours, missing)),
        Plan::Newer(names) => {
            let message = format!("{} was made by a newer labtop ({})", path.display(), names.join(", "));
            Err(refused(ErrorKind::Invalid, message, "Update labtop, or use another file: --store FILE."))
        }
        Plan::Edited(name) => {
            let message = format!("{}: migration {name} was applied with another text", path.display());
            Err(refused(ErrorKind::Invalid, message, "Use the labtop that made the file, or another file."))
        }
    }
}

fn applied(connection: &Connection, path: &Path) -> Result<Vec<(String, String)>> {
    let read = || {
        let mut statement =
            connection.prepare("SELECT name, checksum FROM ml_schema.labtop_migrations ORDER BY name")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<duckdb::Result<Vec<_>>>()
    };
    read().map_err(|error| from_duckdb(error, DOING, path))
}

fn apply(connection: &Connection, missing: &[&Migration]) -> duckdb::Result<()> {
    connection.execute_batch(
        "CREATE SCHEMA IF NOT EXISTS ml_schema;
         CREATE TABLE IF NOT EXISTS ml_schema.labtop_migrations (
             name VARCHAR NOT NULL, checksum VARCHAR NOT NULL,
             applied_at TIMESTAMP NOT NULL DEFAULT make_timestamp(epoch_us(now())))",
    )?;
    for migration in missing {
        connection.execute_batch(migration.sql)?;
        connection.execute(
            "INSERT INTO ml_schema.labtop_migrations (name, checksum) VALUES (?, ?)",
            params![migration.name, migration.checksum()],
        )?;
    }
    Ok(())
}

/// Sees to tables under our names in a file that is not ours yet. The published script's own table is taken over; any
/// other is refused, or put aside under another name with `adopt`.
fn make_room(connection: &Connection, path: &Path, adopt: bool) -> Result<()> {
    let failed = |error| from_duckdb(error, DOING, path);
    for table in [
        "experiments",
        "experiment_metrics",
        "batches",
        "outbox",
        "collections",
        "embedding_models",
        "workers",
    ] {
        if !exists(connection, "ml_schema", table).map_err(failed)? {
            continue;
        }
        if !adopt {
            let message =
                format!("{} has a table ml_schema.{table} that labtop did not make", path.display());
            let remedy =
                "Run `labtop init` to put it aside under another name, or use another file: --store FILE.";
            return Err(refused(ErrorKind::Conflict, message, remedy));
        }
        let aside = format!("ALTER TABLE ml_schema.{table} RENAME TO {table}_before_labtop");
        connection.execute_batch(&aside).map_err(failed)?;
    }
    if exists(connection, "main", "experiments_performance").map_err(failed)? {
        let rename = format!("ALTER TABLE main.experiments_performance RENAME TO {PUBLISHED}");
        connection.execute_batch(&rename).map_err(failed)?;
    }
    Ok(())
}

/// Its rows, into columns that round nothing: the script's literals had become DECIMAL(3,2) and (3,1).
fn take_over_published(connection: &Connection) -> duckdb::Result<()> {
    if exists(connection, "main", PUBLISHED)? {
        connection.execute_batch(&format!(
            "INSERT INTO experiments_performance ({COLUMNS}) SELECT {COLUMNS} FROM {PUBLISHED};
             DROP TABLE {PUBLISHED}"
        ))?;
    }
    Ok(())
}

fn exists(connection: &Connection, schema: &str, table: &str) -> duckdb::Result<bool> {
    connection.query_row(
        "SELECT count(*) > 0 FROM duckdb_tables()
         WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
        params![schema, table],
        |row| row.get(0),
    )
}

fn refused(kind: ErrorKind, message: String, remedy: &str) -> StoreError {
    StoreError::new(kind, Backend::DuckDb, DOING, message).remedy(remedy)
}
