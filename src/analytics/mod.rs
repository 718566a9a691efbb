//! The reports: `experiments_performance` in DuckDB and every question asked of it.

mod console;
pub mod parquet;
pub mod record_file;

use std::sync::Arc;

use duckdb::params;
use jiff::Timestamp;

use crate::domain::experiment::ExperimentId;
use crate::domain::performance::{ModelSummary, PerformanceRow};
use crate::domain::table::Table;
use crate::store::duckdb::engine::Engine;
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

    /// Rows of experiments from one id to another, both included; by id.
    pub async fn rows(&self, first: ExperimentId, last: ExperimentId) -> Result<Vec<PerformanceRow>> {
        let source = self.source.clone();
        let work = self.engine.read("reading performance", move |connection| {
            performance::rows(connection, first, last, &source)
        });
        self.gauge.time("rows", work).await
    }

    /// Takes the rows of some experiments away and puts others, and notes how far the experiment store was followed; in one
    /// transaction.
    pub async fn follow(
        &self,
        gone: &[ExperimentId],
        rows: &[PerformanceRow],
        mark: Option<i64>,
    ) -> Result<()> {
        let (gone, rows, source) = (gone.to_vec(), rows.to_vec(), self.source.clone());
        let work = self.engine.write_plain("following results", move |connection| {
            performance::remove(connection, &gone, &source)?;
            performance::put(connection, &rows, &source)?;
            if let Some(mark) = mark {
                let now = row::micros(Timestamp::now());
                connection.execute("DELETE FROM ml_schema.followed WHERE source = ?", [&*source])?;
                connection.execute(
                    "INSERT INTO ml_schema.followed (source, until, mark) VALUES (?, ?, ?)",
                    params![&*source, now, mark],
                )?;
            }
            Ok(())
        });
        self.gauge.time("follow", work).await
    }

    /// How far the experiment store was followed; none if never.
    pub async fn mark(&self) -> Result<Option<i64>> {
        let source = self.source.clone();
        let work = self.engine.read("reading how far results were followed", move |connection| {
            let sql = "SELECT max(mark) FROM ml_schema.followed WHERE source = ?";
            connection.query_row(sql, [&*source], |found| found.get(0))
        });
        self.gauge.time("mark", work).await
    }
}

fn gauge(meter: &Arc<Meter>) -> Gauge {
    Gauge::new(meter, Place { role: Role::Analytics, store: "analytics", backend: Backend::DuckDb })
}
