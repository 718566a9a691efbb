//! Windows of experiments as DuckDB reads them: the ids of all in their order, or of those at an end of it, and the rows of
//! those in the window.

use std::collections::HashMap;
use std::ops::Range;

use duckdb::arrow::array::Int64Array;
use duckdb::types::Value;
use duckdb::{Connection, Row, params_from_iter};

use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::filter::Field;
use crate::domain::window::{Key, SortValue, Window};
use crate::store::Result;
use crate::store::experiments::{ExperimentPage, ExperimentQuery};
use crate::store::filter_sql::{self, Compiled, Dialect, SqlValue};
use crate::store::order_sql::{Order, Reads};

use super::budget::Appetite;
use super::chunks::{chunks, chunks_while, column};
use super::experiments::list_of;
use super::json_order::Sorter;
use super::room::roomy;
use super::row::{self, micros};

/// A statement and its values.
pub type Statement = (String, Vec<SqlValue>);

/// Texts that are ordered by themselves first. More of them are no shorter way.
const FEW_TEXTS: i64 = 10_000;

/// A filter and an order as SQL.
pub struct Listing {
    /// Of a window.
    pub appetite: Appetite,
    /// Of all ids.
    pub order_appetite: Appetite,
    /// The statement that has all ids in their order.
    pub ids_sql: Statement,
    condition: Compiled,
    order: Order,
    /// The same order, for statements without the filter.
    alone: Order,
}

impl Listing {
    pub fn new(query: &ExperimentQuery) -> Result<Self> {
        let condition = filter_sql::compile(Dialect::DuckDb, query)?;
        let order = Order::new(Dialect::DuckDb, &query.sort, condition.params.len());
        let alone = Order::new(Dialect::DuckDb, &query.sort, 0);
        let appetite = match &query.sort.field {
            // The values of all curves are many to hold at once.
            Field::Curve(..) => Appetite::Plenty,
            _ => Appetite::Little,
        };
        // Sorted here.
        let order_appetite = if order.reads == Reads::Json { Appetite::Least } else { appetite };
        let sql =
            format!("SELECT k.id FROM ({}) k ORDER BY {}", keyed(&condition, &order), order.list(false));
        let ids_sql = (sql, [condition.params.as_slice(), &order.params].concat());
        Ok(Listing { appetite, order_appetite, ids_sql, condition, order, alone })
    }

    fn keyed(&self) -> String {
        keyed(&self.condition, &self.order)
    }

    /// All ids in their order.
    pub fn all_ids(&self, connection: &Connection) -> duckdb::Result<Vec<ExperimentId>> {
        let room = rows_at_most(connection)?;
        if self.order.reads == Reads::Text && self.texts(connection)? <= FEW_TEXTS {
            return self.read_ids(connection, &self.ranked_sql(), room);
        }
        if self.order.reads == Reads::Json
            && let Some(ids) = self.sorted_ids(connection, room)?
        {
            return Ok(ids);
        }
        self.read_ids(connection, &self.ids_sql.0, room)
    }

    /// The same, sorted here; none where there are too many different texts for that.
    fn sorted_ids(&self, connection: &Connection, room: usize) -> duckdb::Result<Option<Vec<ExperimentId>>> {
        let sql = format!("SELECT k.id, k.failed, k.value, k.words FROM ({}) k", self.keyed());
        let mut statement = connection.prepare(&sql)?;
        let mut sorter = Sorter::with_room(room);
        let mut fits = true;
        chunks_while(&mut statement, self.values(), |chunk| {
            fits = sorter.take(chunk)?;
            Ok(fits)
        })?;
        Ok(fits.then(|| sorter.ids(self.order.is_descending())))
    }

    /// Any window takes longer than a person wants to wait.
    pub fn is_slow(&self) -> bool {
        self.order.reads == Reads::Json
    }

    /// How many different texts there are, or one more than a few.
    fn texts(&self, connection: &Connection) -> duckdb::Result<i64> {
        let limit = FEW_TEXTS + 1;
        let sql =
            format!("SELECT count(*) FROM (SELECT DISTINCT k.value FROM ({}) k LIMIT {limit})", self.keyed());
        connection.query_row(&sql, params_from_iter(self.values()), |row| row.get(0))
    }

    /// See [`Listing::ids_sql`]: by the places of the texts instead of the texts, in a quarter of the time.
    fn ranked_sql(&self) -> String {
        format!(
            "WITH k AS NOT MATERIALIZED ({}), \
             texts AS (SELECT value, row_number() OVER (ORDER BY value) AS place \
                       FROM (SELECT DISTINCT value FROM k WHERE value IS NOT NULL)), \
             ranked AS (SELECT k.id, k.failed, texts.place AS value FROM k LEFT JOIN texts ON k.value = texts.value) \
             SELECT k.id FROM ranked k ORDER BY {}",
            self.keyed(),
            self.order.list(false)
        )
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        self.condition.params.iter().chain(&self.order.params).map(duck_value)
    }

    fn read_ids(&self, connection: &Connection, sql: &str, room: usize) -> duckdb::Result<Vec<ExperimentId>> {
        let mut ids = roomy(room);
        read_ids(connection, sql, self.values(), &mut ids)?;
        ids.shrink_to_fit();
        Ok(ids)
    }

    /// The first rows of all, or the last ones.
    pub fn end(
        &self,
        connection: &Connection,
        limit: u64,
        backwards: bool,
    ) -> duckdb::Result<ExperimentPage> {
        let counting =
            format!("SELECT count(*) FROM ml_schema.experiments e WHERE {}", self.condition.condition);
        let values = self.condition.params.iter().map(duck_value);
        let total: i64 = connection.query_row(&counting, params_from_iter(values), |row| row.get(0))?;
        let total = usize::try_from(total).unwrap_or(0);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut ids = match self.order.reads {
            Reads::Text | Reads::Integer => self.end_among_equals(connection, limit, backwards)?,
            _ => self.end_where(connection, &self.order, ("true", &self.order.list(backwards)), limit)?,
        };
        if backwards {
            ids.reverse();
        }
        let position = if backwards { total.saturating_sub(ids.len()) } else { 0 };
        self.page(connection, &ids, position, total)
    }

    /// The ids at an end of an order in which many rows are equal: first up to which value they reach, then the rows beyond
    /// that value, and those of it by their ids alone. In one step each row of a value that all have would displace the one
    /// before, since the newest come last: four times as long.
    fn end_among_equals(
        &self,
        connection: &Connection,
        limit: i64,
        backwards: bool,
    ) -> duckdb::Result<Vec<ExperimentId>> {
        let places = self.places_at_end(connection, limit, backwards)?;
        let Some(last) = places.last() else { return Ok(Vec::new()) };
        let ahead = i64::try_from(places.partition_point(|place| place != last)).unwrap_or(i64::MAX);
        let mut ids = Vec::new();
        if ahead > 0 {
            let mut order = self.order.clone();
            let beyond = order.beyond(last, backwards);
            ids = self.end_where(connection, &order, (&beyond, &order.list(backwards)), ahead)?;
        }
        let mut order = self.order.clone();
        let equal = order.like(last);
        let by_id = Order::list_of_equals(backwards);
        ids.extend(self.end_where(connection, &order, (&equal, by_id), limit - ahead)?);
        Ok(ids)
    }

    /// Where the rows at an end stand, each with the id that all rows of its value are behind.
    fn places_at_end(
        &self,
        connection: &Connection,
        limit: i64,
        backwards: bool,
    ) -> duckdb::Result<Vec<Key>> {
        let sql = format!(
            "SELECT k.failed, k.value FROM ({}) k ORDER BY {} LIMIT {limit}",
            self.keyed(),
            self.order.list_of_values(backwards)
        );
        let mut statement = connection.prepare(&sql)?;
        let id = if backwards { ExperimentId::MIN } else { ExperimentId::MAX };
        let places = statement.query_map(params_from_iter(self.values()), |row| {
            let value = match self.order.reads {
                Reads::Integer => row.get::<_, Option<i64>>(1)?.map(SortValue::Integer),
                _ => row.get::<_, Option<String>>(1)?.map(SortValue::Text),
            };
            Ok(Key { failed: row.get(0)?, value, id })
        })?;
        places.collect()
    }

    /// The first ids of the rows under a condition, which is bound in `order`, by an ORDER BY list.
    fn end_where(
        &self,
        connection: &Connection,
        order: &Order,
        (condition, list): (&str, &str),
        limit: i64,
    ) -> duckdb::Result<Vec<ExperimentId>> {
        let sql =
            format!("SELECT k.id FROM ({}) k WHERE {condition} ORDER BY {list} LIMIT {limit}", self.keyed());
        let values = self.condition.params.iter().chain(&order.params).map(duck_value);
        let mut ids = Vec::new();
        read_ids(connection, &sql, values, &mut ids)?;
        Ok(ids)
    }

    /// Where in the order a window is.
    pub fn range(
        &self,
        connection: &Connection,
        ids: &[ExperimentId],
        query: &ExperimentQuery,
    ) -> duckdb::Result<Range<usize>> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let start = match &query.window {
            Window::First => 0,
            Window::Last => ids.len().saturating_sub(limit),
            Window::At(place) => usize::try_from(*place).unwrap_or(usize::MAX),
            Window::After(key) => self.place(connection, ids, key, true)?,
            Window::Before(key) => {
                let end = self.place(connection, ids, key, false)?;
                return Ok(end.saturating_sub(limit)..end);
            }
            Window::Around(key) => {
                let place = match self.find(ids, key.id) {
                    Some(place) => place,
                    None => self.count(connection, key, false)?.min(ids.len()),
                };
                place.saturating_sub(limit / 2).min(ids.len().saturating_sub(limit))
            }
        };
        let start = start.min(ids.len());
        Ok(start..start.saturating_add(limit).min(ids.len()))
    }

    /// Where the rows behind a key begin, or where those before it end.
    fn place(
        &self,
        connection: &Connection,
        ids: &[ExperimentId],
        key: &Key,
        after: bool,
    ) -> duckdb::Result<usize> {
        if let Some(place) = self.find(ids, key.id) {
            // The row may have moved since.
            let is_same = self.order.reads == Reads::Id
                || self.rows(connection, &[key.id])?.iter().any(|(_, now)| now == key);
            if is_same {
                return Ok(place + usize::from(after));
            }
        }
        let beyond = self.count(connection, key, after)?;
        Ok(if after { ids.len().saturating_sub(beyond) } else { beyond.min(ids.len()) })
    }

    fn find(&self, ids: &[ExperimentId], id: ExperimentId) -> Option<usize> {
        if self.order.reads == Reads::Id {
            let first = ids.first() < ids.last();
            return ids.binary_search_by(|one| if first { one.cmp(&id) } else { id.cmp(one) }).ok();
        }
        ids.iter().position(|one| *one == id)
    }

    /// How many rows come after a key, or before it.
    fn count(&self, connection: &Connection, key: &Key, after: bool) -> duckdb::Result<usize> {
        let mut order = self.order.clone();
        let beyond = order.beyond(key, after);
        let sql = format!("SELECT count(*) FROM ({}) k WHERE {beyond}", self.keyed());
        let values = self.condition.params.iter().chain(&order.params).map(duck_value);
        let count: i64 = connection.query_row(&sql, params_from_iter(values), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The rows of some ids, in their order.
    pub fn page(
        &self,
        connection: &Connection,
        wanted: &[ExperimentId],
        position: usize,
        total: usize,
    ) -> duckdb::Result<ExperimentPage> {
        let places: HashMap<ExperimentId, usize> = wanted.iter().copied().zip(0..).collect();
        let mut rows = if wanted.is_empty() { Vec::new() } else { self.rows(connection, wanted)? };
        rows.sort_by_key(|(row, _)| places.get(&row.id).copied());
        let (rows, keys) = rows.into_iter().unzip();
        Ok(ExperimentPage { rows, keys, position: position as u64, total: total as u64 })
    }

    /// The rows of these ids, in no order.
    fn rows(&self, connection: &Connection, ids: &[ExperimentId]) -> duckdb::Result<Vec<(Experiment, Key)>> {
        let order = &self.alone;
        // By way of row ids DuckDB unpacks what is asked for; by way of ids every value of the columns.
        let ids = list_of(ids);
        let sql = format!(
            "SELECT {}, {} FROM {} \
             WHERE e.rowid IN (SELECT rowid FROM ml_schema.experiments WHERE id IN ({ids}))",
            row::EXPERIMENT,
            order.read_columns(),
            order.tables(Some(&ids)),
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(order.params.iter().map(duck_value)), |row| {
            let experiment = row::experiment(row)?;
            let key = key(row, order.reads, experiment.id)?;
            Ok((experiment, key))
        })?;
        rows.collect()
    }
}

/// The rows under the filter with the columns of their keys.
fn keyed(condition: &Compiled, order: &Order) -> String {
    format!("SELECT e.id, {} FROM {} WHERE {}", order.columns(), order.tables(None), condition.condition)
}

fn read_ids(
    connection: &Connection,
    sql: &str,
    values: impl Iterator<Item = Value>,
    ids: &mut Vec<ExperimentId>,
) -> duckdb::Result<()> {
    let mut statement = connection.prepare(sql)?;
    chunks(&mut statement, values, |chunk| {
        ids.extend_from_slice(column::<Int64Array>(chunk, 0)?.values());
        Ok(())
    })
}

/// How many rows there are without a filter, which DuckDB knows without a look at them.
fn rows_at_most(connection: &Connection) -> duckdb::Result<usize> {
    let count: i64 =
        connection.query_row("SELECT count(*) FROM ml_schema.experiments", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The columns behind those of an experiment.
fn key(row: &Row<'_>, reads: Reads, id: ExperimentId) -> duckdb::Result<Key> {
    let first = row::EXPERIMENT_COLUMNS;
    let place = first + 1;
    let value = match reads {
        Reads::Id => None,
        Reads::Integer => row.get::<_, Option<i64>>(place)?.map(SortValue::Integer),
        Reads::Number => row.get::<_, Option<f64>>(place)?.map(SortValue::Number),
        Reads::Text => row.get::<_, Option<String>>(place)?.map(SortValue::Text),
        Reads::Moment => row::time(row, place)?.map(SortValue::Moment),
        Reads::Json => match row.get::<_, Option<f64>>(place)? {
            Some(number) => Some(SortValue::Number(number)),
            None => row.get::<_, Option<String>>(place + 1)?.map(SortValue::Text),
        },
    };
    Ok(Key { failed: row.get(first)?, value, id })
}

pub(super) fn duck_value(value: &SqlValue) -> Value {
    match value {
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Integer(number) => Value::BigInt(*number),
        SqlValue::Number(number) => Value::Double(*number),
        SqlValue::Bool(bool) => Value::Boolean(*bool),
        SqlValue::Moment(at) => micros(*at),
    }
}
