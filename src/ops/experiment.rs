//! Experiments: run one, look at them, change them, remove them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::commands::{self, Consent};
use super::delivery;
pub use super::diff::diff;
use super::workflow::{self, Pace};
use super::{Lab, News, OpsError, Result, Stop, Watcher};
use crate::domain::batch_spec::derived_seed;
use crate::domain::collection::{RecordPage, StoredRecord, collection_name};
use crate::domain::experiment::{Edit, Experiment, ExperimentId, NewExperiment, Outcome, Parameters, Status};
use crate::domain::metric::{MetricPoint, Outline};
use crate::domain::process::{self, ProcessSpec};
use crate::domain::text::one_line;
use crate::runner;
use crate::store::ErrorKind;
use crate::store::experiments::{ExperimentPage, ExperimentQuery};

/// What a person asks of `labtop run`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest {
    /// "{model} on {dataset}" when none.
    pub name: Option<String>,
    pub description: String,
    pub model: String,
    /// A name; where a command runs, whatever that command makes of it.
    pub dataset: String,
    pub parameters: Parameters,
    /// `process` when none and there is a command, else `simulate`.
    pub runner: Option<String>,
    /// Drawn when none, and kept with the experiment.
    pub seed: Option<u64>,
    /// Runs with the same parameters and derived seeds; at least 1.
    pub repeat: u32,
    pub tags: Vec<String>,
    /// Points on the learning curve; the setting `simulate.steps` when none.
    pub steps: Option<u32>,
    /// Pause after each step, milliseconds; the setting `simulate.delay_ms` when none.
    pub delay_ms: Option<u64>,
    /// The command of the runner `process`.
    pub process: Option<Arc<ProcessSpec>>,
}

impl Default for RunRequest {
    fn default() -> Self {
        RunRequest {
            name: None,
            description: String::new(),
            model: String::new(),
            dataset: String::new(),
            parameters: Parameters::new(),
            runner: None,
            seed: None,
            repeat: 1,
            tags: Vec::new(),
            steps: None,
            delay_ms: None,
            process: None,
        }
    }
}

/// One experiment with its curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    pub experiment: Experiment,
    /// Of the newest attempt, by name and step.
    pub points: Vec<MetricPoint>,
    /// Name of the collection that its documents are in.
    pub collection: String,
}

/// Runs `repeat` experiments one after another. A failed or cancelled run is in the answer with its status; an error
/// means that an experiment could not be created or its end could not be stored.
pub async fn run(
    lab: &Lab,
    request: &RunRequest,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<Vec<Experiment>> {
    let first_seed = request.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let plan = plan(request)?;
    let pace = Pace {
        steps: request.steps.unwrap_or(lab.settings.simulate.steps),
        delay_ms: request.delay_ms.unwrap_or(lab.settings.simulate.delay_ms),
        process: request.process.clone(),
        alone: true,
    };
    let runs = async {
        let mut finished = Vec::new();
        for index in 0..u64::from(request.repeat) {
            if stop.is_stopped() {
                break;
            }
            let seed = if index == 0 { first_seed } else { derived_seed(first_seed, index) };
            finished.push(run_one(lab, &plan, seed, &pace, watcher, stop).await?);
        }
        Ok(finished)
    };
    delivery::beside(lab, watcher, stop, runs).await
}

/// Runs a new experiment with the model, data set, parameters, seed and runner of an old one.
pub async fn rerun(
    lab: &Lab,
    id: ExperimentId,
    consent: Consent,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<Experiment> {
    let old = lab.experiments.get(id).await?;
    if runner::by_name(&old.runner).is_err() {
        return Err(OpsError::Invalid(format!(
            "experiment {id} cannot be run again: labtop did not run it (its runner is '{}'). Start a new run with: \
             labtop run --model {} --dataset NAME",
            old.runner, old.model_type
        )));
    }
    let process = command_of(lab, &old, consent).await?;
    // Equal seeds give equal curves only over equally many steps.
    let steps: HashSet<i64> = lab.experiments.points(id).await?.iter().map(|point| point.step).collect();
    let request = RunRequest {
        name: Some(old.name),
        description: old.description,
        model: old.model_type,
        dataset: old.dataset,
        parameters: old.parameters,
        runner: Some(old.runner),
        process,
        seed: old.seed.map(i64::cast_unsigned),
        tags: old.tags,
        steps: u32::try_from(steps.len()).ok().filter(|&steps| steps > 0 && old.status == Status::Completed),
        ..RunRequest::default()
    };
    run(lab, &request, watcher, stop).await?.pop().ok_or(OpsError::Cancelled)
}

/// What runs an old experiment of the runner `process` again; none for other runners.
async fn command_of(lab: &Lab, old: &Experiment, consent: Consent) -> Result<Option<Arc<ProcessSpec>>> {
    if old.runner != process::RUNNER {
        return Ok(None);
    }
    let id = old.id;
    let command = match old.batch_id {
        Some(batch) => {
            let how = format!("labtop rerun {id}");
            commands::decide(lab, &lab.queue.batch(batch).await?, consent, &how)?
        }
        None => None,
    };
    command.map(Some).ok_or_else(|| {
        let line = one_line(old.command.as_deref().unwrap_or("COMMAND"), 500);
        OpsError::Invalid(format!(
            "experiment {id} was of no batch that keeps its command. Start a new run with: labtop run --model {} --dataset {} \
             -- {line}",
            one_line(&old.model_type, 100),
            one_line(&old.dataset, 100)
        ))
    })
}

/// Checks a request and turns it into the experiment to create; key and seed are still open.
fn plan(request: &RunRequest) -> Result<NewExperiment> {
    let (model, dataset) = (request.model.trim(), request.dataset.trim());
    if model.is_empty() {
        return Err(OpsError::Invalid("no model given: name one, as in --model XGBoost".to_owned()));
    }
    if request.repeat == 0 || request.steps == Some(0) {
        let what = if request.repeat == 0 { "repeat" } else { "steps" };
        return Err(OpsError::Invalid(format!("{what} must be at least 1")));
    }
    let usual = if request.process.is_some() { process::RUNNER } else { "simulate" };
    let runner = request.runner.as_deref().unwrap_or(usual);
    check_runnable(runner, dataset)?;
    if (runner == process::RUNNER) != request.process.is_some() {
        return Err(OpsError::Invalid(match request.process {
            Some(_) => format!("the runner '{runner}' runs no command: leave --runner out"),
            None => "the runner 'process' needs a command, as in labtop run --model M --dataset D -- python3 train.py"
                .to_owned(),
        }));
    }
    let name = request.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    Ok(NewExperiment {
        key: Uuid::nil(),
        name: name.map_or_else(|| format!("{model} on {dataset}"), str::to_owned),
        model_type: model.to_owned(),
        dataset: dataset.to_owned(),
        description: request.description.clone(),
        parameters: request.parameters.clone(),
        status: Status::Running,
        runner: runner.to_owned(),
        seed: None,
        batch_id: None,
        trial: None,
        worker: None,
        host: None,
        command: None,
        git_commit: None,
        tags: request.tags.clone(),
        created_at: None,
    })
}

/// `Invalid` for a runner that does not exist, and for a data set that is a file: nothing here reads one.
pub(super) fn check_runnable(runner: &str, dataset: &str) -> Result<()> {
    if let Err(unknown) = runner::by_name(runner) {
        return Err(OpsError::Invalid(unknown.to_string()));
    }
    if dataset.is_empty() {
        return Err(OpsError::Invalid(
            "no data set given: name one, as in --dataset sentiment_v3".to_owned(),
        ));
    }
    if runner == process::RUNNER {
        // What a data set is, its command knows.
        return Ok(());
    }
    let path = Path::new(dataset);
    let table = path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| {
        ["csv", "tsv", "parquet"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    });
    if table || dataset.contains(['/', '\\']) || path.is_file() {
        return Err(OpsError::Invalid(format!(
            "the data set '{dataset}' looks like a file, and this version of labtop only simulates training: give the \
             data set a plain name, as in --dataset sentiment_v3"
        )));
    }
    Ok(())
}

async fn run_one(
    lab: &Lab,
    plan: &NewExperiment,
    seed: u64,
    pace: &Pace,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<Experiment> {
    let (model, dataset) = (plan.model_type.clone(), plan.dataset.clone());
    watcher.saw(News::Starting { model, dataset });
    let place = lab.place_of_work();
    let key = Uuid::now_v7();
    let new = NewExperiment {
        key,
        command: pace.process.as_ref().map(|process| commands::line(process, plan, key, seed)).transpose()?,
        seed: Some(seed.cast_signed()),
        worker: Some(place.worker.clone()),
        host: place.host.clone(),
        git_commit: place.git_commit.clone(),
        ..plan.clone()
    };
    let experiment = lab.experiments.create(&new).await?;
    workflow::execute(lab, experiment, pace, watcher, stop).await
}

pub async fn list(lab: &Lab, query: &ExperimentQuery) -> Result<ExperimentPage> {
    Ok(lab.experiments.list(query).await?)
}

/// One experiment without its curves.
pub async fn get(lab: &Lab, id: ExperimentId) -> Result<Experiment> {
    Ok(lab.experiments.get(id).await?)
}

/// An experiment and its curves. The collection store is not asked.
pub async fn detail(lab: &Lab, id: ExperimentId) -> Result<Detail> {
    let (experiment, points) = tokio::try_join!(lab.experiments.get(id), lab.experiments.points(id))?;
    let collection = collection_name(&experiment.model_type, &experiment.dataset);
    Ok(Detail { experiment, points, collection })
}

/// Points that are read for a screen, at most: more than it has dots, and few enough to come at once.
const SCREEN: usize = 100_000;

/// An experiment, and its curves as far as a screen can show them.
pub async fn outline(lab: &Lab, id: ExperimentId) -> Result<(Experiment, Outline)> {
    Ok(tokio::try_join!(lab.experiments.get(id), lab.experiments.outline(id, SCREEN))?)
}

/// The run's five documents, as far as its collection holds them.
pub async fn documents_of(lab: &Lab, id: ExperimentId) -> Result<Vec<StoredRecord>> {
    let experiment = lab.experiments.get(id).await?;
    let ids = workflow::document_ids(&experiment);
    let collection = collection_name(&experiment.model_type, &experiment.dataset);
    let page = RecordPage { limit: ids.len(), ids: ids.clone(), ..RecordPage::default() };
    let mut records = match lab.collections.records(&collection, &page).await {
        Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    records.sort_by_key(|record| ids.iter().position(|id| *id == record.id));
    Ok(records)
}

/// Makes the same change to several experiments, one after another.
pub async fn edit(lab: &Lab, ids: &[ExperimentId], edit: &Edit) -> Result<Vec<Experiment>> {
    let mut edited = Vec::with_capacity(ids.len());
    for &id in ids {
        edited.push(lab.experiments.edit(id, edit).await?);
    }
    Ok(edited)
}

/// Ends what runs or waits in a queue, wherever it runs: this process drops it at once, another notices within seconds.
pub async fn cancel(lab: &Lab, id: ExperimentId) -> Result<Experiment> {
    let run = lab.experiments.get(id).await?;
    if run.status.is_final() {
        return Err(OpsError::Invalid(format!("experiment {id} is {} already", run.status)));
    }
    let outcome = Outcome {
        status: Status::Cancelled,
        results: run.results,
        error: None,
        finished_at: Some(workflow::now()),
    };
    let cancelled = lab.experiments.finish(id, run.attempt, &outcome).await?;
    lab.hands.ring(id);
    Ok(cancelled)
}

/// Deletes experiments with their points and performance rows; says how many there were. Their documents stay in
/// their collections.
pub async fn remove(lab: &Lab, ids: &[ExperimentId]) -> Result<u64> {
    let removed = lab.experiments.remove(ids).await?;
    if !lab.experiments.keeps_performance() {
        lab.analytics.remove(ids).await?;
    }
    Ok(removed)
}
