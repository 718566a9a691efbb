//! The learning curves of a run, metric by metric, while they grow.

use std::collections::BTreeMap;

use crate::domain::experiment::ExperimentId;
use crate::domain::metric::MetricPoint;
use crate::tui::charts::thin::Series;

/// Metrics that are shown before all others.
const FIRST: [&str; 3] = ["accuracy", "loss", "inference_time_ms"];

/// One series per metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    series: BTreeMap<String, Series>,
}

impl Curves {
    pub fn of(points: &[MetricPoint]) -> Self {
        let mut curves = Curves::default();
        curves.add(points);
        curves
    }

    /// Points may come twice and late: each finds its place by its step.
    pub fn add(&mut self, points: &[MetricPoint]) {
        for point in points {
            let series = match self.series.get_mut(&point.name) {
                Some(series) => series,
                None => self.series.entry(point.name.clone()).or_default(),
            };
            series.push(point.step as f64, point.value);
        }
    }

    /// Adds what `other` knows.
    pub fn merge(&mut self, other: &Curves) {
        for (name, series) in &other.series {
            let mine = self.series.entry(name.clone()).or_default();
            for (x, y) in series.points() {
                mine.push(*x, *y);
            }
        }
    }

    /// The published metrics first, then the others by name.
    pub fn names(&self) -> Vec<&str> {
        let known = FIRST.into_iter().filter(|name| self.series.contains_key(*name));
        let others = self.series.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
        known.chain(others).collect()
    }

    pub fn get(&self, name: &str) -> Option<&Series> {
        self.series.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The newest value of a metric.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.series.get(name).and_then(Series::last).map(|(_, value)| value)
    }
}

/// As the axis of a chart calls it.
pub fn title_of(metric: &str) -> String {
    match metric {
        "inference_time_ms" => "inference time (ms)".to_owned(),
        "training_time_seconds" => "training time (s)".to_owned(),
        "memory_usage_mb" => "memory (MB)".to_owned(),
        other => other.to_owned(),
    }
}

/// Runs whose curves are remembered after their end.
const REMEMBERED: usize = 64;

/// Curves of the runs of this process, so that no point is lost between a reading and the news after it.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// In the order in which the runs were heard of first.
    runs: Vec<(ExperimentId, Curves)>,
}

impl Live {
    pub fn add(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        match self.runs.iter_mut().find(|(known, _)| *known == id) {
            Some((_, curves)) => curves.add(points),
            None => {
                if self.runs.len() >= REMEMBERED {
                    self.runs.remove(0);
                }
                self.runs.push((id, Curves::of(points)));
            }
        }
    }

    pub fn get(&self, id: ExperimentId) -> Option<&Curves> {
        self.runs.iter().find(|(known, _)| *known == id).map(|(_, curves)| curves)
    }

    /// A run starts anew, as after a retry: its old points are another attempt's.
    pub fn forget(&mut self, id: ExperimentId) {
        self.runs.retain(|(known, _)| *known != id);
    }
}
