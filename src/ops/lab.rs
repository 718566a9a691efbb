//! The opened lab: every role with the backend that plays it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;

use super::commands::Memory;
use super::database;
use super::delivery::{Courier, gather_records};
use super::embedders::Embedders;
use super::gather::Gather;
use super::hands::Hands;
use super::place::Place;
use super::presence::Presence;
use super::read_only::{ReadOnlyCollections, ReadOnlyDatabases};
use super::transfer::share_a_file;
use crate::analytics::Analytics;
use crate::config::{self, CollectionBackend, Settings, TableBackend};
use crate::domain::database::Database;
use crate::domain::experiment::Experiment;
use crate::domain::performance::PerformanceRow;
use crate::embed::{BuiltIn, Embedder};
use crate::store::changes::Changes;
use crate::store::chroma::Chroma;
use crate::store::chroma::schema::ChromaSchema;
use crate::store::collections::CollectionStore;
use crate::store::databases::Databases;
use crate::store::documents::DocumentStore;
use crate::store::duckdb::{self, engine::Engine};
use crate::store::experiments::{Entry, ExperimentStore};
use crate::store::follow::Follow;
use crate::store::inspect::Inspect;
use crate::store::measured::{Gauge, Measured, MeasuredChanges, Meter, Place as Measurement};
use crate::store::outbox::{NewDelivery, Outbox};
use crate::store::postgres::Pg;
use crate::store::queue::BatchQueue;
use crate::store::schema::Schema;
use crate::store::transfer::{DocumentLook, Transfer};
use crate::store::{Backend, Role};

/// How long the end of a run is tried to be stored while the experiment store is down. Results of hours of work should
/// outlive the restart of a server; a person at the keyboard should not wait much longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same where nobody waits: a worker has nothing better to do than to keep what it has.
pub const LONG_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// Everything an operation may use. Opening it does no I/O: each backend connects at its first use.
#[derive(Debug)]
pub struct Lab {
    pub settings: Settings,
    pub experiments: Arc<dyn ExperimentStore>,
    pub queue: Arc<dyn BatchQueue>,
    pub outbox: Arc<dyn Outbox>,
    pub documents: Arc<dyn DocumentStore>,
    pub collections: Arc<dyn CollectionStore>,
    /// None where all collections are in one place.
    pub databases: Option<Arc<dyn Databases>>,
    pub analytics: Analytics,
    /// Embeds the documents of runs: always at hand, so that no run waits for a server.
    pub embedder: Arc<dyn Embedder>,
    /// Embeds everything else.
    pub embedders: Embedders,
    /// The databases that migrations run on, each once.
    pub schemas: Vec<Arc<dyn Schema>>,
    /// The backends in use, each once.
    pub inspectors: Vec<Arc<dyn Inspect>>,
    /// Every operation of every store above.
    pub meter: Arc<Meter>,
    /// How long a write that must not be lost is tried again.
    pub patience: Duration,
    watch: Watch,
    engine: Arc<Engine>,
    pg: Arc<Pg>,
    /// Where the changes are told that the analytics follow; none where the store keeps them in step by itself.
    pub(super) follow: Option<Arc<dyn Follow>>,
    pub(super) courier: Courier,
    pub(super) presence: Presence,
    pub(super) hands: Hands,
    pub(super) memory: Memory,
    /// Where runs that go on side by side hand over what they add.
    pub(super) entries: Gather<Entry, Option<Experiment>>,
    pub(super) records: Gather<NewDelivery, ()>,
    pub(super) performance: Gather<PerformanceRow, ()>,
    place: OnceLock<Place>,
}

/// Where changes to experiments are noticed.
#[derive(Clone, Debug)]
enum Watch {
    File(Arc<Engine>),
    Postgres(Arc<Pg>),
}

/// The backends of a lab, chosen by hand.
#[derive(Debug)]
pub struct Parts {
    pub settings: Settings,
    pub experiments: Arc<dyn ExperimentStore>,
    pub queue: Arc<dyn BatchQueue>,
    pub outbox: Arc<dyn Outbox>,
    pub documents: Arc<dyn DocumentStore>,
    pub collections: Arc<dyn CollectionStore>,
    /// The DuckDB file: the analytics live in it whatever the roles.
    pub engine: Arc<Engine>,
    pub embedder: Arc<dyn Embedder>,
    pub schemas: Vec<Arc<dyn Schema>>,
}

impl Lab {
    /// Picks the backend of every role by the settings. Nothing is opened or asked yet.
    pub fn open(settings: Settings) -> super::Result<Lab> {
        let engine = Engine::with(&settings.duckdb, settings.read_only);
        engine.matrices().limit(settings.search.memory.0);
        Lab::on(settings, engine)
    }

    /// As [`Lab::open`], beside another lab that has the same DuckDB file open: one process opens it once.
    pub fn open_beside(settings: Settings, other: &Lab) -> super::Result<Lab> {
        if share_a_file(&settings, &other.settings) {
            Lab::on(settings, other.engine.clone())
        } else {
            Lab::open(settings)
        }
    }

    /// This lab with its collections in another database; everything else stays where it is. It is measured apart: that a
    /// database is missing says nothing of the one in the settings. `Invalid` where the collection store has only one.
    pub fn at(&self, database: &Database) -> super::Result<Lab> {
        if self.databases.is_none() {
            return Err(database::only_one());
        }
        let mut settings = self.settings.clone();
        settings.chroma.tenant.clone_from(&database.tenant);
        settings.chroma.database.clone_from(&database.name);
        let lab = Lab::on(settings, self.engine.clone())?;
        Ok(Lab { embedders: self.embedders.clone(), patience: self.patience, ..lab })
    }

    fn on(settings: Settings, engine: Arc<Engine>) -> super::Result<Lab> {
        let pg = Pg::with(&settings.postgres, settings.read_only);
        let (experiments, queue, outbox): (Arc<dyn ExperimentStore>, Arc<dyn BatchQueue>, Arc<dyn Outbox>) =
            match settings.roles.experiments {
                TableBackend::DuckDb => (
                    Arc::new(duckdb::experiments::Experiments::new(engine.clone())),
                    Arc::new(duckdb::queue::Queue::new(engine.clone())),
                    Arc::new(duckdb::outbox::DuckOutbox::new(engine.clone())),
                ),
                TableBackend::Postgres => (pg.clone(), pg.clone(), pg.clone()),
            };
        let documents: Arc<dyn DocumentStore> = match settings.roles.documents {
            TableBackend::DuckDb => Arc::new(duckdb::documents::Documents::new(engine.clone())),
            TableBackend::Postgres => pg.clone(),
        };
        let mut inspectors: Vec<Arc<dyn Inspect>> = vec![engine.clone()];
        let chroma = Chroma::new(&settings.chroma);
        let collections: Arc<dyn CollectionStore> = match settings.roles.collections {
            CollectionBackend::DuckDb => Arc::new(duckdb::collections::Collections::new(engine.clone())),
            CollectionBackend::Chroma => {
                inspectors.push(chroma.clone());
                if settings.read_only {
                    Arc::new(ReadOnlyCollections::new(chroma.clone()))
                } else {
                    chroma.clone()
                }
            }
        };
        let databases: Option<Arc<dyn Databases>> = match settings.roles.collections {
            CollectionBackend::DuckDb => None,
            CollectionBackend::Chroma if settings.read_only => {
                Some(Arc::new(ReadOnlyDatabases::new(chroma.clone())))
            }
            CollectionBackend::Chroma => Some(chroma.clone()),
        };
        // The analytics live in the DuckDB file whatever the roles.
        let mut schemas: Vec<Arc<dyn Schema>> =
            vec![Arc::new(duckdb::schema::FileSchema::new(engine.clone()))];
        if [settings.roles.experiments, settings.roles.documents].contains(&TableBackend::Postgres) {
            schemas.push(pg.clone());
            inspectors.push(pg.clone());
        }
        if settings.roles.collections == CollectionBackend::Chroma {
            schemas.push(Arc::new(ChromaSchema::new(chroma)));
        }
        let watch = match settings.roles.experiments {
            TableBackend::DuckDb => Watch::File(engine.clone()),
            TableBackend::Postgres => Watch::Postgres(pg.clone()),
        };
        let follow: Option<Arc<dyn Follow>> = match settings.roles.experiments {
            TableBackend::DuckDb => None,
            TableBackend::Postgres => Some(pg.clone()),
        };
        let parts = Parts {
            settings,
            experiments,
            queue,
            outbox,
            documents,
            collections,
            engine,
            embedder: Arc::new(BuiltIn),
            schemas,
        };
        Ok(Lab { databases, watch, inspectors, pg, follow, ..Lab::with(parts) })
    }

    /// A new watch on what other programs change in the experiment store.
    pub fn changes(&self) -> Box<dyn Changes> {
        let changes: Box<dyn Changes> = match &self.watch {
            Watch::File(engine) => Box::new(duckdb::changes::FileChanges::new(engine.clone())),
            Watch::Postgres(pg) => Box::new(pg.changes()),
        };
        let role = Role::Experiments;
        let place = Measurement { role, store: "changes", backend: self.backend(role) };
        Box::new(MeasuredChanges::new(changes, Gauge::new(&self.meter, place)))
    }

    /// A lab of these parts.
    pub fn with(parts: Parts) -> Lab {
        let Parts { settings, experiments, queue, outbox, documents, collections, engine, embedder, schemas } =
            parts;
        let meter = Arc::new(Meter::default());
        let gauge = |role, store| {
            let backend = backend_of(&settings, role);
            Gauge::new(&meter, Measurement { role, store, backend })
        };
        let experiments = Measured::new(experiments, gauge(Role::Experiments, "experiments"));
        let experiments: Arc<dyn ExperimentStore> = experiments;
        let queue = Measured::new(queue, gauge(Role::Experiments, "queue"));
        let outbox = Measured::new(outbox, gauge(Role::Experiments, "outbox"));
        let documents = Measured::new(documents, gauge(Role::Documents, "documents"));
        let collections: Arc<dyn CollectionStore> =
            Measured::new(collections, gauge(Role::Collections, "collections"));
        let analytics = match &settings.roles.experiments {
            TableBackend::DuckDb => Analytics::new(engine.clone()),
            TableBackend::Postgres => {
                let config::Postgres { host, port, database, .. } = &settings.postgres;
                Analytics::of(engine.clone(), &format!("postgres {host}:{port}/{database}"))
            }
        };
        let analytics = analytics.measured(&meter);
        let pg = Pg::with(&settings.postgres, settings.read_only);
        let embedders = Embedders::of(&settings.embed);
        let entries = gather_entries(experiments.clone());
        let records = gather_records(collections.clone(), embedder.clone());
        let performance = gather_performance(analytics.clone());
        Lab {
            settings,
            experiments,
            queue,
            outbox,
            documents,
            collections,
            databases: None,
            analytics,
            embedder,
            embedders,
            schemas,
            inspectors: Vec::new(),
            meter,
            watch: Watch::File(engine.clone()),
            engine,
            pg,
            follow: None,
            patience: PATIENCE,
            courier: Courier::default(),
            presence: Presence::of_user(),
            hands: Hands::default(),
            memory: Memory::of_user(),
            entries,
            records,
            performance,
            place: OnceLock::new(),
        }
    }

    /// The experiment store as one that can be moved.
    pub(super) fn transfer(&self) -> Arc<dyn Transfer> {
        match self.settings.roles.experiments {
            TableBackend::DuckDb => Arc::new(duckdb::transfer::Mover::new(self.engine.clone())),
            TableBackend::Postgres => self.pg.clone(),
        }
    }

    /// The document store as one that can be moved.
    pub(super) fn document_look(&self) -> Arc<dyn DocumentLook> {
        match self.settings.roles.documents {
            TableBackend::DuckDb => Arc::new(duckdb::transfer::Mover::new(self.engine.clone())),
            TableBackend::Postgres => self.pg.clone(),
        }
    }

    /// Closes the DuckDB file once what is under way is in it. It is opened again by whatever comes later.
    pub async fn close(&self) {
        self.engine.let_go().await;
    }

    /// Which engine plays a role.
    pub fn backend(&self, role: Role) -> Backend {
        backend_of(&self.settings, role)
    }

    /// Who runs experiments here.
    pub fn place(&self) -> &Place {
        self.place.get_or_init(Place::here)
    }

    /// As [`Lab::place`], for one who is about to run something: from now on others can tell whether this process lives.
    pub(super) fn place_of_work(&self) -> &Place {
        let place = self.place();
        if let Err(error) = self.presence.announce(&place.worker) {
            // Heartbeats tell the same, only later.
            tracing::warn!("no lock to show that this process lives: {error}");
        }
        place
    }
}

fn backend_of(settings: &Settings, role: Role) -> Backend {
    match role {
        Role::Experiments => settings.roles.experiments.into(),
        Role::Documents => settings.roles.documents.into(),
        Role::Collections => settings.roles.collections.into(),
        // They live in the DuckDB file whatever the roles.
        Role::Analytics => Backend::DuckDb,
    }
}

fn gather_entries(store: Arc<dyn ExperimentStore>) -> Gather<Entry, Option<Experiment>> {
    Gather::new(Box::new(move |entries: Vec<Entry>| {
        let store = store.clone();
        async move { store.commit(&entries).await }.boxed()
    }))
}

fn gather_performance(analytics: Analytics) -> Gather<PerformanceRow, ()> {
    Gather::new(Box::new(move |rows: Vec<PerformanceRow>| {
        let analytics = analytics.clone();
        async move {
            analytics.put(&rows).await?;
            Ok(rows.iter().map(|_| Ok(())).collect())
        }
        .boxed()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::schema::migrate;
    use crate::ops::tests::settings;

    #[tokio::test]
    async fn opening_does_nothing_and_the_first_use_makes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data").join("lab.duckdb");
        let lab = Lab::open(settings(&path)).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let migrated = migrate(&lab).await.unwrap();
        assert_eq!(migrated.len(), 1);
        assert!(migrated[0].place.starts_with("DuckDB "));
        assert!(!migrated[0].applied.is_empty() && path.exists());
        assert!(migrate(&lab).await.unwrap()[0].applied.is_empty());
    }
}
