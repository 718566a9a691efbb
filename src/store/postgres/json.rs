//! JSON and text on their way into PostgreSQL, which refuses the character NUL.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Text columns and jsonb refuse NUL: it becomes the six characters `\u0000`, as JSON writes it.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\\u0000")) } else { Cow::Borrowed(text) }
}

/// As [`text`], for what may be missing.
pub(super) fn optional(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.map(text)
}

/// As [`text`], for lists.
pub(super) fn texts(values: &[String]) -> Vec<Cow<'_, str>> {
    values.iter().map(|value| text(value)).collect()
}

/// An object with every key and text in it as [`text`] makes them.
pub(super) fn object(map: &Map<String, Value>) -> Value {
    Value::Object(map.iter().map(|(key, value)| (text(key).into_owned(), clean(value))).collect())
}

fn clean(value: &Value) -> Value {
    match value {
        Value::String(content) => Value::String(text(content).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(clean).collect()),
        Value::Object(map) => object(map),
        plain => plain.clone(),
    }
}

/// What a jsonb column holds, as an object: foreign SQL may have put anything there.
pub(super) fn as_object(value: Option<Value>) -> Map<String, Value> {
    match value {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(map)) => map,
        Some(other) => Map::from_iter([("value".to_owned(), other)]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_escaped_wherever_it_stands_and_the_rest_is_kept() {
        let Value::Object(map) = json!({"a\0": ["x\0y", {"k\0": 1}], "plain": 2.5}) else { unreachable!() };
        assert_eq!(object(&map), json!({"a\\u0000": ["x\\u0000y", {"k\\u0000": 1}], "plain": 2.5}));
        assert!(matches!(text("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_no_object_is_shown_as_one() {
        assert_eq!(Value::Object(as_object(Some(json!([1, 2])))), json!({"value": [1, 2]}));
        assert!(as_object(None).is_empty() && as_object(Some(Value::Null)).is_empty());
    }
}
