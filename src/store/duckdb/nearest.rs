//! Similarity search over the file: by the matrix where it is in memory and in step, by DuckDB where it is not.
//!
//! One command finds its answer faster in DuckDB than by loading a matrix first (63,000 vectors of 256 dimensions: 90 ms
//! against 150), so the first search is DuckDB's, and the matrix is loaded behind it for those that follow.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duckdb::types::Value;
use duckdb::{Connection, Row, params_from_iter};

use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::engine::{Engine, snapshot};
use super::error::from_duckdb;
use super::vectors::{self, Asked, Found, Group, Key, KeyOf, Matrix, Measure, Source, State};
use super::where_sql::Condition;

/// How often a search begins anew because somebody wrote meanwhile; then DuckDB looks at everything at once.
const TRIES: usize = 3;

/// One question, as its store asks it. Its methods run while the file is open, and see one state of it.
pub(super) trait Search: Send + Sync + 'static {
    type Hit: Send + 'static;

    fn doing(&self) -> &'static str;

    /// What is written together with what is searched.
    fn group(&self) -> Group;

    /// What is searched; none when nothing can be found there.
    fn target(&self, connection: &Connection, path: &Path) -> Result<Option<Target>>;

    /// The hits of these keys in their order; those that are gone are left out.
    fn hits(&self, connection: &Connection, found: &[(RowKey, f64)]) -> duckdb::Result<Vec<Self::Hit>>;
}

/// What is searched, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub key: Key,
    pub source: Source,
    pub vector: Vec<f32>,
    pub measure: Measure,
    pub limit: usize,
    /// None when every row fits.
    pub condition: Option<Condition>,
}

/// By what a row is found in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RowKey {
    Id(String),
    Position(i64),
}

impl From<KeyOf<'_>> for RowKey {
    fn from(key: KeyOf<'_>) -> Self {
        match key {
            KeyOf::Id(id) => RowKey::Id(id.to_owned()),
            KeyOf::Position(position) => RowKey::Position(position),
        }
    }
}

enum Step<H> {
    /// DuckDB's, and whether the matrix should be loaded.
    Answer(Vec<H>, bool),
    Measure {
        matrix: Arc<Matrix>,
        asked: Asked,
        state: State,
    },
}

/// The nearest rows with what their store gives of them. Dropping the future ends the work.
pub(super) async fn nearest<S: Search>(engine: &Arc<Engine>, search: S) -> Result<Vec<S::Hit>> {
    let search = Arc::new(search);
    for attempt in 1.. {
        if engine.matrices().is_eager() {
            load(engine, &search).await?;
        }
        let (own, asking) = (engine.clone(), search.clone());
        let look = move |connection: &Connection, path: &Path| {
            begin(&own, &*asking, connection, path, attempt <= TRIES)
        };
        let (matrix, asked, state) = match engine.read_checked(search.doing(), look).await? {
            Step::Answer(hits, worth) => {
                if worth {
                    load_behind(engine, &search);
                }
                return Ok(hits);
            }
            Step::Measure { matrix, asked, state } => (matrix, asked, state),
        };
        // Without the file: others may have it meanwhile.
        let Some(found) = measured(matrix, asked).await else { continue };
        let (own, asking) = (engine.clone(), search.clone());
        let read = move |connection: &Connection, path: &Path| {
            let hits = snapshot(connection, || asking.hits(connection, &found))
                .map_err(|error| from_duckdb(error, asking.doing(), path))?;
            let holds = own.vectors(&asking.group()) == state && hits.len() == found.len();
            Ok(holds.then_some(hits))
        };
        if let Some(hits) = engine.read_checked(search.doing(), read).await? {
            return Ok(hits);
        }
    }
    // The last of them is answered by DuckDB.
    Err(StoreError::new(ErrorKind::Backend, Backend::DuckDb, search.doing(), "it came to no end"))
}

/// The first half of a search, or all of it.
fn begin<S: Search>(
    engine: &Engine,
    search: &S,
    connection: &Connection,
    path: &Path,
    may_measure: bool,
) -> Result<Step<S::Hit>> {
    let failed = |error| from_duckdb(error, search.doing(), path);
    let Some(target) = search.target(connection, path)? else { return Ok(Step::Answer(Vec::new(), false)) };
    let state = engine.vectors(&search.group());
    if let Some(matrix) = engine.matrices().find(target.key, state).filter(|_| may_measure) {
        let Target { source, vector, measure, limit, condition, .. } = target;
        // What does not fit the filter is never measured.
        let rows = condition.map(|condition| {
            let sql = format!("SELECT {} FROM {} AND {}", source.key, source.rows, condition.sql);
            vectors::lookup(connection, &matrix, &sql, condition.values)
        });
        let rows = rows.transpose().map_err(failed)?;
        return Ok(Step::Measure { matrix, asked: Asked { vector, measure, limit, rows }, state });
    }
    let hits = snapshot(connection, || {
        let found = by_sql(connection, &target)?;
        search.hits(connection, &found)
    });
    Ok(Step::Answer(hits.map_err(failed)?, engine.matrices().is_worth_loading(target.key, state)))
}

/// Measures on threads of their own; none when it was told to stop.
async fn measured(matrix: Arc<Matrix>, asked: Asked) -> Option<Vec<(RowKey, f64)>> {
    let stop = StopOnDrop(Arc::default());
    let told = stop.0.clone();
    let work = tokio::task::spawn_blocking(move || {
        let found = matrix.nearest(&asked, &told)?;
        let keyed = |found: Found| (RowKey::from(matrix.key(found.row)), found.distance);
        Some(found.into_iter().map(keyed).collect())
    });
    let found = work.await;
    drop(stop);
    found.inspect_err(|error| tracing::warn!("measuring distances: {error}")).ok().flatten()
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn load_behind<S: Search>(engine: &Arc<Engine>, search: &Arc<S>) {
    let (own, search) = (engine.clone(), search.clone());
    engine.spawn_ahead(async move {
        if let Err(error) = load(&own, &search).await {
            // Searches go on by DuckDB, and the next one tries again.
            tracing::debug!("loading vectors: {error}");
        }
    });
}

/// Has the vectors in memory, if there is room for them.
async fn load<S: Search>(engine: &Arc<Engine>, search: &Arc<S>) -> Result<()> {
    let (own, search) = (engine.clone(), search.clone());
    let work = move |connection: &Connection, path: &Path| {
        let failed = |error| from_duckdb(error, "loading vectors", path);
        let Some(Target { key, source, .. }) = search.target(connection, path)? else { return Ok(()) };
        // Before the first look: what is written from now on makes it a state that has passed.
        let state = own.vectors(&search.group());
        if own.matrices().find(key, state).is_some() {
            return Ok(());
        }
        let loaded = snapshot(connection, || {
            let size = source.size(connection)?;
            let room = source.bytes(size).and_then(|bytes| own.matrices().reserve(key, bytes));
            room.map(|room| Ok((room, source.load(connection, size)?))).transpose()
        });
        if let Some((room, matrix)) = loaded.map_err(failed)? {
            room.keep(state, matrix);
        }
        Ok(())
    };
    engine.read_aside("loading vectors", work).await
}

fn by_sql(connection: &Connection, target: &Target) -> duckdb::Result<Vec<(RowKey, f64)>> {
    let Source { key, rows, ids, .. } = &target.source;
    let (condition, values) = match &target.condition {
        Some(condition) => (numbered(&condition.sql, 2), condition.values.clone()),
        None => ("true".to_owned(), Vec::new()),
    };
    let sql = format!(
        "FROM (SELECT {key} AS key, ({})::DOUBLE AS distance FROM {rows} AND {condition})
         ORDER BY isnan(distance), distance, key LIMIT {}",
        distance(target),
        target.limit
    );
    let parameters = std::iter::once(Value::Text(vector_text(&target.vector))).chain(values);
    let mut statement = connection.prepare(&sql)?;
    let found = |row: &Row<'_>| {
        let key = if *ids { RowKey::Id(row.get(0)?) } else { RowKey::Position(row.get(0)?) };
        Ok((key, row.get(1)?))
    };
    statement.query_map(params_from_iter(parameters), found)?.collect()
}

/// The distance of a row from the vector that is bound as the first value.
fn distance(target: &Target) -> String {
    let vector = &target.source.vector;
    let asked = format!("$1::FLOAT[{}]", target.source.dimension);
    match target.measure {
        // A vector without direction is told apart first: DuckDB would answer 2.
        Measure::Cosine { without } => format!(
            "CASE WHEN array_inner_product({vector}, {vector}) = 0 OR array_inner_product({asked}, {asked}) = 0
             THEN '{without}'::DOUBLE ELSE array_cosine_distance({vector}, {asked}) END"
        ),
        Measure::L2 => format!("array_distance({vector}, {asked})"),
        Measure::L2Squared => format!("power(array_distance({vector}, {asked})::DOUBLE, 2)"),
        Measure::Ip { from } => format!("{from} - array_inner_product({vector}, {asked})::DOUBLE"),
        Measure::L1 => format!(
            "list_sum(list_transform(list_zip({vector}::FLOAT[], $1::FLOAT[]), \
             pair -> abs(pair[1]::DOUBLE - pair[2]::DOUBLE)))"
        ),
    }
}

/// Gives the parameters of a condition numbers, from `first`: those of the distance have some too. Keys and values are
/// parameters themselves, so that every question mark stands for one.
fn numbered(sql: &str, first: usize) -> String {
    let mut parts = sql.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        numbered.push_str(&format!("${}{part}", first + number));
    }
    numbered
}

/// A vector as DuckDB casts it from text: shortest digits that read back as the same `f32`.
pub fn vector_text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}
