//! Questions about many experiments at once, on DuckDB.

use async_trait::async_trait;
use duckdb::{Connection, Row, ToSql, params_from_iter};
use jiff::Timestamp;

use crate::domain::experiment::{ExperimentId, Status};
use crate::domain::metric::MetricPoint;
use crate::domain::survey::{CurveValues, Group, Groups, Ids, Names, RunCurves, Spread};
use crate::store::Result;
use crate::store::experiments::ExperimentQuery;
use crate::store::filter_sql::Dialect;
use crate::store::survey::{CurveOf, ExperimentSurvey, GroupQuery};
use crate::store::survey_sql::{self, Statement};

use super::experiments::Experiments;
use super::list::duck_value;
use super::row;

const DIALECT: Dialect = Dialect::DuckDb;

#[async_trait]
impl ExperimentSurvey for Experiments {
    async fn names(&self) -> Result<Names> {
        self.engine.read("reading the names of parameters and metrics", names).await
    }

    async fn curve_values(&self, ids: &[ExperimentId], curves: &[CurveOf]) -> Result<Vec<CurveValues>> {
        if ids.is_empty() || curves.is_empty() {
            return Ok(Vec::new());
        }
        let statement = survey_sql::curve_values(DIALECT, ids, curves);
        let count = curves.len();
        self.engine
            .read("reading values of curves", move |connection| {
                rows(connection, &statement, |row| {
                    let values = (1..=count).map(|column| row.get(column));
                    Ok(CurveValues { id: row.get(0)?, values: values.collect::<duckdb::Result<_>>()? })
                })
            })
            .await
    }

    async fn curves(&self, ids: &[ExperimentId]) -> Result<Vec<RunCurves>> {
        let sql = format!(
            "SELECT m.experiment_id, m.name, m.step, m.value, epoch_us(m.recorded_at) {} \
             ORDER BY m.experiment_id, m.name, m.step",
            survey_sql::points_of(ids)
        );
        let statement = Statement { sql, params: Vec::new() };
        let points = self
            .engine
            .read("reading curves", move |connection| {
                rows(connection, &statement, |row| {
                    let recorded_at = row::time(row, 4)?.unwrap_or(Timestamp::UNIX_EPOCH);
                    let (name, step, value) = (row.get(1)?, row.get(2)?, row.get(3)?);
                    Ok((row.get(0)?, MetricPoint { name, step, value, recorded_at }))
                })
            })
            .await?;
        Ok(RunCurves::of_points(points))
    }

    async fn ids(&self, query: &ExperimentQuery, skip: u64) -> Result<Ids> {
        let (counting, listing) = survey_sql::ids(DIALECT, query, skip)?;
        self.engine
            .read("listing experiments", move |connection| {
                let total: Vec<i64> = rows(connection, &counting, |row| row.get(0))?;
                let ids = rows(connection, &listing, |row| row.get(0))?;
                Ok(Ids { ids, total: total.first().map_or(0, |total| total.unsigned_abs()) })
            })
            .await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Groups> {
        let statement = survey_sql::groups(DIALECT, query)?;
        let figures = query.figures.len();
        let read = move |connection: &Connection| rows(connection, &statement, |row| group(row, figures));
        let found = self.engine.read("grouping experiments", read).await?;
        let total = found.first().map_or(0, |(_, total)| *total);
        Ok(Groups { rows: found.into_iter().map(|(group, _)| group).collect(), total })
    }

    async fn statuses(&self) -> Result<Vec<(Status, u64)>> {
        self.engine
            .read("counting experiments", |connection| {
                let mut statement = connection.prepare(survey_sql::STATUSES)?;
                let counted = statement.query_map([], |found| {
                    Ok((row::status(found, 0)?, found.get::<_, i64>(1)?.unsigned_abs()))
                })?;
                counted.collect()
            })
            .await
    }
}

fn names(connection: &Connection) -> duckdb::Result<Names> {
    let newest = "SELECT coalesce(max(id), 0) FROM ml_schema.experiments";
    let newest: i64 = connection.query_row(newest, [], |row| row.get(0))?;
    let statement = Statement { sql: survey_sql::names(DIALECT, newest), params: Vec::new() };
    let found = rows(connection, &statement, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Names::of_rows(found, survey_sql::is_complete(newest)))
}

/// The group, and how many there are in all.
fn group(row: &Row<'_>, figures: usize) -> duckdb::Result<(Group, u64)> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let spread = |index: usize| {
        let first = 8 + 3 * index;
        Ok(Spread { n: count(first)?, mean: row.get(first + 1)?, deviation: row.get(first + 2)? })
    };
    let group = Group {
        model_type: row.get(0)?,
        dataset: row.get(1)?,
        parameters: row::object(row, 2)?,
        runner: row.get(7)?,
        runs: count(3)?,
        completed: count(4)?,
        ids: row::json(row, 5)?,
        figures: (0..figures).map(spread).collect::<duckdb::Result<_>>()?,
    };
    Ok((group, count(6)?))
}

fn rows<T>(
    connection: &Connection,
    statement: &Statement,
    read: impl Fn(&Row<'_>) -> duckdb::Result<T>,
) -> duckdb::Result<Vec<T>> {
    let mut prepared = connection.prepare(&statement.sql)?;
    let params: Vec<_> = statement.params.iter().map(duck_value).collect();
    let found = prepared
        .query_map(params_from_iter(params.iter().map(|value| value as &dyn ToSql)), |row| read(row))?;
    found.collect()
}
