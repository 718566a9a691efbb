//! Our tables in PostgreSQL: what is there, and the migrations that bring it up to date.
//!
//! Two parts: experiments need nothing but PostgreSQL, documents need the vector extension. A database without it keeps
//! experiments all the same, and the documents' part is tried again each time documents are wanted.

use async_trait::async_trait;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::store::migrations::{self, Migration, Plan, migration};
use crate::store::schema::{Schema, SchemaState};
use crate::store::{ErrorKind, Result, StoreError};

use super::link::Transaction;
use super::{Pg, error};

/// What the migrations of one part are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Experiments,
    Documents,
}

impl Part {
    const ALL: [Part; 2] = [Part::Experiments, Part::Documents];

    fn migrations(self) -> &'static [Migration] {
        match self {
            Part::Experiments => &EXPERIMENTS,
            Part::Documents => &DOCUMENTS,
        }
    }

    /// The tables that are ours by name.
    fn tables(self) -> &'static [&'static str] {
        match self {
            Part::Experiments => &["experiments", "batches", "experiment_metrics", "outbox", "workers"],
            Part::Documents => &["document_embeddings", "embedding_models"],
        }
    }
}

/// Append-only: one that has been released never changes.
static EXPERIMENTS: [Migration; 7] = [
    migration!("postgres", "0001_experiments"),
    migration!("postgres", "0002_changes"),
    migration!("postgres", "0004_windows"),
    migration!("postgres", "0005_orders"),
    migration!("postgres", "0006_workers"),
    migration!("postgres", "0007_deliveries"),
    migration!("postgres", "0008_followers"),
];

static DOCUMENTS: [Migration; 1] = [migration!("postgres", "0003_documents")];

/// Held while migrating, so that two programs that start together do not both do it.
const LOCK: i64 = 0x006c_6162_746f_7001;

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS ml_schema.labtop_migrations (name text PRIMARY KEY, checksum text NOT NULL, \
     applied_at timestamptz NOT NULL DEFAULT now(), labtop text NOT NULL)";

/// What a database holds under our names.
#[derive(Debug, Default)]
struct Survey {
    /// Of the server, as it counts: 150004 is 15.4.
    version: i32,
    schema: bool,
    /// Names and checksums.
    applied: Vec<(String, String)>,
    tables: Vec<String>,
}

impl Survey {
    /// What a part needs. A migration that no part knows is news to every part.
    fn plan(&self, part: Part) -> Plan {
        let others = |name: &str| {
            Part::ALL
                .iter()
                .filter(|other| **other != part)
                .flat_map(|other| other.migrations())
                .any(|migration| migration.name == name)
        };
        let applied: Vec<_> = self.applied.iter().filter(|(name, _)| !others(name)).cloned().collect();
        migrations::plan(part.migrations(), &applied)
    }

    /// Tables of a part that we never migrated, and that are there all the same.
    fn foreign(&self, part: Part) -> Vec<String> {
        let first = &part.migrations()[0];
        if self.applied.iter().any(|(name, _)| name == first.name) {
            return Vec::new();
        }
        let there = |name: &&&str| self.tables.iter().any(|table| table == **name);
        part.tables().iter().filter(there).map(|&name| name.to_owned()).collect()
    }

    /// How parts stand; `Err` with the name of a migration that was applied with another text.
    fn state(&self, parts: &[Part]) -> Result<SchemaState, String> {
        let mut missing = Vec::new();
        for part in parts {
            match self.plan(*part) {
                Plan::Apply(some) => missing.extend(some.iter().map(|migration| migration.name.to_owned())),
                Plan::Newer(names) => return Ok(SchemaState::Newer(names)),
                Plan::Edited(name) => return Err(name),
            }
        }
        let foreign: Vec<String> = parts.iter().flat_map(|part| self.foreign(*part)).collect();
        Ok(if !foreign.is_empty() {
            SchemaState::Foreign(foreign)
        } else if missing.is_empty() {
            SchemaState::Current
        } else if self.applied.is_empty() {
            SchemaState::Empty
        } else {
            SchemaState::Behind(missing)
        })
    }
}

async fn survey(client: &impl GenericClient) -> Result<Survey, tokio_postgres::Error> {
    let ours: Vec<&str> = Part::ALL.iter().flat_map(|part| part.tables()).copied().collect();
    let row = client
        .query_typed_one(
            "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ml_schema'), \
             to_regclass('ml_schema.labtop_migrations') IS NOT NULL, \
             ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('ml_schema') \
                   AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname = ANY ($1) ORDER BY relname), \
             current_setting('server_version_num')::int4",
            &[(&ours, Type::TEXT_ARRAY)],
        )
        .await?;
    let mut survey = Survey {
        version: row.try_get(3)?,
        schema: row.try_get(0)?,
        tables: row.try_get(2)?,
        ..Survey::default()
    };
    if row.try_get(1)? {
        for row in client.query_typed("SELECT name, checksum FROM ml_schema.labtop_migrations", &[]).await? {
            survey.applied.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    Ok(survey)
}

#[async_trait]
impl Schema for Pg {
    fn place(&self) -> String {
        format!("PostgreSQL {}", self.address())
    }

    async fn state(&self) -> Result<SchemaState> {
        let doing = "reading the state of the schema";
        let client = self.connection(doing).await?;
        let survey = self.within(doing, survey(&*client)).await?;
        self.demand_version(doing, survey.version)?;
        survey.state(&Part::ALL).map_err(|name| self.edited(doing, &name))
    }

    async fn migrate(&self, adopt: bool) -> Result<Vec<String>> {
        let mut applied = self.apply(Part::Experiments, adopt).await?;
        match self.apply(Part::Documents, adopt).await {
            Ok(documents) => applied.extend(documents),
            // Experiments work without; whoever asks for documents is told.
            Err(lacking) if lacking.kind == ErrorKind::Unavailable && is_about_vector(&lacking) => {
                let lacking = self.explain_no_vector("migrating the schema", lacking).await;
                tracing::warn!(%lacking, "no documents in this database");
            }
            Err(other) => return Err(other),
        }
        Ok(applied)
    }
}

fn is_about_vector(error: &StoreError) -> bool {
    let source = error.source.as_deref().and_then(|source| source.downcast_ref::<tokio_postgres::Error>());
    source.and_then(tokio_postgres::Error::as_db_error).is_some_and(error::lacks_vector)
}

impl Pg {
    /// Makes sure, once, that the tables of a part are there: an empty or older schema is brought up to date.
    pub(super) async fn ready(&self, part: Part, doing: &str) -> Result<()> {
        let experiments = || async { self.prepare(Part::Experiments, doing).await };
        self.shared.experiments_ready.get_or_try_init(experiments).await?;
        if part == Part::Documents {
            let documents = || async { self.prepare(Part::Documents, doing).await };
            self.shared.documents_ready.get_or_try_init(documents).await?;
        }
        Ok(())
    }

    async fn prepare(&self, part: Part, doing: &str) -> Result<()> {
        let client = self.connection(doing).await?;
        let survey = self.within(doing, survey(&*client)).await?;
        drop(client);
        self.demand_version(doing, survey.version)?;
        if survey.state(&[part]).map_err(|name| self.edited(doing, &name))? == SchemaState::Current {
            return Ok(());
        }
        if self.shared.read_only {
            let message = format!(
                "the schema at {} is not up to date, and read-only mode changes nothing",
                self.address()
            );
            return Err(self
                .error(ErrorKind::Invalid, doing, message)
                .remedy("Run it once without --read-only, or run `labtop migrate`."));
        }
        if let Err(error) = self.apply(part, false).await {
            let error =
                if is_about_vector(&error) { self.explain_no_vector(doing, error).await } else { error };
            // The user asked for something else than a migration.
            return Err(error.doing(doing));
        }
        if part == Part::Experiments
            && let Err(why) = self.apply(Part::Documents, false).await
        {
            let why = if is_about_vector(&why) { self.explain_no_vector(doing, why).await } else { why };
            // Told again, as an error, to whoever asks for documents.
            tracing::warn!(%why, "no documents in this database yet");
        }
        Ok(())
    }

    /// Applies what a part lacks, in one transaction that no other program's overlaps.
    async fn apply(&self, part: Part, adopt: bool) -> Result<Vec<String>> {
        let doing = "migrating the schema";
        self.may_write(doing)?;
        let pg = self.clone();
        self.carried_out(doing, self.long_patience(), async move {
            pg.apply_in_transaction(doing, part, adopt).await
        })
        .await
    }

    async fn apply_in_transaction(&self, doing: &str, part: Part, adopt: bool) -> Result<Vec<String>> {
        let told = |error| self.told(doing, error);
        let mut client = self.connection(doing).await?;
        let transaction = client.transaction().await.map_err(told)?;
        // A migration may take its time; waiting for somebody else may not.
        transaction
            .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '30s'")
            .await
            .map_err(told)?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(told)?;
        let survey = survey(&*transaction).await.map_err(told)?;
        match survey.state(&[part]).map_err(|name| self.edited(doing, &name))? {
            SchemaState::Current => return Ok(Vec::new()),
            SchemaState::Newer(names) => return Err(self.too_new(doing, &names)),
            SchemaState::Foreign(names) if !adopt => return Err(self.foreign(doing, &names)),
            _ => {}
        }
        if !survey.schema {
            transaction.batch_execute("CREATE SCHEMA ml_schema").await.map_err(told)?;
        }
        let foreign = survey.foreign(part);
        let set_aside = self.set_aside(&transaction, &foreign).await.map_err(told)?;
        let missing = match survey.plan(part) {
            Plan::Apply(missing) => missing,
            Plan::Newer(_) | Plan::Edited(_) => Vec::new(),
        };
        let mut applied = run(&transaction, &missing).await.map_err(told)?;
        applied.extend(self.adopt(&transaction, &set_aside).await.map_err(told)?);
        transaction.commit().await.map_err(told)?;
        Ok(applied)
    }

    /// An older server lacks what the migrations and statements are made of.
    pub(super) fn demand_version(&self, doing: &str, version: i32) -> Result<()> {
        match error::too_old(&self.shared.settings, version) {
            Some(words) => Err(error::finish(doing, words)),
            None => Ok(()),
        }
    }

    fn edited(&self, doing: &str, name: &str) -> StoreError {
        let message = format!("migration {name} was applied with another text than this labtop has");
        self.error(ErrorKind::Conflict, doing, message)
            .remedy("Use the labtop that made the database, or a newer one.")
    }

    fn too_new(&self, doing: &str, names: &[String]) -> StoreError {
        let message = format!(
            "the schema at {} was made by a newer labtop (it has {})",
            self.address(),
            names.join(", ")
        );
        self.error(ErrorKind::Conflict, doing, message).remedy("Update labtop.")
    }

    fn foreign(&self, doing: &str, names: &[String]) -> StoreError {
        let tables: Vec<String> = names.iter().map(|name| format!("ml_schema.{name}")).collect();
        let message =
            format!("{} holds tables that labtop did not make: {}", self.address(), tables.join(", "));
        self.error(ErrorKind::Conflict, doing, message)
            .remedy("`labtop init --profile servers` takes them over: their rows are copied, the old tables are kept.")
    }
}

async fn run(
    transaction: &Transaction<'_>,
    migrations: &[&Migration],
) -> Result<Vec<String>, tokio_postgres::Error> {
    transaction.batch_execute(LEDGER).await?;
    for migration in migrations {
        transaction.batch_execute(migration.sql).await?;
        let sql = "INSERT INTO ml_schema.labtop_migrations (name, checksum, labtop) VALUES ($1, $2, $3)";
        let version = env!("CARGO_PKG_VERSION");
        transaction.execute(sql, &[&migration.name, &migration.checksum(), &version]).await?;
    }
    Ok(migrations.iter().map(|migration| migration.name.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(applied: &[&str], tables: &[&str]) -> Survey {
        let known = |name: &str| {
            Part::ALL.iter().flat_map(|part| part.migrations()).find(|migration| migration.name == name)
        };
        let checksum = |name: &str| known(name).map_or(String::new(), Migration::checksum);
        Survey {
            version: 140_000,
            schema: true,
            applied: applied.iter().map(|&name| (name.to_owned(), checksum(name))).collect(),
            tables: tables.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn states_are_told_apart() {
        assert_eq!(survey(&[], &[]).state(&Part::ALL), Ok(SchemaState::Empty));
        let foreign = survey(&[], &["document_embeddings"]);
        assert_eq!(foreign.state(&Part::ALL), Ok(SchemaState::Foreign(names(&["document_embeddings"]))));
        assert_eq!(foreign.state(&[Part::Experiments]), Ok(SchemaState::Empty));
        let experiments: Vec<&str> = EXPERIMENTS.iter().map(|migration| migration.name).collect();
        let without_vector = survey(&experiments, &["experiments"]);
        assert_eq!(without_vector.state(&Part::ALL), Ok(SchemaState::Behind(names(&["0003_documents"]))));
        assert_eq!(without_vector.state(&[Part::Experiments]), Ok(SchemaState::Current));
        let newer = survey(&["0001_experiments", "9999_later"], &[]);
        assert_eq!(newer.state(&Part::ALL), Ok(SchemaState::Newer(names(&["9999_later"]))));
    }

    #[test]
    fn a_changed_migration_is_noticed() {
        let mut changed = survey(&["0001_experiments"], &[]);
        changed.applied[0].1 = "other".to_owned();
        assert_eq!(changed.state(&[Part::Experiments]), Err("0001_experiments".to_owned()));
    }
}
