//! Chroma's filter language as SQL over the embedded records: same operators, same strictness, same answers.

use duckdb::types::Value as DuckValue;
use serde_json::{Map, Number, Value};

use crate::domain::collection::RecordFilter;

const KNOWN: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $contains, $not_contains, $and, $or";
const KNOWN_DOCUMENT: &str = "$contains, $not_contains, $regex, $not_regex, $and, $or";

/// The condition that every record fits.
pub const ALL: &str = "true";

/// A condition with its bound values.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    pub sql: String,
    pub values: Vec<DuckValue>,
}

/// The condition of a filter over `metadata` and `document`; or what is wrong with it. An empty filter is none.
pub fn compile(filter: &RecordFilter) -> Result<Condition, String> {
    let mut condition = Condition::default();
    let mut parts = Vec::new();
    if let Some(filter) = given(&filter.r#where) {
        parts.push(metadata(filter, &mut condition.values)?);
    }
    if let Some(filter) = given(&filter.where_document) {
        parts.push(document(filter, &mut condition.values)?);
    }
    condition.sql = if parts.is_empty() { ALL.to_owned() } else { parts.join(" AND ") };
    Ok(condition)
}

fn given(filter: &Option<Map<String, Value>>) -> Option<&Map<String, Value>> {
    filter.as_ref().filter(|filter| !filter.is_empty())
}

fn metadata(filter: &Map<String, Value>, values: &mut Vec<DuckValue>) -> Result<String, String> {
    let (key, value) = single(filter, "where")?;
    if key == "$and" || key == "$or" {
        return combined(key, value, |inner| metadata(inner, values));
    }
    if key.starts_with('$') {
        return Err(format!("unknown operator {key} (known: {KNOWN})"));
    }
    match value {
        Value::Object(test) => {
            let (operator, operand) = single(test, key)?;
            compare(key, operator, operand, values)
        }
        plain => compare(key, "$eq", plain, values),
    }
}

fn compare(
    key: &str,
    operator: &str,
    operand: &Value,
    values: &mut Vec<DuckValue>,
) -> Result<String, String> {
    match operator {
        "$eq" => equal(key, operand, values),
        "$ne" => Ok(format!("NOT {}", equal(key, operand, values)?)),
        "$in" | "$nin" => {
            let items = operand.as_array().filter(|items| !items.is_empty());
            let items =
                items.ok_or_else(|| format!("{operator} of `{key}` needs a list that is not empty"))?;
            // As the server reads them: what begins with a float is a list of floats.
            let fits =
                |item: &Value| kind(item) == kind(&items[0]) || (items[0].is_f64() && item.is_number());
            if !items.iter().all(fits) {
                return Err(format!("{operator} of `{key}` needs values of one kind"));
            }
            let parts = items.iter().map(|item| equal(key, item, values)).collect::<Result<Vec<_>, _>>()?;
            let any = format!("({})", parts.join(" OR "));
            Ok(if operator == "$in" { any } else { format!("NOT {any}") })
        }
        "$gt" | "$gte" | "$lt" | "$lte" => {
            let Value::Number(number) = operand else {
                return Err(format!("{operator} of `{key}` needs a number"));
            };
            let sign = match operator {
                "$gt" => ">",
                "$gte" => ">=",
                "$lt" => "<",
                _ => "<=",
            };
            Ok(numeric(key, sign, number, values))
        }
        "$contains" | "$not_contains" => {
            if kind(operand) == Kind::Other {
                return Err(format!("{operator} of `{key}` needs a text, a number or a boolean"));
            }
            let extracted = extract(key, values);
            values.push(DuckValue::Text(operand.to_string()));
            let holds = format!(
                "coalesce(json_contains({extracted}, ?::JSON) AND json_type({extracted_again}) = 'ARRAY', false)",
                extracted_again = extract(key, values)
            );
            Ok(if operator == "$contains" { holds } else { format!("NOT {holds}") })
        }
        other => Err(format!("unknown operator {other} (known: {KNOWN})")),
    }
}

/// Equal in kind and value; a record without the key is not equal.
fn equal(key: &str, operand: &Value, values: &mut Vec<DuckValue>) -> Result<String, String> {
    match operand {
        Value::String(text) => {
            let extracted = extract(key, values);
            values.push(DuckValue::Text(Value::String(text.clone()).to_string()));
            Ok(format!("coalesce({extracted}::VARCHAR = ?::JSON::VARCHAR, false)"))
        }
        Value::Bool(bool) => {
            let extracted = extract(key, values);
            values.push(DuckValue::Text(bool.to_string()));
            Ok(format!("coalesce({extracted}::VARCHAR = ?, false)"))
        }
        Value::Number(number) => Ok(numeric(key, "=", number, values)),
        _ => Err(format!("`{key}` can be compared with a text, a number or a boolean")),
    }
}

/// The value of a key as JSON. The key is bound, never spliced in.
fn extract(key: &str, values: &mut Vec<DuckValue>) -> String {
    let escaped = key.replace('~', "~0").replace('/', "~1");
    values.push(DuckValue::Text(format!("/{escaped}")));
    "json_extract(metadata, ?)".to_owned()
}

/// From here on neighbouring integers are one and the same as DOUBLE.
const EXACT: u128 = 1 << 53;

/// A comparison of numbers, exact for integers however large. Texts and booleans are no numbers, whatever they spell.
fn numeric(key: &str, sign: &str, operand: &Number, values: &mut Vec<DuckValue>) -> String {
    let float = operand.as_f64().unwrap_or(f64::NAN);
    let large = operand.as_i128().or_else(|| whole(float)).filter(|whole| whole.unsigned_abs() >= EXACT);
    let Some(large) = large else { return as_double(key, sign, float, values) };
    let kind = extract(key, values);
    let integer = extract(key, values);
    let otherwise = as_double(key, sign, float, values);
    format!(
        "CASE WHEN json_type({kind}) IN ('BIGINT', 'UBIGINT')
              THEN coalesce(TRY_CAST({integer}::VARCHAR AS HUGEINT) {sign} '{large}'::HUGEINT, false)
              ELSE {otherwise} END"
    )
}

/// The integer that a float stands for, where a HUGEINT can hold it.
fn whole(float: f64) -> Option<i128> {
    (float.fract() == 0.0 && float.abs() < 1e38).then_some(float as i128)
}

/// Numbers of JSON are written without quotes; texts and booleans do not become numbers.
fn as_double(key: &str, sign: &str, float: f64, values: &mut Vec<DuckValue>) -> String {
    let extracted = extract(key, values);
    values.push(DuckValue::Double(float));
    format!("coalesce(TRY_CAST({extracted}::VARCHAR AS DOUBLE) {sign} ?, false)")
}

fn document(filter: &Map<String, Value>, values: &mut Vec<DuckValue>) -> Result<String, String> {
    let (operator, operand) = single(filter, "where_document")?;
    if operator == "$and" || operator == "$or" {
        return combined(operator, operand, |inner| document(inner, values));
    }
    let test = match operator {
        "$contains" | "$not_contains" => "contains(document, ?)",
        "$regex" | "$not_regex" => "regexp_matches(document, ?)",
        other => return Err(format!("unknown operator {other} (known: {KNOWN_DOCUMENT})")),
    };
    let text = operand.as_str().ok_or_else(|| format!("{operator} needs a text"))?;
    values.push(DuckValue::Text(text.to_owned()));
    let holds = format!("coalesce({test}, false)");
    Ok(if operator.starts_with("$not") { format!("NOT {holds}") } else { holds })
}

fn combined(
    operator: &str,
    parts: &Value,
    mut compile: impl FnMut(&Map<String, Value>) -> Result<String, String>,
) -> Result<String, String> {
    let parts = parts.as_array().ok_or_else(|| format!("{operator} needs a list of filters"))?;
    // All of none holds, any of none does not.
    if parts.is_empty() {
        return Ok((operator == "$and").to_string());
    }
    let parts = parts
        .iter()
        .map(|part| compile(part.as_object().ok_or_else(|| format!("{operator} needs a list of filters"))?))
        .collect::<Result<Vec<_>, _>>()?;
    let word = if operator == "$and" { " AND " } else { " OR " };
    Ok(format!("({})", parts.join(word)))
}

fn single<'a>(filter: &'a Map<String, Value>, what: &str) -> Result<(&'a str, &'a Value), String> {
    let mut entries = filter.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Ok((key, value)),
        (None, _) => Err(format!("the filter of {what} is empty: leave it out instead")),
        _ => Err(format!("the filter of {what} has several keys: put them into {{\"$and\": [...]}}")),
    }
}

/// What a list of operands must have in common; a comparison minds no difference between integers and floats.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Bool,
    Integer,
    Float,
    Other,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::String(_) => Kind::Text,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_f64() => Kind::Float,
        Value::Number(_) => Kind::Integer,
        _ => Kind::Other,
    }
}
