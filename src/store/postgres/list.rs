//! Windows of experiments in PostgreSQL: from the ids in their order where those are known, else along an index or by one look
//! at every row.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tokio_postgres::Row;

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::filter::{Field, Figure};
use crate::domain::window::{Key, SortValue, Window};
use crate::store::Result;
use crate::store::experiments::{ExperimentPage, ExperimentQuery};
use crate::store::filter_sql::{self, Compiled, Dialect, SqlValue};
use crate::store::order_sql::{Order, Reads};

use super::Pg;
use super::experiments::typed;
use super::orders::{self, Look, Statement};
use super::reader::{Reader, Typed};
use super::rows::EXPERIMENT;
use super::schema::Part;

const DOING: &str = "listing experiments";

impl Pg {
    pub(super) async fn list_window(&self, query: &ExperimentQuery) -> Result<ExperimentPage> {
        let condition = filter_sql::compile(Dialect::Postgres, query)?;
        let order = Order::new(Dialect::Postgres, &query.sort, condition.params.len());
        let alone = Order::new(Dialect::Postgres, &query.sort, 0);
        let mut reader = self.reader(Part::Experiments, DOING).await?;
        // One look at everything: rows that are written between two statements would be missing in one of them.
        let look = Look::open(self, &mut reader, DOING).await?;
        let mut listing =
            Listing { pg: self, reader, look, condition, order, alone, has_index: has_index(query) };
        let page = listing.page(query).await;
        let left = listing.reader.look_away(DOING).await;
        let page = page?;
        left?;
        Ok(page)
    }
}

/// Whether the migration `0005_orders` has an index for the list.
fn has_index(query: &ExperimentQuery) -> bool {
    let is_indexed = matches!(
        query.sort.field,
        Field::Name
            | Field::Model
            | Field::Dataset
            | Field::Status
            | Field::Created
            | Field::Figure(Figure::Accuracy | Figure::InferenceTimeMs | Figure::TrainingTimeSeconds)
    );
    // Where few rows pass a filter, walking along an index to find them is the slower way.
    is_indexed && query.filter.is_none() && !query.with_archived
}

/// Which rows of the list.
enum Side<'a> {
    All,
    After(&'a Key),
    /// The row itself, where it is there, and what follows.
    From(&'a Key),
    Before(&'a Key),
}

/// A filter and an order in one look on one connection.
struct Listing<'a> {
    pg: &'a Pg,
    reader: Reader,
    look: Look,
    condition: Compiled,
    order: Order,
    /// The same order, for statements without the filter.
    alone: Order,
    has_index: bool,
}

impl Listing<'_> {
    async fn page(&mut self, query: &ExperimentQuery) -> Result<ExperimentPage> {
        if let Some(ids) = self.known_ids(query).await? {
            let range = self.range(&ids, query).await?;
            return self.rows_at(&ids[range.clone()], range.start as u64, ids.len() as u64).await;
        }
        let total = self.total().await?;
        let limit = query.limit;
        let ids = match &query.window {
            Window::First => self.part(Side::All, false, limit, 0).await?,
            Window::Last => self.part(Side::All, true, limit, 0).await?,
            Window::At(place) => self.part(Side::All, false, limit, *place).await?,
            Window::After(key) => self.part(Side::After(key), false, limit, 0).await?,
            Window::Before(key) => self.part(Side::Before(key), true, limit, 0).await?,
            Window::Around(key) => self.around(key, limit).await?,
        };
        if self.look.is_settled && total > ids.len() as u64 {
            self.pg.read_order(self.look.stamp, self.ids_sql());
        }
        let mut page = self.rows_at(&ids, 0, total).await?;
        page.position = match (&query.window, page.keys.first()) {
            (Window::First, _) => 0,
            (Window::At(place), _) => (*place).min(total),
            (Window::Last, _) => total.saturating_sub(ids.len() as u64),
            (_, Some(first)) => match self.place_from_last_page(&query.window, &ids) {
                Some(place) => place,
                None => self.count(first, false).await?,
            },
            (Window::Before(_), None) => 0,
            (_, None) => total,
        };
        if self.look.is_settled {
            let keys = page.keys.clone();
            self.pg.shared.orders.keep_page(self.look.stamp, self.ids_sql(), page.position, keys);
        }
        Ok(page)
    }

    /// Where a window begins that was asked for by a key of the last one, while nothing has changed: counting the rows
    /// before it would take longer than all the rest.
    fn place_from_last_page(&self, window: &Window, ids: &[ExperimentId]) -> Option<u64> {
        let (Window::After(key) | Window::Before(key) | Window::Around(key)) = window else { return None };
        let place = self.pg.shared.orders.place_of(self.look.stamp, &self.ids_sql(), key)?;
        match window {
            Window::After(_) => Some(place + 1),
            Window::Before(_) => place.checked_sub(ids.len() as u64),
            _ => place.checked_sub(ids.iter().position(|id| *id == key.id)? as u64),
        }
    }

    /// The ids of the whole list, where they are known; a place deep in an order is not to be had without.
    async fn known_ids(&mut self, query: &ExperimentQuery) -> Result<Option<Arc<[ExperimentId]>>> {
        let sql = self.ids_sql();
        if let Some(ids) = self.pg.shared.orders.ids(self.look.stamp, &sql) {
            return Ok(Some(ids));
        }
        if !matches!(query.window, Window::At(_)) || self.order.reads == Reads::Id {
            return Ok(None);
        }
        let ids: Arc<[ExperimentId]> = orders::read_ids(&mut self.reader, DOING, &sql).await?.into();
        if self.look.is_settled {
            self.pg.shared.orders.keep_ids(self.look.stamp, sql, ids.clone());
        }
        Ok(Some(ids))
    }

    async fn range(&mut self, ids: &[ExperimentId], query: &ExperimentQuery) -> Result<Range<usize>> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let start = match &query.window {
            Window::First => 0,
            Window::Last => ids.len().saturating_sub(limit),
            Window::At(place) => usize::try_from(*place).unwrap_or(usize::MAX),
            Window::After(key) => self.place(ids, key, true).await?,
            Window::Before(key) => {
                let end = self.place(ids, key, false).await?;
                return Ok(end.saturating_sub(limit)..end);
            }
            Window::Around(key) => {
                let place = match ids.iter().position(|id| *id == key.id) {
                    Some(place) => place,
                    None => (self.count(key, false).await? as usize).min(ids.len()),
                };
                place.saturating_sub(limit / 2).min(ids.len().saturating_sub(limit))
            }
        };
        let start = start.min(ids.len());
        Ok(start..start.saturating_add(limit).min(ids.len()))
    }

    /// Where the rows behind a key begin, or where those before it end.
    async fn place(&mut self, ids: &[ExperimentId], key: &Key, after: bool) -> Result<usize> {
        // The row may have moved since.
        if let Some(place) = ids.iter().position(|id| *id == key.id)
            && (self.order.reads == Reads::Id || self.key_of(key.id).await?.as_ref() == Some(key))
        {
            return Ok(place + usize::from(after));
        }
        let beyond = self.count(key, after).await? as usize;
        Ok(if after { ids.len().saturating_sub(beyond) } else { beyond.min(ids.len()) })
    }

    /// The rows under the filter with the columns of their keys.
    fn keyed(&self) -> String {
        let (columns, tables) = (self.order.columns(), self.order.tables(None));
        format!("SELECT e.id, {columns} FROM {tables} WHERE {}", self.condition.condition)
    }

    fn ids_sql(&self) -> Statement {
        let sql = format!("SELECT k.id FROM ({}) k ORDER BY {}", self.keyed(), self.order.list(false));
        (sql, [self.condition.params.as_slice(), &self.order.params].concat())
    }

    /// `more` is what the statement binds behind the values of the filter.
    async fn ask(&mut self, sql: &str, more: &[SqlValue]) -> Result<Vec<Row>> {
        let params: Vec<Typed<'_>> = self.condition.params.iter().chain(more).map(typed).collect();
        self.reader.rows_once(DOING, sql, &params).await
    }

    async fn ask_ids(&mut self, sql: &str, more: &[SqlValue]) -> Result<Vec<ExperimentId>> {
        let rows = self.ask(sql, more).await?;
        rows.iter().map(|row| self.pg.value(DOING, row, 0)).collect()
    }

    async fn total(&mut self) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM ml_schema.experiments e WHERE {}", self.condition.condition);
        let counting = (sql, self.condition.params.clone());
        if let Some(total) = self.pg.shared.orders.total(self.look.stamp, &counting) {
            return Ok(total);
        }
        let rows = self.ask(&counting.0, &[]).await?;
        let total = self.count_of(&rows)?;
        if self.look.is_settled {
            self.pg.shared.orders.keep_total(self.look.stamp, counting, total);
        }
        Ok(total)
    }

    /// How many rows come after a key, or before it.
    async fn count(&mut self, key: &Key, after: bool) -> Result<u64> {
        let mut order = self.order.clone();
        let beyond = order.beyond(key, after);
        let sql = format!("SELECT count(*) FROM ({}) k WHERE {beyond}", self.keyed());
        let rows = self.ask(&sql, &order.params).await?;
        self.count_of(&rows)
    }

    fn count_of(&self, rows: &[Row]) -> Result<u64> {
        let count: i64 = rows.first().map_or(Ok(0), |row| self.pg.value(DOING, row, 0))?;
        Ok(count.unsigned_abs())
    }

    /// Up to `limit` ids in their order; with `backwards` those at the end of the side.
    async fn part(
        &mut self,
        side: Side<'_>,
        backwards: bool,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<ExperimentId>> {
        let mut ids = match self.has_index {
            true => self.walked(side, backwards, limit).await?,
            false => self.sifted(side, backwards, limit, offset).await?,
        };
        if backwards {
            ids.reverse();
        }
        Ok(ids)
    }

    /// Along an index, one stretch after the other until there are enough.
    async fn walked(&mut self, side: Side<'_>, backwards: bool, limit: u64) -> Result<Vec<ExperimentId>> {
        let mut order = self.order.clone();
        let stretches = match side {
            Side::All => order.stretches(None, backwards),
            Side::After(key) | Side::Before(key) => order.stretches(Some((key, false)), backwards),
            Side::From(key) => order.stretches(Some((key, true)), backwards),
        };
        let mut ids = Vec::new();
        for (condition, list) in stretches {
            let left = limit.saturating_sub(ids.len() as u64);
            if left == 0 {
                break;
            }
            let sql = format!(
                "SELECT k.id FROM ({}) k WHERE {condition} ORDER BY {list} LIMIT {}",
                self.keyed(),
                i64::try_from(left).unwrap_or(i64::MAX),
            );
            ids.extend(self.ask_ids(&sql, &order.params).await?);
        }
        Ok(ids)
    }

    /// By a look at every row, except in the order by id.
    async fn sifted(
        &mut self,
        side: Side<'_>,
        backwards: bool,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<ExperimentId>> {
        let mut order = self.order.clone();
        let condition = match side {
            Side::All => "true".to_owned(),
            Side::After(key) => order.beyond(key, true),
            Side::From(key) => format!("({} OR k.id = {})", order.beyond(key, true), key.id),
            Side::Before(key) => order.beyond(key, false),
        };
        let sql = format!(
            "SELECT k.id FROM ({}) k WHERE {condition} ORDER BY {} LIMIT {} OFFSET {}",
            self.keyed(),
            order.list(backwards),
            i64::try_from(limit).unwrap_or(i64::MAX),
            i64::try_from(offset).unwrap_or(i64::MAX),
        );
        self.ask_ids(&sql, &order.params).await
    }

    /// Half of the rows before the one of that id, where it stands now.
    async fn around(&mut self, key: &Key, limit: u64) -> Result<Vec<ExperimentId>> {
        let now = self.key_of(key.id).await?;
        let key = now.as_ref().unwrap_or(key);
        let mut ids = self.part(Side::Before(key), true, limit / 2, 0).await?;
        let left = limit - ids.len() as u64;
        let behind = self.part(Side::From(key), false, left, 0).await?;
        if (behind.len() as u64) < left && ids.len() as u64 == limit / 2 {
            // The list ends before the window is full.
            ids = self.part(Side::Before(key), true, limit - behind.len() as u64, 0).await?;
        }
        ids.extend(behind);
        Ok(ids)
    }

    /// Where the row of that id stands now, if it is in the list.
    async fn key_of(&mut self, id: ExperimentId) -> Result<Option<Key>> {
        let (columns, tables) = (self.order.columns(), self.order.tables(Some(&id.to_string())));
        let sql = format!(
            "SELECT k.id, k.failed AS key_failed, k.value AS key_value, k.words AS key_words \
             FROM (SELECT e.id, {columns} FROM {tables} WHERE e.id = {id} AND ({})) k",
            self.condition.condition
        );
        let params = self.order.params.clone();
        let rows = self.ask(&sql, &params).await?;
        rows.first().map(|row| self.key(row, id)).transpose()
    }

    /// The rows of these ids. Only these are read whole: an order is made of ids and values alone.
    async fn rows_at(&mut self, ids: &[ExperimentId], position: u64, total: u64) -> Result<ExperimentPage> {
        if ids.is_empty() {
            return Ok(ExperimentPage { position, total, ..ExperimentPage::default() });
        }
        let list = ids.iter().map(ExperimentId::to_string).collect::<Vec<_>>().join(",");
        let sql = format!(
            "SELECT {EXPERIMENT}, k.failed AS key_failed, k.value AS key_value, k.words AS key_words \
             FROM (SELECT e.*, {} FROM {} WHERE e.id = ANY ('{{{list}}}'::bigint[])) k",
            self.alone.columns(),
            self.alone.tables(Some(&list)),
        );
        let params: Vec<Typed<'_>> = self.alone.params.iter().map(typed).collect();
        let rows = self.reader.rows_once(DOING, &sql, &params).await?;
        let mut rows = rows.iter().map(|row| self.row(row)).collect::<Result<Vec<_>>>()?;
        let places: HashMap<ExperimentId, usize> = ids.iter().copied().zip(0..).collect();
        rows.sort_by_key(|(row, _)| places.get(&row.id).copied());
        let (rows, keys) = rows.into_iter().unzip();
        Ok(ExperimentPage { rows, keys, position, total })
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
