//! Reads: each command's one call of `ops`.

use std::time::Instant;

use jiff::Timestamp;

use crate::domain::filter::Filter;
use crate::domain::metric::Outline;
use crate::ops::collection::CollectionQuery;
use crate::ops::document::{Query, Terms};
use crate::ops::embedding_map;
use crate::ops::engines::{self, Side};
use crate::ops::{
    Lab, OpsError, analytics, batch, collection, database, document, experiment, index, survey, worker,
};
use crate::store::StoreError;
use crate::store::experiments::{ExperimentQuery, Sort};
use crate::store::survey::GroupQuery;

use super::protocol::{
    Answer, BatchFile, EngineSide, ExperimentRows, ExperimentsRead, Failure, GroupsRead, HybridRead, IdsRead,
    Likeness, MapRead, Read, RecordQuestion, SearchQuery, SearchRead, SearchTerms,
};

/// Rows that the SQL console takes at most.
const SQL_ROWS: usize = 10_000;
/// Batches that are listed.
const BATCHES: u64 = 100;

/// Asks and answers.
pub async fn answer(lab: &Lab, read: Read) -> Result<Answer, Failure> {
    ask(lab, read).await.map_err(|error| failure(&error))
}

async fn ask(lab: &Lab, read: Read) -> Result<Answer, OpsError> {
    Ok(match read {
        Read::Experiments(window) => experiments(lab, window).await?,
        Read::Detail(id) => {
            let (experiment, outline) = experiment::outline(lab, id).await?;
            let Outline { points, recorded } = outline;
            Answer::Detail { experiment: Box::new(experiment), points, recorded }
        }
        Read::DocumentsOf(id) => Answer::Documents(experiment::documents_of(lab, id).await?),
        Read::BatchFiles => Answer::BatchFiles(batch_files(lab).await?),
        Read::Batches => Answer::Batches(batch::list(lab, BATCHES).await?),
        Read::Search(search) => search_documents(lab, search).await?,
        Read::Hybrid(read) => hybrid(lab, read).await?,
        Read::Engines(search) => side_by_side(lab, search).await?,
        Read::Map(read) => map(lab, read).await?,
        Read::DocumentStats => Answer::DocumentStats {
            models: document::stats(lab).await?,
            none_needed: lab.documents.indexes().is_none().then(|| index::none_needed(lab)),
        },
        Read::EmbeddingModels => Answer::EmbeddingModels(document::models(lab).await?),
        Read::Collections => Answer::Collections(collection::list(lab).await?),
        Read::Records { collection, page } => {
            let records = collection::records(lab, &collection, &page).await?;
            Answer::Records { collection, offset: page.offset, records }
        }
        Read::QueryCollection(question) => ask_collection(lab, question).await?,
        Read::CountRecords { collection, filter, most } => {
            Answer::RecordCount(collection::count(lab, &collection, &filter, most).await?)
        }
        Read::Databases { tenant } => {
            let home = database::here(lab).unwrap_or_default();
            let tenant = tenant.unwrap_or_else(|| home.tenant.clone());
            let databases = database::list(lab, &tenant).await?;
            Answer::Databases { home, tenant, databases }
        }
        // Never asked: where something is to be read is taken out before.
        Read::At(database, _) => return Err(OpsError::Invalid(format!("{database} is in another lab"))),
        Read::ModelSummaries { with_simulated } => {
            Answer::ModelSummaries(analytics::models(lab, with_simulated).await?)
        }
        Read::Sql(query) => {
            let begun = Instant::now();
            let table = analytics::sql(lab, &query, SQL_ROWS).await?;
            Answer::Table { table, took: begun.elapsed() }
        }
        Read::Names => Answer::Names(survey::names(lab).await?),
        Read::CurveValues { ids, curves } => {
            Answer::CurveValues(survey::curve_values(lab, &ids, &curves).await?)
        }
        Read::Ids(read) => ids(lab, read).await?,
        Read::Runs(ids) => {
            let (experiments, curves) = survey::runs(lab, &ids).await?;
            Answer::Runs { experiments, curves }
        }
        Read::Groups(read) => groups(lab, read).await?,
        Read::Workers => Answer::Workers(worker::list(lab).await?),
    })
}

async fn ask_collection(lab: &Lab, question: RecordQuestion) -> Result<Answer, OpsError> {
    let begun = Instant::now();
    let RecordQuestion { collection, by, n_results, filter } = question;
    let query = match by {
        Likeness::Text(text) => CollectionQuery::Text(text),
        Likeness::Vector(vector) => CollectionQuery::Vector(vector),
        Likeness::Record(id) => CollectionQuery::Record(id),
    };
    let hits = collection::query(lab, &collection, &query, n_results, &filter).await?;
    Ok(Answer::RecordHits { collection, hits, took: begun.elapsed() })
}

async fn ids(lab: &Lab, read: IdsRead) -> Result<Answer, OpsError> {
    let query = ExperimentQuery {
        filter: parsed(&read.filter)?,
        sort: Sort { field: read.sort, descending: read.descending },
        limit: read.limit,
        with_archived: read.with_archived,
        ..ExperimentQuery::default()
    };
    Ok(Answer::Ids(survey::ids(lab, &query, read.skip).await?))
}

async fn groups(lab: &Lab, read: GroupsRead) -> Result<Answer, OpsError> {
    let runs = ExperimentQuery {
        filter: parsed(&read.filter)?,
        with_archived: read.with_archived,
        ..ExperimentQuery::default()
    };
    let GroupsRead { figures, sort, descending, limit, .. } = read;
    let query = GroupQuery { runs, figures, sort, descending, skip: 0, limit };
    Ok(Answer::Groups(survey::groups(lab, &query).await?))
}

/// The filter that a text is; none for an empty one.
fn parsed(filter: &str) -> Result<Option<Filter>, OpsError> {
    Ok(match filter.trim() {
        "" => None,
        text => Some(Filter::parse(text, Timestamp::now())?),
    })
}

async fn experiments(lab: &Lab, window: ExperimentsRead) -> Result<Answer, OpsError> {
    let filter = parsed(&window.filter)?;
    let query = ExperimentQuery {
        filter,
        sort: Sort { field: window.sort, descending: window.descending },
        window: window.window,
        limit: window.limit,
        with_archived: window.with_archived,
        next: window.next.into_iter().map(|(field, descending)| Sort { field, descending }).collect(),
    };
    let page = experiment::list(lab, &query).await?;
    Ok(Answer::Experiments(ExperimentRows {
        rows: page.rows,
        keys: page.keys,
        position: page.position,
        total: page.total,
    }))
}

async fn search_documents(lab: &Lab, search: SearchRead) -> Result<Answer, OpsError> {
    let begun = Instant::now();
    let (query, terms) = asked(search);
    let found = document::search(lab, &query, &terms).await?;
    Ok(Answer::Search { found, took: begun.elapsed() })
}

fn asked(SearchRead { query, terms: how }: SearchRead) -> (Query, Terms) {
    (by(query), terms(how))
}

fn by(query: SearchQuery) -> Query {
    match query {
        SearchQuery::Text(text) => Query::Text(text),
        SearchQuery::Document { id, model } => Query::Document { id, model: Some(model) },
    }
}

fn terms(SearchTerms { limit: k, distance, exact, model, filter, ef_search }: SearchTerms) -> Terms {
    Terms { k, distance, exact, model, filter, ef_search }
}

async fn map(lab: &Lab, MapRead { model, query, hits }: MapRead) -> Result<Answer, OpsError> {
    let wish = embedding_map::Wish { model, query: query.map(by), hits };
    Ok(Answer::Map(Box::new(embedding_map::map(lab, &wish).await?)))
}

async fn side_by_side(lab: &Lab, search: SearchRead) -> Result<Answer, OpsError> {
    let (query, terms) = asked(search);
    let side = |side: Side| EngineSide {
        place: side.place,
        how: side.how,
        exact: side.exact,
        took: side.took,
        hits: side.hits.map_err(|error| failure(&error)),
    };
    Ok(Answer::Engines(engines::side_by_side(lab, &query, &terms).await?.into_iter().map(side).collect()))
}

async fn hybrid(lab: &Lab, HybridRead { text, terms: how }: HybridRead) -> Result<Answer, OpsError> {
    let begun = Instant::now();
    let found = document::hybrid(lab, &text, &terms(how)).await?;
    Ok(Answer::Hybrid { hits: found.hits, scan: found.scan, took: begun.elapsed() })
}

/// Batch files are read on a thread of their own, since a folder may lie on a slow disk.
async fn batch_files(lab: &Lab) -> Result<Vec<BatchFile>, OpsError> {
    let folder = lab.settings.batches.clone();
    let files = tokio::task::spawn_blocking(move || batch::files(&folder)).await;
    let files = files.map_err(|error| OpsError::Invalid(format!("reading batch files: {error}")))??;
    Ok(files
        .into_iter()
        .map(|file| BatchFile { path: file.path, name: file.name, summary: file.summary })
        .collect())
}

/// An error in the user's words.
pub fn failure(error: &OpsError) -> Failure {
    match error {
        OpsError::Store(error) => store_failure(error),
        OpsError::Partly { error, told } => {
            let failure = failure(error);
            let remedy = failure.remedy.map_or_else(|| told.clone(), |remedy| format!("{remedy} {told}"));
            Failure { remedy: Some(remedy), ..failure }
        }
        other => Failure { message: other.to_string(), remedy: None, unavailable: other.is_transient() },
    }
}

pub fn store_failure(error: &StoreError) -> Failure {
    Failure {
        message: format!("Error {}: {}", error.doing, error.message),
        remedy: error.remedy.clone(),
        unavailable: error.is_transient(),
    }
}
