//! What is known of lists as long as nothing changes: the ids in the order that was asked for last, how many there are, and
//! where the last window stood.
//!
//! PostgreSQL walks an index to any row of an order that has one, but nothing tells it which number a row has, and an order
//! without an index is made anew for every window. The ids of a million runs take 8 MB; they are read once the database has
//! been calm for a moment, behind the first window's back, and with them every further window costs its own rows only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::domain::experiment::ExperimentId;
use crate::domain::window::Key;
use crate::store::Result;
use crate::store::filter_sql::SqlValue;

use super::Pg;
use super::experiments::typed;
use super::reader::Reader;
use super::schema::Part;

/// A list that changes more often than this is not worth reading whole; and a program that ends sooner has not begun to.
const CALM: Duration = Duration::from_millis(300);

/// The number of changes so far (see the migration `0005_orders`).
pub(super) type Stamp = i64;

/// The locks of those who write to the tables that the number counts.
pub(super) const WRITING: &str = "FROM pg_locks WHERE locktype = 'relation' \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND relation IN ('ml_schema.experiments'::regclass, 'ml_schema.experiment_metrics'::regclass) \
    AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// A statement and its values.
pub(super) type Statement = (String, Vec<SqlValue>);

#[derive(Debug, Default)]
pub(super) struct Orders {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    order: Option<(Stamp, Statement, Arc<[ExperimentId]>)>,
    total: Option<(Stamp, Statement, u64)>,
    /// The last window: which row it begins with, and the keys in it.
    page: Option<(Stamp, Statement, u64, Vec<Key>)>,
    /// The order that is being read.
    coming: Option<(Statement, AbortHandle)>,
}

impl Orders {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Held for moments; a panic elsewhere leaves whole values behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ids(&self, stamp: Stamp, sql: &Statement) -> Option<Arc<[ExperimentId]>> {
        let known = self.known();
        let (at, of, ids) = known.order.as_ref()?;
        (*at == stamp && of == sql).then(|| ids.clone())
    }

    pub(super) fn keep_ids(&self, stamp: Stamp, sql: Statement, ids: Arc<[ExperimentId]>) {
        self.known().order = Some((stamp, sql, ids));
    }

    /// The number of the row of a key, where the last window had it.
    pub(super) fn place_of(&self, stamp: Stamp, sql: &Statement, key: &Key) -> Option<u64> {
        let known = self.known();
        let (at, of, position, keys) = known.page.as_ref()?;
        let index = keys.iter().position(|one| one == key)?;
        (*at == stamp && of == sql).then_some(position + index as u64)
    }

    pub(super) fn keep_page(&self, stamp: Stamp, sql: Statement, position: u64, keys: Vec<Key>) {
        self.known().page = Some((stamp, sql, position, keys));
    }

    pub(super) fn total(&self, stamp: Stamp, sql: &Statement) -> Option<u64> {
        let known = self.known();
        let (at, of, total) = known.total.as_ref()?;
        (*at == stamp && of == sql).then_some(*total)
    }

    pub(super) fn keep_total(&self, stamp: Stamp, sql: Statement, total: u64) {
        self.known().total = Some((stamp, sql, total));
    }
}

/// How far the changes are, at a look at everything.
pub(super) struct Look {
    /// What is known of this number of changes is true of what is seen.
    pub(super) stamp: Stamp,
    /// What is found out may be kept for that number: nobody was writing when it was asked for.
    pub(super) is_settled: bool,
}

impl Look {
    /// Opens the reader's eyes: see [`Reader::look`].
    ///
    /// The order of the statements counts. A writer counts its change before it commits, under a lock on the table. Without
    /// such a lock after the number was read, all that the number counts is committed, and the look that follows sees it.
    /// The number that is read again within the look counts all that the look sees.
    pub(super) async fn open(pg: &Pg, reader: &mut Reader, doing: &str) -> Result<Self> {
        let changes = "SELECT last_value FROM ml_schema.changes";
        let row = reader.one(doing, changes, &[]).await?;
        let before: Stamp = pg.value(doing, &row, 0)?;
        // A standby shows changes later than it counts them.
        let calm = format!("SELECT NOT pg_is_in_recovery() AND NOT EXISTS (SELECT {WRITING})");
        let row = reader.one(doing, &calm, &[]).await?;
        let is_calm: bool = pg.value(doing, &row, 0)?;
        reader.look(doing).await?;
        let row = reader.one(doing, changes, &[]).await?;
        let stamp: Stamp = pg.value(doing, &row, 0)?;
        Ok(Look { stamp, is_settled: is_calm && stamp == before })
    }
}

impl Pg {
    /// Has an order read and kept, unless it is on its way; one of another list that is on its way is given up.
    pub(super) fn read_order(&self, stamp: Stamp, sql: Statement) {
        let mut known = self.shared.orders.known();
        if let Some((coming, reading)) = &known.coming {
            if *coming == sql && !reading.is_finished() {
                return;
            }
            reading.abort();
        }
        let (pg, wanted) = (self.clone(), sql.clone());
        let reading = tokio::spawn(async move {
            tokio::time::sleep(CALM).await;
            if let Err(error) = pg.read_order_now(stamp, wanted).await {
                tracing::debug!(%error, "an order was not kept");
            }
        });
        known.coming = Some((sql, reading.abort_handle()));
    }

    async fn read_order_now(&self, stamp: Stamp, sql: Statement) -> Result<()> {
        let doing = "reading an order";
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let look = Look::open(self, &mut reader, doing).await?;
        if look.is_settled && look.stamp == stamp {
            let ids = read_ids(&mut reader, doing, &sql).await?;
            self.shared.orders.keep_ids(stamp, sql, ids.into());
        }
        reader.look_away(doing).await
    }
}

/// All ids of a list, in a look.
pub(super) async fn read_ids(reader: &mut Reader, doing: &str, sql: &Statement) -> Result<Vec<ExperimentId>> {
    // As much as a million rows take, so that they are put in order without a file.
    reader.run(doing, "SET LOCAL work_mem = '64MB'").await?;
    let params: Vec<_> = sql.1.iter().map(typed).collect();
    reader.numbers(doing, &sql.0, &params).await
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::strategy::{Strategy, ValueTree};
    use tokio_postgres::NoTls;

    use crate::domain::filter::{Aggregate, Field, Figure};
    use crate::domain::window::Window;
    use crate::store::experiments::{ExperimentPage, ExperimentQuery, ExperimentStore, Sort};
    use crate::store::postgres::connect;
    use crate::store::postgres::tests::{on_server, sql};
    use crate::store::schema::Schema;

    use super::*;

    /// Values that meet every branch of the orders: ties, gaps, texts among numbers, and every end.
    const ROWS: &str = "INSERT INTO ml_schema.experiments (name, model_type, status, parameters, results, created_at) \
        SELECT ('{a,b,\"\",B}'::text[])[1 + n % 4], ('{x,y}'::text[])[1 + n % 3], \
            ('{completed,failed,running,cancelled,completed}'::text[])[1 + n % 5], \
            jsonb_build_object('mixed', ('[1, \"t\", null, 2.5, \"\", \"s\"]'::jsonb) -> (n % 6)), \
            CASE WHEN n % 7 > 1 THEN jsonb_build_object('accuracy', n % 4) ELSE '{}' END, \
            timestamptz '2026-01-01' + n % 9 * interval '1 day' FROM generate_series(1, 97) numbers(n); \
        INSERT INTO ml_schema.experiment_metrics (experiment_id, name, step, value) \
        SELECT n, 'loss', 1, CASE WHEN n % 5 = 0 THEN 'NaN'::float8 ELSE n % 6 END FROM generate_series(1, 80) numbers(n)";

    fn sorts() -> Vec<Sort> {
        let fields = [
            Field::Id,
            Field::Name,
            Field::Model,
            Field::Dataset,
            Field::Status,
            Field::Created,
            Field::Figure(Figure::Accuracy),
            Field::Param("mixed".to_owned()),
            Field::Curve(Aggregate::Last, "loss".to_owned()),
        ];
        let both = |field: Field| [true, false].map(|descending| Sort { field: field.clone(), descending });
        fields.into_iter().flat_map(both).collect()
    }

    async fn page(pg: &Pg, sort: &Sort, window: Window, limit: u64) -> ExperimentPage {
        let query = ExperimentQuery { sort: sort.clone(), window, limit, ..ExperimentQuery::default() };
        ExperimentStore::list(pg, &query).await.unwrap()
    }

    fn ids(page: &ExperimentPage) -> Vec<ExperimentId> {
        page.rows.iter().map(|row| row.id).collect()
    }

    /// Asks for windows until the order of the last one is kept.
    async fn kept(pg: &Pg, sort: &Sort) {
        let begun = Instant::now();
        page(pg, sort, Window::First, 3).await;
        let known = || pg.shared.orders.known().order.as_ref().map(|(stamp, sql, _)| (*stamp, sql.clone()));
        let wanted = pg.shared.orders.known().coming.as_ref().map(|(sql, _)| sql.clone());
        while known().is_none_or(|(_, sql)| Some(sql) != wanted) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{sort:?} is never kept");
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn windows_are_parts_of_the_list_whether_or_not_it_is_known() {
        on_server(|settings| async move {
            let pg = Pg::new(&settings);
            pg.migrate(false).await.unwrap();
            sql(&settings, ROWS).await;
            let mut draws = proptest::test_runner::TestRunner::deterministic();
            for sort in sorts() {
                for is_known in [false, true] {
                    // Nothing is known of the list in a program that has just begun.
                    let pg = Pg::new(&settings);
                    if is_known {
                        kept(&pg, &sort).await;
                    }
                    let whole = page(&pg, &sort, Window::First, 97).await;
                    assert_eq!(whole.rows.len(), 97);
                    for _ in 0..12 {
                        let (at, limit) = (0..97_usize, 1..20_usize).new_tree(&mut draws).unwrap().current();
                        let key = || whole.keys[at].clone();
                        let around = page(&pg, &sort, Window::Around(key()), limit as u64).await;
                        let start = around.position as usize;
                        assert!((start..start + limit).contains(&at), "{sort:?} {at} {limit}");
                        for (window, range) in [
                            (Window::After(key()), at + 1..(at + 1 + limit).min(97)),
                            (Window::Before(key()), at.saturating_sub(limit)..at),
                            (Window::At(at as u64), at..(at + limit).min(97)),
                            (Window::Last, 97 - limit..97),
                            (Window::Around(key()), start..start + limit),
                        ] {
                            let part = page(&pg, &sort, window.clone(), limit as u64).await;
                            let place = (part.position as usize, ids(&part));
                            let expected = (range.start, ids(&whole)[range].to_vec());
                            assert_eq!(place, expected, "{sort:?}, known: {is_known}, {window:?}, {limit}");
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn a_known_order_goes_with_the_first_change() {
        on_server(|settings| async move {
            let pg = Pg::new(&settings);
            pg.migrate(false).await.unwrap();
            sql(&settings, ROWS).await;
            let sort = Sort { field: Field::Param("mixed".to_owned()), descending: true };
            let by_curve = Sort { field: Field::Curve(Aggregate::Last, "loss".to_owned()), descending: true };
            for (sort, change) in [
                (&sort, "UPDATE ml_schema.experiments SET parameters = '{\"mixed\": 99}' WHERE id = 5"),
                (
                    &sort,
                    "INSERT INTO ml_schema.experiments (name, parameters) VALUES ('new', '{\"mixed\": 100}')",
                ),
                (&sort, "DELETE FROM ml_schema.experiments WHERE id = 5"),
                (&by_curve, "UPDATE ml_schema.experiment_metrics SET value = 1000 WHERE experiment_id = 7"),
                (
                    &sort,
                    "SET session_replication_role = replica; \
                    UPDATE ml_schema.experiments SET parameters = '{\"mixed\": 101}' WHERE id = 9",
                ),
                (&sort, "TRUNCATE ml_schema.experiments CASCADE"),
            ] {
                kept(&pg, sort).await;
                let before = ids(&page(&pg, sort, Window::First, 9).await);
                sql(&settings, change).await;
                let after = ids(&page(&pg, sort, Window::First, 9).await);
                assert_ne!(after, before, "{change}");
                assert_eq!(after, ids(&page(&Pg::new(&settings), sort, Window::First, 9).await), "{change}");
            }
        });
    }

    #[test]
    fn nothing_is_kept_while_somebody_writes() {
        on_server(|settings| async move {
            let pg = Pg::new(&settings);
            pg.migrate(false).await.unwrap();
            sql(&settings, ROWS).await;
            let (writer, connection) = connect::config(&settings).connect(NoTls).await.unwrap();
            let driving = tokio::spawn(connection);
            let change = "BEGIN; UPDATE ml_schema.experiments SET results = '{\"accuracy\": 9}' WHERE id = 5";
            writer.batch_execute(change).await.unwrap();
            let sort = Sort { field: Field::Figure(Figure::Accuracy), descending: true };
            // The change is counted already, and not yet to be seen: what is found out now is not true of its number.
            assert_ne!(page(&pg, &sort, Window::First, 3).await.rows[0].id, 5);
            assert_ne!(page(&pg, &sort, Window::At(0), 3).await.rows[0].id, 5);
            {
                let known = pg.shared.orders.known();
                assert!(known.order.is_none() && known.total.is_none() && known.coming.is_none());
            }
            writer.batch_execute("COMMIT").await.unwrap();
            assert_eq!(page(&pg, &sort, Window::First, 3).await.rows[0].id, 5);
            drop(writer);
            driving.await.unwrap().unwrap();
        });
    }
}
