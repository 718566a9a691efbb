//! Bringing together what is derived from the experiment store, and what waits, with what there is.

use std::collections::{BTreeMap, BTreeSet};

use super::delivery::{self, Delivered};
use super::{Lab, OpsError, Result, Stop};
use crate::domain::experiment::{ExperimentId, Status};
use crate::domain::filter::{Comparison, Field, Filter, Literal, Operand};
use crate::domain::performance::PerformanceRow;
use crate::domain::window::Window;
use crate::store::experiments::ExperimentQuery;

/// Experiments fetched at once.
const PAGE: u64 = 1000;

/// How `experiments_performance` differed from the experiments it is derived from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Rows that were not there.
    pub missing: Vec<ExperimentId>,
    /// Rows without a completed experiment behind them.
    pub superfluous: Vec<ExperimentId>,
    /// Rows that said something else, or were there twice.
    pub changed: Vec<ExperimentId>,
    /// Rows that there should be.
    pub rows: u64,
}

impl Differences {
    pub fn total(&self) -> u64 {
        (self.missing.len() + self.superfluous.len() + self.changed.len()) as u64
    }

    fn add(&mut self, other: Differences) {
        self.missing.extend(other.missing);
        self.superfluous.extend(other.superfluous);
        self.changed.extend(other.changed);
        self.rows += other.rows;
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    pub differences: Differences,
    /// What became of the outbox; only what waits is counted when nothing is to be changed.
    pub delivered: Delivered,
}

/// Compares the performance rows with the experiments and puts right what differs, then delivers what waits in the outbox. With
/// `dry_run` it only says what there is.
pub async fn sync(lab: &Lab, dry_run: bool, stop: &Stop) -> Result<Synced> {
    // Before the comparison: what changes meanwhile is told to the next who catches up.
    let mark = match &lab.follow {
        Some(follow) if !dry_run => Some(follow.changed_since(None).await?.mark),
        _ => None,
    };
    let differences = compare(lab, !dry_run, stop).await?;
    if mark.is_some() {
        lab.analytics.follow(&[], &[], mark).await?;
    }
    let delivered = match dry_run {
        true => Delivered { left: lab.outbox.waiting().await?, ..Delivered::default() },
        false => delivery::deliver(lab).await?,
    };
    Ok(Synced { differences, delivered })
}

/// Goes through all experiments, the newest first, and the performance rows beside them.
pub(super) async fn compare(lab: &Lab, repair: bool, stop: &Stop) -> Result<Differences> {
    let mut found = Differences::default();
    let mut query = ExperimentQuery {
        filter: Some(Filter::And(vec![completed()])),
        limit: PAGE,
        with_archived: true,
        ..ExperimentQuery::default()
    };
    let mut last = ExperimentId::MAX;
    loop {
        if stop.is_stopped() {
            return Err(OpsError::Cancelled);
        }
        let page = lab.experiments.list(&query).await?;
        let next = page.next().filter(|_| page.rows.len() as u64 == PAGE);
        let lowest = page.rows.last().map(|run| run.id);
        let first = if next.is_some() { lowest.unwrap_or(ExperimentId::MIN) } else { ExperimentId::MIN };
        let wanted = page.rows.iter().filter_map(PerformanceRow::of).collect();
        let there = lab.analytics.rows(first, last).await?;
        found.add(settle(lab, wanted, there, repair).await?);
        last = first.saturating_sub(1);
        match next {
            Some(next) => query.window = Window::clone(&next),
            None => return Ok(found),
        }
    }
}

/// Has the rows of these experiments say what the experiments say; how many were touched.
pub(super) async fn renew(lab: &Lab, ids: &[ExperimentId]) -> Result<u64> {
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(0) };
    let wanted = rows_of(lab, ids).await?;
    let mut there = lab.analytics.rows(*first, *last).await?;
    there.retain(|row| ids.contains(&row.experiment_id));
    Ok(settle(lab, wanted, there, true).await?.total())
}

/// The rows that these experiments should have.
async fn rows_of(lab: &Lab, ids: &[ExperimentId]) -> Result<Vec<PerformanceRow>> {
    let values = ids.iter().map(|id| Literal::Number(*id as f64)).collect();
    let these = Filter::In { field: Field::Id, values, negated: false };
    let query = ExperimentQuery {
        filter: Some(Filter::And(vec![completed(), these])),
        limit: ids.len() as u64,
        with_archived: true,
        ..ExperimentQuery::default()
    };
    let page = lab.experiments.list(&query).await?;
    Ok(page.rows.iter().filter_map(PerformanceRow::of).collect())
}

async fn settle(
    lab: &Lab,
    wanted: Vec<PerformanceRow>,
    there: Vec<PerformanceRow>,
    repair: bool,
) -> Result<Differences> {
    let mut old: BTreeMap<ExperimentId, Vec<PerformanceRow>> = BTreeMap::new();
    for row in there {
        old.entry(row.experiment_id).or_default().push(row);
    }
    let mut found = Differences { rows: wanted.len() as u64, ..Differences::default() };
    let mut put = Vec::new();
    for row in wanted {
        match old.remove(&row.experiment_id).as_deref() {
            Some([same]) if same.says_as(&row) => continue,
            Some(_) => found.changed.push(row.experiment_id),
            None => found.missing.push(row.experiment_id),
        }
        put.push(row);
    }
    // A run may have been completed since the experiments were read.
    let suspects: Vec<ExperimentId> = old.into_keys().collect();
    if !suspects.is_empty() {
        let late = rows_of(lab, &suspects).await?;
        let late: BTreeSet<ExperimentId> = late.iter().map(|row| row.experiment_id).collect();
        found.superfluous = suspects.into_iter().filter(|id| !late.contains(id)).collect();
    }
    if repair && (!put.is_empty() || !found.superfluous.is_empty()) {
        lab.analytics.follow(&found.superfluous, &put, None).await?;
    }
    Ok(found)
}

fn completed() -> Filter {
    let status = Literal::Text(Status::Completed.as_str().to_owned());
    Filter::Compare { field: Field::Status, comparison: Comparison::Equal, with: Operand::Literal(status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::analytics::catch_up;
    use crate::ops::experiment::{RunRequest, run};
    use crate::ops::news::Nobody;
    use crate::ops::tests::Bench;

    async fn three_runs() -> Bench {
        let bench = Bench::servers();
        for _ in 0..3 {
            let (model, dataset) = ("BERT".to_owned(), "reviews".to_owned());
            let request = RunRequest { model, dataset, ..RunRequest::default() };
            run(&bench.lab, &request, &Nobody, &Stop::default()).await.unwrap();
        }
        catch_up(&bench.lab).await.unwrap();
        bench
    }

    async fn spoil(bench: &Bench) {
        bench.lab.analytics.remove(&[1]).await.unwrap();
        bench.store.change(2, |run| run.figures.accuracy = Some(0.25));
        let mut foreign = bench.lab.analytics.rows(3, 3).await.unwrap();
        foreign[0].experiment_id = 77;
        bench.lab.analytics.put(&foreign).await.unwrap();
    }

    #[tokio::test]
    async fn differences_are_told_and_put_right() {
        let bench = three_runs().await;
        let stop = Stop::default();
        assert_eq!(sync(&bench.lab, true, &stop).await.unwrap().differences.total(), 0);
        spoil(&bench).await;
        let differences = Differences { missing: vec![1], superfluous: vec![77], changed: vec![2], rows: 3 };
        for dry_run in [true, true, false] {
            assert_eq!(sync(&bench.lab, dry_run, &stop).await.unwrap().differences, differences);
        }
        assert_eq!(sync(&bench.lab, false, &stop).await.unwrap().differences.total(), 0);
        let rows = bench.lab.analytics.rows(1, 99).await.unwrap();
        assert_eq!((rows.len(), rows[1].accuracy), (3, Some(0.25)));
    }

    #[tokio::test]
    async fn what_was_deleted_or_changed_is_caught_up_with() {
        let bench = three_runs().await;
        assert_eq!(catch_up(&bench.lab).await.unwrap(), 0);
        bench.store.change(2, |run| run.model_type = "GPT".to_owned());
        crate::store::experiments::ExperimentStore::remove(&*bench.store, &[3]).await.unwrap();
        assert_eq!(catch_up(&bench.lab).await.unwrap(), 2);
        let rows = bench.lab.analytics.rows(1, 99).await.unwrap();
        let told: Vec<_> = rows.iter().map(|row| (row.experiment_id, row.model_name.as_str())).collect();
        assert_eq!(told, [(1, "BERT"), (2, "GPT")]);
    }
}
