//! The run that all others are measured against.

use std::collections::HashMap;

use ratatui::style::Style;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::filter::{Aggregate, Field};
use crate::domain::metric::{MetricPoint, is_better_small};
use crate::tui::context::{Context, Tone};
use crate::tui::remote::Remote;
use crate::tui::theme::Theme;
use crate::tui::widgets::number::short;
use crate::worker::protocol::{Answer, Failure, Read, Slot, Ticket};

use super::Experiments;
use super::aggregates::Aggregates;
use super::columns::{is_small_better, number};

/// Columns that a difference takes beside its figure.
pub const WIDTH: u16 = 10;

/// A pinned run. Its key tells it from a run of the same id in another store.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    pub run: Experiment,
    /// Of its curves, by metric.
    curves: HashMap<String, CurveFigures>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct CurveFigures {
    last: f64,
    smallest: f64,
    largest: f64,
}

/// How far a figure is from the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    by: f64,
    small_is_better: bool,
}

impl Baseline {
    /// `points` in the order of their steps.
    pub fn new(run: Experiment, points: &[MetricPoint]) -> Self {
        let mut curves: HashMap<String, CurveFigures> = HashMap::new();
        for MetricPoint { name, value, .. } in points {
            match curves.get_mut(name) {
                Some(known) => {
                    known.last = *value;
                    known.smallest = known.smallest.min(*value);
                    known.largest = known.largest.max(*value);
                }
                None => {
                    let first = CurveFigures { last: *value, smallest: *value, largest: *value };
                    curves.insert(name.clone(), first);
                }
            }
        }
        Baseline { run, curves }
    }

    /// None for the baseline itself, and where one of the two has no such figure.
    pub fn difference(&self, run: &Experiment, field: &Field, value: Option<f64>) -> Option<Difference> {
        if run.id == self.run.id {
            return None;
        }
        let by = value? - self.value(field)?;
        by.is_finite().then(|| Difference { by, small_is_better: is_small_better(field) })
    }

    fn value(&self, field: &Field) -> Option<f64> {
        match field {
            Field::Curve(aggregate, name) => {
                let curve = self.curves.get(name)?;
                Some(match aggregate {
                    Aggregate::Last => curve.last,
                    Aggregate::Min => curve.smallest,
                    Aggregate::Max => curve.largest,
                    Aggregate::Best if is_better_small(name) => curve.smallest,
                    Aggregate::Best => curve.largest,
                })
            }
            field => number(&self.run, field, &Aggregates::default()),
        }
    }
}

impl Difference {
    pub fn between(value: f64, baseline: f64, small_is_better: bool) -> Option<Self> {
        let by = value - baseline;
        by.is_finite().then_some(Difference { by, small_is_better })
    }

    fn is_better(self) -> bool {
        (self.by < 0.0) == self.small_is_better
    }

    /// `+0.012▲`: the sign says where to, the triangle whether that is better (▲) or worse (▼).
    pub fn text(self) -> String {
        if self.by == 0.0 {
            return "=".to_owned();
        }
        let sign = if self.by > 0.0 { "+" } else { "" };
        // Two digits are enough to compare by.
        let rounded = format!("{:.1e}", self.by).parse().unwrap_or(self.by);
        format!("{sign}{}{}", short(rounded), if self.is_better() { "▲" } else { "▼" })
    }

    pub fn style(self, theme: &Theme) -> Style {
        match () {
            () if self.by == 0.0 => theme.dim,
            () if self.is_better() => theme.good,
            () => theme.bad,
        }
    }
}

/// What is pinned: known by id and key at first, whole once it has been read.
#[derive(Clone, Debug, Default)]
pub struct Pinned {
    /// Id and key, as they are remembered.
    id: Option<(ExperimentId, String)>,
    run: Remote<Baseline>,
}

impl Pinned {
    pub fn get(&self) -> Option<&Baseline> {
        self.run.data()
    }

    pub fn id(&self) -> Option<ExperimentId> {
        self.get().map(|baseline| baseline.run.id)
    }

    pub fn remembered(&self) -> Option<(ExperimentId, String)> {
        self.id.clone()
    }

    pub fn recall(&mut self, id: ExperimentId, key: String) {
        self.id = Some((id, key));
    }

    /// Reads it again, since it may have changed; the first time it also shows whether it is in this store.
    pub fn refresh(&mut self, cx: &mut Context<'_>) {
        if let Some((id, _)) = &self.id
            && !self.run.is_loading()
        {
            self.run.load(cx.read(Slot::Baseline, Read::Runs(vec![*id])));
        }
    }

    /// A run of another store with the same id is none; what is remembered stays for its own store.
    pub fn take(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        match result {
            Ok(Answer::Runs { experiments, curves }) => {
                let ours = |run: &&Experiment| {
                    self.id.as_ref().is_some_and(|(id, key)| *id == run.id && *key == run.key.to_string())
                };
                match experiments.iter().find(ours) {
                    Some(run) => {
                        let points = curves.iter().find(|curves| curves.id == run.id);
                        let points = points.map_or(&[][..], |curves| &curves.points);
                        self.run.fill(ticket, Ok(Baseline::new(run.clone(), points)));
                    }
                    None => self.run.clear(),
                }
            }
            Ok(_) => {}
            Err(failure) => {
                self.run.fill(ticket, Err(failure.clone()));
            }
        }
    }
}

impl Experiments {
    /// Pins the selected run, or unpins it.
    pub(super) fn pin(&mut self, cx: &mut Context<'_>) {
        let selected =
            self.compare.as_ref().map_or_else(|| self.list.selected(), |compare| compare.selected());
        let Some(run) = selected else {
            return;
        };
        let id = run.id;
        if self.pinned.id() == Some(id) {
            self.pinned = Pinned::default();
            return cx.toast(Tone::Plain, "no baseline any more");
        }
        self.pinned = Pinned { id: Some((id, run.key.to_string())), run: Remote::Idle };
        self.pinned.refresh(cx);
        cx.toast(Tone::Good, format!("#{id} is the baseline: ▲ is better than it, ▼ is worse"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_signed_and_says_whether_it_is_better() {
        let text = |value: f64, small| Difference::between(value, 1.0, small).unwrap().text();
        assert_eq!(text(1.0123, false), "+0.012▲");
        assert_eq!(text(1.0123, true), "+0.012▼");
        assert_eq!(text(0.5, true), "-0.5▲");
        assert_eq!(text(1.0, true), "=");
        assert_eq!(Difference::between(f64::NAN, 1.0, true), None);
    }
}
