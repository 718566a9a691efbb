//! Batches: many experiments from one file, run several at once.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::future::join_all;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::delivery::deliver_in_passing;
use super::experiment::check_runnable;
use super::place::Place;
use super::workflow::{self, Pace};
use super::{Lab, News, OpsError, Result, Watcher};
use crate::domain::batch::{Batch, BatchId, NewBatch};
use crate::domain::batch_spec::{BatchSpec, Trial};
use crate::domain::experiment::{Experiment, NewExperiment, Status};
use crate::domain::filter::{Comparison, Field, Filter, Literal, Operand};
use crate::domain::spelling;
use crate::store::experiments::ExperimentQuery;

/// Experiments read at once.
const PAGE: u64 = 1000;

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
pub async fn run(
    lab: &Lab,
    spec: &BatchSpec,
    watcher: &dyn Watcher,
    cancel: &CancellationToken,
) -> Result<BatchReport> {
    let batch = create(lab, spec).await?;
    watcher.saw(News::Batch(batch.clone()));
    drain(lab, batch.id, watcher, cancel).await
}

/// Claims and runs what is queued in a batch, as many at once as the batch says. When `cancel` fires, what runs is
/// cancelled and what is queued stays queued: [`cancel`] withdraws it.
pub async fn drain(
    lab: &Lab,
    id: BatchId,
    watcher: &dyn Watcher,
    cancel: &CancellationToken,
) -> Result<BatchReport> {
    let batch = lab.queue.batch(id).await?;
    let crew = Crew { lab, batch: &batch, watcher, cancel, broken: Mutex::new(None) };
    let lanes = join_all((0..batch.parallel.max(1)).map(|_| crew.lane()));
    tokio::join!(lanes, deliver_in_passing(lab, watcher));
    match crew.broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => show(lab, id).await,
    }
}

/// Several lanes that take from one queue.
struct Crew<'a> {
    lab: &'a Lab,
    batch: &'a Batch,
    watcher: &'a dyn Watcher,
    cancel: &'a CancellationToken,
    /// The first error that kept a lane from going on; the others end their runs and stop as well.
    broken: Mutex<Option<OpsError>>,
}

impl Crew<'_> {
    async fn lane(&self) {
        while !self.cancel.is_cancelled() && !self.is_broken() {
            match self.next().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                    broken.get_or_insert(error);
                }
            }
        }
    }

    fn is_broken(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Claims and runs one; false when the queue is empty.
    async fn next(&self) -> Result<bool> {
        let worker = &self.lab.place().worker;
        let Some(experiment) = self.lab.queue.claim(self.batch.id, worker).await? else {
            return Ok(false);
        };
        let (model, dataset) = (experiment.model_type.clone(), experiment.dataset.clone());
        self.watcher.saw(News::Starting { model, dataset });
        self.tell_counts().await;
        let pace = pace(self.lab, self.batch);
        workflow::execute(self.lab, experiment, pace, self.watcher, self.cancel).await?;
        self.tell_counts().await;
        Ok(true)
    }

    async fn tell_counts(&self) {
        match self.lab.queue.batch(self.batch.id).await {
            Ok(batch) => self.watcher.saw(News::Batch(batch)),
            Err(error) => {
                let text = format!("How far batch {} is could not be read. {error}", self.batch.id);
                self.watcher.saw(News::Warning { id: None, text });
            }
        }
    }
}

/// What the batch says, and the settings where it is silent.
fn pace(lab: &Lab, batch: &Batch) -> Pace {
    let said = |key: &str| batch.spec.get(key).and_then(Value::as_u64);
    Pace {
        steps: said("steps")
            .and_then(|steps| u32::try_from(steps).ok())
            .unwrap_or(lab.settings.simulate.steps),
        delay_ms: said("delay_ms").unwrap_or(lab.settings.simulate.delay_ms),
    }
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
    let filter = Filter::Compare {
        field: Field::Batch,
        comparison: Comparison::Equal,
        with: Operand::Literal(Literal::Number(id as f64)),
    };
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

/// Withdraws what is still queued; says how many. What runs is ended by whoever runs it.
pub async fn cancel(lab: &Lab, id: BatchId) -> Result<u64> {
    lab.queue.batch(id).await?;
    Ok(lab.queue.withdraw(id).await?)
}

/// Puts failed, cancelled and interrupted trials back into the queue and runs what is queued.
pub async fn retry(
    lab: &Lab,
    id: BatchId,
    watcher: &dyn Watcher,
    cancel: &CancellationToken,
) -> Result<BatchReport> {
    let again = experiments_of(lab, id).await?;
    let again: Vec<_> = again
        .iter()
        .filter(|experiment| experiment.status.is_retryable())
        .map(|experiment| experiment.id)
        .collect();
    if !again.is_empty() {
        lab.queue.requeue(&again).await?;
    }
    drain(lab, id, watcher, cancel).await
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
    let trials: Vec<NewExperiment> =
        spec.trials().into_iter().map(|trial| queued(spec, trial, lab.place())).collect();
    Ok(lab.queue.create_batch(&new, &trials).await?)
}

fn queued(spec: &BatchSpec, trial: Trial, place: &Place) -> NewExperiment {
    let Trial { index, model, parameters, seed } = trial;
    NewExperiment {
        key: Uuid::now_v7(),
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
    }
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
