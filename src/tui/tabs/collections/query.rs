//! A question to a collection as it is typed: a text, and a condition in Chroma's filter language behind ` where `.

use serde_json::{Map, Value};

/// `good sound where {"rating": 5}`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub text: String,
    pub filter: Option<Map<String, Value>>,
}

/// Reads the line. A `where` that no brace follows is part of the text.
///
/// # Errors
/// In the user's words, when the condition is no JSON object or there is no text before it.
pub(super) fn parse(line: &str) -> Result<Query, String> {
    let Some((text, condition)) = split(line) else {
        return Ok(Query { text: line.trim().to_owned(), filter: None });
    };
    if text.is_empty() {
        return Err("a text is needed before `where`: it is what the records are compared with".to_owned());
    }
    match serde_json::from_str(condition) {
        Ok(filter) => Ok(Query { text: text.to_owned(), filter: Some(filter) }),
        Err(error) => Err(format!("where: {error} (as in where {{\"rating\": 5}})")),
    }
}

/// The text and the condition with its braces.
fn split(line: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    while let Some(found) = line[from..].find("where") {
        let start = from + found;
        let (before, after) = (&line[..start], line[start + "where".len()..].trim_start());
        let word = before.is_empty() || before.ends_with(char::is_whitespace);
        if word && after.starts_with('{') {
            return Some((before.trim(), after));
        }
        from = start + "where".len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_is_read_behind_where() {
        let query = parse(r#" good sound where {"rating": 5} "#).unwrap();
        assert_eq!(query.text, "good sound");
        assert_eq!(query.filter.map(Value::Object), Some(json!({"rating": 5})));
    }

    #[test]
    fn a_where_without_a_brace_is_text() {
        for line in ["somewhere {", "where to go", "good sound"] {
            assert_eq!(parse(line), Ok(Query { text: line.to_owned(), filter: None }));
        }
        let query = parse(r#"where I live where {"a": 1}"#).unwrap();
        assert_eq!(query.text, "where I live");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(
            parse(r#"x where {"a": }"#).unwrap_err().starts_with("where: expected value at line 1 column 7")
        );
        assert!(parse(r#"where {"a": 1}"#).unwrap_err().contains("a text is needed"));
    }
}
