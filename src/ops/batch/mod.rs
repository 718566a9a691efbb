//! Batches: many experiments from one file, run several at once.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::commands::{self, Commands, Consent};
use super::crew::Crew;
use super::experiment::{self, check_runnable};
use super::place::Place;
use super::{Lab, News, OpsError, Result, Stop, Watcher, reaper, worker};
use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::batch_spec::{BatchSpec, Trial};
use crate::domain::experiment::{Experiment, ExperimentId, NewExperiment, Status};
use crate::domain::filter::{Comparison, Field, Filter, Literal, Operand};
use crate::domain::process::ProcessSpec;
use crate::domain::spelling;
use crate::store::ErrorKind;
use crate::store::experiments::ExperimentQuery;
use crate::store::queue::Claimant;

/// Experiments read at once.
const PAGE: u64 = 1000;

/// How often a trial is tried that nobody asks for: one that takes its process down with it would do so for ever.
pub(super) const TRIES: i32 = 3;

/// A batch with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchReport {
    pub batch: Batch,
    /// In the order of the trials.
    pub experiments: Vec<Experiment>,
    /// By the batch's objective, among the completed.
    pub best: Option<Experiment>,
}

/// A batch file in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFile {
    pub path: PathBuf,
    /// Its `name`, or the file's name when it cannot be read.
    pub name: String,
    /// One line about it, or what is wrong with it.
    pub summary: Result<String, String>,
}

/// Creates a batch and runs it to its end.
pub async fn run(lab: &Lab, spec: &BatchSpec, watcher: &dyn Watcher, stop: &Stop) -> Result<BatchReport> {
    let batch = create(lab, spec).await?;
    watcher.saw(News::Batch(batch.clone()));
    // As the file has it: what stands in the store may have been changed by others.
    let command = spec.process.clone().map(Arc::new);
    drain(lab, batch, command, watcher, stop).await
}

/// Claims and runs what is queued in a batch, as many at once as the batch says, whatever labels it asks for. What dies
/// meanwhile in the hands of a worker that helps is run again here. When it is stopped, what runs becomes `cancelled` or
/// `interrupted`, and what is queued stays queued: [`cancel`] withdraws it.
async fn drain(
    lab: &Lab,
    batch: Batch,
    command: Option<Arc<ProcessSpec>>,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<BatchReport> {
    let (id, parallel) = (batch.id, batch.parallel);
    let place = lab.place_of_work();
    let claimant = Claimant {
        worker: place.worker.clone(),
        host: place.host.clone(),
        runners: worker::runners(),
        labels: None,
        commands: None,
    };
    let commands = Commands::decided(id, command);
    let crew = Crew::new(lab, Some(id), claimant, commands, watcher, stop);
    crew.know(batch);
    loop {
        crew.work(parallel).await?;
        if stop.is_stopped() || take_up(lab, id).await? == 0 {
            break;
        }
    }
    let report = show(lab, id).await?;
    watcher.saw(News::Batch(report.batch.clone()));
    Ok(report)
}

/// Queues again what was lost of a batch: trials of dead processes, of which some may have been claimed after others had
/// looked (a server carries out what it was asked for, whether or not somebody waits for it), and claims of ours whose
/// answer was lost. Says how many.
async fn take_up(lab: &Lab, id: BatchId) -> Result<usize> {
    reaper::reap_after(lab, id).await?;
    Ok(lab.queue.take_up(Some(id), TRIES).await?.len())
}

/// Newest first.
pub async fn list(lab: &Lab, limit: u64) -> Result<Vec<Batch>> {
    Ok(lab.queue.batches(limit).await?)
}

pub async fn show(lab: &Lab, id: BatchId) -> Result<BatchReport> {
    let batch = lab.queue.batch(id).await?;
    let mut experiments = experiments_of(lab, id).await?;
    experiments.sort_by_key(|experiment| (experiment.trial, experiment.id));
    let best = best(&batch, &experiments).cloned();
    Ok(BatchReport { batch, experiments, best })
}

async fn experiments_of(lab: &Lab, id: BatchId) -> Result<Vec<Experiment>> {
    all(lab, equal(Field::Batch, Literal::Number(id as f64))).await
}

fn equal(field: Field, literal: Literal) -> Filter {
    Filter::Compare { field, comparison: Comparison::Equal, with: Operand::Literal(literal) }
}

async fn all(lab: &Lab, filter: Filter) -> Result<Vec<Experiment>> {
    let mut query = ExperimentQuery {
        filter: Some(filter),
        limit: PAGE,
        with_archived: true,
        ..ExperimentQuery::default()
    };
    let mut experiments = Vec::new();
    loop {
        let page = lab.experiments.list(&query).await?;
        let next = page.next().filter(|_| page.rows.len() as u64 == PAGE);
        experiments.extend(page.rows);
        match next {
            Some(next) => query.window = next,
            None => return Ok(experiments),
        }
    }
}

/// The completed experiment with the best value of the batch's objective; accuracy, the more the better, where the
/// batch names none.
fn best<'a>(batch: &Batch, experiments: &'a [Experiment]) -> Option<&'a Experiment> {
    let objective = batch.spec.get("objective");
    let said = |key: &str| objective.and_then(|objective| objective.get(key)).and_then(Value::as_str);
    let metric = spelling::in_experiments(said("metric").unwrap_or("accuracy"));
    let sign = if said("goal") == Some("minimize") { -1.0 } else { 1.0 };
    let scored = experiments.iter().filter(|experiment| experiment.status == Status::Completed);
    let scored = scored.filter_map(|experiment| {
        let value = experiment.results.get(metric).and_then(Value::as_f64)?;
        Some((experiment, sign * value))
    });
    // Of equals the first trial.
    let best = scored.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(experiment, _)| experiment)
}

/// What cancelling a batch ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    pub queued: u64,
    pub running: u64,
}

/// Withdraws what is still queued, and ends what runs, wherever it runs.
pub async fn cancel(lab: &Lab, id: BatchId) -> Result<Cancelled> {
    let queued = lab.queue.withdraw(id).await?;
    let running = Literal::Text(Status::Running.as_str().to_owned());
    let filter =
        Filter::And(vec![equal(Field::Batch, Literal::Number(id as f64)), equal(Field::Status, running)]);
    let mut ended = 0;
    for run in all(lab, filter).await? {
        match experiment::cancel(lab, run.id).await {
            Ok(_) => ended += 1,
            // It came to its end meanwhile.
            Err(OpsError::Invalid(_)) => {}
            Err(OpsError::Store(error)) if error.kind == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Cancelled { queued, running: ended })
}

/// Puts failed, cancelled and interrupted trials back into the queue and runs what is queued.
pub async fn retry(
    lab: &Lab,
    id: BatchId,
    consent: Consent,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<BatchReport> {
    let batch = lab.queue.batch(id).await?;
    let command = commands::decide(lab, &batch, consent, &format!("labtop batch retry {id}"))?;
    reaper::reap(lab).await?;
    let again = experiments_of(lab, id).await?;
    let again: Vec<_> = again
        .iter()
        .filter(|experiment| experiment.status.is_retryable())
        .map(|experiment| experiment.id)
        .collect();
    lab.queue.requeue(&again).await?;
    drain(lab, batch, command, watcher, stop).await
}

/// Goes on where a batch broke off: puts interrupted trials back into the queue and runs what is queued. What failed or
/// was cancelled stays as it is.
pub async fn resume(
    lab: &Lab,
    id: BatchId,
    consent: Consent,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<BatchReport> {
    let batch = lab.queue.batch(id).await?;
    let command = commands::decide(lab, &batch, consent, &format!("labtop batch resume {id}"))?;
    reaper::reap(lab).await?;
    lab.queue.take_up(Some(id), i32::MAX).await?;
    drain(lab, batch, command, watcher, stop).await
}

/// Puts trials that this process left back into the queue, for whoever comes next; says how many.
pub async fn leave(lab: &Lab, left: &[ExperimentId]) -> Result<u64> {
    let mut trials = Vec::new();
    for &id in left {
        let run = lab.experiments.get(id).await?;
        if run.status == Status::Interrupted && run.batch_id.is_some() {
            trials.push(id);
        }
    }
    Ok(lab.queue.requeue(&trials).await?.len() as u64)
}

/// Stores a batch and its trials, queued. Nothing runs yet.
pub async fn create(lab: &Lab, spec: &BatchSpec) -> Result<Batch> {
    check_runnable(&spec.runner, &spec.dataset)?;
    let new = NewBatch {
        key: Uuid::now_v7(),
        name: spec.name.clone(),
        spec: spec.to_json(),
        parallel: spec.parallel,
    };
    let trials = spec
        .trials()
        .into_iter()
        .map(|trial| queued(spec, trial, lab.place()))
        .collect::<Result<Vec<_>>>()?;
    let batch = lab.queue.create_batch(&new, &trials).await?;
    if let Some(command) = &spec.process {
        lab.memory.keep(&batch, command);
    }
    Ok(batch)
}

fn queued(spec: &BatchSpec, trial: Trial, place: &Place) -> Result<NewExperiment> {
    let Trial { index, model, parameters, seed } = trial;
    let key = Uuid::now_v7();
    let mut new = NewExperiment {
        key,
        name: format!("{} #{index}", spec.name),
        model_type: model,
        dataset: spec.dataset.clone(),
        description: String::new(),
        parameters,
        status: Status::Queued,
        runner: spec.runner.clone(),
        seed: Some(seed.cast_signed()),
        batch_id: None,
        trial: Some(index.cast_signed()),
        worker: None,
        host: None,
        command: None,
        git_commit: place.git_commit.clone(),
        tags: Vec::new(),
        created_at: None,
    };
    if let Some(process) = &spec.process {
        new.command = Some(commands::line(process, &new, key, seed)?);
    }
    Ok(new)
}

/// The batch files (`*.toml`) of a folder, by file name; none when there is no such folder. Reads files: not for the
/// thread that draws.
pub fn files(folder: &Path) -> Result<Vec<BatchFile>> {
    let unreadable = |source| OpsError::File { path: folder.display().to_string(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(file).collect())
}

fn file(path: PathBuf) -> BatchFile {
    match BatchSpec::read(&path) {
        Ok(spec) => BatchFile { summary: Ok(spec.summary()), name: spec.name, path },
        Err(error) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            BatchFile { path, name, summary: Err(error.to_string()) }
        }
    }
}
