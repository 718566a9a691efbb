//! A question to a collection as it is typed: what records are compared with, and conditions in Chroma's filter language
//! behind ` where ` and ` where_document `.

use serde_json::{Map, Value};

use crate::domain::collection::RecordFilter;
use crate::domain::record_filter;
use crate::worker::protocol::Likeness;

/// Before the id of a record: what is like it.
pub(super) const LIKE: &str = "like:";

/// `good sound where {"rating": 5}`; without anything to compare with, the records that fit the conditions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub by: Option<Likeness>,
    pub filter: RecordFilter,
}

/// Reads the line. A `where` that no brace follows is part of the text.
///
/// # Errors
/// In the user's words, when a condition or the vector cannot be read or would be refused.
pub(super) fn parse(line: &str) -> Result<Query, String> {
    let (before, clauses) = split(line);
    let filter = conditions(clauses)?;
    record_filter::check(&filter)?;
    let by = match before {
        "" => None,
        vector if vector.starts_with('[') => Some(Likeness::Vector(read_vector(vector)?)),
        text => Some(match text.strip_prefix(LIKE) {
            Some("") => return Err(format!("{LIKE} needs the id of a record behind it")),
            Some(id) => Likeness::Record(id.to_owned()),
            None => Likeness::Text(text.to_owned()),
        }),
    };
    Ok(Query { by, filter })
}

/// The conditions of a line as they were typed; empty for none.
pub(super) fn clauses(line: &str) -> &str {
    split(line).1
}

/// Whether the line is about texts at its end, so that the operators for texts are the ones to be listed.
pub(super) fn asks_of_documents(line: &str) -> bool {
    let last = |word: &str| line.rfind(word);
    last("where_document").is_some_and(|document| last("where") <= Some(document))
}

/// What stands before the first condition, and the conditions.
fn split(line: &str) -> (&str, &str) {
    let starts = line.match_indices("where").map(|(start, _)| start);
    let start = starts.into_iter().find(|start| {
        let (before, after) = line.split_at(*start);
        (before.is_empty() || before.ends_with(char::is_whitespace)) && clause(after).is_some()
    });
    let (before, clauses) = line.split_at(start.unwrap_or(line.len()));
    (before.trim(), clauses.trim())
}

/// The name of the condition at the beginning of `text`, and what follows it from its brace on.
fn clause(text: &str) -> Option<(&'static str, &str)> {
    ["where_document", "where"].into_iter().find_map(|name| {
        let rest = text.strip_prefix(name)?.trim_start();
        rest.starts_with('{').then_some((name, rest))
    })
}

fn conditions(clauses: &str) -> Result<RecordFilter, String> {
    let mut filter = RecordFilter::default();
    let mut rest = clauses;
    while !rest.is_empty() {
        let (name, json) = clause(rest).ok_or_else(|| {
            format!("'{rest}' behind a condition: only where {{…}} and where_document {{…}}")
        })?;
        let mut values = serde_json::Deserializer::from_str(json).into_iter::<Map<String, Value>>();
        let condition = match values.next() {
            Some(Ok(condition)) => condition,
            Some(Err(error)) => return Err(format!("{name}: {error} (as in {})", example(name))),
            None => return Err(format!("{name}: a condition is needed (as in {})", example(name))),
        };
        rest = json[values.byte_offset()..].trim_start();
        let place = if name == "where" { &mut filter.r#where } else { &mut filter.where_document };
        if place.replace(condition).is_some() {
            return Err(format!(r#"{name} is there twice: join conditions as {{"$and": [{{…}}, {{…}}]}}"#));
        }
    }
    Ok(filter)
}

fn example(name: &str) -> &'static str {
    if name == "where" { r#"where {"rating": 5}"# } else { r#"where_document {"$contains": "bass"}"# }
}

fn read_vector(text: &str) -> Result<Vec<f32>, String> {
    let vector: Vec<f32> =
        serde_json::from_str(text).map_err(|error| format!("vector: {error} (as in [0.1, -0.2, 0.3])"))?;
    if vector.is_empty() { Err("vector: it is empty".to_owned()) } else { Ok(vector) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> Option<Likeness> {
        Some(Likeness::Text(text.to_owned()))
    }

    #[test]
    fn conditions_are_read_behind_where() {
        let query = parse(r#" good sound where {"rating": 5} "#).unwrap();
        assert_eq!(query.by, text("good sound"));
        assert_eq!(query.filter.r#where.map(Value::Object), Some(json!({"rating": 5})));
        let line = r#"good where_document {"$contains": "where {"} where {"a": {"$in": [1, 2]}}"#;
        let query = parse(line).unwrap();
        assert_eq!(query.by, text("good"));
        assert_eq!(query.filter.r#where.map(Value::Object), Some(json!({"a": {"$in": [1, 2]}})));
        assert_eq!(query.filter.where_document.map(Value::Object), Some(json!({"$contains": "where {"})));
        assert_eq!(parse(r#"where {"a": 1}"#).unwrap().by, None, "conditions alone narrow the list");
        assert!(clauses(line).starts_with("where_document"));
    }

    #[test]
    fn vectors_and_records_are_compared_with() {
        let query = parse(r#"[0.5, -1] where {"a": 1}"#).unwrap();
        assert_eq!(query.by, Some(Likeness::Vector(vec![0.5, -1.0])));
        let query = parse("like:a b/course").unwrap();
        assert_eq!(query.by, Some(Likeness::Record("a b/course".to_owned())));
    }

    #[test]
    fn a_where_without_a_brace_is_text() {
        for line in ["somewhere {", "where to go", "good sound", "where_documents {"] {
            assert_eq!(parse(line), Ok(Query { by: text(line), filter: RecordFilter::default() }));
        }
        assert_eq!(parse(r#"where I live where {"a": 1}"#).unwrap().by, text("where I live"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, told) in [
            (r#"x where {"a": }"#, "where: expected value at line 1 column 7"),
            (r#"x where {"a": {"$near": 1}}"#, "where: unknown operator '$near'"),
            (r#"x where {"a": 1} where {"b": 1}"#, "where is there twice"),
            (r#"x where {"a": 1} and more"#, "'and more' behind a condition"),
            (r#"where_document {"rating": 5}"#, "where_document: unknown operator 'rating'"),
            ("[1, x]", "vector: expected value"),
            ("[]", "vector: it is empty"),
            ("[1, 1e39]", "vector: number out of range"),
            ("like:", "like: needs the id"),
        ] {
            let problem = parse(line).unwrap_err();
            assert!(problem.starts_with(told), "{line}: {problem}");
        }
    }

    #[test]
    fn the_operators_of_what_is_typed_last_are_meant() {
        assert!(!asks_of_documents("good sound where {"));
        assert!(asks_of_documents(r#"good where {"a": 1} where_document {"#));
        assert!(!asks_of_documents(r#"good where_document {"$contains": "a"} where {"#));
    }
}
