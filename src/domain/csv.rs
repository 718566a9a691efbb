//! Comma-separated values as RFC 4180 has them.

use serde_json::Value;

/// One record, ended by a line feed. Null is an empty field; lists and objects are their JSON.
pub fn record<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let fields: Vec<String> = values.into_iter().map(|value| field(&plain(value))).collect();
    fields.join(",") + "\n"
}

/// The text of a value without quotes: what a person would type.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_quoted_only_where_they_must_be() {
        let values = [json!("a,b"), json!("say \"hi\"\n"), json!(null), json!(0.5), json!(["x"])];
        assert_eq!(record(&values), "\"a,b\",\"say \"\"hi\"\"\n\",,0.5,\"[\"\"x\"\"]\"\n");
    }
}
