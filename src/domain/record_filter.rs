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
    let (key, value) = single(condition)?;
    match (key, value) {
        ("$and" | "$or", parts) => each(key, parts, metadata),
        (operator, _) if operator.starts_with('$') => Err(unknown(operator, &OPERATORS)),
        (key, Value::Object(test)) => {
            let (operator, operand) = single(test)?;
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
    if fits { Ok(()) } else { Err(format!("{operator} of '{key}' needs {wanted}")) }
}

fn document(condition: &Map<String, Value>) -> Result<(), String> {
    let (operator, operand) = single(condition)?;
    match operator {
        "$and" | "$or" => each(operator, operand, document),
        "$contains" | "$not_contains" | "$regex" | "$not_regex" if operand.is_string() => Ok(()),
        "$contains" | "$not_contains" | "$regex" | "$not_regex" => Err(format!("{operator} needs a text")),
        other => Err(unknown(other, &DOCUMENT_OPERATORS)),
    }
}

fn each(
    operator: &str,
    parts: &Value,
    check: fn(&Map<String, Value>) -> Result<(), String>,
) -> Result<(), String> {
    let parts = parts.as_array().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| format!("{operator} needs a list of conditions"))?;
    parts.iter().try_for_each(|part| match part.as_object() {
        Some(part) => check(part),
        None => Err(format!("{operator} needs a list of conditions")),
    })
}

fn single(condition: &Map<String, Value>) -> Result<(&str, &Value), String> {
    let mut entries = condition.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Ok((key, value)),
        (None, _) => Err("a condition is empty".to_owned()),
        _ => Err(r#"several keys: join them as {"$and": [{…}, {…}]}"#.to_owned()),
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
            (json!({ "a": 1, "b": 2 }), "where: several keys: join them as"),
            (json!({ "a": { "$gt": "x" } }), "where: $gt of 'a' needs a number"),
            (json!({ "a": { "$in": [] } }), "where: $in of 'a' needs a list"),
            (json!({ "a": null }), "where: $eq of 'a' needs a text"),
            (json!({ "$and": [7] }), "where: $and needs a list of conditions"),
            (json!({ "a": {} }), "where: a condition is empty"),
        ] {
            let problem = checked(wrong.clone(), Value::Null).unwrap_err();
            assert!(problem.starts_with(told), "{wrong}: {problem}");
        }
        let problem = checked(Value::Null, json!({ "$eq": "x" })).unwrap_err();
        assert!(problem.starts_with("where_document: unknown operator '$eq' (known: $contains"), "{problem}");
        assert!(checked(Value::Null, json!({ "$contains": 7 })).unwrap_err().ends_with("needs a text"));
    }
}
