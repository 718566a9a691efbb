//! Which completed runs changed, for those who follow PostgreSQL.

use async_trait::async_trait;

use crate::store::Result;
use crate::store::follow::{Changed, Follow};

use super::Pg;
use super::schema::Part;

/// Told by the triggers of the migration when the whole table was emptied.
const ALL: i64 = 0;

/// One look, so that mark and changes belong together. What it does not see is of a transaction that was still under way, which
/// has a number from the mark on.
const CHANGED: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, experiment_id \
     FROM (SELECT) AS once LEFT JOIN ml_schema.run_changes ON changed_by >= $1::text::xid8 ORDER BY experiment_id";

#[async_trait]
impl Follow for Pg {
    async fn changed_since(&self, mark: Option<i64>) -> Result<Changed> {
        let doing = "looking for changed runs";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        // Without a mark everything is looked at, and the changes up to now do not matter.
        let since = mark.unwrap_or(i64::MAX).to_string();
        let rows = reader.rows(doing, CHANGED, &[&since]).await?;
        let mut changed = Changed { mark: mark.unwrap_or_default(), runs: None };
        let mut runs = Vec::new();
        for row in &rows {
            changed.mark = self.value(doing, row, 0)?;
            runs.extend(self.value::<Option<i64>>(doing, row, 1)?);
        }
        // A mark that lies ahead is of another server, from before a restore.
        let known = mark.is_some_and(|mark| mark <= changed.mark) && !runs.contains(&ALL);
        changed.runs = known.then_some(runs);
        Ok(changed)
    }
}
