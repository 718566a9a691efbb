//! Curves in as many points as a screen has dots, thinned in the database.

use duckdb::{Connection, params};
use jiff::Timestamp;

use crate::domain::experiment::ExperimentId;
use crate::domain::metric::{MetricPoint, Outline};
use crate::store::experiments::outline_share;

use super::row;

/// The points of the newest attempt.
const MINE: &str = "SELECT m.name, m.step, m.value, m.recorded_at FROM ml_schema.experiment_metrics m
    JOIN ml_schema.experiments e ON e.id = m.experiment_id AND e.attempt = m.attempt WHERE e.id = ?";

/// See [`crate::store::experiments::ExperimentStore::outline`].
pub fn read(connection: &Connection, id: ExperimentId, most: usize) -> duckdb::Result<Outline> {
    let sql = format!("SELECT count(DISTINCT name), count(*) FROM ({MINE})");
    let (curves, recorded): (i64, i64) =
        connection.query_row(&sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (share, parts) = outline_share(most, usize::try_from(curves).unwrap_or(usize::MAX));
    let sql = format!(
        "WITH mine AS ({MINE}),
         bounds AS (SELECT name, count(*) AS n, min(step) AS low, max(step) AS high FROM mine GROUP BY name),
         parted AS (SELECT name, step, value, CASE WHEN n <= ? THEN step
                ELSE floor((step::DOUBLE - low) * ? / (high::DOUBLE - low + 1))::BIGINT END AS part
             FROM mine JOIN bounds USING (name)),
         kept AS (SELECT DISTINCT name, unnest([min(step), max(step),
                arg_min(step, value) FILTER (isfinite(value)), arg_max(step, value) FILTER (isfinite(value)),
                min(step) FILTER (NOT isfinite(value))]) AS step
             FROM parted GROUP BY name, part)
         SELECT name, step, value, epoch_us(recorded_at) FROM mine SEMI JOIN kept USING (name, step)
         ORDER BY name, step"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![id, share, parts], |row| {
        Ok(MetricPoint {
            name: row.get(0)?,
            step: row.get(1)?,
            value: row.get(2)?,
            recorded_at: row::time(row, 3)?.unwrap_or(Timestamp::UNIX_EPOCH),
        })
    })?;
    Ok(Outline { points: rows.collect::<duckdb::Result<_>>()?, recorded: recorded.unsigned_abs() })
}
