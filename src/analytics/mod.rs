//! The reports: `experiments_performance` in DuckDB and every question asked of it.

mod console;
pub mod parquet;

use std::collections::HashSet;
use std::sync::Arc;

use duckdb::params;
use jiff::Timestamp;

use crate::domain::experiment::ExperimentId;
use crate::domain::performance::{ModelSummary, PerformanceRow};
use crate::domain::table::Table;
use crate::store::duckdb::engine::Engine;
use crate::store::duckdb::experiments::list_of;
use crate::store::duckdb::{performance, row};
use crate::store::measured::{Gauge, Meter, Place};
use crate::store::{Backend, Health, Result, Role};

/// The one analytics engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Analytics {
    engine: Arc<Engine>,
    /// The experiment store whose rows these are.
    source: Arc<str>,
    gauge: Gauge,
}

impl Analytics {
    /// Of the experiments in the same file.
    pub fn new(engine: Arc<Engine>) -> Self {
        Analytics::of(engine, performance::EMBEDDED)
    }

    /// Of the experiments of another store, named without secrets.
    pub fn of(engine: Arc<Engine>, source: &str) -> Self {
        Analytics { engine, source: source.into(), gauge: gauge(&Arc::default()) }
    }

    /// Counted and timed by this meter.
    #[must_use]
    pub fn measured(self, meter: &Arc<Meter>) -> Self {
        Analytics { gauge: gauge(meter), ..self }
    }

    pub async fn health(&self) -> Result<Health> {
        self.gauge.time("health", self.engine.health()).await
    }

    /// Puts rows, each in place of the one of the same experiment: putting twice is putting once.
    pub async fn put(&self, rows: &[PerformanceRow]) -> Result<u64> {
        let (rows, source) = (rows.to_vec(), self.source.clone());
        let work = self.engine.write_plain("storing performance", move |connection| {
            performance::put(connection, &rows, &source)
        });
        self.gauge.time("put", work).await
    }

    /// Takes the rows of deleted experiments away.
    pub async fn remove(&self, ids: &[ExperimentId]) -> Result<u64> {
        let (ids, source) = (ids.to_vec(), self.source.clone());
        let work = self.engine.write_plain("deleting performance", move |connection| {
            performance::remove(connection, &ids, &source)
        });
        self.gauge.time("remove", work).await
    }

    /// Averages by model, the most accurate first; without simulated runs if so wanted.
    pub async fn models(&self, with_simulated: bool) -> Result<Vec<ModelSummary>> {
        let source = self.source.clone();
        let work = self.engine.read("comparing models", move |connection| {
            let mut statement = connection.prepare(include_str!("../../assets/queries/models.sql"))?;
            let rows = statement.query_map(params![&*source, with_simulated], |row| {
                Ok(ModelSummary {
                    model_name: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                    avg_accuracy: row.get(1)?,
                    avg_training_time: row.get(2)?,
                    avg_inference_time: row.get(3)?,
                    experiment_count: row.get(4)?,
                })
            })?;
            rows.collect()
        });
        self.gauge.time("models", work).await
    }

    /// Answers one query, reading only; at most `limit` rows.
    pub async fn sql(&self, query: &str, limit: usize) -> Result<Table> {
        let query = query.to_owned();
        let work = self.engine.read_checked("asking in SQL", move |connection, path| {
            console::ask(connection, path, &query, limit)
        });
        self.gauge.time("sql", work).await
    }

    /// Which of these experiments have a row.
    pub async fn known(&self, ids: &[ExperimentId]) -> Result<HashSet<ExperimentId>> {
        let (ids, source) = (list_of(ids), self.source.clone());
        let work = self.engine
            .read("looking for results", move |connection| {
                let mut statement = connection.prepare(&format!(
                    "SELECT experiment_id FROM experiments_performance WHERE source = ? AND experiment_id IN ({ids})"
                ))?;
                statement.query_map([&*source], |row| row.get(0))?.collect()
            });
        self.gauge.time("known", work).await
    }

    /// Until when the rows of the experiment store were followed; none if never.
    pub async fn followed_until(&self) -> Result<Option<Timestamp>> {
        let source = self.source.clone();
        let work = self.engine.read("reading how far results were followed", move |connection| {
            connection.query_row(
                "SELECT epoch_us(max(until)) FROM ml_schema.followed WHERE source = ?",
                [&*source],
                |found| row::time(found, 0),
            )
        });
        self.gauge.time("followed_until", work).await
    }

    /// Puts rows of the experiment store and notes how far they were followed, in one transaction.
    pub async fn follow(&self, rows: &[PerformanceRow], until: Timestamp) -> Result<u64> {
        let (rows, source) = (rows.to_vec(), self.source.clone());
        let work = self.engine.write_plain("following results", move |connection| {
            connection.execute("DELETE FROM ml_schema.followed WHERE source = ?", [&*source])?;
            connection.execute(
                "INSERT INTO ml_schema.followed VALUES (?, ?)",
                params![&*source, row::micros(until)],
            )?;
            performance::put(connection, &rows, &source)
        });
        self.gauge.time("follow", work).await
    }
}

fn gauge(meter: &Arc<Meter>) -> Gauge {
    Gauge::new(meter, Place { role: Role::Analytics, store: "analytics", backend: Backend::DuckDb })
}
