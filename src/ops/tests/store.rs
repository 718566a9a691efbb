//! Experiments, queue and outbox in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::Fault;
use super::outbox::Outgoing;
use crate::domain::batch::{Batch, BatchId, Counts, NewBatch};
use crate::domain::experiment::{Edit, Experiment, ExperimentId, Figures, NewExperiment, Status};
use crate::domain::filter::{Comparison, Field, Filter, Literal, Operand};
use crate::domain::metric::{MetricPoint, Outline};
use crate::domain::survey::{CurveValues, Groups, Ids, Names, RunCurves};
use crate::domain::window::{Key, Window};
use crate::domain::worker::{Doing, Entered};
use crate::store::experiments::{Entry, ExperimentPage, ExperimentQuery, ExperimentStore};
use crate::store::follow::{Changed, Follow};
use crate::store::queue::{BatchQueue, Claimant, QueuedCommand, UnderWay};
use crate::store::survey::{CurveOf, ExperimentSurvey, GroupQuery};
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

#[derive(Debug, Default)]
pub(super) struct Tables {
    experiments: BTreeMap<ExperimentId, Experiment>,
    points: BTreeMap<ExperimentId, Vec<MetricPoint>>,
    batches: BTreeMap<BatchId, Batch>,
    pub(super) outbox: Outgoing,
    pub(super) workers: BTreeMap<String, Entered>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FakeStore {
    pub(super) tables: Mutex<Tables>,
    keeps_performance: bool,
    /// How many entries each commit had.
    pub commits: Mutex<Vec<usize>>,
    pub finish_fails: Fault,
    /// The result is stored, but its answer gets lost.
    pub finish_answer_is_lost: Fault,
    pub record_fails: Fault,
    /// What has points in it fails, and will fail again.
    pub points_are_refused: Fault,
    pub list_fails: Fault,
    pub beat_fails: Fault,
    pub claim_fails: Fault,
    /// With an error that waiting does not help against.
    pub claim_is_refused: Fault,
    /// The experiments are claimed, but nobody hears of it.
    pub claim_answer_is_lost: Fault,
}

impl FakeStore {
    pub fn new(keeps_performance: bool) -> Self {
        FakeStore {
            tables: Mutex::default(),
            keeps_performance,
            commits: Mutex::default(),
            finish_fails: Fault::default(),
            finish_answer_is_lost: Fault::default(),
            record_fails: Fault::default(),
            points_are_refused: Fault::default(),
            list_fails: Fault::default(),
            beat_fails: Fault::default(),
            claim_fails: Fault::default(),
            claim_is_refused: Fault::default(),
            claim_answer_is_lost: Fault::default(),
        }
    }

    pub fn experiments(&self) -> Vec<Experiment> {
        self.tables.lock().unwrap().experiments.values().cloned().collect()
    }

    pub fn change(&self, id: ExperimentId, change: impl FnOnce(&mut Experiment)) {
        change(self.tables.lock().unwrap().experiments.get_mut(&id).unwrap());
    }
}

fn error(kind: ErrorKind, message: impl Into<String>) -> StoreError {
    StoreError::new(kind, Backend::DuckDb, "testing", message)
}

impl Tables {
    fn insert(&mut self, new: &NewExperiment) -> Experiment {
        if let Some(old) = self.experiments.values().find(|experiment| experiment.key == new.key) {
            return old.clone();
        }
        let id = self.experiments.len() as i64 + 1;
        let now = Timestamp::now();
        let experiment = Experiment {
            id,
            key: new.key,
            name: new.name.clone(),
            model_type: new.model_type.clone(),
            dataset: new.dataset.clone(),
            description: new.description.clone(),
            parameters: new.parameters.clone(),
            status: new.status,
            results: serde_json::Map::new(),
            figures: Figures::default(),
            tags: new.tags.clone(),
            note: String::new(),
            runner: new.runner.clone(),
            seed: new.seed,
            attempt: 1,
            batch_id: new.batch_id,
            trial: new.trial,
            created_at: new.created_at.unwrap_or(now),
            started_at: (new.status == Status::Running).then_some(now),
            finished_at: None,
            heartbeat_at: None,
            worker: new.worker.clone(),
            host: new.host.clone(),
            command: new.command.clone(),
            git_commit: new.git_commit.clone(),
            archived_at: None,
            error: None,
        };
        self.experiments.insert(id, experiment.clone());
        experiment
    }

    fn get(&mut self, id: ExperimentId) -> Result<&mut Experiment> {
        self.experiments.get_mut(&id).ok_or_else(|| error(ErrorKind::NotFound, format!("no experiment {id}")))
    }

    fn current(&mut self, id: ExperimentId, attempt: i32) -> Result<&mut Experiment> {
        let experiment = self.get(id)?;
        match experiment.attempt == attempt && !experiment.status.is_final() {
            true => Ok(experiment),
            false => Err(error(ErrorKind::Conflict, format!("experiment {id} has moved on"))),
        }
    }

    fn enter(&mut self, entry: &Entry) -> Result<Option<Experiment>> {
        let experiment = self.current(entry.id, entry.attempt)?;
        let finished = entry.outcome.as_ref().map(|outcome| {
            experiment.status = outcome.status;
            experiment.results = outcome.results.clone();
            experiment.figures = Figures::from_results(&outcome.results);
            experiment.error = outcome.error.clone();
            experiment.finished_at = outcome.finished_at.or_else(|| Some(Timestamp::now()));
            experiment.clone()
        });
        self.points.entry(entry.id).or_default().extend_from_slice(&entry.points);
        if let Some(documents) = &entry.documents {
            self.outbox.put(documents);
        }
        Ok(finished)
    }

    fn batch(&self, id: BatchId) -> Result<Batch> {
        let mut batch =
            self.batches.get(&id).cloned().ok_or_else(|| error(ErrorKind::NotFound, "no batch"))?;
        batch.counts = Counts::default();
        for experiment in self.experiments.values().filter(|experiment| experiment.batch_id == Some(id)) {
            batch.counts.add(experiment.status, 1);
        }
        Ok(batch)
    }
}

/// Knows the filters that this layer makes by itself; none for any other.
fn matches(row: &Experiment, filter: &Filter) -> Option<bool> {
    match filter {
        Filter::And(all) => {
            all.iter().map(|one| matches(row, one)).try_fold(true, |so_far, one| Some(so_far && one?))
        }
        Filter::In { field: Field::Id, values, negated: false } => {
            Some(values.contains(&Literal::Number(row.id as f64)))
        }
        Filter::Compare { field, comparison, with: Operand::Literal(literal) } => {
            match (field, comparison, literal) {
                (Field::Batch, Comparison::Equal, Literal::Number(id)) => {
                    Some(row.batch_id == Some(*id as BatchId))
                }
                (Field::Status, Comparison::Equal, Literal::Text(status)) => {
                    Some(row.status.as_str() == status)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Tells of every run at each asking, as a store may.
#[async_trait]
impl Follow for FakeStore {
    async fn changed_since(&self, mark: Option<i64>) -> Result<Changed> {
        self.list_fails.check(Backend::Postgres, "looking for changed runs")?;
        let next = self.experiments().len() as ExperimentId + 1;
        let runs = mark.is_some().then(|| (1..=next).collect());
        Ok(Changed { mark: mark.unwrap_or_default() + 1, runs })
    }
}

#[async_trait]
impl ExperimentStore for FakeStore {
    async fn health(&self) -> Result<Health> {
        let (place, version) = ("memory".to_owned(), "1".to_owned());
        Ok(Health { backend: Backend::DuckDb, place, version, latency: Duration::ZERO })
    }

    async fn create(&self, new: &NewExperiment) -> Result<Experiment> {
        Ok(self.tables.lock().unwrap().insert(new))
    }

    async fn get(&self, id: ExperimentId) -> Result<Experiment> {
        self.tables.lock().unwrap().get(id).cloned()
    }

    async fn list(&self, query: &ExperimentQuery) -> Result<ExperimentPage> {
        self.list_fails.check(Backend::Postgres, "listing experiments")?;
        let mut rows = Vec::new();
        for row in self.experiments().into_iter().rev() {
            let fits = query.filter.as_ref().map_or(Some(true), |filter| matches(&row, filter));
            if fits.ok_or_else(|| error(ErrorKind::Invalid, "unknown filter"))? {
                rows.push(row);
            }
        }
        let total = rows.len() as u64;
        let position = match &query.window {
            Window::First => 0,
            Window::After(key) => rows.iter().take_while(|row| row.id >= key.id).count(),
            other => panic!("nobody asks for {other:?}"),
        };
        let rows: Vec<_> = rows.into_iter().skip(position).take(query.limit as usize).collect();
        let keys = rows.iter().map(|row| Key::of_id(row.id)).collect();
        Ok(ExperimentPage { rows, keys, position: position as u64, total })
    }

    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<Option<Experiment>>>> {
        match entries.iter().any(|entry| entry.outcome.is_some()) {
            true => self.finish_fails.check(Backend::Postgres, "finishing")?,
            false => self.record_fails.check(Backend::Postgres, "recording points")?,
        }
        if entries.iter().any(|entry| !entry.points.is_empty()) {
            self.points_are_refused
                .check(Backend::Postgres, "writing points")
                .map_err(|refused| error(ErrorKind::Invalid, refused.message))?;
        }
        let answers = {
            let mut tables = self.tables.lock().unwrap();
            self.commits.lock().unwrap().push(entries.len());
            entries.iter().map(|entry| tables.enter(entry)).collect()
        };
        self.finish_answer_is_lost.check(Backend::Postgres, "finishing")?;
        Ok(answers)
    }

    async fn points(&self, id: ExperimentId) -> Result<Vec<MetricPoint>> {
        let mut points = self.tables.lock().unwrap().points.get(&id).cloned().unwrap_or_default();
        points.sort_by(|a, b| (&a.name, a.step).cmp(&(&b.name, b.step)));
        Ok(points)
    }

    async fn outline(&self, id: ExperimentId, _: usize) -> Result<Outline> {
        let points = self.points(id).await?;
        Ok(Outline { recorded: points.len() as u64, points })
    }

    async fn edit(&self, id: ExperimentId, edit: &Edit) -> Result<Experiment> {
        let mut tables = self.tables.lock().unwrap();
        let experiment = tables.get(id)?;
        match edit {
            Edit::AddTags(tags) => experiment.tags.extend(tags.iter().cloned()),
            Edit::RemoveTags(tags) => experiment.tags.retain(|tag| !tags.contains(tag)),
            Edit::Note(note) | Edit::ReviseNote { after: note, .. } => experiment.note.clone_from(note),
            Edit::Archive(archive) => experiment.archived_at = archive.then(Timestamp::now),
        }
        Ok(experiment.clone())
    }

    async fn remove(&self, ids: &[ExperimentId]) -> Result<u64> {
        let mut tables = self.tables.lock().unwrap();
        Ok(ids.iter().filter(|id| tables.experiments.remove(id).is_some()).count() as u64)
    }

    fn keeps_performance(&self) -> bool {
        self.keeps_performance
    }
}

#[async_trait]
impl ExperimentSurvey for FakeStore {
    async fn names(&self) -> Result<Names> {
        let mut rows = Vec::new();
        for run in self.experiments() {
            rows.extend(run.parameters.keys().map(|name| ("p".to_owned(), name.clone())));
            rows.extend(run.results.keys().map(|name| ("r".to_owned(), name.clone())));
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(Names::of_rows(rows, true))
    }

    async fn curve_values(&self, _: &[ExperimentId], _: &[CurveOf]) -> Result<Vec<CurveValues>> {
        Err(error(ErrorKind::Invalid, "memory keeps no curves"))
    }

    async fn curves(&self, ids: &[ExperimentId]) -> Result<Vec<RunCurves>> {
        let tables = self.tables.lock().unwrap();
        let points =
            ids.iter().filter_map(|id| Some(RunCurves { id: *id, points: tables.points.get(id)?.clone() }));
        Ok(points.collect())
    }

    async fn ids(&self, query: &ExperimentQuery, skip: u64) -> Result<Ids> {
        let page = self.list(&ExperimentQuery { limit: u64::MAX, ..query.clone() }).await?;
        let ids = page.rows.iter().map(|run| run.id).skip(skip as usize).take(query.limit as usize);
        Ok(Ids { ids: ids.collect(), total: page.total })
    }

    async fn groups(&self, _: &GroupQuery) -> Result<Groups> {
        Err(error(ErrorKind::Invalid, "memory makes no groups"))
    }

    async fn statuses(&self) -> Result<Vec<(Status, u64)>> {
        self.list_fails.check(Backend::Postgres, "counting experiments")?;
        let count = |status| self.experiments().iter().filter(|run| run.status == status).count() as u64;
        Ok(Status::ALL
            .map(|status| (status, count(status)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect())
    }
}

#[async_trait]
impl BatchQueue for FakeStore {
    async fn create_batch(&self, new: &NewBatch, trials: &[NewExperiment]) -> Result<Batch> {
        let mut tables = self.tables.lock().unwrap();
        let id = tables.batches.len() as i64 + 1;
        tables.batches.insert(
            id,
            Batch {
                id,
                key: new.key,
                name: new.name.clone(),
                spec: new.spec.clone(),
                parallel: new.parallel,
                created_at: Timestamp::now(),
                counts: Counts::default(),
            },
        );
        for trial in trials {
            tables.insert(&NewExperiment { batch_id: Some(id), ..trial.clone() });
        }
        tables.batch(id)
    }

    async fn batch(&self, id: BatchId) -> Result<Batch> {
        self.tables.lock().unwrap().batch(id)
    }

    async fn batches(&self, limit: u64) -> Result<Vec<Batch>> {
        let tables = self.tables.lock().unwrap();
        tables.batches.keys().rev().take(limit as usize).map(|&id| tables.batch(id)).collect()
    }

    async fn claim(&self, from: Option<BatchId>, claimant: &Claimant, limit: u32) -> Result<Vec<Experiment>> {
        self.claim_fails.check(Backend::Postgres, "claiming")?;
        let refused = |_| error(ErrorKind::Backend, "permission denied");
        self.claim_is_refused.check(Backend::Postgres, "claiming").map_err(refused)?;
        let mut tables = self.tables.lock().unwrap();
        let Tables { experiments, batches, .. } = &mut *tables;
        let allowed = |batch: BatchId| {
            let wanted = batches[&batch].spec.get("labels").and_then(Value::as_array).cloned();
            let has = |wanted: &Value| {
                claimant.labels.as_ref().is_none_or(|labels| labels.iter().any(|label| wanted == label))
            };
            wanted.unwrap_or_default().iter().all(has)
        };
        let mut queued: Vec<&mut Experiment> = experiments
            .values_mut()
            .filter(|run| run.batch_id.is_some() && (from.is_none() || run.batch_id == from))
            .filter(|run| run.status == Status::Queued && claimant.runners.contains(&run.runner))
            .filter(|run| run.batch_id.is_some_and(allowed))
            .filter(|run| {
                let among = |batches: &Vec<BatchId>| run.batch_id.is_some_and(|id| batches.contains(&id));
                run.runner != "process" || claimant.commands.as_ref().is_none_or(among)
            })
            .collect();
        queued.sort_by_key(|run| (run.batch_id, run.trial, run.id));
        if self.claim_answer_is_lost.check(Backend::Postgres, "claiming").is_err() {
            let lost = queued.into_iter().take(limit as usize);
            lost.for_each(|run| (run.status, run.worker) = (Status::Running, Some(claimant.worker.clone())));
            return Err(error(ErrorKind::Unavailable, "the connection was reset"));
        }
        Ok(queued
            .into_iter()
            .take(limit as usize)
            .map(|experiment| {
                experiment.status = Status::Running;
                experiment.worker = Some(claimant.worker.clone());
                experiment.host.clone_from(&claimant.host);
                experiment.started_at = Some(Timestamp::now());
                experiment.clone()
            })
            .collect())
    }

    async fn queued_commands(&self, except: &[BatchId]) -> Result<Vec<QueuedCommand>> {
        let tables = self.tables.lock().unwrap();
        let mut found = Vec::new();
        for (&batch, stored) in tables.batches.iter().filter(|(id, _)| !except.contains(id)) {
            let waits = |run: &&Experiment| {
                run.batch_id == Some(batch) && run.runner == "process" && run.status == Status::Queued
            };
            match tables.experiments.values().filter(waits).count() as u64 {
                0 => {}
                queued => found.push(QueuedCommand { batch, spec: stored.spec.clone(), queued }),
            }
        }
        Ok(found)
    }

    async fn withdraw(&self, id: BatchId) -> Result<u64> {
        let mut tables = self.tables.lock().unwrap();
        tables.batch(id)?;
        let mut count = 0;
        for experiment in tables.experiments.values_mut() {
            if experiment.batch_id == Some(id) && experiment.status == Status::Queued {
                experiment.status = Status::Cancelled;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn requeue(&self, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>> {
        let mut tables = self.tables.lock().unwrap();
        let mut queued = Vec::new();
        for id in ids {
            let experiment = tables.get(*id)?;
            if experiment.status.is_retryable() {
                experiment.status = Status::Queued;
                experiment.attempt += 1;
                experiment.error = None;
                queued.push(*id);
            }
        }
        Ok(queued)
    }

    async fn take_up(&self, of: Option<BatchId>, tries: i32) -> Result<Vec<ExperimentId>> {
        let fits = |run: &Experiment| {
            let of_it = run.batch_id.is_some() && (of.is_none() || run.batch_id == of);
            run.status == Status::Interrupted && of_it && run.attempt < tries
        };
        let ids: Vec<_> = self.experiments().iter().filter(|run| fits(run)).map(|run| run.id).collect();
        self.requeue(&ids).await
    }

    async fn beat(&self, ids: &[ExperimentId], worker: &str) -> Result<Vec<ExperimentId>> {
        self.beat_fails.check(Backend::Postgres, "beating")?;
        let mut tables = self.tables.lock().unwrap();
        let mut alive = Vec::new();
        for run in tables.experiments.values_mut() {
            let theirs = run.worker.as_deref() == Some(worker) && run.status == Status::Running;
            if ids.contains(&run.id) && theirs {
                run.heartbeat_at = Some(Timestamp::now());
                alive.push(run.id);
            }
        }
        Ok(alive)
    }

    async fn under_way(&self) -> Result<Vec<UnderWay>> {
        let running = |run: Experiment| {
            let worker = run.worker.filter(|_| run.status == Status::Running)?;
            let last = run.heartbeat_at.or(run.started_at).unwrap_or(run.created_at);
            let silent = Timestamp::now().duration_since(last).unsigned_abs();
            let doing = Doing {
                experiment: run.id,
                attempt: run.attempt,
                model: run.model_type,
                dataset: run.dataset,
                batch: run.batch_id,
                started_at: run.started_at,
            };
            Some(UnderWay { doing, worker, host: run.host, silent })
        };
        Ok(self.experiments().into_iter().filter_map(running).collect())
    }

    async fn interrupt(&self, dead: &[UnderWay], why: &str) -> Result<Vec<Experiment>> {
        let mut tables = self.tables.lock().unwrap();
        let mut interrupted = Vec::new();
        for run in dead {
            let experiment = tables.get(run.doing.experiment)?;
            if experiment.status == Status::Running
                && experiment.attempt == run.doing.attempt
                && experiment.worker.as_ref() == Some(&run.worker)
            {
                experiment.status = Status::Interrupted;
                experiment.error = Some(why.to_owned());
                interrupted.push(experiment.clone());
            }
        }
        Ok(interrupted)
    }
}
