//! Filters said so that Chroma means the same as everybody else.
//!
//! It compares a number with a point to whole ones by leaving off what stands behind the point: `{"n": 2.5}` finds 2 as well,
//! and `{"n": {"$lt": 2.5}}` does not (seen on 1.5.9, for every operator). What is said here in more words is true wherever
//! numbers are compared as numbers.

use serde_json::{Map, Value, json};

/// The same filter on metadata without comparisons that the server gets wrong.
pub(super) fn exact(filter: &Map<String, Value>) -> Map<String, Value> {
    match single(filter) {
        Some((operator @ ("$and" | "$or"), Value::Array(parts))) => {
            let parts = parts.iter().map(|part| match part.as_object() {
                Some(part) => Value::Object(exact(part)),
                // The server says what is wrong with it.
                None => part.clone(),
            });
            Map::from_iter([(operator.to_owned(), parts.collect())])
        }
        Some((key, condition)) => comparison(key, condition).unwrap_or_else(|| filter.clone()),
        None => filter.clone(),
    }
}

fn single(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = object.iter();
    let first = entries.next()?;
    entries.next().is_none().then_some((first.0.as_str(), first.1))
}

/// None where nothing is wrong with it.
fn comparison(key: &str, condition: &Value) -> Option<Map<String, Value>> {
    let (operator, operand) = match condition {
        Value::Object(condition) => single(condition)?,
        value => ("$eq", value),
    };
    let said = json!({ key: { operator: operand } });
    let whole = match operand {
        Value::Array(items) => {
            let cut = items.iter().filter_map(whole_part);
            // What is asked for by itself stays.
            let cut: Vec<Value> = cut.filter(|whole| !items.iter().any(|item| equal(item, whole))).collect();
            (!cut.is_empty()).then_some(Value::Array(cut))?
        }
        value => whole_part(value)?,
    };
    let negative = operand.as_f64().is_some_and(|value| value < 0.0);
    let (but, or) = match operator {
        "$eq" => (Some("$ne"), None),
        "$ne" => (None, Some("$eq")),
        "$in" => (Some("$nin"), None),
        "$nin" => (None, Some("$in")),
        // Cut off, a positive number becomes smaller and a negative one larger.
        "$gt" if negative => (None, Some("$eq")),
        "$gte" if !negative => (Some("$ne"), None),
        "$lt" if !negative => (None, Some("$eq")),
        "$lte" if negative => (Some("$ne"), None),
        _ => return None,
    };
    let joined = |join: &str, operator: &str| json!({ join: [said, { key: { operator: whole } }] });
    let joined = match (but, or) {
        (Some(but), _) => joined("$and", but),
        (None, Some(or)) => joined("$or", or),
        (None, None) => return None,
    };
    joined.as_object().cloned()
}

/// The whole number that the server would compare with, of one with something behind its point.
fn whole_part(value: &Value) -> Option<Value> {
    let number = value.as_f64().filter(|number| value.is_f64() && number.fract() != 0.0)?;
    // Beyond 2^53 nothing is behind the point.
    Some(json!(number.trunc() as i64))
}

fn equal(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(filter: Value) -> Value {
        Value::Object(exact(filter.as_object().unwrap()))
    }

    #[test]
    fn what_is_right_stays_as_it_is() {
        for right in [
            json!({}),
            json!({ "n": 2 }),
            json!({ "n": 2.0 }),
            json!({ "n": "2.5" }),
            json!({ "n": { "$gt": 2.5 } }),
            json!({ "n": { "$lte": 2.5 } }),
            json!({ "n": { "$lt": -2.5 } }),
            json!({ "n": { "$gte": -2.5 } }),
            json!({ "n": { "$in": [1, 2] } }),
            json!({ "$and": [{ "n": 1 }, 7] }),
            json!({ "n": { "$like": "x" } }),
            json!({ "a": 1, "b": 2.5 }),
        ] {
            assert_eq!(exactly(right.clone()), right);
        }
    }

    #[test]
    fn whole_numbers_are_told_apart_from_those_with_a_point() {
        let (n, cut) = (|value: Value| json!({ "n": value }), |value: Value| json!({ "n": value }));
        for (said, join, also) in [
            (n(json!({ "$eq": 2.5 })), "$and", cut(json!({ "$ne": 2 }))),
            (n(json!({ "$ne": -0.5 })), "$or", cut(json!({ "$eq": 0 }))),
            (n(json!({ "$gte": 2.5 })), "$and", cut(json!({ "$ne": 2 }))),
            (n(json!({ "$gt": -2.5 })), "$or", cut(json!({ "$eq": -2 }))),
            (n(json!({ "$lt": 0.5 })), "$or", cut(json!({ "$eq": 0 }))),
            (n(json!({ "$lte": -0.5 })), "$and", cut(json!({ "$ne": 0 }))),
            (n(json!({ "$in": [2.0, 2.5, 3.5] })), "$and", cut(json!({ "$nin": [3] }))),
            (n(json!({ "$nin": [2.5] })), "$or", cut(json!({ "$in": [2] }))),
        ] {
            assert_eq!(exactly(said.clone()), json!({ join: [said, also] }));
        }
        assert_eq!(exactly(json!({ "n": 2.5 })), exactly(json!({ "n": { "$eq": 2.5 } })));
        let nested = json!({ "$or": [{ "n": 1 }, { "$and": [{ "n": { "$lt": 2.5 } }] }] });
        assert_eq!(
            exactly(nested),
            json!({ "$or": [{ "n": 1 }, { "$and": [{ "$or": [{ "n": { "$lt": 2.5 } }, { "n": { "$eq": 2 } }] }] }] })
        );
    }
}
