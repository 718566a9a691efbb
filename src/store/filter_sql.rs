//! Filters as SQL with bound values, for both engines. No text of a person is ever spliced in.

use jiff::Timestamp;

use crate::domain::filter::{Aggregate, Comparison, Field, Filter, Literal, Operand};
use crate::domain::metric::is_better_small;

use super::experiments::ExperimentQuery;
use super::{Backend, ErrorKind, Result, StoreError};

/// Where the engines differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    DuckDb,
    Postgres,
}

/// A value to bind.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Bool(bool),
    Moment(Timestamp),
}

/// SQL over `ml_schema.experiments e` with `$1`, `$2`, ... for the values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    pub condition: String,
    pub params: Vec<SqlValue>,
}

/// The condition of a query: its filter, and archived ones left out unless asked for.
pub fn compile(dialect: Dialect, query: &ExperimentQuery) -> Result<Compiled> {
    let mut compiler = Compiler { dialect, params: Vec::new(), before: 0 };
    let mut parts = Vec::new();
    if !query.with_archived {
        parts.push("e.archived_at IS NULL".to_owned());
    }
    if let Some(filter) = &query.filter {
        parts.push(compiler.filter(filter)?);
    }
    let condition = if parts.is_empty() { "true".to_owned() } else { parts.join(" AND ") };
    Ok(Compiled { condition, params: compiler.params })
}

/// A field as a number, nothing where it is none. `before` values are bound already.
pub fn number(dialect: Dialect, field: &Field, before: usize) -> Compiled {
    let mut compiler = Compiler { dialect, params: Vec::new(), before };
    let condition = compiler.as_kind(field, Kind::Number);
    Compiled { condition, params: compiler.params }
}

pub(super) struct Compiler {
    pub(super) dialect: Dialect,
    pub(super) params: Vec<SqlValue>,
    /// Values that stand before these in the statement.
    pub(super) before: usize,
}

/// How two things are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Number,
    Text,
    Bool,
    Moment,
}

impl Compiler {
    fn filter(&mut self, filter: &Filter) -> Result<String> {
        Ok(match filter {
            Filter::And(parts) => self.joined(parts, " AND ", "true")?,
            Filter::Or(parts) => self.joined(parts, " OR ", "false")?,
            // What is unknown does not hold, so its opposite does.
            Filter::Not(inner) => format!("NOT {}", self.filter(inner)?),
            Filter::Compare { field: Field::Tag, comparison, with } => self.tags(*comparison, with)?,
            Filter::Compare { field, comparison, with } => self.compare(field, *comparison, with)?,
            Filter::In { field, values, negated } => {
                let equal = |value: &Literal| Filter::Compare {
                    field: field.clone(),
                    comparison: Comparison::Equal,
                    with: Operand::Literal(value.clone()),
                };
                let parts: Vec<Filter> = values.iter().map(equal).collect();
                let any = self.joined(&parts, " OR ", "false")?;
                if *negated { format!("NOT {any}") } else { any }
            }
        })
    }

    fn joined(&mut self, parts: &[Filter], word: &str, empty: &str) -> Result<String> {
        if parts.is_empty() {
            return Ok(empty.to_owned());
        }
        let parts = parts.iter().map(|part| self.filter(part)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({})", parts.join(word)))
    }

    /// True or false, never unknown.
    fn compare(&mut self, field: &Field, comparison: Comparison, with: &Operand) -> Result<String> {
        let kind = kind_of(field, with)?;
        let left = self.as_kind(field, kind);
        let right = match with {
            Operand::Field(other) => self.as_kind(other, kind),
            Operand::Literal(literal) => self.literal(literal),
        };
        let test = match comparison {
            Comparison::Matches if self.dialect == Dialect::DuckDb => {
                format!("regexp_matches({left}, {right})")
            }
            Comparison::Matches => format!("{left} ~ {right}"),
            other => format!("{left} {} {right}", sign(other)),
        };
        // An experiment without the value differs from any value.
        Ok(format!("coalesce({test}, {})", comparison == Comparison::NotEqual))
    }

    /// Holds when it holds for one of the tags; `!=` when no tag is equal.
    fn tags(&mut self, comparison: Comparison, with: &Operand) -> Result<String> {
        let Operand::Literal(Literal::Text(tag)) = with else {
            return Err(invalid("tag is compared with a text between quotes".to_owned()));
        };
        let bound = self.bind(SqlValue::Text(tag.clone()));
        let contains = match self.dialect {
            Dialect::DuckDb => format!("list_contains(e.tags, {bound})"),
            Dialect::Postgres => format!("({bound} = ANY(e.tags))"),
        };
        match (comparison, self.dialect) {
            (Comparison::Equal, _) => Ok(contains),
            (Comparison::NotEqual, _) => Ok(format!("NOT {contains}")),
            (Comparison::Matches, Dialect::DuckDb) => Ok(format!(
                "(SELECT coalesce(bool_or(regexp_matches(t.tag, {bound})), false) FROM (SELECT unnest(e.tags) AS tag) t)"
            )),
            (Comparison::Matches, Dialect::Postgres) => {
                Ok(format!("EXISTS (SELECT 1 FROM unnest(e.tags) AS t(tag) WHERE t.tag ~ {bound})"))
            }
            _ => Err(invalid("tag is compared by =, !=, ~, in or not in".to_owned())),
        }
    }

    fn as_kind(&mut self, field: &Field, kind: Kind) -> String {
        match (field, kind) {
            (Field::Param(_) | Field::Metric(_), Kind::Number) => self.number(field),
            (Field::Param(_) | Field::Metric(_), _) => self.text(field),
            _ => self.value(field),
        }
    }

    /// A JSON value as a number; nothing where it is none.
    fn number(&mut self, field: &Field) -> String {
        let (object, name) = self.json(field);
        self.number_in(object, &name)
    }

    pub(super) fn number_in(&self, object: &str, name: &str) -> String {
        match self.dialect {
            // A text between quotes is no number: saying so first is twice as fast as trying.
            Dialect::DuckDb => {
                let value = format!("json_extract({object}, {name})::VARCHAR");
                format!("CASE WHEN NOT starts_with({value}, '\"') THEN TRY_CAST({value} AS DOUBLE) END")
            }
            Dialect::Postgres => format!(
                "CASE WHEN jsonb_typeof({object} -> {name}) = 'number' THEN ({object} ->> {name})::float8 END"
            ),
        }
    }

    /// A JSON value as text, without quotes.
    fn text(&mut self, field: &Field) -> String {
        let (object, name) = self.json(field);
        self.text_in(object, &name)
    }

    pub(super) fn text_in(&self, object: &str, name: &str) -> String {
        match self.dialect {
            Dialect::DuckDb => format!("json_extract_string({object}, {name})"),
            Dialect::Postgres => format!("({object} ->> {name})"),
        }
    }

    /// The same where [`Compiler::number_in`] is asked for as well: the object is searched once for both.
    pub(super) fn text_beside_number(&self, object: &str, name: &str) -> String {
        match self.dialect {
            Dialect::DuckDb => format!("json_extract_string(json_extract({object}, {name})::VARCHAR, '$')"),
            Dialect::Postgres => self.text_in(object, name),
        }
    }

    /// The column that holds a parameter or a metric, and its name there, bound.
    pub(super) fn json(&mut self, field: &Field) -> (&'static str, String) {
        let (object, name) = match field {
            Field::Param(name) => ("e.parameters", name),
            Field::Metric(name) => ("e.results", name),
            _ => ("e.results", &String::new()),
        };
        let path = match self.dialect {
            // A JSON pointer, so that no character of a name has a meaning.
            Dialect::DuckDb => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Dialect::Postgres => name.clone(),
        };
        (object, self.bind(SqlValue::Text(path)))
    }

    pub(super) fn value(&mut self, field: &Field) -> String {
        let column = match field {
            Field::Id => "id",
            Field::Name => "name",
            Field::Model => "model_type",
            Field::Dataset => "dataset",
            Field::Description => "description",
            Field::Status => "status",
            Field::Runner => "runner",
            Field::Seed => "seed",
            Field::Batch => "batch_id",
            Field::Attempt => "attempt",
            Field::Note => "note",
            Field::Created => "created_at",
            Field::Started => "started_at",
            Field::Finished => "finished_at",
            Field::Figure(figure) => figure.column(),
            Field::Tag => return "array_to_string(e.tags, ', ')".to_owned(),
            Field::Param(_) | Field::Metric(_) => return self.text(field),
            Field::Curve(aggregate, name) => return self.curve(*aggregate, name),
        };
        format!("e.{column}")
    }

    /// An aggregate over the points of the newest attempt.
    fn curve(&mut self, aggregate: Aggregate, name: &str) -> String {
        let bound = self.bind(SqlValue::Text(name.to_owned()));
        let of = format!(
            "FROM ml_schema.experiment_metrics m WHERE m.experiment_id = e.id AND m.attempt = e.attempt AND m.name = {bound}"
        );
        match extreme(aggregate, name) {
            Some(extreme) => format!("(SELECT {extreme}(m.value) {of})"),
            None => format!("(SELECT m.value {of} ORDER BY m.step DESC LIMIT 1)"),
        }
    }

    fn literal(&mut self, literal: &Literal) -> String {
        self.bind(match literal {
            Literal::Number(number) => SqlValue::Number(*number),
            Literal::Text(text) => SqlValue::Text(text.clone()),
            Literal::Bool(bool) => SqlValue::Text(bool.to_string()),
            Literal::Moment(at) => SqlValue::Moment(*at),
        })
    }

    /// A placeholder with its type, since an engine cannot always tell it from the context.
    pub(super) fn bind(&mut self, value: SqlValue) -> String {
        let kind = match (&value, self.dialect) {
            (SqlValue::Text(_), Dialect::DuckDb) => "VARCHAR",
            (SqlValue::Text(_), Dialect::Postgres) => "text",
            (SqlValue::Integer(_), _) => "bigint",
            (SqlValue::Number(_), Dialect::DuckDb) => "DOUBLE",
            (SqlValue::Number(_), Dialect::Postgres) => "float8",
            (SqlValue::Bool(_), _) => "boolean",
            (SqlValue::Moment(_), Dialect::DuckDb) => "TIMESTAMP",
            (SqlValue::Moment(_), Dialect::Postgres) => "timestamptz",
        };
        self.params.push(value);
        format!("${}::{kind}", self.before + self.params.len())
    }
}

/// The function whose value an aggregate of a curve is; none for its last point.
pub(super) fn extreme(aggregate: Aggregate, name: &str) -> Option<&'static str> {
    match aggregate {
        Aggregate::Last => None,
        Aggregate::Min => Some("min"),
        Aggregate::Max => Some("max"),
        Aggregate::Best => Some(if is_better_small(name) { "min" } else { "max" }),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Matches => "~",
    }
}

/// The kind a field has by itself; parameters and metrics take that of the other side.
pub(super) fn field_kind(field: &Field) -> Option<Kind> {
    match field {
        Field::Id | Field::Seed | Field::Batch | Field::Attempt | Field::Figure(_) | Field::Curve(..) => {
            Some(Kind::Number)
        }
        Field::Created | Field::Started | Field::Finished => Some(Kind::Moment),
        Field::Param(_) | Field::Metric(_) => None,
        _ => Some(Kind::Text),
    }
}

fn kind_of(field: &Field, with: &Operand) -> Result<Kind> {
    let left = field_kind(field);
    let right = match with {
        Operand::Field(other) => field_kind(other),
        Operand::Literal(Literal::Number(_)) => Some(Kind::Number),
        Operand::Literal(Literal::Text(_)) => Some(Kind::Text),
        Operand::Literal(Literal::Bool(_)) => Some(Kind::Bool),
        Operand::Literal(Literal::Moment(_)) => Some(Kind::Moment),
    };
    match (left, right) {
        (Some(left), Some(right)) if left == right => Ok(left),
        (None, Some(Kind::Moment)) => Err(invalid(format!("{field} is no time"))),
        (None, Some(kind)) | (Some(kind), None) => Ok(kind),
        (None, None) => Ok(Kind::Number),
        (Some(left), Some(_)) => {
            let wanted = match left {
                Kind::Number => "a number",
                Kind::Text => "a text between quotes",
                Kind::Bool => "true or false",
                Kind::Moment => "a time: 2026-01-31 or -7d",
            };
            Err(invalid(format!("{field} is compared with {wanted}")))
        }
    }
}

fn invalid(message: String) -> StoreError {
    // Said before any backend is asked; the experiment store is the one that would be.
    StoreError::new(ErrorKind::Invalid, Backend::DuckDb, "reading the filter", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(dialect: Dialect, text: &str) -> Result<Compiled> {
        let filter = Filter::parse(text, Timestamp::UNIX_EPOCH).unwrap();
        compile(
            dialect,
            &ExperimentQuery { filter: Some(filter), with_archived: true, ..ExperimentQuery::default() },
        )
    }

    #[test]
    fn values_and_names_are_bound() {
        let found = compiled(Dialect::Postgres, "params.`a'b` > 1 and name = 'x; DROP'").unwrap();
        assert!(!found.condition.contains("DROP") && !found.condition.contains("a'b"), "{}", found.condition);
        let texts = ["a'b", "a'b"].map(|text| SqlValue::Text(text.to_owned()));
        assert_eq!(found.params[0], texts[0]);
        assert_eq!(found.params.last(), Some(&SqlValue::Text("x; DROP".to_owned())));
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        for (text, words) in [
            ("accuracy = 'high'", "accuracy is compared with a number"),
            ("name > 3", "name is compared with a text"),
            ("created > 3", "created is compared with a time"),
            ("tag > 'a'", "tag is compared by"),
        ] {
            let error = compiled(Dialect::DuckDb, text).unwrap_err();
            assert!(error.message.contains(words), "{text}: {}", error.message);
        }
    }
}
