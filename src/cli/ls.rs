//! `labtop ls`: experiments as a table.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::experiment::Experiment;
use crate::domain::filter::{Field, Figure, Filter};
use crate::domain::survey::{CurveValues, Group, Groups, Spread};
use crate::domain::table::Table;
use crate::ops::{OpsError, experiment, survey};
use crate::store::experiments::{ExperimentQuery, Sort};
use crate::store::survey::GroupQuery;

use super::error::CliError;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub which: Which,
    #[arg(long, default_value_t = 50)]
    limit: u64,
    /// Columns, separated by commas: id, name, model, params.learning_rate, metrics.loss, best(accuracy), ...; JSON then
    /// has these keys alone
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// One row for runs that differ in nothing but their seed: how many, and mean and deviation of the figures among the
    /// columns
    #[arg(long)]
    group: bool,
}

/// Which experiments, in which order; `ls` and `export` share it.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// As in: accuracy > 0.9 and params.learning_rate <= 1e-3
    #[arg(long, short, value_name = "EXPR")]
    filter: Option<String>,
    /// Column to sort by; a minus sign before it turns the order around
    #[arg(long, short, value_name = "[-]KEY", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Also those that were archived
    #[arg(long)]
    archived: bool,
}

impl Which {
    pub fn query(&self, limit: u64) -> Result<ExperimentQuery, CliError> {
        let filter = match &self.filter {
            Some(text) => Some(Filter::parse(text, Timestamp::now()).map_err(OpsError::from)?),
            None => None,
        };
        let sort = match self.sort.as_deref() {
            Some(key) => {
                let (name, descending) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
                Sort { field: Field::parse(name).map_err(OpsError::from)?, descending }
            }
            None => Sort::default(),
        };
        Ok(ExperimentQuery {
            filter,
            sort,
            limit,
            with_archived: self.archived,
            ..ExperimentQuery::default()
        })
    }
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    session.reap().await;
    let columns = if args.columns.is_empty() { usual_columns() } else { parse_columns(&args.columns)? };
    if args.group {
        return groups(&args, &columns, session).await;
    }
    let page = experiment::list(&session.lab, &args.which.query(args.limit)?).await?;
    let mut table = table(&page.rows, &columns);
    fill(&mut table, &page.rows, &columns, &aggregates(session, &page.rows, &columns).await?);
    if args.columns.is_empty() {
        session.output.result(&page.rows, &table)?;
    } else {
        // Who names columns wants these, by these names.
        session.output.result(&objects(&table), &table)?;
    }
    let shown = page.rows.len() as u64;
    if page.total == 0 {
        session.output.note("No experiments: labtop demo, labtop run or labtop batch run make some.");
    } else if shown < page.total {
        session.output.note(&format!("{shown} of {} (--limit shows more)", page.total));
    }
    Ok(0)
}

/// Groups in the order of `--sort` where it names one of the figures, the newest first otherwise.
async fn groups(args: &Args, columns: &[Field], session: &Session) -> Outcome {
    let is_figure = |field: &&Field| matches!(field, Field::Figure(_) | Field::Metric(_) | Field::Curve(..));
    let figures: Vec<Field> = columns.iter().filter(is_figure).cloned().collect();
    let runs = args.which.query(args.limit)?;
    let sort = figures.iter().position(|figure| *figure == runs.sort.field);
    if sort.is_none() && args.which.sort.is_some() {
        let known = figures.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(CliError::Usage(format!("--sort: groups are sorted by one of their figures ({known})")));
    }
    let descending = sort.is_none() || runs.sort.descending;
    let query = GroupQuery { runs, figures, sort, descending, skip: 0, limit: args.limit };
    let found = survey::groups(&session.lab, &query).await?;
    session.output.result(&group_objects(&found, &query.figures), &group_table(&found, &query.figures))?;
    let shown = found.rows.len() as u64;
    if shown < found.total {
        session.output.note(&format!("{shown} of {} (--limit shows more)", found.total));
    }
    Ok(0)
}

fn group_objects(found: &Groups, figures: &[Field]) -> Vec<Value> {
    let object = |group: &Group| {
        let spreads: Map<String, Value> = figures
            .iter()
            .zip(&group.figures)
            .map(|(figure, spread)| {
                let Spread { n, mean, deviation } = spread;
                (figure.to_string(), json!({ "n": n, "mean": mean, "deviation": deviation }))
            })
            .collect();
        json!({
            "model_type": group.model_type, "dataset": group.dataset, "runner": group.runner, "parameters": group.parameters,
            "runs": group.runs, "completed": group.completed, "figures": spreads, "ids": group.ids,
        })
    };
    found.rows.iter().map(object).collect()
}

fn group_table(found: &Groups, figures: &[Field]) -> Table {
    let mut columns: Vec<String> =
        ["model", "dataset", "runner", "parameters", "runs", "completed"].map(str::to_owned).to_vec();
    for figure in figures {
        columns.extend([figure.to_string(), format!("± {figure}")]);
    }
    let row = |group: &Group| {
        let mut row = vec![
            json!(group.model_type),
            json!(group.dataset),
            json!(group.runner),
            json!(group.parameters),
            json!(group.runs),
            json!(group.completed),
        ];
        row.extend(group.figures.iter().flat_map(|spread| [json!(spread.mean), json!(spread.deviation)]));
        row
    };
    Table { columns, rows: found.rows.iter().map(row).collect(), truncated: false }
}

pub fn usual_columns() -> Vec<Field> {
    vec![
        Field::Id,
        Field::Name,
        Field::Model,
        Field::Dataset,
        Field::Figure(Figure::Accuracy),
        Field::Figure(Figure::InferenceTimeMs),
        Field::Figure(Figure::TrainingTimeSeconds),
        Field::Status,
        Field::Runner,
    ]
}

fn parse_columns(names: &[String]) -> Result<Vec<Field>, CliError> {
    names.iter().map(|name| Ok(Field::parse(name).map_err(OpsError::from)?)).collect()
}

/// Values of the aggregates of curves among `columns`, for all rows in one reading.
async fn aggregates(
    session: &Session,
    experiments: &[Experiment],
    columns: &[Field],
) -> Result<Vec<CurveValues>, CliError> {
    let curve = |field: &Field| match field {
        Field::Curve(aggregate, name) => Some((*aggregate, name.clone())),
        _ => None,
    };
    let curves: Vec<_> = columns.iter().filter_map(curve).collect();
    let ids: Vec<_> = experiments.iter().map(|experiment| experiment.id).collect();
    Ok(survey::curve_values(&session.lab, &ids, &curves).await?)
}

/// Puts aggregates into their columns, which are empty in `table`.
fn fill(table: &mut Table, experiments: &[Experiment], columns: &[Field], aggregates: &[CurveValues]) {
    let curves: Vec<usize> =
        (0..columns.len()).filter(|index| matches!(columns[*index], Field::Curve(..))).collect();
    for (row, experiment) in table.rows.iter_mut().zip(experiments) {
        if let Some(found) = aggregates.iter().find(|found| found.id == experiment.id) {
            for (column, value) in curves.iter().zip(&found.values) {
                row[*column] = (*value).into();
            }
        }
    }
}

/// Rows as objects, keyed by the names of the fields.
fn objects(table: &Table) -> Vec<Map<String, Value>> {
    let object = |row: &Vec<Value>| table.columns.iter().cloned().zip(row.iter().cloned()).collect();
    table.rows.iter().map(object).collect()
}

/// Experiments as rows; the titles are the names of the fields.
pub fn table(experiments: &[Experiment], columns: &[Field]) -> Table {
    Table {
        columns: columns.iter().map(ToString::to_string).collect(),
        rows: experiments
            .iter()
            .map(|experiment| columns.iter().map(|field| experiment.value(field)).collect())
            .collect(),
        truncated: false,
    }
}
