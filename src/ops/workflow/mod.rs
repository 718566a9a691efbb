//! The workflow of one experiment: run it, store its points, its documents, its performance and its end.

mod course;
mod papers;
mod recorder;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::course::Course;
pub(super) use self::papers::ids as document_ids;
use self::recorder::{Overtaken, Recorder};
use super::delivery::{self, Arrival, Expected};
use super::hands::Held;
use super::reaper::BEAT;
use super::{Lab, News, OpsError, Result, Stop, Watcher};
use crate::domain::collection::collection_name;
use crate::domain::experiment::{Experiment, ExperimentId, Figures, Outcome, Status};
use crate::domain::metric::MetricPoint;
use crate::domain::performance::PerformanceRow;
use crate::domain::process::ProcessSpec;
use crate::runner::{self, Job, RunError};
use crate::store::experiments::Entry;
use crate::store::outbox::NewDelivery;
use crate::store::{ErrorKind, StoreError};

/// Reports on their way from a runner to the recorder: one batch of points. A runner that is ahead of storage by more
/// than that waits.
const REPORTS: usize = 256;

/// How long the end of a run is tried to be stored once everything is told to end.
const LEAVING: Duration = Duration::from_secs(30);

/// How a run is run, beside what its experiment says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Points on the learning curve of a simulated run.
    pub steps: u32,
    /// Pause after each of them, milliseconds.
    pub delay_ms: u64,
    /// The command of the runner `process`: one that somebody decided may run here.
    pub process: Option<Arc<ProcessSpec>>,
    /// No other run waits for its turn: the documents may arrive before the end is told.
    pub alone: bool,
}

/// Takes an experiment that is `running` in this process to its end, and gives it back as it was stored.
///
/// A run that fails or is cancelled is no error: its status says so. Documents or a performance row that cannot be
/// stored are told as news and lose nothing else. An error means that the end of the run could not be stored.
pub(crate) async fn execute(
    lab: &Lab,
    experiment: Experiment,
    pace: &Pace,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<Experiment> {
    let held = lab.hands.hold(experiment.id);
    watcher.saw(News::Created(Box::new(experiment.clone())));
    let finished = match run(lab, &experiment, &held, pace, watcher, stop).await {
        Ran::Overtaken => overtaken(lab, &experiment, watcher).await?,
        Ran::Ended(end) => tokio::select! {
            finished = conclude(lab, &experiment, end, pace, watcher) => finished?,
            never = recorder::keep_alive(lab, &experiment) => match never {},
            () = given_up(stop) => return Err(OpsError::Cancelled),
        },
    };
    watcher.saw(News::Finished(Box::new(finished.clone())));
    Ok(finished)
}

/// Whoever is told to end waits for a store that is away, but not for long.
async fn given_up(stop: &Stop) {
    stop.stopped().await;
    tokio::time::sleep(LEAVING).await;
}

/// Stores what a run leaves behind and its end.
async fn conclude(
    lab: &Lab,
    experiment: &Experiment,
    end: End,
    pace: &Pace,
    watcher: &dyn Watcher,
) -> Result<Experiment> {
    let finished = preview(experiment, &end.outcome);
    let completed = end.outcome.status == Status::Completed;
    let mut documents = None;
    if completed {
        // The documents of every attempt have the same ids: those of a late one must not take the place of the others.
        if end.heard.elapsed() > BEAT && recorder::beat(lab, experiment).await.is_err() {
            return overtaken(lab, experiment, watcher).await;
        }
        documents = make_documents(lab, &finished, &end.course, watcher).await;
        if !delivery::goes_by_outbox(lab)
            && let Some(documents) = documents.take()
        {
            put_documents(lab, finished.id, documents, watcher).await;
        }
        put_performance(lab, &finished, watcher).await;
    }
    let (id, attempt) = (experiment.id, experiment.attempt);
    let expected = (pace.alone && documents.is_some()).then(|| delivery::expect(lab, id));
    let mut entry = Entry { id, attempt, points: end.rest, outcome: Some(end.outcome), documents };
    let Some(finished) = finish(lab, experiment, &mut entry, watcher).await? else {
        let stored = overtaken(lab, experiment, watcher).await?;
        if completed {
            make_good(lab, &stored, watcher).await;
        }
        return Ok(stored);
    };
    if let Some(documents) = &entry.documents {
        await_documents(lab, id, documents, expected, watcher).await;
    }
    Ok(finished)
}

/// How a runner left us.
enum Ran {
    Ended(End),
    /// Somebody else ended this attempt, or began a later one.
    Overtaken,
}

struct End {
    outcome: Outcome,
    course: Course,
    /// Points that are not stored yet.
    rest: Vec<MetricPoint>,
    /// When the store said last that this attempt is the current one.
    heard: Instant,
}

async fn run(
    lab: &Lab,
    experiment: &Experiment,
    held: &Held<'_>,
    pace: &Pace,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Ran {
    let runner = match runner::by_name(&experiment.runner) {
        Ok(runner) => runner,
        Err(unknown) => {
            let outcome = outcome(Err(unknown), stop);
            return Ran::Ended(End {
                outcome,
                course: Course::default(),
                rest: Vec::new(),
                heard: Instant::now(),
            });
        }
    };
    let job = job(experiment, pace);
    let (sink, reports) = mpsc::channel(REPORTS);
    let cancel = stop.child();
    // Whoever drops this workflow stops the runner with it.
    let _stop_with_us = cancel.clone().drop_guard();
    let task = tokio::spawn({
        let cancel = cancel.clone();
        async move { runner.run(&job, &sink, &cancel).await }
    });
    let mut recorder = Recorder::new(lab, experiment, watcher);
    if let Err(Overtaken) = recorder.record(reports, held, stop).await {
        cancel.cancel();
        // What the runner says now is of no use: its attempt is over.
        drop(task.await);
        return Ran::Overtaken;
    }
    let ended = match task.await {
        Ok(ended) => ended,
        Err(panic) => Err(RunError::Failed(format!("the runner '{}' broke off: {panic}", runner.name()))),
    };
    Ran::Ended(recorder.into_end(outcome(ended, stop)))
}

fn job(experiment: &Experiment, pace: &Pace) -> Job {
    Job {
        experiment_id: experiment.id,
        key: experiment.key,
        model: experiment.model_type.clone(),
        dataset: experiment.dataset.clone(),
        parameters: experiment.parameters.clone(),
        seed: experiment.seed.map_or(0, i64::cast_unsigned),
        steps: pace.steps,
        delay_ms: pace.delay_ms,
        process: pace.process.clone(),
    }
}

fn outcome(ended: Result<Map<String, Value>, RunError>, stop: &Stop) -> Outcome {
    let (status, results, error) = match ended {
        Ok(results) => (Status::Completed, results, None),
        Err(RunError::Cancelled) => (stop.status(), Map::new(), None),
        Err(RunError::Failed(why)) => (Status::Failed, Map::new(), Some(why)),
    };
    Outcome { status, results, error, finished_at: Some(now()) }
}

/// In whole microseconds, which is what every store keeps.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// The experiment as it will be once its outcome is stored.
fn preview(experiment: &Experiment, outcome: &Outcome) -> Experiment {
    Experiment {
        status: outcome.status,
        figures: Figures::from_results(&outcome.results),
        results: outcome.results.clone(),
        error: outcome.error.clone(),
        finished_at: outcome.finished_at,
        ..experiment.clone()
    }
}

/// The run's documents, on their way to its collection. None, and told, when they cannot be embedded.
async fn make_documents(
    lab: &Lab,
    finished: &Experiment,
    course: &Course,
    watcher: &dyn Watcher,
) -> Option<NewDelivery> {
    let collection = collection_name(&finished.model_type, &finished.dataset);
    match papers::records(lab.embedder.as_ref(), finished, course).await {
        Ok(records) => Some(NewDelivery { collection, records, experiment: Some(finished.id) }),
        Err(error) => {
            warn_of_documents(finished.id, &error, watcher);
            None
        }
    }
}

/// Puts documents into a collection of our own file, and tells how that went.
async fn put_documents(lab: &Lab, id: ExperimentId, documents: NewDelivery, watcher: &dyn Watcher) {
    let (collection, count) = (documents.collection.clone(), documents.records.len() as u64);
    match delivery::send(lab, documents).await {
        Ok(why) => {
            let arrival = why.map_or(Arrival::Stored, Arrival::Postponed);
            tell_arrival(id, collection, count, arrival, watcher);
        }
        Err(error) => warn_of_documents(id, &error, watcher),
    }
}

/// Sees that documents in the outbox are delivered, and tells how that went when there is time for it: else those who
/// deliver them tell.
async fn await_documents(
    lab: &Lab,
    id: ExperimentId,
    documents: &NewDelivery,
    expected: Option<Expected>,
    watcher: &dyn Watcher,
) {
    delivery::look_again(lab);
    let Some(expected) = expected else { return };
    let arrival = delivery::arrival(lab, id, expected).await;
    tell_arrival(id, documents.collection.clone(), documents.records.len() as u64, arrival, watcher);
}

fn tell_arrival(id: ExperimentId, collection: String, count: u64, arrival: Arrival, watcher: &dyn Watcher) {
    match arrival {
        Arrival::Stored => watcher.saw(News::Documents { id, collection, count }),
        Arrival::Postponed(why) => watcher.saw(News::Postponed { id, collection, count, why }),
        Arrival::Refused(error) => {
            let text = delivery::refusal(&format!("The documents of experiment {id}"), &error);
            watcher.saw(News::Warning { id: Some(id), text });
        }
    }
}

fn warn_of_documents(id: ExperimentId, why: &dyn std::error::Error, watcher: &dyn Watcher) {
    let text = format!("The documents of experiment {id} were not stored. {why}");
    watcher.saw(News::Warning { id: Some(id), text });
}

/// Puts the performance row where the store does not write it by itself. What fails here is made up for by the next
/// catching up.
async fn put_performance(lab: &Lab, finished: &Experiment, watcher: &dyn Watcher) {
    if lab.experiments.keeps_performance() {
        return;
    }
    let Some(row) = PerformanceRow::of(finished) else { return };
    if let Err(error) = lab.performance.put(row).await {
        let id = Some(finished.id);
        let text =
            format!("The performance of experiment {} is not in the analytics yet. {error}", finished.id);
        watcher.saw(News::Warning { id, text });
    }
}

/// This attempt came too late, and what it left behind beside its result may have taken the place of what the one that
/// counts had left.
async fn make_good(lab: &Lab, stored: &Experiment, watcher: &dyn Watcher) {
    if PerformanceRow::of(stored).is_none()
        && !lab.experiments.keeps_performance()
        && let Err(error) = lab.analytics.remove(&[stored.id]).await
    {
        let text =
            format!("The analytics hold a result of experiment {} that does not count. {error}", stored.id);
        watcher.saw(News::Warning { id: Some(stored.id), text });
    }
    // Documents that go by the outbox are stored with the result or not at all; and whoever runs it now puts its own.
    if delivery::goes_by_outbox(lab) || stored.status != Status::Completed {
        return;
    }
    match lab.experiments.points(stored.id).await {
        Ok(mut points) => {
            let mut course = Course::default();
            points.sort_by_key(|point| point.step);
            points.iter().for_each(|point| course.add(&point.name, point.step, point.value));
            if let Some(documents) = make_documents(lab, stored, &course, watcher).await {
                put_documents(lab, stored.id, documents, watcher).await;
            }
        }
        Err(error) => {
            let text =
                format!("The documents of experiment {} may be those of another attempt. {error}", stored.id);
            watcher.saw(News::Warning { id: Some(stored.id), text });
        }
    }
}

/// Commits the result with the last points and the documents: it is the one thing that must not be lost. What the store
/// refuses of the others is told as lost, and the result is stored without it. None when somebody else ended this attempt.
async fn finish(
    lab: &Lab,
    experiment: &Experiment,
    entry: &mut Entry,
    watcher: &dyn Watcher,
) -> Result<Option<Experiment>> {
    let id = experiment.id;
    let mut stored = put_end(lab, entry, watcher).await;
    if let Err(error) = &stored
        && !error.is_transient()
        && entry.documents.take().is_some()
    {
        warn_of_documents(id, error, watcher);
        stored = put_end(lab, entry, watcher).await;
    }
    if let Err(error) = &stored
        && !error.is_transient()
        && !entry.points.is_empty()
    {
        let lost = std::mem::take(&mut entry.points).len();
        let text = format!("{lost} points of experiment {id} were not stored. {error}");
        watcher.saw(News::Warning { id: Some(id), text });
        stored = put_end(lab, entry, watcher).await;
    }
    let stored = stored.map_err(|error| error.doing(format!("storing the result of experiment {id}")))?;
    if !is_ours(&stored, entry) {
        return Ok(None);
    }
    if !entry.points.is_empty() {
        watcher.saw(News::Points { id, points: entry.points.clone() });
    }
    Ok(Some(stored))
}

/// One commit, patiently; the experiment as it stands afterwards, ended by us or by somebody else.
async fn put_end(lab: &Lab, entry: &Entry, watcher: &dyn Watcher) -> Result<Experiment, StoreError> {
    let id = entry.id;
    let attempt = || lab.entries.put(entry.clone());
    let mut tries = 0_u32;
    let result = attempt
        .retry(back_off(lab.patience))
        .when(StoreError::is_transient)
        .notify(|error: &StoreError, _| {
            tries += 1;
            if tries == 1 {
                let text = format!("The result of experiment {id} waits for its store. {error}");
                watcher.saw(News::Warning { id: Some(id), text });
            }
        })
        .await;
    match result {
        Ok(Some(finished)) => Ok(finished),
        Ok(None) => lab.experiments.get(id).await,
        // Somebody else was faster, or the answer to an earlier try was lost and not the try.
        Err(error) if error.kind == ErrorKind::Conflict => lab.experiments.get(id).await,
        Err(error) => Err(error),
    }
}

fn is_ours(stored: &Experiment, entry: &Entry) -> bool {
    entry.outcome.as_ref().is_some_and(|outcome| {
        stored.attempt == entry.attempt
            && stored.status == outcome.status
            && stored.finished_at == outcome.finished_at
    })
}

/// This attempt is not the current one any more: what the store holds is the truth.
async fn overtaken(lab: &Lab, experiment: &Experiment, watcher: &dyn Watcher) -> Result<Experiment> {
    let id = experiment.id;
    let stored = lab.experiments.get(id).await?;
    if stored.status == Status::Cancelled && stored.attempt == experiment.attempt {
        // Somebody wanted that.
        return Ok(stored);
    }
    let text = format!(
        "Attempt {} of experiment {id} was ended from elsewhere (now {}, attempt {}): its result is dropped.",
        experiment.attempt, stored.status, stored.attempt
    );
    watcher.saw(News::Warning { id: Some(id), text });
    put_performance(lab, &stored, watcher).await;
    Ok(stored)
}

/// Tries again after 50 ms, then twice as long each time up to two seconds, for at most `patience` in all.
pub(super) fn back_off(patience: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50).min(patience))
        .with_max_delay(Duration::from_secs(2))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(patience))
}
