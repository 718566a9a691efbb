//! What occurs in a store of experiments: names, values of curves, groups of equal runs.

use serde::{Deserialize, Serialize};

use super::experiment::{ExperimentId, Parameters};
use super::filter::{Aggregate, Field, Figure};
use super::metric::MetricPoint;

/// Names of parameters and metrics that runs have; each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub parameters: Vec<String>,
    /// Of final results, published figures included.
    pub results: Vec<String>,
    /// Of metrics with points.
    pub curves: Vec<String>,
    /// Every run was looked at; otherwise the newest, and some of the others.
    pub complete: bool,
}

impl Names {
    /// All these as fields that can be shown: parameters, results that are no published figure, aggregates of curves.
    pub fn fields(&self) -> Vec<Field> {
        let is_figure = |name: &String| Figure::ALL.iter().any(|figure| figure.column() == name);
        let mut fields: Vec<Field> = self.parameters.iter().cloned().map(Field::Param).collect();
        fields.extend(self.results.iter().filter(|name| !is_figure(name)).cloned().map(Field::Metric));
        for aggregate in [Aggregate::Last, Aggregate::Best, Aggregate::Min, Aggregate::Max] {
            fields.extend(self.curves.iter().map(|name| Field::Curve(aggregate, name.clone())));
        }
        fields
    }
}

impl Names {
    /// From rows of kind (`p`arameter, `r`esult, `c`urve) and name.
    pub fn of_rows(rows: Vec<(String, String)>, complete: bool) -> Self {
        let mut names = Names { complete, ..Names::default() };
        for (kind, name) in rows {
            match kind.as_str() {
                "p" => names.parameters.push(name),
                "r" => names.results.push(name),
                _ => names.curves.push(name),
            }
        }
        for list in [&mut names.parameters, &mut names.results, &mut names.curves] {
            list.sort_unstable();
        }
        names
    }
}

/// Aggregates of the curves of one run, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveValues {
    pub id: ExperimentId,
    pub values: Vec<Option<f64>>,
}

/// All points of the newest attempt of one run, by name and step.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCurves {
    pub id: ExperimentId,
    pub points: Vec<MetricPoint>,
}

impl RunCurves {
    /// From points with the run of each, those of one run together.
    pub fn of_points(points: Vec<(ExperimentId, MetricPoint)>) -> Vec<RunCurves> {
        let mut runs: Vec<RunCurves> = Vec::new();
        for (id, point) in points {
            match runs.last_mut().filter(|run| run.id == id) {
                Some(run) => run.points.push(point),
                None => runs.push(RunCurves { id, points: vec![point] }),
            }
        }
        runs
    }
}

/// Ids in the order of a table, and how many rows that table has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub ids: Vec<ExperimentId>,
    pub total: u64,
}

/// Runs that are equal but for their seed: same model, data set, runner and parameters, a
/// parameter `seed` aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub model_type: String,
    pub dataset: String,
    /// Simulated runs are never averaged with real ones.
    pub runner: String,
    /// Without `seed`.
    pub parameters: Parameters,
    /// Runs of any status.
    pub runs: u64,
    /// Those of them that completed; only they count into the figures.
    pub completed: u64,
    /// Figures in the order in which they were asked for.
    pub figures: Vec<Spread>,
    /// The newest of its runs, [`Group::MOST_IDS`] at most.
    pub ids: Vec<ExperimentId>,
}

impl Group {
    pub const MOST_IDS: usize = 200;
}

/// Groups in order, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    pub rows: Vec<Group>,
    pub total: u64,
}

/// A figure over several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Runs that have the figure.
    pub n: u64,
    pub mean: Option<f64>,
    /// Of the sample, divided by n - 1; none below two.
    pub deviation: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_figure_is_no_further_metric() {
        let names = Names {
            parameters: vec!["lr".to_owned()],
            results: vec!["accuracy".to_owned(), "epochs".to_owned()],
            curves: vec!["loss".to_owned()],
            complete: true,
        };
        let shown: Vec<String> = names.fields().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["params.lr", "metrics.epochs", "last(loss)", "best(loss)", "min(loss)", "max(loss)"]
        );
    }
}
