//! First windows of orders that take long and may be asked for next, read while nobody waits for anything.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duckdb::Connection;
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::window::Window;
use crate::store::Result;
use crate::store::experiments::{ExperimentPage, ExperimentQuery};

use super::engine::{Engine, Stamp, snapshot};
use super::error::from_duckdb;
use super::list::{Listing, Statement};

const DOING: &str = "reading ahead";

/// Who goes on working, or changes the file again, has nothing read for him meanwhile.
const CALM: Duration = Duration::from_millis(400);

/// With fewer experiments every order is there at once.
const MANY: u64 = 50_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Ahead {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    kept: Vec<Kept>,
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    task: AbortHandle,
    /// Cancelled once it is done, or given up.
    over: CancellationToken,
}

#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    sql: Statement,
    limit: u64,
    page: ExperimentPage,
}

impl Ahead {
    /// A window that was read ahead, if the file has not changed since.
    pub fn window(&self, stamp: Stamp, listing: &Listing, query: &ExperimentQuery) -> Option<ExperimentPage> {
        if query.window != Window::First {
            return None;
        }
        let known = self.known();
        let kept = known.kept.iter().find(|kept| kept.is_of(stamp, &listing.ids_sql, query.limit))?;
        let mut page = kept.page.clone();
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        page.rows.truncate(limit);
        page.keys.truncate(limit);
        Some(page)
    }

    /// Somebody waits for something else. Ends with the reading that was under way, whose memory he may need.
    pub fn give_up(&self) -> Option<CancellationToken> {
        let reading = self.known().reading.take()?;
        reading.task.abort();
        Some(reading.over)
    }

    /// Has the first windows of slow orders read that may be asked for after `query`, which found `total`, once what is
    /// read `before` is there.
    pub fn prepare(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        query: &ExperimentQuery,
        total: u64,
        before: Option<CancellationToken>,
    ) -> Result<()> {
        // Under a filter a window is cut from the order of all.
        if query.filter.is_some() || total < MANY {
            return Ok(());
        }
        let listings = query.next.iter().map(|sort| {
            Listing::new(&ExperimentQuery { sort: sort.clone(), next: Vec::new(), ..query.clone() })
        });
        let mut slow = listings.collect::<Result<Vec<_>>>()?;
        let stamp = engine.stamp();
        slow.retain(|listing| listing.is_slow() && !self.has(stamp, listing, query.limit));
        if slow.is_empty() {
            return Ok(());
        }
        let (ahead, file, limit) = (self.clone(), engine.clone(), query.limit);
        let over = CancellationToken::new();
        let ending = Arc::new(over.clone().drop_guard());
        let task = engine.spawn_ahead(async move {
            if let Some(before) = before {
                before.cancelled().await;
            }
            tokio::time::sleep(CALM).await;
            ahead.read(&file, stamp, slow, limit, &ending).await;
        });
        self.known().reading = Some(Reading { task, over });
        Ok(())
    }

    async fn read(
        self: &Arc<Self>,
        file: &Arc<Engine>,
        stamp: Stamp,
        slow: Vec<Listing>,
        limit: u64,
        ending: &Arc<DropGuard>,
    ) {
        for listing in slow {
            if file.stamp() != stamp || file.lease().is_wanted() {
                return;
            }
            let (ahead, engine, ending) = (self.clone(), file.clone(), ending.clone());
            let read = file.read_aside(DOING, move |connection, path| {
                // Until the thread is done with it, which is later than that nobody wants it any more.
                let _ = &ending;
                ahead.read_one(connection, path, &engine, &listing, limit)
            });
            if let Err(error) = read.await {
                return tracing::debug!(%error, "an order was not read ahead");
            }
        }
    }

    fn read_one(
        &self,
        connection: &Connection,
        path: &Path,
        file: &Engine,
        listing: &Listing,
        limit: u64,
    ) -> Result<()> {
        let stamp = file.stamp();
        let work = || {
            snapshot(connection, || listing.end(connection, limit, false))
                .map_err(|error| from_duckdb(error, DOING, path))
        };
        let page = file.budget().read(connection, listing.appetite, work)?;
        let mut known = self.known();
        known.kept.retain(|kept| kept.stamp == stamp && kept.sql != listing.ids_sql);
        known.kept.push(Kept { stamp, sql: listing.ids_sql.clone(), limit, page });
        Ok(())
    }

    fn has(&self, stamp: Stamp, listing: &Listing, limit: u64) -> bool {
        self.known().kept.iter().any(|kept| kept.is_of(stamp, &listing.ids_sql, limit))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change leaves it right at once.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_of(&self, stamp: Stamp, sql: &Statement, limit: u64) -> bool {
        self.stamp == stamp && self.sql == *sql && limit <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::domain::filter::Field;
    use crate::store::duckdb::experiments::Experiments;
    use crate::store::experiments::{ExperimentStore, Sort};

    async fn store(folder: &tempfile::TempDir, runs: u64) -> Experiments {
        let settings =
            config::DuckDb { path: folder.path().join("a.duckdb"), wait_ms: 30_000, idle_ms: 1_000 };
        let engine = Engine::new(&settings);
        let sql = format!(
            "INSERT INTO ml_schema.experiments (name, model_type, dataset, status, parameters, created_at) \
             SELECT 'run', 'm', 'd', if(range % 10 = 0, 'failed', 'completed'), \
                 json_object('rate', (range * 7919 % 1000) / 1000), TIMESTAMP '2025-01-01' FROM range({runs})"
        );
        engine.write_plain("seeding", move |connection| connection.execute_batch(&sql)).await.unwrap();
        Experiments::new(engine)
    }

    fn by(field: Field, next: &[Field]) -> ExperimentQuery {
        let descending = |field: &Field| Sort { field: field.clone(), descending: true };
        let next = next.iter().map(descending).collect();
        ExperimentQuery { sort: descending(&field), limit: 10, next, ..ExperimentQuery::default() }
    }

    fn rate() -> Field {
        Field::Param("rate".to_owned())
    }

    impl Experiments {
        /// The window that was read ahead, once nothing is being read.
        async fn read_ahead(&self, query: &ExperimentQuery) -> Option<ExperimentPage> {
            let ahead = self.orders.ahead();
            let reads = || ahead.known().reading.as_ref().is_some_and(|reading| !reading.task.is_finished());
            while reads() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ahead.window(self.engine.stamp(), &Listing::new(query).unwrap(), query)
        }
    }

    #[tokio::test]
    async fn a_slow_order_is_there_before_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, MANY).await;
        let (wanted, quick) = (by(rate(), &[]), by(Field::Name, &[]));
        store.list(&by(Field::Id, &[rate(), Field::Name])).await.unwrap();
        let page = store.read_ahead(&wanted).await.unwrap();
        assert_eq!(store.read_ahead(&quick).await, None);
        let other = Experiments::new(store.engine.clone());
        assert_eq!(page, other.list(&wanted).await.unwrap());
        assert_eq!(page, store.list(&wanted).await.unwrap());
        let fewer = ExperimentQuery { limit: 3, ..wanted.clone() };
        assert_eq!(store.read_ahead(&fewer).await.unwrap().rows, page.rows[..3]);
        assert_eq!(store.read_ahead(&ExperimentQuery { limit: 11, ..wanted }).await, None);
    }

    #[tokio::test]
    async fn what_has_changed_since_is_not_taken_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, MANY).await;
        let wanted = by(rate(), &[]);
        store.list(&by(Field::Id, &[rate()])).await.unwrap();
        assert!(store.read_ahead(&wanted).await.is_some());
        let id = store.list(&wanted).await.unwrap().rows[0].id;
        store.remove(&[id]).await.unwrap();
        assert_eq!(store.read_ahead(&wanted).await, None);
        let now = store.list(&wanted).await.unwrap();
        assert!(now.total == MANY - 1 && now.rows[0].id != id, "{} {id}", now.total);
    }

    #[tokio::test]
    async fn another_question_comes_first_and_few_runs_need_nothing_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let many = store(&folder, MANY).await;
        let wanted = by(rate(), &[]);
        many.list(&by(Field::Id, &[rate()])).await.unwrap();
        many.list(&by(Field::Id, &[])).await.unwrap();
        assert_eq!(many.read_ahead(&wanted).await, None);
        let folder = tempfile::tempdir().unwrap();
        let few = store(&folder, 100).await;
        few.list(&by(Field::Id, &[rate()])).await.unwrap();
        assert_eq!(few.read_ahead(&wanted).await, None);
    }

    #[tokio::test]
    async fn who_waits_for_something_else_has_all_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, MANY).await;
        let slow = ["a", "b", "c", "d", "e", "rate"].map(|name| Field::Param(name.to_owned()));
        store.list(&by(Field::Id, &slow)).await.unwrap();
        let (ahead, budget) = (store.orders.ahead(), store.engine.budget());
        let reads = || ahead.known().reading.as_ref().is_some_and(|reading| !reading.task.is_finished());
        store.orders.settle().await;
        while budget.is_idle() {
            assert!(reads());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ahead.give_up().unwrap().cancelled().await;
        assert!(budget.is_idle());
    }
}
