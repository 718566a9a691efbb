//! The reports: `experiments_performance` in DuckDB and every question asked of it.

mod console;
pub mod parquet;

use std::sync::Arc;

use duckdb::params;
use jiff::Timestamp;

use crate::domain::experiment::ExperimentId;
use crate::domain::performance::{ModelSummary, PerformanceRow};
use crate::domain::table::Table;
use crate::store::duckdb::engine::Engine;
use crate::store::duckdb::{performance, row};
use crate::store::{Health, Result};

/// The one analytics engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Analytics {
    engine: Arc<Engine>,
}

impl Analytics {
    pub fn new(engine: Arc<Engine>) -> Self {
        Analytics { engine }
    }

    pub async fn health(&self) -> Result<Health> {
        self.engine.health().await
    }

    /// Puts rows, each in place of the one of the same experiment: putting twice is putting once.
    pub async fn put(&self, rows: &[PerformanceRow]) -> Result<u64> {
        let rows = rows.to_vec();
        self.engine
            .write_plain("storing performance", move |connection| performance::put(connection, &rows))
            .await
    }

    /// Takes the rows of deleted experiments away.
    pub async fn remove(&self, ids: &[ExperimentId]) -> Result<u64> {
        let ids = ids.to_vec();
        self.engine
            .write_plain("deleting performance", move |connection| performance::remove(connection, &ids))
            .await
    }

    /// Averages by model, the most accurate first; without simulated runs if so wanted.
    pub async fn models(&self, with_simulated: bool) -> Result<Vec<ModelSummary>> {
        self.engine
            .read("comparing models", move |connection| {
                let mut statement = connection.prepare(include_str!("../../assets/queries/models.sql"))?;
                let rows = statement.query_map([with_simulated], |row| {
                    Ok(ModelSummary {
                        model_name: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                        avg_accuracy: row.get(1)?,
                        avg_training_time: row.get(2)?,
                        avg_inference_time: row.get(3)?,
                        experiment_count: row.get(4)?,
                    })
                })?;
                rows.collect()
            })
            .await
    }

    /// Answers one query, reading only; at most `limit` rows.
    pub async fn sql(&self, query: &str, limit: usize) -> Result<Table> {
        let query = query.to_owned();
        self.engine
            .read_checked("asking in SQL", move |connection, path| {
                console::ask(connection, path, &query, limit)
            })
            .await
    }

    /// Until when the rows of an experiment store were followed; none if never.
    pub async fn followed_until(&self, source: &str) -> Result<Option<Timestamp>> {
        let source = source.to_owned();
        self.engine
            .read("reading how far results were followed", move |connection| {
                connection.query_row(
                    "SELECT epoch_us(max(until)) FROM ml_schema.followed WHERE source = ?",
                    [source],
                    |found| row::time(found, 0),
                )
            })
            .await
    }

    /// Puts rows of an experiment store and notes how far they were followed, in one transaction.
    pub async fn follow(&self, source: &str, rows: &[PerformanceRow], until: Timestamp) -> Result<u64> {
        let (source, rows) = (source.to_owned(), rows.to_vec());
        self.engine
            .write_plain("following results", move |connection| {
                connection.execute("DELETE FROM ml_schema.followed WHERE source = ?", [&source])?;
                connection.execute(
                    "INSERT INTO ml_schema.followed VALUES (?, ?)",
                    params![source, row::micros(until)],
                )?;
                performance::put(connection, &rows)
            })
            .await
    }
}
