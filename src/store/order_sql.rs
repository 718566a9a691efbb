//! Orders and places in them as SQL with bound values, for both engines.

use crate::domain::filter::Field;
use crate::domain::window::{Key, SortValue};

use super::experiments::Sort;
use super::filter_sql::{Compiler, Dialect, Kind, SqlValue, extreme, field_kind};

/// The SQL for a run that came to a bad end.
const FAILED: &str = "(e.status IN ('failed', 'cancelled', 'interrupted'))";

/// What a value of the order is when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing but the id counts.
    Id,
    Integer,
    Number,
    Text,
    Moment,
    /// A number, or a text beside it.
    Json,
}

/// An order over `ml_schema.experiments e`: its expressions, and what they bind.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub reads: Reads,
    pub params: Vec<SqlValue>,
    dialect: Dialect,
    descending: bool,
    /// How many values stand before these in the statement.
    before: usize,
    failed: &'static str,
    value: String,
    words: String,
    curve: Option<Curve>,
}

/// A value that is read from all curves at once.
#[derive(Clone, Debug, PartialEq)]
struct Curve {
    value: String,
    name: String,
}

impl Order {
    /// `before` values are bound already.
    pub fn new(dialect: Dialect, sort: &Sort, before: usize) -> Self {
        let mut compiler = Compiler { dialect, params: Vec::new(), before };
        let reads = reads(&sort.field);
        let none = || "NULL".to_owned();
        let curve = curve(&mut compiler, &sort.field);
        let (value, words) = match reads {
            Reads::Id => (none(), none()),
            // Parameters and metrics may be numbers or texts: numbers first, in their own order.
            Reads::Json => {
                let (object, name) = compiler.json(&sort.field);
                let number = compiler.number_in(object, &name);
                let text = collated(dialect, &compiler.text_beside_number(object, &name));
                let words = format!("CASE WHEN {number} IS NULL THEN nullif({text}, '') END");
                (number, words)
            }
            // An empty text is an empty value.
            Reads::Text => {
                let text = beginning(dialect, compiler.value(&sort.field));
                (format!("nullif({}, '')", collated(dialect, &text)), none())
            }
            Reads::Integer => (format!("{}::bigint", compiler.value(&sort.field)), none()),
            // A curve may have broken off in NaN, which is no value to be ahead by.
            Reads::Number if curve.is_some() => ("nullif(c.value, 'NaN')".to_owned(), none()),
            Reads::Number => (format!("nullif({}, 'NaN')", compiler.value(&sort.field)), none()),
            Reads::Moment => (compiler.value(&sort.field), none()),
        };
        let failed = if reads == Reads::Id { "false" } else { FAILED };
        let params = compiler.params;
        Order { reads, params, dialect, descending: sort.descending, before, failed, value, words, curve }
    }

    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// The tables of the rows: experiments `e` and what the order needs beside them, of all or of a list of ids.
    pub fn tables(&self, ids: Option<&str>) -> String {
        let experiments = "ml_schema.experiments e";
        let Some(Curve { value, name }) = &self.curve else { return experiments.to_owned() };
        let of = ids.map(|ids| format!(" AND m.experiment_id IN ({ids})")).unwrap_or_default();
        format!(
            // No name that an experiment has as well: its columns are asked for without a table.
            "{experiments} LEFT JOIN (SELECT m.experiment_id AS of_id, m.attempt AS of_attempt, {value} AS value \
             FROM ml_schema.experiment_metrics m WHERE m.name = {name}{of} \
             GROUP BY m.experiment_id, m.attempt) c \
             ON c.of_id = e.id AND c.of_attempt = e.attempt"
        )
    }

    /// The key of a row as columns `failed`, `value` and `words`, to order by.
    pub fn columns(&self) -> String {
        format!("{} AS failed, {} AS value, {} AS words", self.failed, self.value, self.words)
    }

    /// The same with names that no column of an experiment has, to be read.
    pub fn read_columns(&self) -> String {
        let value = match (self.reads, self.dialect) {
            (Reads::Moment, Dialect::DuckDb) => format!("epoch_us({})", self.value),
            _ => self.value.clone(),
        };
        format!("{} AS key_failed, {value} AS key_value, {} AS key_words", self.failed, self.words)
    }

    /// An ORDER BY list over a table `k` that has an id and [`Order::columns`]; or the same from the end.
    pub fn list(&self, backwards: bool) -> String {
        let flip = |descending: bool| if descending == backwards { "ASC" } else { "DESC" };
        let own = flip(self.descending);
        let nulls = if backwards { "FIRST" } else { "LAST" };
        let newest = flip(true);
        let by_value = format!("k.failed {}, k.value {own} NULLS {nulls}", flip(false));
        match self.reads {
            Reads::Id => format!("k.id {own}"),
            Reads::Json => format!("{by_value}, k.words {own} NULLS {nulls}, k.id {newest}"),
            _ => format!("{by_value}, k.id {newest}"),
        }
    }

    /// The same without the id at its end: rows of equal values in any order. Not for values in JSON.
    pub fn list_of_values(&self, backwards: bool) -> String {
        let (failed, value) = if backwards {
            ("DESC", if self.descending { "ASC NULLS FIRST" } else { "DESC NULLS FIRST" })
        } else {
            ("ASC", if self.descending { "DESC NULLS LAST" } else { "ASC NULLS LAST" })
        };
        format!("k.failed {failed}, k.value {value}")
    }

    /// An ORDER BY list for rows that differ in nothing but their id; see [`Order::list`].
    pub fn list_of_equals(backwards: bool) -> &'static str {
        if backwards { "k.id ASC" } else { "k.id DESC" }
    }

    /// Holds for the rows of `k` that are equal to a key but for their id. Binds behind [`Order::params`].
    pub fn like(&mut self, key: &Key) -> String {
        let side = if key.failed { "k.failed" } else { "NOT k.failed" };
        match &key.value {
            None => format!("{side} AND k.value IS NULL"),
            Some(value) => {
                let value = self.bind(bound(value));
                format!("{side} AND k.value = {value}")
            }
        }
    }

    /// Holds for the rows of `k` that come after a key, or before it. Binds behind [`Order::params`].
    pub fn beyond(&mut self, key: &Key, after: bool) -> String {
        let mut path = Path { same: Vec::new(), cases: Vec::new() };
        if self.reads == Reads::Id {
            let id = self.bind(SqlValue::Integer(key.id));
            return format!("k.id {} {id}", if self.descending == after { "<" } else { ">" });
        }
        let sides = ["NOT k.failed".to_owned(), "k.failed".to_owned()];
        let beyond = (key.failed != after).then(|| sides[usize::from(after)].clone());
        path.step(beyond, sides[usize::from(key.failed)].clone());
        let (value, words) = match (&key.value, self.reads) {
            (Some(SortValue::Text(text)), Reads::Json) => (None, Some(SqlValue::Text(text.clone()))),
            (value, _) => (value.as_ref().map(bound), None),
        };
        let has_words = self.reads == Reads::Json && value.is_none();
        self.value_step(&mut path, "k.value", value, after);
        if has_words {
            self.value_step(&mut path, "k.words", words, after);
        }
        let id = self.bind(SqlValue::Integer(key.id));
        path.step(Some(format!("k.id {} {id}", if after { "<" } else { ">" })), String::new());
        format!("({})", path.cases.join(" OR "))
    }

    /// The rows after a key (before it with `backwards`; its own as well if asked for), or all of them, as stretches that
    /// follow one another: conditions on `k`, and ORDER BY lists of their own. An index on failed, value and id has each
    /// stretch in one piece. Not for orders by values in JSON, which have two columns. Binds behind [`Order::params`].
    pub fn stretches(&mut self, from: Option<(&Key, bool)>, backwards: bool) -> Vec<(String, String)> {
        let id_sign = if backwards { ">" } else { "<" };
        // Equal rows, the newest first; a row without a value stands among its like as an equal one does.
        let by_id = if backwards {
            "k.value ASC NULLS FIRST, k.id ASC"
        } else {
            "k.value DESC NULLS LAST, k.id DESC"
        };
        let id_way = if backwards { "ASC" } else { "DESC" };
        let is_falling = self.descending != backwards;
        let by_value = match is_falling {
            true => format!("k.value DESC NULLS LAST, k.id {id_way}"),
            false => format!("k.value ASC NULLS FIRST, k.id {id_way}"),
        };
        // IS FALSE and not NOT, which would be turned into a condition that the index does not know.
        let side = |failed: bool| if failed { "k.failed IS TRUE" } else { "k.failed IS FALSE" };
        let mut stretches = Vec::new();
        let mut first = None;
        if let Some((key, inclusive)) = from {
            let id = self.bind(SqlValue::Integer(key.id));
            let beyond_id = format!("k.id {id_sign}{} {id}", if inclusive { "=" } else { "" });
            let side = side(key.failed);
            match &key.value {
                None => {
                    stretches.push((format!("{side} AND k.value IS NULL AND {beyond_id}"), by_id.to_owned()))
                }
                Some(value) => {
                    let value = self.bind(bound(value));
                    let value_sign = if is_falling { "<" } else { ">" };
                    stretches
                        .push((format!("{side} AND k.value = {value} AND {beyond_id}"), by_id.to_owned()));
                    stretches.push((format!("{side} AND k.value {value_sign} {value}"), by_value.clone()));
                }
            }
            first = Some((key.failed, key.value.is_none()));
        }
        let mut parts = [(false, false), (false, true), (true, false), (true, true)];
        if backwards {
            parts.reverse();
        }
        let behind = first.and_then(|first| parts.iter().position(|part| *part == first));
        for (failed, is_empty) in &parts[behind.map_or(0, |place| place + 1)..] {
            let side = side(*failed);
            stretches.push(match is_empty {
                true => (format!("{side} AND k.value IS NULL"), by_id.to_owned()),
                false => (format!("{side} AND k.value IS NOT NULL"), by_value.clone()),
            });
        }
        stretches
    }

    fn value_step(&mut self, path: &mut Path, column: &str, value: Option<SqlValue>, after: bool) {
        let Some(value) = value else {
            let beyond = (!after).then(|| format!("{column} IS NOT NULL"));
            return path.step(beyond, format!("{column} IS NULL"));
        };
        let bound = self.bind(value);
        let sign = if self.descending == after { "<" } else { ">" };
        let beyond = if after {
            format!("({column} {sign} {bound} OR {column} IS NULL)")
        } else {
            format!("{column} {sign} {bound}")
        };
        path.step(Some(beyond), format!("{column} = {bound}"));
    }

    fn bind(&mut self, value: SqlValue) -> String {
        let params = std::mem::take(&mut self.params);
        let mut compiler = Compiler { dialect: self.dialect, params, before: self.before };
        let place = compiler.bind(value);
        self.params = compiler.params;
        place
    }
}

/// Cases of "beyond a key", one for each part of the key, each among rows whose parts before it are the same.
struct Path {
    same: Vec<String>,
    cases: Vec<String>,
}

impl Path {
    fn step(&mut self, beyond: Option<String>, same: String) {
        if let Some(beyond) = beyond {
            let parts: Vec<&str> = self.same.iter().map(String::as_str).chain([beyond.as_str()]).collect();
            self.cases.push(format!("({})", parts.join(" AND ")));
        }
        self.same.push(same);
    }
}

/// Looking each curve up by itself takes three times as long as reading them all.
fn curve(compiler: &mut Compiler, field: &Field) -> Option<Curve> {
    let Field::Curve(aggregate, name) = field else { return None };
    let value = match (extreme(*aggregate, name), compiler.dialect) {
        (Some(extreme), _) => format!("{extreme}(m.value)"),
        (None, Dialect::DuckDb) => "arg_max(m.value, m.step)".to_owned(),
        (None, Dialect::Postgres) => "(array_agg(m.value ORDER BY m.step DESC))[1]".to_owned(),
    };
    Some(Curve { value, name: compiler.bind(SqlValue::Text(name.clone())) })
}

fn reads(field: &Field) -> Reads {
    match (field, field_kind(field)) {
        (Field::Id, _) => Reads::Id,
        (Field::Seed | Field::Batch | Field::Attempt, _) => Reads::Integer,
        (_, None) => Reads::Json,
        (_, Some(Kind::Number)) => Reads::Number,
        (_, Some(Kind::Moment)) => Reads::Moment,
        (_, Some(Kind::Text | Kind::Bool)) => Reads::Text,
    }
}

/// As much of a text as it is ordered by: a row of a PostgreSQL index holds 2,704 bytes.
fn beginning(dialect: Dialect, text: String) -> String {
    match dialect {
        Dialect::DuckDb => text,
        Dialect::Postgres => format!("left({text}, 500)"),
    }
}

/// Texts are ordered by their bytes on both engines.
fn collated(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::DuckDb => text.to_owned(),
        Dialect::Postgres => format!("({text} COLLATE \"C\")"),
    }
}

fn bound(value: &SortValue) -> SqlValue {
    match value {
        SortValue::Integer(number) => SqlValue::Integer(*number),
        SortValue::Number(number) => SqlValue::Number(*number),
        SortValue::Text(text) => SqlValue::Text(text.clone()),
        SortValue::Moment(at) => SqlValue::Moment(*at),
    }
}
