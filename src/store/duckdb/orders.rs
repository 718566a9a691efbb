//! The order of experiments that was asked for last: the ids of all, made once and kept while the file is unchanged.
//!
//! DuckDB has no index to walk along: any window costs one look at a column of every row, and an order by a JSON value
//! five times that. The ids of a million runs take 8 MB, and with them every further window costs its own rows only. They
//! are read behind the back of the first window, which needs one end of the order alone and has it in a fraction of the
//! time.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duckdb::Connection;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::experiment::ExperimentId;
use crate::domain::window::Window;
use crate::store::Result;
use crate::store::experiments::{ExperimentPage, ExperimentQuery};

use super::ahead::Ahead;
use super::engine::{Engine, Stamp, snapshot};
use super::error::from_duckdb;
use super::list::{Listing, Statement};

const DOING: &str = "listing experiments";

/// A program that ends sooner after a first window has not begun to read the rest.
const CALM: Duration = Duration::from_millis(20);

/// Longest that a window waits for the order that is being read before it reads it itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Orders {
    known: Mutex<Known>,
    ahead: Arc<Ahead>,
}

#[derive(Debug, Default)]
struct Known {
    kept: Option<Kept>,
    coming: Option<Coming>,
}

#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    sql: Statement,
    ids: Arc<Vec<ExperimentId>>,
}

/// An order that is being read.
#[derive(Debug)]
struct Coming {
    stamp: Stamp,
    sql: Statement,
    reading: AbortHandle,
    /// Cancelled once it is there, or given up.
    over: CancellationToken,
}

impl Orders {
    /// A window of the list.
    pub async fn list(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        query: &ExperimentQuery,
    ) -> Result<ExperimentPage> {
        let listing = Arc::new(Listing::new(query)?);
        for over in [self.ahead.give_up(), self.coming(engine.stamp(), &listing)].into_iter().flatten() {
            // Two reads at a time would take twice the memory. Who has waited for long reads for himself.
            let _ = timeout(PATIENCE, over.cancelled()).await;
        }
        let (orders, asked, wanted, file) = (self.clone(), listing.clone(), query.clone(), engine.clone());
        let page = engine
            .read_checked(DOING, move |connection, path| {
                orders.window(connection, path, &file, &asked, &wanted)
            })
            .await?;
        // Any other window has read it.
        if is_at_an_end(query) && (page.rows.len() as u64) < page.total {
            self.prepare(engine, listing);
        }
        let before = self.known().coming.as_ref().map(|coming| coming.over.clone());
        self.ahead.prepare(engine, query, page.total, before)?;
        Ok(page)
    }

    /// Ends with the reading that is under way. That of another list, or of what has changed since, is given up.
    fn coming(&self, stamp: Stamp, listing: &Listing) -> Option<CancellationToken> {
        let mut known = self.known();
        let other = known.coming.take_if(|coming| coming.stamp != stamp || coming.sql != listing.ids_sql);
        let other = other.inspect(|other| other.reading.abort());
        other.as_ref().or(known.coming.as_ref()).map(|coming| coming.over.clone())
    }

    /// Has the ids read, unless they are known or on their way.
    fn prepare(self: &Arc<Self>, engine: &Arc<Engine>, listing: Arc<Listing>) {
        let stamp = engine.stamp();
        let is_kept = self.kept(stamp, &listing).is_some();
        let mut known = self.known();
        let is_coming = known.coming.as_ref().is_some_and(|coming| !coming.reading.is_finished());
        if is_kept || is_coming {
            return;
        }
        let (sql, over) = (listing.ids_sql.clone(), CancellationToken::new());
        let (orders, file, ending) = (self.clone(), engine.clone(), over.clone().drop_guard());
        let reading = engine.spawn_ahead(async move {
            tokio::time::sleep(CALM).await;
            // What changes all the time is not worth it, and others have the file for what somebody waits for.
            if file.stamp() != stamp || file.lease().is_wanted() {
                return;
            }
            let engine = file.clone();
            let read = engine.read_aside("reading an order", move |connection, path| {
                // Until the thread is done with it, which is later than that nobody wants it any more.
                let _ = &ending;
                orders.read_all(connection, path, &file, &listing)
            });
            if let Err(error) = read.await {
                tracing::debug!(%error, "an order was not kept");
            }
        });
        known.coming = Some(Coming { stamp, sql, reading, over });
    }

    fn read_all(&self, connection: &Connection, path: &Path, file: &Engine, listing: &Listing) -> Result<()> {
        let work = || {
            let ids = self.ids(connection, file.stamp(), listing);
            ids.map(|_| ()).map_err(|error| from_duckdb(error, "reading an order", path))
        };
        // Not worth more memory than that: who needs it after all takes it.
        file.budget().read(connection, listing.order_appetite, work)
    }

    /// A window of the list as the file has it.
    fn window(
        &self,
        connection: &Connection,
        path: &Path,
        file: &Engine,
        listing: &Listing,
        query: &ExperimentQuery,
    ) -> Result<ExperimentPage> {
        let stamp = file.stamp();
        let look = || {
            snapshot(connection, || self.page(connection, stamp, listing, query))
                .map_err(|error| from_duckdb(error, DOING, path))
        };
        file.budget().read(connection, listing.appetite, look)
    }

    fn page(
        &self,
        connection: &Connection,
        stamp: Stamp,
        listing: &Listing,
        query: &ExperimentQuery,
    ) -> duckdb::Result<ExperimentPage> {
        // The ends alone cost a fraction of the whole order, unless the filter has to be asked of every row anyway.
        if is_at_an_end(query) && query.filter.is_none() && self.kept(stamp, listing).is_none() {
            if let Some(page) = self.ahead.window(stamp, listing, query) {
                return Ok(page);
            }
            return listing.end(connection, query.limit, query.window == Window::Last);
        }
        let ids = self.ids(connection, stamp, listing)?;
        let range = listing.range(connection, &ids, query)?;
        listing.page(connection, &ids[range.clone()], range.start, ids.len())
    }

    fn kept(&self, stamp: Stamp, listing: &Listing) -> Option<Arc<Vec<ExperimentId>>> {
        let known = self.known();
        let kept = known.kept.as_ref().filter(|kept| kept.stamp == stamp && kept.sql == listing.ids_sql)?;
        Some(kept.ids.clone())
    }

    fn ids(
        &self,
        connection: &Connection,
        stamp: Stamp,
        listing: &Listing,
    ) -> duckdb::Result<Arc<Vec<ExperimentId>>> {
        if let Some(ids) = self.kept(stamp, listing) {
            return Ok(ids);
        }
        // Two at a time take more memory than anything else of a list.
        self.known().kept = None;
        let ids = Arc::new(listing.all_ids(connection)?);
        self.known().kept = Some(Kept { stamp, sql: listing.ids_sql.clone(), ids: ids.clone() });
        Ok(ids)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Held for moments; a panic elsewhere leaves whole values behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_at_an_end(query: &ExperimentQuery) -> bool {
    matches!(query.window, Window::First | Window::Last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::domain::filter::{Field, Figure};
    use crate::store::duckdb::experiments::Experiments;
    use crate::store::experiments::{ExperimentStore, Sort};

    const RUNS: u64 = 20_000;

    async fn store(folder: &tempfile::TempDir) -> Experiments {
        let settings =
            config::DuckDb { path: folder.path().join("a.duckdb"), wait_ms: 30_000, idle_ms: 1_000 };
        let engine = Engine::new(&settings);
        let sql = format!(
            "INSERT INTO ml_schema.experiments (name, model_type, dataset, status, runner, accuracy, created_at) \
             SELECT 'run ' || range % 100, 'm', 'd', 'completed', 'simulate', (range * 7919 % {RUNS}) / {RUNS}, \
             TIMESTAMP '2025-01-01' FROM range({RUNS})"
        );
        engine.write_plain("seeding", move |connection| connection.execute_batch(&sql)).await.unwrap();
        Experiments::new(engine)
    }

    fn first(field: Field) -> ExperimentQuery {
        let sort = Sort { field, descending: true };
        ExperimentQuery { sort, limit: 10, ..ExperimentQuery::default() }
    }

    impl Orders {
        pub(in crate::store::duckdb) fn ahead(&self) -> &Ahead {
            &self.ahead
        }

        fn knows(&self, engine: &Engine, query: &ExperimentQuery) -> bool {
            self.kept(engine.stamp(), &Listing::new(query).unwrap()).is_some()
        }

        pub(in crate::store::duckdb) async fn settle(&self) {
            let over = self.known().coming.as_ref().map(|coming| coming.over.clone());
            if let Some(over) = over {
                over.cancelled().await;
            }
        }
    }

    #[tokio::test]
    async fn behind_a_first_window_the_whole_order_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let query = first(Field::Figure(Figure::Accuracy));
        let page = store.list(&query).await.unwrap();
        assert_eq!((page.rows.len(), page.total), (10, RUNS));
        store.orders.settle().await;
        assert!(store.orders.knows(&store.engine, &query));
        let next =
            store.list(&ExperimentQuery { window: page.next().unwrap(), ..query.clone() }).await.unwrap();
        assert_eq!(next.position, 10);
        let accuracies: Vec<_> = page.rows.iter().chain(&next.rows).map(|row| row.figures.accuracy).collect();
        assert!(accuracies.is_sorted_by(|one, other| one >= other), "{accuracies:?}");
    }

    #[tokio::test]
    async fn a_window_that_comes_before_the_order_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let query = first(Field::Name);
        let page = store.list(&query).await.unwrap();
        let next =
            store.list(&ExperimentQuery { window: page.next().unwrap(), ..query.clone() }).await.unwrap();
        assert_eq!(next.position, 10);
        assert!(store.orders.knows(&store.engine, &query));
    }

    #[tokio::test]
    async fn the_order_of_another_list_is_given_up_and_so_is_all_when_the_file_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let (name, accuracy) = (first(Field::Name), first(Field::Figure(Figure::Accuracy)));
        store.list(&name).await.unwrap();
        store.list(&accuracy).await.unwrap();
        store.orders.settle().await;
        assert!(store.orders.knows(&store.engine, &accuracy));
        assert!(!store.orders.knows(&store.engine, &name));
        store.list(&name).await.unwrap();
        store.engine.let_go().await;
        store.orders.settle().await;
        assert!(!store.orders.knows(&store.engine, &name));
        assert_eq!(store.list(&name).await.unwrap().total, RUNS);
    }
}
