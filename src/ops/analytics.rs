//! Analytics: reports over every finished experiment.

use super::{Lab, OpsError, Result, Stop, sync};
use crate::domain::performance::ModelSummary;
use crate::domain::table::Table;
use crate::store::Backend;

/// Changed experiments fetched at once.
const LOT: usize = 1000;

/// Averages by model, best accuracy first.
pub async fn models(lab: &Lab, with_simulated: bool) -> Result<Vec<ModelSummary>> {
    freshen(lab).await?;
    Ok(lab.analytics.models(with_simulated).await?)
}

/// Runs one query on the analytics database, read-only, and gives back at most `limit` rows.
pub async fn sql(lab: &Lab, query: &str, limit: usize) -> Result<Table> {
    freshen(lab).await?;
    Ok(lab.analytics.sql(query, limit).await?)
}

/// Catches up before a question is answered, except in read-only mode, where the answer is what is known already. While the experiment store is down the answer is what is known so far: the
/// log says so, and its health says since when.
async fn freshen(lab: &Lab) -> Result<()> {
    if lab.settings.read_only {
        return Ok(());
    }
    match catch_up(lab).await {
        Err(OpsError::Store(error)) if error.is_transient() && error.backend != Backend::DuckDb => {
            tracing::warn!("The analytics are as of the last contact with the experiment store. {error}");
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Brings the analytics in step with what changed in the experiment store since they were last: runs that were completed here or by
/// anybody else, changed, or deleted. Says how many rows that touched. Nothing to do where the store does it by itself.
pub async fn catch_up(lab: &Lab) -> Result<u64> {
    let Some(follow) = &lab.follow else { return Ok(0) };
    let before = lab.analytics.mark().await?;
    let changed = follow.changed_since(before).await?;
    let mut touched = 0;
    match &changed.runs {
        None => touched += sync::compare(lab, true, &Stop::default()).await?.total(),
        Some(runs) => {
            for some in runs.chunks(LOT) {
                touched += sync::renew(lab, some).await?;
            }
            if runs.is_empty() {
                return Ok(0);
            }
        }
    }
    if before != Some(changed.mark) {
        // Those of a transaction that is still under way come again the next time.
        lab.analytics.follow(&[], &[], Some(changed.mark)).await?;
    }
    Ok(touched)
}
