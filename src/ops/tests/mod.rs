//! A lab of fakes for the tests of this layer: every store in memory, every failure on demand.

mod collections;
mod documents;
mod outbox;
mod store;
mod workers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

pub(super) use self::collections::FakeCollections;
pub(super) use self::documents::FakeDocuments;
pub(super) use self::store::FakeStore;
use super::commands::Memory;
use super::lab::Parts;
use super::{Lab, News, Watcher};
use crate::config::{Flags, Places, Settings, load};
use crate::embed::BuiltIn;
use crate::store::duckdb::engine::Engine;
use crate::store::follow::Follow;
use crate::store::{Backend, ErrorKind, StoreError};

/// A lab and the fakes behind it.
pub(super) struct Bench {
    pub lab: Lab,
    pub store: Arc<FakeStore>,
    pub documents: Arc<FakeDocuments>,
    pub collections: Arc<FakeCollections>,
    /// Holds the analytics file.
    pub folder: tempfile::TempDir,
}

impl Bench {
    /// Stores that keep performance rows by themselves, as the embedded profile does.
    pub fn embedded() -> Self {
        Bench::of(true, |folder| folder.join("lab.duckdb"))
    }

    /// An experiment store without performance rows: they go to a real analytics file.
    pub fn servers() -> Self {
        Bench::of(false, |folder| folder.join("lab.duckdb"))
    }

    /// As [`Bench::servers`], with documents that go by the outbox.
    pub fn with_chroma() -> Self {
        let mut bench = Bench::servers();
        bench.lab.settings.roles.collections = crate::config::CollectionBackend::Chroma;
        bench
    }

    /// As [`Bench::servers`], with an analytics file that cannot be opened.
    pub fn without_analytics() -> Self {
        Bench::of(false, |folder| folder.join("in-the-way").join("lab.duckdb"))
    }

    fn of(keeps_performance: bool, file: impl Fn(&Path) -> std::path::PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in-the-way"), "a file where a folder should be").unwrap();
        let settings = settings(&file(folder.path()));
        let store = Arc::new(FakeStore::new(keeps_performance));
        let documents = Arc::new(FakeDocuments::default());
        let collections = Arc::new(FakeCollections::default());
        let mut lab = Lab::with(Parts {
            engine: Engine::new(&settings.duckdb),
            settings,
            experiments: store.clone(),
            queue: store.clone(),
            outbox: store.clone(),
            documents: documents.clone(),
            collections: collections.clone(),
            embedder: Arc::new(BuiltIn),
            schemas: Vec::new(),
        });
        lab.patience = Duration::from_millis(300);
        lab.memory = Memory::at(folder.path().join("commands"));
        lab.follow = (!keeps_performance).then(|| store.clone() as Arc<dyn Follow>);
        Bench { lab, store, documents, collections, folder }
    }
}

/// The defaults on a DuckDB file of that path.
pub(super) fn settings(store: &Path) -> Settings {
    let flags = Flags { store: Some(store.to_owned()), ..Flags::default() };
    load(&flags, &Places::default(), &BTreeMap::new()).unwrap()
}

/// A watcher that remembers, and can be waited on.
#[derive(Default)]
pub(super) struct Witness {
    seen: Mutex<Vec<News>>,
    more: Notify,
}

impl Watcher for Witness {
    fn saw(&self, news: News) {
        self.seen.lock().unwrap().push(news);
        self.more.notify_waiters();
    }
}

impl Witness {
    pub fn all(&self) -> Vec<News> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self, wanted: impl Fn(&News) -> bool) -> usize {
        self.all().iter().filter(|news| wanted(news)).count()
    }

    pub fn warnings(&self) -> Vec<String> {
        let texts = self.all().into_iter().filter_map(|news| match news {
            News::Warning { text, .. } => Some(text),
            _ => None,
        });
        texts.collect()
    }

    /// Returns once such news has come `count` times.
    pub async fn until(&self, count: usize, wanted: impl Fn(&News) -> bool) {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.count(&wanted) >= count {
                return;
            }
            more.await;
        }
    }
}

/// How often something is still to fail.
#[derive(Debug, Default)]
pub(super) struct Fault(Mutex<u32>);

/// Fails until told otherwise.
pub(super) const FOREVER: u32 = u32::MAX;

impl Fault {
    pub fn set(&self, times: u32) {
        *self.0.lock().unwrap() = times;
    }

    /// `Unavailable` while the fault lasts.
    pub fn check(&self, backend: Backend, doing: &str) -> Result<(), StoreError> {
        let mut times = self.0.lock().unwrap();
        match *times {
            0 => Ok(()),
            FOREVER => Err(down(backend, doing)),
            _ => {
                *times -= 1;
                Err(down(backend, doing))
            }
        }
    }
}

fn down(backend: Backend, doing: &str) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, backend, doing, "connection refused").remedy("Start the server.")
}
