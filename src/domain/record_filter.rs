//! What is wrong with a filter in Chroma's language, said before it is sent anywhere.

use serde_json::{Map, Value};

use super::collection::RecordFilter;

/// Operators of a condition on metadata.
pub const OPERATORS: [&str; 12] =
    ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$and", "$or", "$contains", "$not_contains"];

/// Operators of a condition on texts.
pub const DOCUMENT_OPERATORS: [&str; 6] =
    ["$contains", "$not_contains", "$regex", "$not_regex", "$and", "$or"];

/// Whether every store can read the filter; an empty condition is none.
///
/// # Errors
/// In the user's words, beginning with the condition that is meant.
pub fn check(filter: &RecordFilter) -> Result<(), String> {
    let given =
        |filter: &Option<Map<String, Value>>| filter.clone().filter(|condition| !condition.is_empty());
    if let Some(condition) = given(&filter.r#where) {
        metadata(&condition).map_err(|problem| format!("where: {problem}"))?;
    }
    if let Some(condition) = given(&filter.where_document) {
        document(&condition).map_err(|problem| format!("where_document: {problem}"))?;
    }
    Ok(())
}

fn metadata(condition: &Map<String, Value>) -> Result<(), String> {
    let (key, value) = single(condition, "a condition")?;
    match (key, value) {
        ("$and" | "$or", parts) => each(key, parts, metadata),
        (operator, _) if operator.starts_with('$') => Err(unknown(operator, &OPERATORS)),
        ("#document" | "chroma:document", _) => {
            Err(format!("'{key}' is the text of a record: ask for it with where_document"))
        }
        (key, Value::Object(test)) => {
            let (operator, operand) = single(test, &format!("the condition on '{key}'"))?;
            if !operator.starts_with('$') {
                return Err(format!(
                    "'{operator}' of '{key}' is no operator, and metadata has no parts (operators: {})",
                    OPERATORS.join(" ")
                ));
            }
            compared(key, operator, operand)
        }
        (key, operand) => compared(key, "$eq", operand),
    }
}

fn compared(key: &str, operator: &str, operand: &Value) -> Result<(), String> {
    let plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let (fits, wanted) = match operator {
        "$gt" | "$gte" | "$lt" | "$lte" => (operand.is_number(), "a number"),
        "$in" | "$nin" => {
            let items = operand.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(plain));
            (items, "a list of texts, numbers or booleans that is not empty")
        }
        "$eq" | "$ne" | "$contains" | "$not_contains" => (plain(operand), "a text, a number or a boolean"),
        other => return Err(unknown(other, &OPERATORS)),
    };
    if !fits {
        return Err(format!("{operator} of '{key}' needs {wanted}"));
    }
    let operands = operand.as_array().map_or(std::slice::from_ref(operand), Vec::as_slice);
    of_one_kind(operands)
        .and_then(|()| operands.iter().try_for_each(in_range))
        .map_err(|problem| format!("{operator} of '{key}': {problem}"))
}

/// A list is of the kind of its first value; one of whole numbers takes no others.
fn of_one_kind(operands: &[Value]) -> Result<(), String> {
    let Some(first) = operands.first() else { return Ok(()) };
    let same = |other: &Value| match first {
        Value::Number(number) => other.is_number() && (number.is_f64() || !other.is_f64()),
        Value::String(_) => other.is_string(),
        _ => other.is_boolean(),
    };
    match operands.iter().find(|other| !same(other)) {
        None => Ok(()),
        Some(other) if first.is_number() && other.is_number() => Err(format!(
            "the list begins with the whole number {first} and also has {other}: write {first}.0"
        )),
        Some(other) => Err(format!("the list mixes kinds ({first} and {other}): join two with $or or $and")),
    }
}

fn in_range(operand: &Value) -> Result<(), String> {
    if operand.is_u64() && !operand.is_i64() {
        return Err(format!("{operand} is beyond the whole numbers that are kept (up to {})", i64::MAX));
    }
    Ok(())
}

fn document(condition: &Map<String, Value>) -> Result<(), String> {
    let (operator, operand) = single(condition, "a condition")?;
    match operator {
        "$and" | "$or" => each(operator, operand, document),
        "$contains" | "$not_contains" | "$regex" | "$not_regex" => match operand.as_str() {
            Some(text) if operator.ends_with("regex") => pattern(operator, text),
            Some(_) => Ok(()),
            None => Err(format!("{operator} needs a text")),
        },
        other => Err(unknown(other, &DOCUMENT_OPERATORS)),
    }
}

/// Stores read the same syntax, as far as they know it; what is merely large is for them to judge.
fn pattern(operator: &str, text: &str) -> Result<(), String> {
    match regex::Regex::new(text) {
        Err(regex::Error::Syntax(why)) => {
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(format!("{operator}: '{text}' is no regular expression: {why}"))
        }
        _ => Ok(()),
    }
}

fn each(
    operator: &str,
    parts: &Value,
    check: fn(&Map<String, Value>) -> Result<(), String>,
) -> Result<(), String> {
    let parts = parts.as_array().ok_or_else(|| format!("{operator} needs a list of conditions"))?;
    if parts.is_empty() {
        return Err(format!("{operator} needs a list of conditions, and its list is empty"));
    }
    parts.iter().zip(1..).try_for_each(|(part, number)| match part.as_object() {
        // Those within it name themselves.
        Some(part) => check(part).map_err(|problem| format!("{operator}, part {number}: {problem}")),
        None => Err(format!("{operator} needs a list of conditions, and its part {number} is {part}")),
    })
}

/// The only entry of `what`.
fn single<'a>(condition: &'a Map<String, Value>, what: &str) -> Result<(&'a str, &'a Value), String> {
    let mut entries = condition.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Ok((key, value)),
        (None, _) => Err(format!("{what} is empty")),
        (Some((one, _)), Some((other, _))) => Err(format!(
            r#"{what} has several keys ('{one}', '{other}'): join them as {{"$and": [{{…}}, {{…}}]}}"#
        )),
    }
}

fn unknown(operator: &str, known: &[&str]) -> String {
    format!("unknown operator '{operator}' (known: {})", known.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(condition: Value, texts: Value) -> Result<(), String> {
        let object = |value: Value| value.as_object().cloned();
        check(&RecordFilter { r#where: object(condition), where_document: object(texts) })
    }

    #[test]
    fn what_stores_take_passes() {
        for right in [
            json!({}),
            json!({ "rating": 5 }),
            json!({ "rating": { "$gte": 4.5 } }),
            json!({ "rating": { "$in": [4.5, 5] } }),
            json!({ "rating": { "$in": [1.0, 2.5] } }),
            json!({ "kind": { "$in": ["course", "note"] } }),
            json!({ "$and": [{ "rating": 5 }, { "$or": [{ "a": true }, { "b": { "$ne": "x" } }] }] }),
        ] {
            assert_eq!(checked(right.clone(), Value::Null), Ok(()), "{right}");
        }
        let texts = json!({ "$or": [{ "$contains": "bass" }, { "$not_regex": "^a" }] });
        assert_eq!(checked(Value::Null, texts), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, told) in [
            (json!({ "a": { "$near": 1 } }), "where: unknown operator '$near' (known: $eq $ne $gt"),
            (json!({ "$not": [] }), "where: unknown operator '$not'"),
            (json!({ "$or": [] }), "where: $or needs a list of conditions, and its list is empty"),
            (json!({ "$and": [{ "a": 1 }, {}] }), "where: $and, part 2: a condition is empty"),
            (json!({ "a": 1, "b": 2 }), "where: a condition has several keys ('a', 'b'): join them as"),
            (
                json!({ "a": { "$gt": 1, "$lt": 3 } }),
                "where: the condition on 'a' has several keys ('$gt', '$lt')",
            ),
            (json!({ "a": { "b": 1 } }), "where: 'b' of 'a' is no operator, and metadata has no parts"),
            (json!({ "a": { "$in": [1, "x"] } }), "where: $in of 'a': the list mixes kinds (1 and \"x\")"),
            (json!({ "a": { "$nin": [true, 1] } }), "where: $nin of 'a': the list mixes kinds (true and 1)"),
            (
                json!({ "a": { "$in": [1, 2.5] } }),
                "where: $in of 'a': the list begins with the whole number 1",
            ),
            (json!({ "a": { "$in": [1, u64::MAX] } }), "where: $in of 'a': 18446744073709551615 is beyond"),
            (json!({ "a": u64::MAX }), "where: $eq of 'a': 18446744073709551615 is beyond"),
            (json!({ "#document": { "$contains": "x" } }), "where: '#document' is the text of a record"),
            (json!({ "a": { "$gt": "x" } }), "where: $gt of 'a' needs a number"),
            (json!({ "a": { "$in": [] } }), "where: $in of 'a' needs a list"),
            (json!({ "a": null }), "where: $eq of 'a' needs a text"),
            (json!({ "$and": [7] }), "where: $and needs a list of conditions"),
            (json!({ "a": {} }), "where: the condition on 'a' is empty"),
        ] {
            let problem = checked(wrong.clone(), Value::Null).unwrap_err();
            assert!(problem.starts_with(told), "{wrong}: {problem}");
        }
        let problem = checked(Value::Null, json!({ "$eq": "x" })).unwrap_err();
        assert!(problem.starts_with("where_document: unknown operator '$eq' (known: $contains"), "{problem}");
        assert!(checked(Value::Null, json!({ "$contains": 7 })).unwrap_err().ends_with("needs a text"));
        let problem = checked(Value::Null, json!({ "$or": [{ "$contains": "(" }, { "$not_regex": "a(" }] }));
        let told = "where_document: $or, part 2: $not_regex: 'a(' is no regular expression: unclosed group";
        assert_eq!(problem, Err(told.to_owned()));
    }
}
