//! Rows of `experiments_performance`.

use duckdb::types::Value;
use duckdb::{Connection, params};
use jiff::civil::Date;

use crate::domain::experiment::ExperimentId;
use crate::domain::performance::PerformanceRow;

use super::experiments::list_of;
use super::row;

/// The source of rows whose experiments are in the same file.
pub const EMBEDDED: &str = "embedded";

/// Puts rows derived from `source`, each in place of the one of the same experiment. A row of the published script that has no experiment
/// behind it, but the same day, model and data set, is replaced as well: the demo's experiments stand behind such rows.
pub fn put(connection: &Connection, rows: &[PerformanceRow], source: &str) -> duckdb::Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.experiment_id).collect();
    remove(connection, &ids, source)?;
    for row in rows.iter().filter(|row| row.runner == crate::domain::performance::PUBLISHED) {
        connection.execute(
            "DELETE FROM experiments_performance
             WHERE experiment_id IS NULL AND date = ? AND model_name = ? AND dataset = ?",
            params![day(row.date), row.model_name, row.dataset],
        )?;
    }
    let mut appender = connection.appender("experiments_performance")?;
    for row in rows {
        appender.append_row(params![
            day(row.date),
            row.model_name,
            row.dataset,
            row.accuracy,
            row.precision,
            row.recall,
            row.training_time_sec,
            row.inference_time_ms,
            row.f1_score,
            row.memory_usage_mb,
            row.runner,
            row.experiment_id,
            source,
        ])?;
    }
    appender.flush()?;
    Ok(rows.len() as u64)
}

/// Deletes the rows of experiments; says how many there were.
pub fn remove(connection: &Connection, ids: &[ExperimentId], source: &str) -> duckdb::Result<u64> {
    let ids = list_of(ids);
    let sql = format!("DELETE FROM experiments_performance WHERE source = ? AND experiment_id IN ({ids})");
    Ok(connection.execute(&sql, [source])? as u64)
}

/// Rows of experiments from one id to another, by id; there may be several of one.
pub fn rows(
    connection: &Connection,
    first: ExperimentId,
    last: ExperimentId,
    source: &str,
) -> duckdb::Result<Vec<PerformanceRow>> {
    let mut statement = connection.prepare(
        "SELECT experiment_id, coalesce(date, DATE '1970-01-01')::VARCHAR, coalesce(model_name, ''), coalesce(dataset, ''),
                accuracy, precision, recall, training_time_sec, inference_time_ms, f1_score, memory_usage_mb,
                coalesce(runner, '')
         FROM experiments_performance WHERE source = ? AND experiment_id BETWEEN ? AND ? ORDER BY experiment_id",
    )?;
    let rows = statement.query_map(params![source, first, last], |found| {
        let date: String = found.get(1)?;
        Ok(PerformanceRow {
            experiment_id: found.get(0)?,
            date: date.parse().map_err(|error: jiff::Error| row::unreadable(1, error.to_string()))?,
            model_name: found.get(2)?,
            dataset: found.get(3)?,
            accuracy: found.get(4)?,
            precision: found.get(5)?,
            recall: found.get(6)?,
            training_time_sec: found.get(7)?,
            inference_time_ms: found.get(8)?,
            f1_score: found.get(9)?,
            memory_usage_mb: found.get(10)?,
            runner: found.get(11)?,
        })
    })?;
    rows.collect()
}

/// Days since 1970, as DuckDB binds a date.
fn day(date: Date) -> Value {
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = date.duration_since(epoch).as_hours() / 24;
    // A civil date spans less than eight million days.
    Value::Date32(i32::try_from(days).unwrap_or(i32::MAX))
}
