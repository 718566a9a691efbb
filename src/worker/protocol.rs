//! The whole conversation between the dashboard and the worker, on one page.

mod collections;
mod search;

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::batch::{Batch, BatchId};
use crate::domain::collection::{
    Collection, NewCollection, RecordFilter, RecordHit, RecordPage, StoredRecord,
};
use crate::domain::database::{Database, KnownDatabase};
use crate::domain::document::{EmbeddingModel, HybridHit, Metadata, ModelStats};
use crate::domain::embedding_map::EmbeddingMap;
use crate::domain::experiment::{Edit, Experiment, ExperimentId, Parameters};
use crate::domain::filter::{Aggregate, Field};
use crate::domain::index::{Nearest, NewIndex, Scan};
use crate::domain::metric::MetricPoint;
use crate::domain::outbox::OutboxState;
use crate::domain::performance::ModelSummary;
use crate::domain::survey::{CurveValues, Groups, Ids, Names, RunCurves};
use crate::domain::table::Table;
use crate::domain::window::{Key, Window};
use crate::domain::worker::Worker;

pub use collections::{CollectionChange, DatabaseChange, ExportForm, Likeness, RecordQuestion};
pub use search::{
    EngineSide, HybridRead, IngestForm, IngestPlace, IngestSplit, MapRead, SearchQuery, SearchRead,
    SearchTerms,
};

/// Which asking an answer belongs to; grows by one with every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The place an answer fills. A newer read of the same slot cancels the older, down to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    Experiments,
    Detail,
    Documents,
    BatchFiles,
    Batches,
    Search,
    Models,
    Collections,
    Records,
    RecordCount,
    Databases,
    Vector,
    Analytics,
    Sql,
    /// Names of parameters and metrics.
    Names,
    CurveValues,
    Marks,
    Baseline,
    Compare,
    Groups,
    Workers,
    Engines,
    Map,
    DocumentStats,
}

/// Work we ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub ticket: Ticket,
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Fills a slot; the newest wins.
    Read(Slot, Read),
    /// Changes something; in order, never cancelled behind the user's back.
    Write(Write),
    /// Keeps how the screen is arranged, section by section, in the user's view file. Has no answer.
    Remember(toml::Table),
    /// Stops a run or a batch that this process works on, and withdraws what is queued.
    Cancel(Cancel),
    /// Asks the backends that are down without waiting for their next try. Has no answer but health.
    TryNow,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    Experiments(ExperimentsRead),
    /// One experiment with its curves.
    Detail(ExperimentId),
    /// The documents of one experiment, from its collection.
    DocumentsOf(ExperimentId),
    BatchFiles,
    Batches,
    Search(SearchRead),
    /// By meaning and by words, ranks fused.
    Hybrid(HybridRead),
    /// The same question to every engine that holds the same documents.
    Engines(SearchRead),
    /// Documents laid flat.
    Map(MapRead),
    /// What there is of each embedding model.
    DocumentStats,
    EmbeddingModels,
    Collections,
    Records {
        collection: String,
        page: RecordPage,
    },
    QueryCollection(RecordQuestion),
    /// How many records fit, as far as `most`.
    CountRecords {
        collection: String,
        filter: RecordFilter,
        most: u64,
    },
    /// Those of a tenant; of that of the settings when none.
    Databases {
        tenant: Option<String>,
    },
    /// About collections in another database than that of the settings.
    At(Database, Box<Read>),
    ModelSummaries {
        with_simulated: bool,
    },
    Sql(String),
    /// Names of parameters and metrics that occur.
    Names,
    /// Aggregates of the curves of some runs.
    CurveValues {
        ids: Vec<ExperimentId>,
        curves: Vec<(Aggregate, String)>,
    },
    Ids(IdsRead),
    /// Several experiments with their curves; those that are gone are left out.
    Runs(Vec<ExperimentId>),
    Groups(GroupsRead),
    /// Who runs experiments or would.
    Workers,
}

/// Ids of the experiments table in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct IdsRead {
    /// In the filter language; empty for all.
    pub filter: String,
    pub sort: Field,
    pub descending: bool,
    pub with_archived: bool,
    pub skip: u64,
    pub limit: u64,
}

/// Groups of runs that are equal but for their seed.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupsRead {
    /// In the filter language; empty for all.
    pub filter: String,
    pub with_archived: bool,
    /// Whose mean and deviation are wanted.
    pub figures: Vec<Field>,
    /// By whose mean they are sorted: an index into `figures`; the newest first without.
    pub sort: Option<usize>,
    pub descending: bool,
    pub limit: u64,
}

/// A window of the experiments table.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentsRead {
    /// In the filter language; empty for all.
    pub filter: String,
    pub sort: Field,
    pub descending: bool,
    pub window: Window,
    pub limit: u64,
    pub with_archived: bool,
    /// Orders that may be asked for next, each with whether it is descending.
    pub next: Vec<(Field, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    LaunchBatch(PathBuf),
    RetryBatch(BatchId),
    /// Goes on where it broke off.
    ResumeBatch(BatchId),
    StartRun(RunForm),
    Rerun(ExperimentId),
    Edit(Vec<ExperimentId>, Edit),
    Remove(Vec<ExperimentId>),
    AddDocument {
        id: String,
        text: String,
    },
    /// A job: the texts of a file into documents, a collection, or both.
    Ingest(IngestForm),
    /// A job: an index that searches go along.
    BuildIndex(NewIndex),
    /// By its name.
    DropIndex(String),
    CreateCollection(NewCollection),
    RemoveCollection(String),
    AddRecord {
        collection: String,
        id: String,
        text: String,
        metadata: Metadata,
        /// A record of the same id makes way.
        replace: bool,
    },
    Collection(CollectionChange),
    Database(DatabaseChange),
    /// About collections in another database than that of the settings.
    At(Database, Box<Write>),
    RemoveRecords {
        collection: String,
        ids: Vec<String>,
    },
    LoadDemo,
    /// Applies migrations to databases that hold foreign tables under our names.
    Init,
}

/// What the new-run form asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunForm {
    pub name: Option<String>,
    pub model: String,
    pub dataset: String,
    pub parameters: Parameters,
    pub seed: Option<u64>,
    pub repeat: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    Experiment(ExperimentId),
    Batch(BatchId),
    /// A job of this session, by the ticket that began it.
    Job(Ticket),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer to a read. A stale ticket is dropped by the one who asked.
    Answer {
        ticket: Ticket,
        slot: Slot,
        result: Result<Answer, Failure>,
    },
    /// A write or a cancel ended: a sentence for the user, or why not.
    Done {
        ticket: Ticket,
        result: Result<String, Failure>,
    },
    /// A job of this process moves.
    Job(JobUpdate),
    /// A run of this process was created or changed its state.
    Experiment(Box<Experiment>),
    /// Points of runs of this process, merged since the last such event.
    Points {
        id: ExperimentId,
        points: Vec<MetricPoint>,
    },
    Batch(Batch),
    /// These runs are gone for good.
    Removed(Vec<ExperimentId>),
    /// A whole new picture of health.
    Health(Vec<RoleHealth>),
    /// How much waits to be delivered to the collection store.
    Outbox(OutboxState),
    /// How fast the roles answered lately, a whole new picture too; at most once a second, and only while they are asked.
    Timings(Vec<Timings>),
    /// Another program may have changed something: what is on screen should be read again.
    Changed,
    /// A line for the log.
    Log(LogLine),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Experiments(ExperimentRows),
    /// `points` is the outline of curves that are too long; `recorded` says how many there are in all.
    Detail {
        experiment: Box<Experiment>,
        points: Vec<MetricPoint>,
        recorded: u64,
    },
    Documents(Vec<StoredRecord>),
    BatchFiles(Vec<BatchFile>),
    Batches(Vec<Batch>),
    Search {
        found: Nearest,
        took: Duration,
    },
    Hybrid {
        hits: Vec<HybridHit>,
        /// How the half by meaning was searched.
        scan: Scan,
        took: Duration,
    },
    Engines(Vec<EngineSide>),
    Map(Box<EmbeddingMap>),
    DocumentStats {
        models: Vec<ModelStats>,
        /// Why there are no indexes, where the store has none and needs none.
        none_needed: Option<String>,
    },
    EmbeddingModels(Vec<EmbeddingModel>),
    Collections(Vec<Collection>),
    Records {
        collection: String,
        offset: usize,
        records: Vec<StoredRecord>,
    },
    RecordHits {
        collection: String,
        hits: Vec<RecordHit>,
        took: Duration,
    },
    RecordCount(u64),
    Databases {
        /// That of the settings.
        home: Database,
        tenant: String,
        databases: Vec<KnownDatabase>,
    },
    ModelSummaries(Vec<ModelSummary>),
    Table {
        table: Table,
        took: Duration,
    },
    Names(Names),
    CurveValues(Vec<CurveValues>),
    Ids(Ids),
    Runs {
        experiments: Vec<Experiment>,
        curves: Vec<RunCurves>,
    },
    Groups(Groups),
    Workers(Vec<Worker>),
}

/// A window of the experiments table, where it stands, and how many rows there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExperimentRows {
    pub rows: Vec<Experiment>,
    /// The key of each row.
    pub keys: Vec<Key>,
    /// Rows before the first of these.
    pub position: u64,
    pub total: u64,
}

/// A batch file in the picker.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchFile {
    pub path: PathBuf,
    /// Its `name`, or the file's name when it cannot be read.
    pub name: String,
    /// One line about it ("3 trials · grid · simulate"), or what is wrong with it.
    pub summary: Result<String, String>,
}

/// Why something failed, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    pub remedy: Option<String>,
    /// The backend is down; its health says since when.
    pub unavailable: bool,
}

/// A longer write of this session.
#[derive(Clone, Debug, PartialEq)]
pub struct JobUpdate {
    pub ticket: Ticket,
    /// "batch Sentiment v3", "run XGBoost on sentiment_v3"
    pub what: String,
    pub state: JobState,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Waiting,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// How one role stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleHealth {
    /// "experiments", "documents", "collections", "analytics"
    pub role: &'static str,
    /// "PostgreSQL", "Chroma", "DuckDB"
    pub backend: &'static str,
    pub state: BackendState,
}

#[derive(Clone, Debug, PartialEq)]
pub enum BackendState {
    /// Not asked yet.
    Unknown,
    Up {
        since: jiff::Timestamp,
        place: String,
        version: String,
        latency: Duration,
    },
    Down {
        since: jiff::Timestamp,
        why: Failure,
        next_try: jiff::Timestamp,
    },
}

/// How fast one role answered lately.
#[derive(Clone, Debug, PartialEq)]
pub struct Timings {
    /// As in [`RoleHealth`].
    pub role: &'static str,
    /// Since this process started.
    pub answered: u64,
    pub failed: u64,
    /// The last answers, oldest first.
    pub took: Vec<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub at: jiff::Timestamp,
    pub level: LogLevel,
    /// Module or backend it comes from.
    pub source: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}
