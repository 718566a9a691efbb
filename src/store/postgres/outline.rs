//! Curves in as many points as a screen has dots, thinned in the database.

use crate::domain::experiment::ExperimentId;
use crate::domain::metric::{MetricPoint, Outline};
use crate::store::Result;
use crate::store::experiments::outline_share;

use super::Pg;
use super::schema::Part;

/// The points of the newest attempt.
const MINE: &str = "SELECT m.name, m.step, m.value, m.recorded_at FROM ml_schema.experiment_metrics m \
    JOIN ml_schema.experiments e ON e.id = m.experiment_id AND e.attempt = m.attempt WHERE m.experiment_id = $1";

impl Pg {
    /// See [`crate::store::experiments::ExperimentStore::outline`].
    pub(super) async fn read_outline(&self, id: ExperimentId, most: usize) -> Result<Outline> {
        let doing = "reading curves";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let sql = format!("SELECT count(DISTINCT name), count(*) FROM ({MINE}) mine");
        let row = reader.optional(doing, &sql, &[&id]).await?;
        let (curves, recorded): (i64, i64) = match &row {
            Some(row) => (self.value(doing, row, 0)?, self.value(doing, row, 1)?),
            None => (0, 0),
        };
        let (share, parts) = outline_share(most, usize::try_from(curves).unwrap_or(usize::MAX));
        // The least of pairs of value and step is the step of the least value.
        let sql = format!(
            "WITH mine AS ({MINE}),
             bounds AS (SELECT name, count(*) AS n, min(step) AS low, max(step) AS high FROM mine GROUP BY name),
             parted AS (SELECT name, step, value, value NOT IN ('NaN', 'Infinity', '-Infinity') AS finite,
                    CASE WHEN n <= $2::bigint THEN step ELSE floor((step::float8 - low) * $3::bigint
                        / (high::float8 - low + 1))::bigint END AS part
                 FROM mine JOIN bounds USING (name)),
             kept AS (SELECT DISTINCT name, unnest(ARRAY[min(step), max(step),
                    (min(ARRAY[value, step::float8]) FILTER (WHERE finite))[2]::bigint,
                    (max(ARRAY[value, step::float8]) FILTER (WHERE finite))[2]::bigint,
                    min(step) FILTER (WHERE NOT finite)]) AS step
                 FROM parted GROUP BY name, part)
             SELECT name, step, value, recorded_at FROM mine JOIN kept USING (name, step)
             ORDER BY name COLLATE \"C\", step, recorded_at"
        );
        let rows = reader.rows(doing, &sql, &[&id, &share, &parts]).await?;
        let point = |row| {
            Ok(MetricPoint {
                name: self.value(doing, row, 0)?,
                step: self.value(doing, row, 1)?,
                value: self.value(doing, row, 2)?,
                recorded_at: self.value(doing, row, 3)?,
            })
        };
        let points = rows.iter().map(point).collect::<Result<_>>()?;
        Ok(Outline { points, recorded: recorded.unsigned_abs() })
    }
}
