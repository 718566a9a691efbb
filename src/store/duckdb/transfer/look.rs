//! What a DuckDB store gives away.

use std::collections::HashMap;

use duckdb::Connection;
use jiff::Timestamp;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::store::outbox::Delivery;
use crate::store::transfer::{Identity, Sizes, Which, WholeRun};

use super::super::experiments::list_of;
use super::super::outbox::{self, DELIVERY};
use super::super::row;

pub fn sizes(connection: &Connection) -> duckdb::Result<Sizes> {
    let sql = "SELECT (SELECT count(*) FROM ml_schema.batches), (SELECT count(*) FROM ml_schema.experiments),
                      (SELECT count(*) FROM ml_schema.outbox), (SELECT coalesce(max(id), 0) FROM ml_schema.batches),
                      (SELECT coalesce(max(id), 0) FROM ml_schema.experiments)";
    connection.query_row(sql, [], |row| {
        Ok(Sizes {
            batches: row.get(0)?,
            runs: row.get(1)?,
            deliveries: row.get(2)?,
            last_batch: row.get(3)?,
            last_run: row.get(4)?,
        })
    })
}

/// The condition on `experiments`, and what follows it.
fn wanted(which: &Which) -> String {
    match which {
        Which::After(after, limit) => {
            let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
            format!("id > {after} ORDER BY id LIMIT {limit}")
        }
        Which::Ids(ids) => format!("id IN ({}) ORDER BY id", list_of(ids)),
        // Hyphens and hex digits may stand in SQL as they are.
        Which::Keys(keys) if !keys.is_empty() => {
            let keys: Vec<String> = keys.iter().map(|key| format!("'{key}'::UUID")).collect();
            format!("key IN ({}) ORDER BY id", keys.join(", "))
        }
        Which::Keys(_) => "false".to_owned(),
    }
}

pub fn identities(connection: &Connection, which: &Which) -> duckdb::Result<Vec<Identity>> {
    let sql = format!("SELECT id, key::VARCHAR FROM ml_schema.experiments WHERE {}", wanted(which));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok(Identity { id: row.get(0)?, key: row::uuid(row, 1)? }))?;
    rows.collect()
}

pub fn runs(connection: &Connection, which: &Which, points: u64) -> duckdb::Result<Vec<WholeRun>> {
    let columns = row::EXPERIMENT;
    let sql = format!("SELECT {columns} FROM ml_schema.experiments WHERE {}", wanted(which));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query_map([], row::experiment)?.collect::<duckdb::Result<Vec<Experiment>>>()?;
    if let Which::After(..) = which {
        let ids: Vec<ExperimentId> = rows.iter().map(|run| run.id).collect();
        rows.truncate(within(&ids, &counts(connection, &ids)?, points));
    }
    let ids: Vec<ExperimentId> = rows.iter().map(|run| run.id).collect();
    let mut points = points_of(connection, &ids)?;
    let whole = |experiment: Experiment| {
        let points = points.remove(&experiment.id).unwrap_or_default();
        WholeRun { experiment, points }
    };
    Ok(rows.into_iter().map(whole).collect())
}

/// How many of these runs have no more than so many points in all; one at least.
fn within(ids: &[ExperimentId], counts: &HashMap<ExperimentId, u64>, points: u64) -> usize {
    let mut sum = 0;
    let fit = ids.iter().take_while(|id| {
        sum += counts.get(*id).copied().unwrap_or_default();
        sum <= points
    });
    fit.count().max(1)
}

fn counts(connection: &Connection, ids: &[ExperimentId]) -> duckdb::Result<HashMap<ExperimentId, u64>> {
    let mut statement = connection.prepare(&format!(
        "SELECT experiment_id, count(*) FROM ml_schema.experiment_metrics WHERE {} GROUP BY experiment_id",
        of_these(ids)
    ))?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// With their ends, so that DuckDB passes over the parts of the table that hold none of them.
fn of_these(ids: &[ExperimentId]) -> String {
    let (first, last) = (ids.iter().min().unwrap_or(&0), ids.iter().max().unwrap_or(&0));
    format!("experiment_id BETWEEN {first} AND {last} AND experiment_id IN ({})", list_of(ids))
}

fn points_of(
    connection: &Connection,
    ids: &[ExperimentId],
) -> duckdb::Result<HashMap<ExperimentId, Vec<MetricPoint>>> {
    let mut statement = connection.prepare(&format!(
        "SELECT m.experiment_id, m.name, m.step, m.value, epoch_us(m.recorded_at) FROM ml_schema.experiment_metrics m
         JOIN (SELECT id, attempt FROM ml_schema.experiments WHERE id IN ({})) e
             ON e.id = m.experiment_id AND e.attempt = m.attempt WHERE {}",
        list_of(ids),
        of_these(ids)
    ))?;
    let mut points: HashMap<ExperimentId, Vec<MetricPoint>> = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        points.entry(row.get(0)?).or_default().push(MetricPoint {
            name: row.get(1)?,
            step: row.get(2)?,
            value: row.get(3)?,
            recorded_at: row::time(row, 4)?.unwrap_or(Timestamp::UNIX_EPOCH),
        });
    }
    Ok(points)
}

pub fn deliveries(connection: &Connection, after: i64, limit: u64) -> duckdb::Result<Vec<Delivery>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {DELIVERY} FROM ml_schema.outbox WHERE id > ? ORDER BY id LIMIT {}",
        i64::try_from(limit).unwrap_or(i64::MAX)
    ))?;
    let rows = statement.query_map([after], outbox::delivery)?;
    rows.collect()
}
