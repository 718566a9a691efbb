//! Rows of `experiments_performance`.

use duckdb::types::Value;
use duckdb::{Connection, params};
use jiff::civil::Date;

use crate::domain::experiment::ExperimentId;
use crate::domain::performance::PerformanceRow;

use super::experiments::list_of;

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

/// Days since 1970, as DuckDB binds a date.
fn day(date: Date) -> Value {
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = date.duration_since(epoch).as_hours() / 24;
    // A civil date spans less than eight million days.
    Value::Date32(i32::try_from(days).unwrap_or(i32::MAX))
}
