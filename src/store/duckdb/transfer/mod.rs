//! Moving a DuckDB store: what it gives away and takes in.

mod look;
mod take;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::document::Document;
use crate::domain::experiment::ExperimentId;
use crate::store::Result;
use crate::store::outbox::Delivery;
use crate::store::transfer::{DocumentLook, Identity, Look, Sizes, Transfer, Which, WholeRun};

use super::documents::{self, ID_AMONG};
use super::engine::Engine;

const DOING: &str = "reading what is to be moved";

/// See the module.
#[derive(Clone, Debug)]
pub struct Mover {
    engine: Arc<Engine>,
}

impl Mover {
    pub fn new(engine: Arc<Engine>) -> Self {
        Mover { engine }
    }
}

#[async_trait]
impl Look for Mover {
    async fn sizes(&self) -> Result<Sizes> {
        self.engine.read(DOING, look::sizes).await
    }

    async fn batches(&self, after: BatchId, limit: u64) -> Result<Vec<Batch>> {
        self.engine.read(DOING, move |connection| super::queue::after(connection, after, limit)).await
    }

    async fn identities(&self, which: &Which) -> Result<Vec<Identity>> {
        let which = which.clone();
        self.engine.read(DOING, move |connection| look::identities(connection, &which)).await
    }

    async fn runs(&self, which: &Which, points: u64) -> Result<Vec<WholeRun>> {
        let which = which.clone();
        self.engine.read(DOING, move |connection| look::runs(connection, &which, points)).await
    }

    async fn deliveries(&self, after: i64, limit: u64) -> Result<Vec<Delivery>> {
        self.engine.read(DOING, move |connection| look::deliveries(connection, after, limit)).await
    }
}

#[async_trait]
impl Transfer for Mover {
    async fn identity(&self) -> Result<String> {
        Ok(identity(self.engine.path()))
    }

    /// Holding the file would keep every other process from it.
    async fn hold(&self) -> Result<Box<dyn Look>> {
        Ok(Box::new(self.clone()))
    }

    async fn reserve(&self, batch: BatchId, run: ExperimentId) -> Result<bool> {
        self.engine
            .write_plain("keeping ids free", move |connection| {
                Ok(take::raise(connection, "batch_ids", batch)?
                    && take::raise(connection, "experiment_ids", run)?)
            })
            .await
    }

    async fn take_batches(&self, batches: &[Batch], keep_ids: bool) -> Result<u64> {
        let batches = batches.to_vec();
        self.engine
            .write_plain("storing batches", move |connection| take::batches(connection, &batches, keep_ids))
            .await
    }

    async fn take_runs(&self, runs: &[WholeRun], keep_ids: bool) -> Result<u64> {
        let runs = runs.to_vec();
        self.engine
            .write_plain("storing experiments", move |connection| take::runs(connection, &runs, keep_ids))
            .await
    }
}

#[async_trait]
impl DocumentLook for Mover {
    async fn identity(&self) -> Result<String> {
        Ok(identity(self.engine.path()))
    }

    async fn window(&self, model_name: &str, after: &str, limit: u64) -> Result<Vec<Document>> {
        let (model_name, after) = (model_name.to_owned(), after.to_owned());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.engine
            .read(DOING, move |connection| {
                let rest = format!("document_id > ? ORDER BY document_id LIMIT {limit}");
                documents::whole(connection, &model_name, &rest, &after)
            })
            .await
    }

    async fn these(&self, model_name: &str, ids: &[String]) -> Result<Vec<Document>> {
        let (model_name, ids) = (model_name.to_owned(), serde_json::json!(ids).to_string());
        self.engine
            .read(DOING, move |connection| documents::whole(connection, &model_name, ID_AMONG, &ids))
            .await
    }
}

/// The file by its one true path.
pub fn identity(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = path.canonicalize().or_else(|_| {
        // A file that is still to be made is where its folder is.
        folder.canonicalize().map(|folder| folder.join(path.file_name().unwrap_or_default()))
    });
    real.unwrap_or_else(|_| absolute(path)).display().to_string()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
