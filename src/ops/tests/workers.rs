//! The list of workers in memory.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::FakeStore;
use crate::domain::worker::{Entered, NewWorker};
use crate::store::Result;
use crate::store::workers::WorkerRegistry;

#[async_trait]
impl WorkerRegistry for FakeStore {
    fn pulse(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn enter(&self, worker: &NewWorker) -> Result<()> {
        let now = Timestamp::now();
        let mut tables = self.tables.lock().unwrap();
        let entry = tables.workers.entry(worker.name.clone()).or_insert_with(|| Entered {
            worker: worker.clone(),
            started_at: now,
            heartbeat_at: now,
            silent: Duration::ZERO,
        });
        entry.heartbeat_at = now;
        Ok(())
    }

    async fn strike(&self, names: &[String]) -> Result<()> {
        self.tables.lock().unwrap().workers.retain(|name, _| !names.contains(name));
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<Entered>> {
        Ok(self.tables.lock().unwrap().workers.values().cloned().collect())
    }
}
