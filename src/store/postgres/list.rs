//! Windows of experiments in PostgreSQL, by their keys.

use tokio_postgres::Row;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::window::{Key, SortValue, Window};
use crate::store::Result;
use crate::store::experiments::{ExperimentPage, ExperimentQuery};
use crate::store::filter_sql::{self, Compiled, Dialect, SqlValue};
use crate::store::order_sql::{Order, Reads};

use super::Pg;
use super::connect::{Reader, Typed};
use super::experiments::typed;
use super::rows::EXPERIMENT;
use super::schema::Part;

const DOING: &str = "listing experiments";

impl Pg {
    pub(super) async fn list_window(&self, query: &ExperimentQuery) -> Result<ExperimentPage> {
        let condition = filter_sql::compile(Dialect::Postgres, query)?;
        let order = Order::new(Dialect::Postgres, &query.sort, condition.params.len());
        let reader = self.reader(Part::Experiments, DOING).await?;
        let mut listing = Listing { pg: self, reader, condition, order };
        let total = listing.total().await?;
        let limit = query.limit;
        let rows = match &query.window {
            Window::First => listing.part(Side::All, false, limit, 0).await?,
            Window::Last => listing.part(Side::All, true, limit, 0).await?,
            Window::At(place) => listing.part(Side::All, false, limit, *place).await?,
            Window::After(key) => listing.part(Side::After(key), false, limit, 0).await?,
            Window::Before(key) => listing.part(Side::Before(key), true, limit, 0).await?,
            Window::Around(key) => listing.around(key, limit).await?,
        };
        let position = match (&query.window, rows.first()) {
            (Window::First, _) => 0,
            (Window::At(place), _) => (*place).min(total),
            (Window::Last, _) => total.saturating_sub(rows.len() as u64),
            (_, Some((_, key))) => listing.count_before(key).await?,
            (Window::Before(_), None) => 0,
            (_, None) => total,
        };
        let (rows, keys) = rows.into_iter().unzip();
        Ok(ExperimentPage { rows, keys, position, total })
    }
}

/// Which rows of the list.
enum Side<'a> {
    All,
    After(&'a Key),
    /// The row itself, where it is there, and what follows.
    From(&'a Key),
    Before(&'a Key),
}

/// A filter and an order on one connection.
struct Listing<'a> {
    pg: &'a Pg,
    reader: Reader,
    condition: Compiled,
    order: Order,
}

impl Listing<'_> {
    /// The rows under the filter, whole, with the columns of their keys.
    fn keyed(&self) -> String {
        let condition = &self.condition.condition;
        format!("SELECT e.*, {} FROM ml_schema.experiments e WHERE {condition}", self.order.columns())
    }

    /// `more` is what the statement binds behind the values of the filter.
    async fn ask(&mut self, sql: &str, more: &[SqlValue]) -> Result<Vec<Row>> {
        let params: Vec<Typed<'_>> = self.condition.params.iter().chain(more).map(typed).collect();
        self.reader.rows_once(DOING, sql, &params).await
    }

    async fn total(&mut self) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM ml_schema.experiments e WHERE {}", self.condition.condition);
        let rows = self.ask(&sql, &[]).await?;
        self.count_of(&rows)
    }

    async fn count_before(&mut self, key: &Key) -> Result<u64> {
        let mut order = self.order.clone();
        let before = order.beyond(key, false);
        let sql = format!("SELECT count(*) FROM ({}) k WHERE {before}", self.keyed());
        let rows = self.ask(&sql, &order.params).await?;
        self.count_of(&rows)
    }

    fn count_of(&self, rows: &[Row]) -> Result<u64> {
        let count: i64 = rows.first().map_or(Ok(0), |row| self.pg.value(DOING, row, 0))?;
        Ok(count.unsigned_abs())
    }

    /// Up to `limit` rows in their order; with `backwards` those at the end of the side.
    async fn part(
        &mut self,
        side: Side<'_>,
        backwards: bool,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<(Experiment, Key)>> {
        let mut order = self.order.clone();
        let condition = match side {
            Side::All => "true".to_owned(),
            Side::After(key) => order.beyond(key, true),
            Side::From(key) => format!("({} OR k.id = {})", order.beyond(key, true), key.id),
            Side::Before(key) => order.beyond(key, false),
        };
        let sql = format!(
            "SELECT {EXPERIMENT}, k.failed AS key_failed, k.value AS key_value, k.words AS key_words \
             FROM ({}) k WHERE {condition} ORDER BY {} LIMIT {} OFFSET {}",
            self.keyed(),
            order.list(backwards),
            i64::try_from(limit).unwrap_or(i64::MAX),
            i64::try_from(offset).unwrap_or(i64::MAX),
        );
        let rows = self.ask(&sql, &order.params).await?;
        let mut rows = rows.iter().map(|row| self.row(row)).collect::<Result<Vec<_>>>()?;
        if backwards {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Half of the rows before the one of that id, where it stands now.
    async fn around(&mut self, key: &Key, limit: u64) -> Result<Vec<(Experiment, Key)>> {
        let now = self.key_of(key.id).await?;
        let key = now.as_ref().unwrap_or(key);
        let mut rows = self.part(Side::Before(key), true, limit / 2, 0).await?;
        let left = limit - rows.len() as u64;
        let behind = self.part(Side::From(key), false, left, 0).await?;
        if (behind.len() as u64) < left && rows.len() as u64 == limit / 2 {
            // The list ends before the window is full.
            rows = self.part(Side::Before(key), true, limit - behind.len() as u64, 0).await?;
        }
        rows.extend(behind);
        Ok(rows)
    }

    async fn key_of(&mut self, id: ExperimentId) -> Result<Option<Key>> {
        let sql = format!(
            "SELECT k.id, k.failed AS key_failed, k.value AS key_value, k.words AS key_words FROM ({}) k WHERE k.id = {id}",
            self.keyed()
        );
        let params = self.order.params.clone();
        let rows = self.ask(&sql, &params).await?;
        rows.first().map(|row| self.key(row, id)).transpose()
    }

    fn row(&self, row: &Row) -> Result<(Experiment, Key)> {
        let experiment = self.pg.experiment(DOING, row)?;
        let key = self.key(row, experiment.id)?;
        Ok((experiment, key))
    }

    fn key(&self, row: &Row, id: ExperimentId) -> Result<Key> {
        let told = |error| self.pg.told(DOING, error);
        let place = "key_value";
        let value = match self.order.reads {
            Reads::Id => None,
            Reads::Integer => row.try_get::<_, Option<i64>>(place).map_err(told)?.map(SortValue::Integer),
            Reads::Number => row.try_get::<_, Option<f64>>(place).map_err(told)?.map(SortValue::Number),
            Reads::Text => row.try_get::<_, Option<String>>(place).map_err(told)?.map(SortValue::Text),
            Reads::Moment => {
                row.try_get::<_, Option<jiff::Timestamp>>(place).map_err(told)?.map(SortValue::Moment)
            }
            Reads::Json => match row.try_get::<_, Option<f64>>(place).map_err(told)? {
                Some(number) => Some(SortValue::Number(number)),
                None => row.try_get::<_, Option<String>>("key_words").map_err(told)?.map(SortValue::Text),
            },
        };
        let failed = row.try_get("key_failed").map_err(told)?;
        Ok(Key { failed, value, id })
    }
}
