//! The figures of this process and of the stores, as a page for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::{Lab, health};
use crate::domain::experiment::Status;
use crate::store::measured::{Page, Sample};
use crate::store::{Backend, Role};

/// The stores are not asked more often, however often the page is fetched.
const FRESH: Duration = Duration::from_secs(5);
/// Nor do they spend more than one part of so many of their time on it, where counting takes long.
const SHARE: u32 = 20;
/// A store that has not answered by then counts as down; shorter than Prometheus waits for the page.
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes the page.
#[derive(Debug)]
pub struct Metrics {
    lab: Arc<Lab>,
    started: SystemTime,
    known: Mutex<Option<Arc<Facts>>>,
    /// Fetches that come at once ask the stores once.
    turn: Semaphore,
}

/// What the stores said, and for how long that is good.
#[derive(Debug)]
struct Facts {
    until: Instant,
    up: Vec<(Role, Backend, Option<Duration>)>,
    statuses: Option<Vec<(Status, u64)>>,
    waiting: Option<u64>,
}

impl Metrics {
    pub fn new(lab: Arc<Lab>) -> Self {
        Metrics { lab, started: SystemTime::now(), known: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The page, whatever is down: what cannot be known is left out.
    pub async fn page(&self) -> String {
        let facts = self.facts().await;
        let mut page = Page::default();
        let version = env!("CARGO_PKG_VERSION");
        page.family("labtop_build_info", "gauge", "The program.", &[(&[("version", version)], 1.0)]);
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let help = "Start of this process, in seconds since 1970.";
        page.family("process_start_time_seconds", "gauge", help, &[(&[], started)]);
        facts.write(&mut page);
        page.operations(&self.lab.meter);
        page.into_text()
    }

    async fn facts(&self) -> Arc<Facts> {
        if let Some(facts) = self.fresh() {
            return facts;
        }
        // Never closed; were it, asking twice would be no harm.
        let _turn = self.turn.acquire().await.ok();
        if let Some(facts) = self.fresh() {
            return facts;
        }
        let facts = Arc::new(ask(&self.lab).await);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts.clone());
        facts
    }

    fn fresh(&self) -> Option<Arc<Facts>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone().filter(|facts| Instant::now() < facts.until)
    }
}

async fn ask(lab: &Lab) -> Facts {
    let begun = Instant::now();
    let health = |role: Role| async move {
        let checked = tokio::time::timeout(PATIENCE, health::check_one(lab, role)).await;
        let latency = checked.ok().and_then(|checked| checked.state.ok()).map(|health| health.latency);
        (role, lab.backend(role), latency)
    };
    // What cannot be counted is left out; health says why.
    let (up, statuses, waiting) = tokio::join!(
        join_all(Role::ALL.map(health)),
        tokio::time::timeout(PATIENCE, lab.experiments.statuses()),
        tokio::time::timeout(PATIENCE, lab.outbox.waiting()),
    );
    Facts {
        until: Instant::now() + FRESH.max(begun.elapsed() * SHARE),
        up,
        statuses: statuses.ok().and_then(Result::ok),
        waiting: waiting.ok().and_then(Result::ok),
    }
}

impl Facts {
    fn write(&self, page: &mut Page) {
        let labels: Vec<_> = self
            .up
            .iter()
            .map(|(role, backend, _)| [("role", role.as_str()), ("backend", backend.as_str())])
            .collect();
        let up: Vec<Sample<'_>> = labels
            .iter()
            .zip(&self.up)
            .map(|(labels, (.., latency))| (&labels[..], f64::from(u8::from(latency.is_some()))))
            .collect();
        page.family("labtop_up", "gauge", "Whether the backend of a role answers.", &up);
        let latencies: Vec<Sample<'_>> = labels
            .iter()
            .zip(&self.up)
            .filter_map(|(labels, (.., latency))| Some((&labels[..], latency.as_ref()?.as_secs_f64())))
            .collect();
        let help = "How long the backend of a role took to say who it is.";
        page.family("labtop_health_latency_seconds", "gauge", help, &latencies);
        if let Some(statuses) = &self.statuses {
            let count = |status: Status| {
                let counted = statuses.iter().find(|(known, _)| *known == status);
                counted.map_or(0.0, |(_, count)| *count as f64)
            };
            let labels = Status::ALL.map(|status| (status, [("status", status.as_str())]));
            let samples: Vec<Sample<'_>> =
                labels.iter().map(|(status, labels)| (&labels[..], count(*status))).collect();
            page.family("labtop_experiments", "gauge", "Experiments in the store, by status.", &samples);
            let queued = [(&[][..], count(Status::Queued))];
            page.family("labtop_queue_depth", "gauge", "Experiments that wait for a worker.", &queued);
        }
        if let Some(waiting) = self.waiting {
            let help = "Deliveries that wait for the collection store.";
            page.family("labtop_outbox_waiting", "gauge", help, &[(&[], waiting as f64)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{Bench, FOREVER};

    #[tokio::test]
    async fn a_store_that_is_down_is_a_figure_and_no_error() {
        let bench = Bench::embedded();
        bench.collections.down.set(FOREVER);
        bench.store.list_fails.set(FOREVER);
        let metrics = Metrics::new(Arc::new(bench.lab));
        let page = metrics.page().await;
        assert!(page.contains("labtop_up{role=\"collections\",backend=\"DuckDB\"} 0\n"), "{page}");
        assert!(page.contains("labtop_up{role=\"documents\",backend=\"DuckDB\"} 1\n"), "{page}");
        assert!(!page.contains("labtop_queue_depth"), "{page}");
        assert!(page.contains("labtop_outbox_waiting 0\n"), "{page}");
        let count = |page: &str| {
            let line =
                page.lines().find(|line| line.contains("operation=\"statuses\",outcome=\"unavailable\""));
            line.unwrap().rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!(count(&page), "1");
        assert_eq!(count(&metrics.page().await), "1", "what is known is not asked again at once");
    }
}
