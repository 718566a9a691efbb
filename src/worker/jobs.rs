//! Runs, batches, files that are added, and copies of collections: jobs of their own, that report while they go on and stop when they are told to.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

use crate::domain::batch::BatchId;
use crate::domain::batch_spec::BatchSpec;
use crate::domain::experiment::{ExperimentId, Status};
use crate::domain::index::{BuildProgress, NewIndex, Over};
use crate::ops::batch::BatchReport;
use crate::ops::collection::edit;
use crate::ops::collection::export::{self, RecordExport};
use crate::ops::commands::Consent;
use crate::ops::document::Target;
use crate::ops::experiment::RunRequest;
use crate::ops::ingest::{self, Fields, Ingest, OnError, Source, Split};
use crate::ops::{News, OpsError, Stop, Watcher, batch, experiment, index};

use super::Shared;
use super::live::Live;
use super::protocol::{
    Cancel, CollectionChange, Event, ExportForm, IngestForm, IngestPlace, IngestSplit, JobState, JobUpdate,
    RunForm, Ticket, Write,
};
use super::reads::failure;

/// A longer write.
#[derive(Debug)]
pub enum Job {
    Launch(PathBuf),
    Retry(BatchId),
    Resume(BatchId),
    Start(RunForm),
    Rerun(ExperimentId),
    Ingest(IngestForm),
    BuildIndex(NewIndex),
    CopyCollection { from: String, to: String },
    Export(ExportForm),
}

impl Job {
    /// The job that a write is; short writes come back.
    pub fn of(write: Write) -> Result<Job, Box<Write>> {
        match write {
            Write::LaunchBatch(path) => Ok(Job::Launch(path)),
            Write::RetryBatch(id) => Ok(Job::Retry(id)),
            Write::ResumeBatch(id) => Ok(Job::Resume(id)),
            Write::StartRun(form) => Ok(Job::Start(form)),
            Write::Rerun(id) => Ok(Job::Rerun(id)),
            Write::Ingest(form) => Ok(Job::Ingest(form)),
            Write::BuildIndex(new) => Ok(Job::BuildIndex(new)),
            Write::Collection(CollectionChange::Copy { from, to }) => Ok(Job::CopyCollection { from, to }),
            Write::Collection(CollectionChange::Export(form)) => Ok(Job::Export(form)),
            short => Err(Box::new(short)),
        }
    }

    fn what(&self) -> String {
        match self {
            Job::Launch(path) => format!("batch {}", path.file_stem().unwrap_or_default().to_string_lossy()),
            Job::Retry(id) => format!("retry batch {id}"),
            Job::Resume(id) => format!("resume batch {id}"),
            Job::Start(form) => format!("run {} on {}", form.model, form.dataset),
            Job::Rerun(id) => format!("rerun experiment {id}"),
            Job::Ingest(form) => {
                format!("adding {}", form.path.file_name().unwrap_or_default().to_string_lossy())
            }
            Job::BuildIndex(new) => indexing(new),
            Job::CopyCollection { from, to } => format!("copying {from} to {to}"),
            Job::Export(form) => {
                let name = form.path.file_name().unwrap_or_default().to_string_lossy();
                format!("writing {} to {name}", form.collection)
            }
        }
    }
}

/// The jobs of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    running: Arc<Mutex<HashMap<Ticket, Entry>>>,
    own: OwnRuns,
    tasks: TaskTracker,
}

/// Experiments that this process runs: their news comes from memory and needs no reading.
#[derive(Clone, Debug, Default)]
pub struct OwnRuns(Arc<Mutex<HashSet<ExperimentId>>>);

impl OwnRuns {
    pub fn contains(&self, id: ExperimentId) -> bool {
        self.lock().contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ExperimentId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Entry {
    stop: Stop,
    batch: Option<BatchId>,
    experiments: HashSet<ExperimentId>,
}

impl Jobs {
    pub fn own_runs(&self) -> OwnRuns {
        self.own.clone()
    }

    /// Starts a job and returns at once.
    pub fn begin(&self, shared: &Shared, ticket: Ticket, job: Job) {
        let stop = Stop::default();
        let entry = Entry { stop: stop.clone(), batch: None, experiments: HashSet::new() };
        self.running().insert(ticket, entry);
        let (jobs, shared) = (self.clone(), shared.clone());
        self.tasks.spawn(async move {
            let watcher = JobWatcher::new(&jobs, &shared.live, ticket, job.what());
            watcher.update(JobState::Running);
            let result = carry_out(&shared, job, &watcher, &stop).await;
            let state = match &result {
                _ if stop.is_stopped() => JobState::Cancelled,
                Ok(_) if watcher.failed() == 0 => JobState::Completed,
                _ => JobState::Failed,
            };
            watcher.update(state);
            jobs.running().remove(&ticket);
            // At once and before `Done`, so that who hears the result also knows that the job is over; what is merged
            // meanwhile says the same once more.
            let last = watcher.lock().clone();
            shared.tell(Event::Job(last)).await;
            let result = result.map_err(|error| failure(&error));
            shared.tell(Event::Done { ticket, result }).await;
        });
    }

    /// Ends what was asked for, in this process or in another; a batch also gives up what it has queued.
    pub fn cancel(&self, shared: &Shared, ticket: Ticket, what: Cancel) {
        let batches: Vec<BatchId> = {
            let running = self.running();
            let hit = running.iter().filter(|(job, entry)| match what {
                Cancel::Job(wanted) => **job == wanted,
                Cancel::Batch(id) => entry.batch == Some(id),
                Cancel::Experiment(_) => false,
            });
            let stopped = hit.map(|(_, entry)| {
                entry.stop.cancel();
                entry.batch
            });
            stopped.flatten().collect()
        };
        let shared = shared.clone();
        self.tasks.spawn(async move {
            let result = match what {
                Cancel::Experiment(id) => cancel_run(&shared, id).await,
                Cancel::Batch(id) => cancel_batches(&shared, &[id]).await,
                Cancel::Job(_) => cancel_batches(&shared, &batches).await,
            };
            let result = result.map_err(|error| failure(&error));
            shared.tell(Event::Done { ticket, result }).await;
        });
    }

    /// Breaks off every job, waits until they have written what they must, and puts the trials that ran back into
    /// their queues.
    pub async fn leave(&self, shared: &Shared) {
        let left: Vec<ExperimentId> = self.own.lock().iter().copied().collect();
        self.running().values().for_each(|entry| entry.stop.leave());
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = batch::leave(&shared.lab, &left).await {
            tracing::warn!("what ran stays interrupted: {error}");
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Ticket, Entry>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn cancel_run(shared: &Shared, id: ExperimentId) -> Result<String, OpsError> {
    let cancelled = experiment::cancel(&shared.lab, id).await?;
    shared.tell(Event::Experiment(Box::new(cancelled))).await;
    Ok(format!("Experiment {id} cancelled"))
}

async fn cancel_batches(shared: &Shared, batches: &[BatchId]) -> Result<String, OpsError> {
    let mut queued = 0;
    for &id in batches {
        queued += batch::cancel(&shared.lab, id).await?.queued;
    }
    Ok(match queued {
        0 => "Cancelled".to_owned(),
        queued => format!("Cancelled, with {queued} that were queued"),
    })
}

async fn carry_out(
    shared: &Shared,
    job: Job,
    watcher: &JobWatcher<'_>,
    stop: &Stop,
) -> Result<String, OpsError> {
    let lab = &shared.lab;
    match job {
        Job::Launch(path) => {
            let read = tokio::task::spawn_blocking(move || BatchSpec::read(&path)).await;
            let spec = read
                .map_err(|error| OpsError::Invalid(format!("reading the batch file: {error}")))?
                .map_err(|error| OpsError::Invalid(error.to_string()))?;
            Ok(conclusion(&batch::run(lab, &spec, watcher, stop).await?))
        }
        Job::Retry(id) => Ok(conclusion(&batch::retry(lab, id, Consent::None, watcher, stop).await?)),
        Job::Resume(id) => Ok(conclusion(&batch::resume(lab, id, Consent::None, watcher, stop).await?)),
        Job::Start(form) => {
            watcher.will_do(u64::from(form.repeat.max(1)));
            let request = RunRequest {
                name: form.name,
                model: form.model,
                dataset: form.dataset,
                parameters: form.parameters,
                seed: form.seed,
                repeat: form.repeat.max(1),
                ..RunRequest::default()
            };
            let done = experiment::run(lab, &request, watcher, stop).await?;
            let ids: Vec<String> = done.iter().map(|run| format!("{} {}", run.id, run.status)).collect();
            Ok(format!("Experiment {}", ids.join(", ")))
        }
        Job::Rerun(id) => {
            watcher.will_do(1);
            let run = experiment::rerun(lab, id, Consent::None, watcher, stop).await?;
            Ok(format!("Experiment {} {} (again after {id})", run.id, run.status))
        }
        Job::Ingest(form) => {
            let report = ingest::ingest(lab, &ingest_of(form), watcher, stop).await;
            // Of a file that ends in an error the beginning may be stored.
            shared.tell(Event::Changed).await;
            let report = report?;
            let begun = if report.stopped { "Stopped between two lots, stored" } else { "Stored" };
            Ok(format!("{begun} {}", ingest::sum(&report)))
        }
        Job::BuildIndex(new) => build_index(shared, new, watcher, stop).await,
        Job::CopyCollection { from, to } => match edit::copy(lab, &from, &to, watcher, stop).await {
            Err(OpsError::Cancelled) => Ok(format!("Stopped: there is no {to}")),
            copied => Ok(format!("Copied {} records of {from} to {to}", copied?)),
        },
        Job::Export(ExportForm { collection, path, filter, with_vectors }) => {
            let wish = RecordExport { filter, with_embeddings: with_vectors };
            match export::to_file(lab, &collection, &path, &wish, watcher, stop).await {
                Err(OpsError::Cancelled) => Ok("Stopped: no file was written".to_owned()),
                written => Ok(format!("Wrote {} records to {}", written?, path.display())),
            }
        }
    }
}

/// What an index that is built is called in the status bar.
fn indexing(new: &NewIndex) -> String {
    match new.over {
        Over::Vectors { distance, .. } => format!("indexing {} for {distance}", new.model_name),
        Over::Metadata => format!("indexing the metadata of {}", new.model_name),
    }
}

async fn build_index(
    shared: &Shared,
    new: NewIndex,
    watcher: &JobWatcher<'_>,
    stop: &Stop,
) -> Result<String, OpsError> {
    let what = indexing(&new);
    let told = |at: BuildProgress| watcher.is_at(format!("{what}: {}", at.phase), at.done, at.total);
    let built = index::create(&shared.lab, &new, &told, stop).await;
    watcher.is_at(what.clone(), 0, 0);
    // Searches go another way now, or a broken one is to be seen.
    shared.tell(Event::Changed).await;
    match built {
        Err(OpsError::Cancelled) => Ok("Stopped: no index was left behind".to_owned()),
        Ok(Some(built)) => Ok(format!("Built {}", built.name)),
        Ok(None) => Ok(index::none_needed(&shared.lab)),
        Err(error) => Err(error),
    }
}

/// `~/` is the user's own folder, as in a shell.
fn from_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), etcetera::home_dir()) {
        (Ok(rest), Ok(home)) => home.join(rest),
        _ => path,
    }
}

fn ingest_of(form: IngestForm) -> Ingest {
    let IngestForm { path, place, collection, id, text, metadata, model, split, skip_bad } = form;
    Ingest {
        split: match split {
            IngestSplit::Line => Split::Line,
            IngestSplit::Paragraph => Split::Paragraph,
            IngestSplit::File => Split::File,
        },
        fields: Fields { id, text, metadata },
        target: match place {
            IngestPlace::Documents => Target::Documents,
            IngestPlace::Collection => Target::Collections,
            IngestPlace::Both => Target::Both,
        },
        collection,
        model,
        on_error: if skip_bad { OnError::Skip } else { OnError::Fail },
        ..Ingest::of(Source::File(from_home(path)))
    }
}

/// The published line, or what there is to say where nothing completed.
fn conclusion(report: &BatchReport) -> String {
    let counts = &report.batch.counts;
    let best = report.best.as_ref().and_then(|best| Some((best, best.figures.accuracy?)));
    match best {
        Some((best, accuracy)) => {
            format!("Best performing model: {} with accuracy: {accuracy:.3}", best.model_type)
        }
        None => {
            format!("Batch {}: {} completed, {} failed", report.batch.id, counts.completed, counts.failed)
        }
    }
}

/// Hears the news of one job: counts for the status bar, the rest goes on to [`Live`].
struct JobWatcher<'a> {
    jobs: &'a Jobs,
    live: &'a Live,
    update: Mutex<JobUpdate>,
}

impl<'a> JobWatcher<'a> {
    fn new(jobs: &'a Jobs, live: &'a Live, ticket: Ticket, what: String) -> Self {
        let update = JobUpdate { ticket, what, state: JobState::Waiting, done: 0, total: 0, failed: 0 };
        JobWatcher { jobs, live, update: Mutex::new(update) }
    }

    fn lock(&self) -> MutexGuard<'_, JobUpdate> {
        self.update.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, state: JobState) {
        let mut update = self.lock();
        update.state = state;
        self.live.job(update.clone());
    }

    fn will_do(&self, total: u64) {
        self.lock().total = total;
    }

    fn is_at(&self, what: String, done: u64, total: u64) {
        let mut update = self.lock();
        (update.what, update.done, update.total) = (what, done, total);
        self.live.job(update.clone());
    }

    fn failed(&self) -> u64 {
        self.lock().failed
    }

    fn entry(&self, change: impl FnOnce(&mut Entry)) {
        let ticket = self.lock().ticket;
        if let Some(entry) = self.jobs.running().get_mut(&ticket) {
            change(entry);
        }
    }
}

impl Watcher for JobWatcher<'_> {
    fn saw(&self, news: News) {
        match &news {
            News::Created(run) => {
                self.jobs.own.lock().insert(run.id);
                self.entry(|entry| {
                    entry.experiments.insert(run.id);
                });
            }
            News::Finished(run) => {
                self.jobs.own.lock().remove(&run.id);
                let mut update = self.lock();
                update.done += 1;
                update.failed += u64::from(run.status == Status::Failed);
                self.live.job(update.clone());
            }
            News::Progress { done, total, .. } => {
                let mut update = self.lock();
                (update.done, update.total) = (*done, *total);
                self.live.job(update.clone());
            }
            News::Batch(batch) => {
                self.entry(|entry| entry.batch = Some(batch.id));
                let mut update = self.lock();
                // Counts of the store, so that a retried batch shows what was done before.
                update.done = batch.counts.finished();
                update.total = batch.counts.total();
                update.failed = batch.counts.failed;
                update.what = format!("batch {}", batch.name);
                self.live.job(update.clone());
            }
            _ => {}
        }
        self.live.saw(news);
    }
}
