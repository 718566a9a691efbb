//! `labtop ls`: experiments as a table.

use jiff::Timestamp;

use crate::domain::experiment::Experiment;
use crate::domain::filter::{Field, Figure, Filter};
use crate::domain::table::Table;
use crate::ops::{OpsError, experiment};
use crate::store::experiments::{ExperimentQuery, Sort};

use super::error::CliError;
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub which: Which,
    #[arg(long, default_value_t = 50)]
    limit: u64,
    /// Columns, separated by commas: id, name, model, params.learning_rate, metrics.loss, ...
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
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
        Ok(ExperimentQuery { filter, sort, offset: 0, limit, with_archived: self.archived })
    }
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    session.reap().await;
    let columns = if args.columns.is_empty() { usual_columns() } else { parse_columns(&args.columns)? };
    let page = experiment::list(&session.lab, &args.which.query(args.limit)?).await?;
    session.output.result(&page.rows, &table(&page.rows, &columns))?;
    let shown = page.rows.len() as u64;
    if page.total == 0 {
        session.output.note("No experiments: labtop demo, labtop run or labtop batch run make some.");
    } else if shown < page.total {
        session.output.note(&format!("{shown} of {} (--limit shows more)", page.total));
    }
    Ok(0)
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
    names
        .iter()
        .map(|name| match Field::parse(name).map_err(OpsError::from)? {
            Field::Curve(..) => Err(CliError::Usage(format!(
                "--columns {name}: aggregates of curves can be sorted by and filtered on, but not shown"
            ))),
            field => Ok(field),
        })
        .collect()
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
