//! The learning curves of a run, metric by metric, while they grow.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::tui::charts::thin::{Point, Series};

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
            series.push(point.step as f64, point.value, seconds(point.recorded_at));
        }
    }

    /// Adds what `other` knows.
    pub fn merge(&mut self, other: &Curves) {
        for (name, series) in &other.series {
            let mine = self.series.entry(name.clone()).or_default();
            for ((x, y), time) in series.points().iter().zip(series.times()) {
                mine.push(*x, *y, *time);
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

    /// The points of a metric over steps, or over the seconds since `origin`.
    pub fn points(&self, name: &str, origin: Option<f64>) -> Cow<'_, [Point]> {
        match (self.series.get(name), origin) {
            (None, _) => Cow::Borrowed(&[]),
            (Some(series), None) => Cow::Borrowed(series.points()),
            (Some(series), Some(origin)) => Cow::Owned(series.since(origin)),
        }
    }

    /// Where the time axis begins: the start of the run, or its first point where no start is known.
    pub fn origin(&self, run: &Experiment) -> f64 {
        let first = self.series.values().filter_map(|series| series.times().first()).copied();
        run.started_at.map(seconds).or_else(|| first.reduce(f64::min)).unwrap_or(0.0)
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
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
