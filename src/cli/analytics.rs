//! `labtop analytics`: reports and SQL on the results.

use crate::domain::performance::ModelSummary;
use crate::domain::table::Table;
use crate::ops::analytics;

use super::diff::rows;
use super::output::Format;
use super::{Outcome, Session, published};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Averages by model, the most accurate first
    Models {
        /// Leave out simulated runs
        #[arg(long)]
        no_simulated: bool,
    },
    /// Ask the DuckDB file in SQL (reading only): experiments_performance and everything else in it
    Sql {
        query: String,
        /// Rows at most
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Models { no_simulated } => {
            let models = analytics::models(&session.lab, !no_simulated).await?;
            match session.output.format {
                Format::Table => session.output.write(&published::comparison(&models))?,
                _ => session.output.result(&models, &table(&models))?,
            }
            if models.is_empty() {
                session.output.note("No results yet: labtop demo loads some, labtop run makes some.");
            }
        }
        Command::Sql { query, limit } => {
            let table = analytics::sql(&session.lab, &query, limit).await?;
            session.output.result(&rows(&table), &table)?;
            if table.truncated {
                session.output.note(&format!("Only the first {limit} rows (--limit shows more)"));
            }
        }
    }
    Ok(0)
}

fn table(models: &[ModelSummary]) -> Table {
    let mut table = Table::new(&[
        "model_name",
        "avg_accuracy",
        "avg_training_time",
        "avg_inference_time",
        "experiment_count",
    ]);
    for model in models {
        table.rows.push(vec![
            model.model_name.clone().into(),
            model.avg_accuracy.into(),
            model.avg_training_time.into(),
            model.avg_inference_time.into(),
            model.experiment_count.into(),
        ]);
    }
    table
}
