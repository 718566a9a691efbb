//! `labtop run`: one experiment, or a few of the same kind.

use std::sync::Arc;

use serde_json::Value;

use crate::domain::experiment::{Experiment, Parameters, Status};
use crate::domain::process::{ProcessKeys, ProcessSpec};
use crate::ops::experiment::{self, RunRequest};

use super::error::CliError;
use super::ls;
use super::output::Format;
use super::published::{self, Printer};
use super::{Outcome, Session};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model to train: RandomForest, XGBoost, NeuralNet, or any other name
    #[arg(long, short)]
    model: String,
    /// Name of the data set
    #[arg(long, short)]
    dataset: String,
    /// Name of the experiment; "MODEL on DATASET" when none is given
    #[arg(long)]
    name: Option<String>,
    #[arg(long, default_value = "")]
    description: String,
    /// A parameter, as often as needed; numbers, true, false and JSON are taken as such
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, Value)>,
    /// What runs it: simulate, or process, which is meant where a command is given
    #[arg(long)]
    runner: Option<String>,
    /// Equal seeds give equal results; drawn when none is given
    #[arg(long)]
    seed: Option<u64>,
    /// How many times, each with a seed of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// A tag, as often as needed
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Points on the learning curve
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: Option<u32>,
    /// Pause after each step, milliseconds
    #[arg(long, value_name = "MS")]
    delay_ms: Option<u64>,
    /// What runs in the place of a simulation, behind `--`: {name} in it stands for the parameter, {model}, {dataset},
    /// {seed} and {key} for those of the run. config/batches/README.md says how its output is read
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["steps", "delay_ms"])]
    command: Vec<String>,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let parameters = unique(args.parameters)?;
    let request = RunRequest {
        process: process(args.command, &parameters)?,
        name: args.name,
        description: args.description,
        model: args.model,
        dataset: args.dataset,
        parameters,
        runner: args.runner,
        seed: args.seed,
        repeat: args.repeat,
        tags: args.tags,
        steps: args.steps,
        delay_ms: args.delay_ms,
    };
    let printer = Printer::new(&session.output, false);
    let experiments = experiment::run(&session.lab, &request, &printer, &session.stop).await?;
    printer.finish()?;
    if session.output.format == Format::Table {
        if experiments.len() > 1 {
            session.output.write(&published::summary(&experiments))?;
        }
    } else {
        session.output.result(&experiments, &ls::table(&experiments, &ls::usual_columns()))?;
    }
    Ok(exit_code(&experiments))
}

/// The command behind `--`, which runs where labtop was called.
fn process(command: Vec<String>, parameters: &Parameters) -> Result<Option<Arc<ProcessSpec>>, CliError> {
    if command.is_empty() {
        return Ok(None);
    }
    let keys = ProcessKeys { command: Some(command), ..ProcessKeys::default() };
    let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    Ok(Some(Arc::new(keys.check(&names).map_err(CliError::Usage)?)))
}

/// 0 when all completed, 130 when one was broken off, else 1.
pub fn exit_code(experiments: &[Experiment]) -> u8 {
    let any = |status| experiments.iter().any(|experiment| experiment.status == status);
    if any(Status::Cancelled) || any(Status::Interrupted) {
        130
    } else {
        u8::from(experiments.iter().any(|experiment| experiment.status != Status::Completed))
    }
}

/// `learning_rate=0.001`, `name=text`, `layers=[64,32]`.
fn parse_parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("'{text}' has no '=': write NAME=VALUE"))?;
    if name.trim().is_empty() {
        return Err(format!("'{text}' has no name before '=': write NAME=VALUE"));
    }
    // What is no JSON is text: nobody quotes words on a command line.
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.trim().to_owned(), value))
}

fn unique(pairs: Vec<(String, Value)>) -> Result<Parameters, CliError> {
    let mut parameters = Parameters::new();
    for (name, value) in pairs {
        if parameters.contains_key(&name) {
            return Err(CliError::Usage(format!("--param {name} is given twice")));
        }
        parameters.insert(name, value);
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_json_where_they_can_be() {
        assert_eq!(parse_parameter("lr=2e-5"), Ok(("lr".to_owned(), json!(2e-5))));
        assert_eq!(parse_parameter("opt=adam"), Ok(("opt".to_owned(), json!("adam"))));
        assert_eq!(parse_parameter("eq=a=b"), Ok(("eq".to_owned(), json!("a=b"))));
        assert!(parse_parameter("lr").unwrap_err().contains("NAME=VALUE"));
        assert!(parse_parameter("=1").is_err());
    }
}
