//! The reports: `experiments_performance` in DuckDB and every question asked of it.

use std::sync::Arc;

use crate::store::duckdb::engine::Engine;

/// The one analytics engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Analytics {
    engine: Arc<Engine>,
}

impl Analytics {
    pub fn new(engine: Arc<Engine>) -> Self {
        Analytics { engine }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}
