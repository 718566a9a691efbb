//! The opened lab: every role with the backend that plays it.

use std::sync::Arc;

use crate::analytics::Analytics;
use crate::config::Settings;
use crate::embed::Embedder;
use crate::store::collections::CollectionStore;
use crate::store::documents::DocumentStore;
use crate::store::experiments::ExperimentStore;
use crate::store::outbox::Outbox;
use crate::store::queue::BatchQueue;
use crate::store::schema::Schema;

/// Everything an operation may use. Opening it does no I/O: each backend connects at its first use.
#[derive(Debug)]
pub struct Lab {
    pub settings: Settings,
    pub experiments: Arc<dyn ExperimentStore>,
    pub queue: Arc<dyn BatchQueue>,
    pub outbox: Arc<dyn Outbox>,
    pub documents: Arc<dyn DocumentStore>,
    pub collections: Arc<dyn CollectionStore>,
    pub analytics: Analytics,
    pub embedder: Arc<dyn Embedder>,
    /// The databases that migrations run on, each once.
    pub schemas: Vec<Arc<dyn Schema>>,
}
