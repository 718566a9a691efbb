//! Every backend, each test with a place of its own.

use std::sync::Arc;

use labtop::config;
use labtop::store::chroma::Chroma;
use labtop::store::collections::CollectionStore;
use labtop::store::documents::DocumentStore;
use labtop::store::duckdb;
use labtop::store::duckdb::engine::Engine;
use labtop::store::experiments::ExperimentStore;
use labtop::store::outbox::Outbox;
use labtop::store::postgres::Pg;
use labtop::store::queue::BatchQueue;
use labtop::store::transfer::{DocumentLook, Transfer};
use tempfile::TempDir;

use super::servers::{self, Database};

/// The roles as one engine plays them; those it does not play are absent.
pub struct Backends {
    pub experiments: Option<Arc<dyn ExperimentStore>>,
    pub queue: Option<Arc<dyn BatchQueue>>,
    pub outbox: Option<Arc<dyn Outbox>>,
    pub documents: Option<Arc<dyn DocumentStore>>,
    pub collections: Option<Arc<dyn CollectionStore>>,
    pub transfer: Option<Arc<dyn Transfer>>,
    pub document_look: Option<Arc<dyn DocumentLook>>,
    /// Goes with the test.
    _place: Place,
}

/// Where a test keeps its data; dropped with it.
enum Place {
    Folder { _folder: TempDir },
    Database { _database: Database },
}

impl Backends {
    pub fn experiments(&self) -> &dyn ExperimentStore {
        self.experiments.as_deref().unwrap()
    }

    pub fn queue(&self) -> &dyn BatchQueue {
        self.queue.as_deref().unwrap()
    }

    pub fn outbox(&self) -> &dyn Outbox {
        self.outbox.as_deref().unwrap()
    }

    pub fn documents(&self) -> &dyn DocumentStore {
        self.documents.as_deref().unwrap()
    }

    pub fn transfer(&self) -> &dyn Transfer {
        self.transfer.as_deref().unwrap()
    }

    pub fn document_look(&self) -> &dyn DocumentLook {
        self.document_look.as_deref().unwrap()
    }

    pub fn collections(&self) -> &dyn CollectionStore {
        self.collections.as_deref().unwrap()
    }
}

pub fn engine(folder: &TempDir) -> Arc<Engine> {
    Engine::new(&config::DuckDb { path: folder.path().join("lab.duckdb"), wait_ms: 10_000, idle_ms: 50 })
}

pub async fn duckdb() -> Option<Backends> {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    Some(embedded(folder, engine))
}

/// DuckDB with every search answered out of memory.
pub async fn in_memory() -> Option<Backends> {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    engine.matrices().be_eager();
    Some(embedded(folder, engine))
}

fn embedded(folder: TempDir, engine: Arc<Engine>) -> Backends {
    Backends {
        experiments: Some(Arc::new(duckdb::experiments::Experiments::new(engine.clone()))),
        queue: Some(Arc::new(duckdb::queue::Queue::new(engine.clone()))),
        outbox: Some(Arc::new(duckdb::outbox::DuckOutbox::new(engine.clone()))),
        documents: Some(Arc::new(duckdb::documents::Documents::new(engine.clone()))),
        collections: Some(Arc::new(duckdb::collections::Collections::new(engine.clone()))),
        transfer: Some(Arc::new(duckdb::transfer::Mover::new(engine.clone()))),
        document_look: Some(Arc::new(duckdb::transfer::Mover::new(engine))),
        _place: Place::Folder { _folder: folder },
    }
}

pub async fn postgres() -> Option<Backends> {
    let (settings, database) = servers::postgres().await?;
    let pg = Pg::new(&settings);
    Some(Backends {
        experiments: Some(pg.clone()),
        queue: Some(pg.clone()),
        outbox: Some(pg.clone()),
        documents: Some(pg.clone()),
        collections: None,
        transfer: Some(pg.clone()),
        document_look: Some(pg),
        _place: Place::Database { _database: database },
    })
}

pub async fn chroma() -> Option<Backends> {
    let (settings, database) = servers::chroma().await?;
    Some(Backends {
        experiments: None,
        queue: None,
        outbox: None,
        documents: None,
        collections: Some(Chroma::new(&settings)),
        transfer: None,
        document_look: None,
        _place: Place::Database { _database: database },
    })
}
