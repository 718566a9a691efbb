//! Questions about many experiments as SQL with bound values, for both engines.

use crate::domain::experiment::ExperimentId;
use crate::domain::filter::Aggregate;
use crate::domain::metric::is_better_small;
use crate::domain::survey::Group;

use super::Result;
use super::experiments::ExperimentQuery;
use super::filter_sql::{self, Dialect, SqlValue};
use super::order_sql::Order;
use super::survey::{CurveOf, GroupQuery};

/// Runs whose names are looked at: so many of the newest, and as many spread over the others.
pub const NAMED_RUNS: i64 = 5_000;

/// Runs whose curves are looked at for their names: the newest.
pub const NAMED_CURVES: i64 = 1_000;

/// SQL with `$1`, `$2`, ... for the values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    pub sql: String,
    pub params: Vec<SqlValue>,
}

/// Status and number of the runs that have it.
pub const STATUSES: &str =
    "SELECT status, count(*) FROM ml_schema.experiments GROUP BY status ORDER BY status";

/// Rows of `kind` (`p`arameter, `r`esult, `c`urve) and name, in a store whose newest id is `newest`.
pub fn names(dialect: Dialect, newest: ExperimentId) -> String {
    let keys = |column: &str| match dialect {
        Dialect::DuckDb => format!("unnest(json_keys(e.{column}))"),
        Dialect::Postgres => {
            let object = format!("CASE WHEN jsonb_typeof(e.{column}) = 'object' THEN e.{column} END");
            format!("jsonb_object_keys({object})")
        }
    };
    let runs = format!(
        "SELECT e.parameters, e.results FROM ml_schema.experiments e WHERE {}",
        sample(dialect, newest)
    );
    let names = |kind: char, keys: String| {
        format!(
            "SELECT '{kind}' AS kind, name FROM (SELECT DISTINCT {keys} AS name FROM sampled e) AS {kind}"
        )
    };
    format!(
        "WITH sampled AS ({runs}) {} UNION ALL {} UNION ALL \
         SELECT 'c' AS kind, name FROM (SELECT DISTINCT m.name FROM ml_schema.experiment_metrics m \
         WHERE m.experiment_id > {}) AS c ORDER BY kind, name",
        names('p', keys("parameters")),
        names('r', keys("results")),
        newest - NAMED_CURVES,
    )
}

/// True where [`names`] looks at every run.
pub fn is_complete(newest: ExperimentId) -> bool {
    newest <= NAMED_CURVES
}

fn sample(dialect: Dialect, newest: ExperimentId) -> String {
    let first = newest - NAMED_RUNS;
    if first <= 0 {
        return "true".to_owned();
    }
    let stride = (first / NAMED_RUNS).max(1);
    match dialect {
        Dialect::DuckDb => format!("e.id > {first} OR e.id % {stride} = 0"),
        // By the index: a remainder would read the whole table.
        Dialect::Postgres => format!(
            "e.id > {first} UNION ALL SELECT e.parameters, e.results FROM ml_schema.experiments e \
             WHERE e.id = ANY (ARRAY(SELECT generate_series(1, {first}, {stride})))"
        ),
    }
}

/// Rows of id and one value for each of `curves`. There is at least one curve.
pub fn curve_values(dialect: Dialect, ids: &[ExperimentId], curves: &[CurveOf]) -> Statement {
    let kind = match dialect {
        Dialect::DuckDb => "VARCHAR",
        Dialect::Postgres => "text",
    };
    let bound: Vec<String> = (1..=curves.len()).map(|place| format!("${place}::{kind}")).collect();
    let values: Vec<String> = curves
        .iter()
        .zip(&bound)
        .map(|((aggregate, name), bound)| {
            let only = format!("FILTER (WHERE m.name = {bound})");
            match (aggregate, dialect) {
                (Aggregate::Last, Dialect::DuckDb) => format!("arg_max(m.value, m.step) {only}"),
                (Aggregate::Last, Dialect::Postgres) => {
                    format!("(array_agg(m.value ORDER BY m.step DESC) {only})[1]")
                }
                (Aggregate::Min, _) => format!("min(m.value) {only}"),
                (Aggregate::Max, _) => format!("max(m.value) {only}"),
                (Aggregate::Best, _) if is_better_small(name) => format!("min(m.value) {only}"),
                (Aggregate::Best, _) => format!("max(m.value) {only}"),
            }
        })
        .collect();
    let sql = format!(
        "SELECT m.experiment_id, {} {} AND m.name IN ({}) GROUP BY m.experiment_id",
        values.join(", "),
        points_of(ids),
        bound.join(", ")
    );
    let params = curves.iter().map(|(_, name)| SqlValue::Text(name.clone())).collect();
    Statement { sql, params }
}

/// `FROM ... WHERE ...` over the points `m` of the newest attempts of these runs.
pub fn points_of(ids: &[ExperimentId]) -> String {
    // Integers may stand in SQL as they are; both sides are named so that either engine prunes both tables.
    let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { "NULL".to_owned() } else { list };
    format!(
        "FROM ml_schema.experiment_metrics m JOIN ml_schema.experiments e ON e.id = m.experiment_id \
         AND e.attempt = m.attempt WHERE m.experiment_id IN ({list}) AND e.id IN ({list})"
    )
}

/// How many rows a query lists, and their ids from `skip` on.
pub fn ids(dialect: Dialect, query: &ExperimentQuery, skip: u64) -> Result<(Statement, Statement)> {
    let which = filter_sql::compile(dialect, query)?;
    let order = Order::new(dialect, &query.sort, which.params.len());
    let from = format!("FROM ml_schema.experiments e WHERE {}", which.condition);
    let counting = Statement { sql: format!("SELECT count(*) {from}"), params: which.params.clone() };
    let sql = format!(
        "SELECT k.id FROM (SELECT e.id, {} {from}) k ORDER BY {} LIMIT {} OFFSET {}",
        order.columns(),
        order.list(false),
        whole(query.limit),
        whole(skip)
    );
    let params = [which.params, order.params].concat();
    Ok((counting, Statement { sql, params }))
}

/// Rows of model, data set, parameters, runs, completed runs, ids, total, runner, and for each figure n, mean, deviation.
pub fn groups(dialect: Dialect, query: &GroupQuery) -> Result<Statement> {
    let which = filter_sql::compile(dialect, &query.runs)?;
    let mut params = which.params;
    let (mut values, mut spreads) = (String::new(), String::new());
    for (index, field) in query.figures.iter().enumerate() {
        let figure = filter_sql::number(dialect, field, params.len());
        params.extend(figure.params);
        values.push_str(&format!(", {} AS v{index}", figure.condition));
        // Comparing leaves out NaN, which both engines take for larger than anything.
        let counts = format!("FILTER (WHERE done AND v{index} > '-Infinity' AND v{index} < 'Infinity')");
        spreads.push_str(&format!(
            ", count(v{index}) {counts} AS n{index}, avg(v{index}) {counts} AS m{index}, \
             stddev_samp(v{index}) {counts} AS d{index}"
        ));
    }
    let direction = if query.descending { "DESC" } else { "ASC" };
    let order = match query.sort.filter(|index| *index < query.figures.len()) {
        Some(index) => format!("m{index} {direction} NULLS LAST, newest DESC"),
        None => format!("newest {direction}"),
    };
    let sql = format!(
        "WITH runs AS (SELECT e.id, coalesce(e.model_type, '') AS model, coalesce(e.dataset, '') AS data, \
         coalesce(e.runner, '') AS runner, \
         {} AS configuration, e.status = 'completed' AS done{values} FROM ml_schema.experiments e WHERE {}), \
         grouped AS (SELECT model, data, configuration, runner, count(*) AS runs, count(*) FILTER (WHERE done) AS completed, \
         (array_agg(id ORDER BY id DESC))[1:{}] AS ids, max(id) AS newest{spreads} FROM runs \
         GROUP BY model, data, configuration, runner) \
         SELECT model, data, configuration, runs, completed, {}, count(*) OVER () AS total, runner{} FROM grouped \
         ORDER BY {order} LIMIT {} OFFSET {}",
        without_seed(dialect),
        which.condition,
        Group::MOST_IDS,
        match dialect {
            Dialect::DuckDb => "to_json(ids)::VARCHAR",
            Dialect::Postgres => "ids",
        },
        (0..query.figures.len()).map(|index| format!(", n{index}, m{index}, d{index}")).collect::<String>(),
        whole(query.limit),
        whole(query.skip)
    );
    Ok(Statement { sql, params })
}

fn without_seed(dialect: Dialect) -> &'static str {
    match dialect {
        // Patching costs ten times as much as looking whether there is anything to patch.
        Dialect::DuckDb => {
            "CASE WHEN json_extract(e.parameters, '/seed') IS NULL THEN coalesce(e.parameters, '{}')::VARCHAR \
             ELSE json_merge_patch(e.parameters, '{\"seed\": null}')::VARCHAR END"
        }
        Dialect::Postgres => {
            "CASE WHEN jsonb_typeof(e.parameters) = 'object' THEN e.parameters - 'seed' \
             ELSE coalesce(e.parameters, '{}') END"
        }
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
