//! Experiments side by side.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Lab, OpsError, Result};
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::table::Table;

/// One row for each field in which the experiments differ (every field when they are all equal), one column for each
/// experiment, named by its id, after the column `field`.
pub async fn diff(lab: &Lab, ids: &[ExperimentId]) -> Result<Table> {
    let mut seen = HashSet::new();
    let ids: Vec<ExperimentId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    if ids.is_empty() {
        return Err(OpsError::Invalid("no experiments given: name two or more by id".to_owned()));
    }
    let gets = ids.iter().map(|&id| lab.experiments.get(id));
    let experiments = futures_util::future::try_join_all(gets).await?;
    Ok(table(&experiments))
}

/// An object of an experiment, each key of which is a field.
type Part = fn(&Experiment) -> &Map<String, Value>;

fn table(experiments: &[Experiment]) -> Table {
    let names = experiments.iter().map(|experiment| experiment.id.to_string());
    let columns = std::iter::once("field".to_owned()).chain(names).collect();
    let all = rows(experiments);
    let differing: Vec<_> =
        all.iter().filter(|row| row[1..].iter().any(|value| *value != row[1])).cloned().collect();
    let rows = if differing.is_empty() { all } else { differing };
    Table { columns, rows, truncated: false }
}

fn rows(experiments: &[Experiment]) -> Vec<Vec<Value>> {
    let row = |field: &str, value: &dyn Fn(&Experiment) -> Value| {
        std::iter::once(json!(field)).chain(experiments.iter().map(value)).collect::<Vec<_>>()
    };
    let mut rows = vec![
        row("name", &|experiment| json!(experiment.name)),
        row("model", &|experiment| json!(experiment.model_type)),
        row("dataset", &|experiment| json!(experiment.dataset)),
        row("runner", &|experiment| json!(experiment.runner)),
        row("seed", &|experiment| json!(experiment.seed.map(i64::cast_unsigned))),
        row("status", &|experiment| json!(experiment.status)),
    ];
    let parts: [(&str, Part); 2] =
        [("params", |experiment| &experiment.parameters), ("metrics", |experiment| &experiment.results)];
    for (prefix, part) in parts {
        for name in names(experiments, part) {
            let value = |experiment: &Experiment| part(experiment).get(&name).cloned().unwrap_or(Value::Null);
            rows.push(row(&format!("{prefix}.{name}"), &value));
        }
    }
    rows
}

/// Every name once, in the order in which they first come.
fn names(experiments: &[Experiment], part: Part) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in experiments.iter().flat_map(|experiment| part(experiment).keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::ops::Stop;

    use super::*;
    use crate::ops::experiment::{RunRequest, run};
    use crate::ops::news::Nobody;
    use crate::ops::tests::Bench;

    async fn run_with(bench: &Bench, rate: f64, seed: u64) -> ExperimentId {
        let request = RunRequest {
            model: "XGBoost".to_owned(),
            dataset: "v3".to_owned(),
            parameters: [("rate".to_owned(), json!(rate)), ("size".to_owned(), json!(16))]
                .into_iter()
                .collect(),
            seed: Some(seed),
            steps: Some(2),
            ..RunRequest::default()
        };
        run(&bench.lab, &request, &Nobody, &Stop::default()).await.unwrap()[0].id
    }

    #[tokio::test]
    async fn only_what_differs_is_shown() {
        let bench = Bench::embedded();
        let (one, two) = (run_with(&bench, 0.1, 7).await, run_with(&bench, 0.2, 7).await);
        let table = diff(&bench.lab, &[one, two, one]).await.unwrap();
        assert_eq!(table.columns, ["field", "1", "2"]);
        assert_eq!(table.rows, [[json!("params.rate"), json!(0.1), json!(0.2)]]);
    }

    #[tokio::test]
    async fn twins_show_everything() {
        let bench = Bench::embedded();
        let (one, two) = (run_with(&bench, 0.1, 7).await, run_with(&bench, 0.1, 7).await);
        let table = diff(&bench.lab, &[one, two]).await.unwrap();
        let fields: Vec<_> = table.rows.iter().map(|row| row[0].as_str().unwrap()).collect();
        for field in ["model", "dataset", "seed", "status", "params.size", "metrics.accuracy"] {
            assert!(fields.contains(&field), "{field}");
        }
        assert!(diff(&bench.lab, &[]).await.is_err());
    }
}
