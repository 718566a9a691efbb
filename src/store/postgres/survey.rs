//! Questions about many experiments at once, in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::domain::experiment::{ExperimentId, Status};
use crate::domain::metric::MetricPoint;
use crate::domain::survey::{CurveValues, Group, Groups, Ids, Names, RunCurves, Spread};
use crate::store::experiments::ExperimentQuery;
use crate::store::filter_sql::Dialect;
use crate::store::survey::{CurveOf, ExperimentSurvey, GroupQuery};
use crate::store::survey_sql::{self, Statement};
use crate::store::{ErrorKind, Result};

use super::experiments::typed;
use super::schema::Part;
use super::{Pg, json};

const DIALECT: Dialect = Dialect::Postgres;

#[async_trait]
impl ExperimentSurvey for Pg {
    async fn names(&self) -> Result<Names> {
        let doing = "reading the names of parameters and metrics";
        let newest = "SELECT coalesce(max(id), 0) FROM ml_schema.experiments".to_owned();
        let newest = self.survey(doing, &Statement { sql: newest, params: Vec::new() }).await?;
        let newest: i64 = match newest.first() {
            Some(row) => self.value(doing, row, 0)?,
            None => 0,
        };
        let statement = Statement { sql: survey_sql::names(DIALECT, newest), params: Vec::new() };
        let rows = self.survey(doing, &statement).await?;
        let names = rows.iter().map(|row| Ok((self.value(doing, row, 0)?, self.value(doing, row, 1)?)));
        Ok(Names::of_rows(names.collect::<Result<_>>()?, survey_sql::is_complete(newest)))
    }

    async fn curve_values(&self, ids: &[ExperimentId], curves: &[CurveOf]) -> Result<Vec<CurveValues>> {
        let doing = "reading values of curves";
        if ids.is_empty() || curves.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.survey(doing, &survey_sql::curve_values(DIALECT, ids, curves)).await?;
        let values = |row: &Row| {
            let values = (1..=curves.len()).map(|column| self.value(doing, row, column));
            Ok(CurveValues { id: self.value(doing, row, 0)?, values: values.collect::<Result<_>>()? })
        };
        rows.iter().map(values).collect()
    }

    async fn curves(&self, ids: &[ExperimentId]) -> Result<Vec<RunCurves>> {
        let doing = "reading curves";
        let sql = format!(
            "SELECT m.experiment_id, m.name, m.step, m.value, m.recorded_at {} \
             ORDER BY m.experiment_id, m.name COLLATE \"C\", m.step, m.recorded_at",
            survey_sql::points_of(ids)
        );
        let rows = self.survey(doing, &Statement { sql, params: Vec::new() }).await?;
        let point = |row| {
            let point = MetricPoint {
                name: self.value(doing, row, 1)?,
                step: self.value(doing, row, 2)?,
                value: self.value(doing, row, 3)?,
                recorded_at: self.value(doing, row, 4)?,
            };
            Ok((self.value(doing, row, 0)?, point))
        };
        Ok(RunCurves::of_points(rows.iter().map(point).collect::<Result<_>>()?))
    }

    async fn ids(&self, query: &ExperimentQuery, skip: u64) -> Result<Ids> {
        let doing = "listing experiments";
        let (counting, listing) = survey_sql::ids(DIALECT, query, skip)?;
        let total = self.survey(doing, &counting).await?;
        let total: i64 = match total.first() {
            Some(row) => self.value(doing, row, 0)?,
            None => 0,
        };
        let rows = self.survey(doing, &listing).await?;
        let ids = rows.iter().map(|row| self.value(doing, row, 0)).collect::<Result<_>>()?;
        Ok(Ids { ids, total: total.unsigned_abs() })
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Groups> {
        let doing = "grouping experiments";
        let rows = self.survey(doing, &survey_sql::groups(DIALECT, query)?).await?;
        let total: i64 = match rows.first() {
            Some(row) => self.value(doing, row, 6)?,
            None => 0,
        };
        let groups = rows.iter().map(|row| self.group(doing, row, query.figures.len()));
        Ok(Groups { rows: groups.collect::<Result<_>>()?, total: total.unsigned_abs() })
    }

    async fn statuses(&self) -> Result<Vec<(Status, u64)>> {
        let doing = "counting experiments";
        let statement = Statement { sql: survey_sql::STATUSES.to_owned(), params: Vec::new() };
        let counted = |row: &Row| {
            let status: String = self.value(doing, row, 0)?;
            let status =
                status.parse().map_err(|problem: String| self.error(ErrorKind::Backend, doing, problem))?;
            Ok((status, self.value::<i64>(doing, row, 1)?.unsigned_abs()))
        };
        self.survey(doing, &statement).await?.iter().map(counted).collect()
    }
}

impl Pg {
    async fn survey(&self, doing: &str, statement: &Statement) -> Result<Vec<Row>> {
        let mut reader = self.reader(Part::Experiments, doing).await?;
        let params: Vec<_> = statement.params.iter().map(typed).collect();
        reader.rows_once(doing, &statement.sql, &params).await
    }

    fn group(&self, doing: &str, row: &Row, figures: usize) -> Result<Group> {
        let count = |column: usize| self.value::<i64>(doing, row, column).map(i64::unsigned_abs);
        let spread = |index: usize| {
            let first = 8 + 3 * index;
            let (mean, deviation) = (self.value(doing, row, first + 1)?, self.value(doing, row, first + 2)?);
            Ok(Spread { n: count(first)?, mean, deviation })
        };
        Ok(Group {
            model_type: self.value(doing, row, 0)?,
            dataset: self.value(doing, row, 1)?,
            parameters: json::as_object(self.value(doing, row, 2)?),
            runner: self.value(doing, row, 7)?,
            runs: count(3)?,
            completed: count(4)?,
            ids: self.value(doing, row, 5)?,
            figures: (0..figures).map(spread).collect::<Result<_>>()?,
        })
    }
}
