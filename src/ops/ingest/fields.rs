//! Which field of a row is what: named by the user, or guessed by its name.

use serde_json::{Map, Value};

use super::super::document::NewDocument;
use crate::domain::document::Metadata;

/// The largest text of one document, bytes: a vector cannot stand for more, and no store is glad of it.
pub const MOST_TEXT: usize = 4 * 1024 * 1024;

const ID: [&str; 3] = ["id", "document_id", "_id"];
const TEXT: [&str; 5] = ["text", "content", "document", "description", "body"];
const EMBEDDING: [&str; 2] = ["embedding", "vector"];
const METADATA: &str = "metadata";

/// The fields that are wanted; guessed where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub id: Option<String>,
    pub text: Option<String>,
    /// Every other field when none.
    pub metadata: Option<Vec<String>>,
}

impl Fields {
    /// The document that a row is; its id is empty when it has none. Or what is wrong with it.
    pub fn document(&self, mut row: Map<String, Value>, line: usize) -> Result<NewDocument, String> {
        let id = match &self.id {
            Some(name) => Some(row.remove(name).ok_or_else(|| missing(name, &row))?),
            None => ID.iter().find_map(|name| row.remove(*name)),
        };
        let text = match &self.text {
            Some(name) => row.remove(name).ok_or_else(|| missing(name, &row))?,
            None => TEXT.iter().find_map(|name| row.remove(*name)).ok_or_else(|| {
                let known = TEXT.join(", ");
                format!(
                    "no text: none of the fields {known} is there (it has {}); name it with --text",
                    names(&row)
                )
            })?,
        };
        let text = plain(text).ok_or("the text is a list or an object")?;
        check_text(&text)?;
        let embedding = EMBEDDING.iter().find_map(|name| row.remove(*name)).filter(|value| !value.is_null());
        let embedding = embedding.map(vector).transpose()?;
        let mut model = row.remove("model_name");
        if embedding.is_some() {
            model = model.or_else(|| row.remove("model"));
        }
        Ok(NewDocument {
            id: id
                .map(|id| plain(id).ok_or("the id is a list or an object"))
                .transpose()?
                .unwrap_or_default(),
            text,
            metadata: self.metadata(row)?,
            embedding,
            model: model.and_then(plain).filter(|model| !model.is_empty()),
            line,
        })
    }

    fn metadata(&self, mut row: Map<String, Value>) -> Result<Metadata, String> {
        let mut metadata = match row.remove(METADATA) {
            Some(Value::Object(own)) => own,
            Some(Value::String(text)) if text.trim().is_empty() => Metadata::new(),
            Some(Value::String(text)) => serde_json::from_str(&text)
                .map_err(|error| format!("`metadata` is no JSON object: {error}"))?,
            None | Some(Value::Null) => Metadata::new(),
            Some(_) => return Err("`metadata` is no object".to_owned()),
        };
        match &self.metadata {
            None => metadata.extend(row.into_iter().filter(|(_, value)| !value.is_null())),
            Some(wanted) => {
                for name in wanted {
                    let own = row.remove(name).or_else(|| metadata.remove(name));
                    if let Some(value) = own.filter(|value| !value.is_null()) {
                        metadata.insert(name.clone(), value);
                    }
                }
                metadata.retain(|name, _| wanted.contains(name));
            }
        }
        Ok(metadata)
    }
}

/// What a text must be to become a document.
pub fn check_text(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    if text.len() > MOST_TEXT {
        let mb = text.len() as f64 / 1e6;
        return Err(format!(
            "the text has {mb:.1} MB; 4 MB are the most of one document: cut it into several"
        ));
    }
    Ok(())
}

fn missing(name: &str, row: &Map<String, Value>) -> String {
    format!("there is no field '{name}' (it has {})", names(row))
}

fn names(row: &Map<String, Value>) -> String {
    /// More than a person looks through.
    const SHOWN: usize = 12;
    let mut names: Vec<&str> = row.keys().take(SHOWN).map(String::as_str).collect();
    if row.len() > SHOWN {
        names.push("…");
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The text of a single value; none for null, a list or an object of which there is none to be had.
fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => Some(String::new()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A list of numbers, or its JSON.
fn vector(value: Value) -> Result<Vec<f32>, String> {
    let values = match value {
        Value::Array(values) => values,
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| format!("the embedding is no list of numbers: {error}"))?,
        _ => return Err("the embedding is no list of numbers".to_owned()),
    };
    if values.is_empty() {
        return Err("the embedding is empty".to_owned());
    }
    let number = |(position, value): (usize, Value)| {
        let number = value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
        number.ok_or_else(|| {
            format!("figure {} of the embedding is {value}, no finite number of 32 bits", position + 1)
        })
    };
    values.into_iter().enumerate().map(number).collect()
}

/// What a field of a table without types says: a number, true or false, or a text. `007` and `1e5` stay texts, since nobody
/// writes a number that way.
pub fn guessed(text: &str) -> Value {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let decimal = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.ends_with(|last: char| last.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text {
        "" => Value::Null,
        "true" | "false" => Value::Bool(text == "true"),
        _ if whole && !padded => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        _ if decimal && !padded => text.parse::<f64>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(fields: &Fields, row: Value) -> Result<NewDocument, String> {
        let Value::Object(row) = row else { panic!("{row}") };
        fields.document(row, 1)
    }

    #[test]
    fn fields_are_guessed_by_their_names_and_the_rest_is_metadata() {
        let read = |row| read(&Fields::default(), row).unwrap();
        let document = read(
            json!({ "document_id": 7, "content": "a", "stars": 5, "none": null, "metadata": { "x": [1] } }),
        );
        assert_eq!((document.id.as_str(), document.text.as_str()), ("7", "a"));
        assert_eq!(Value::Object(document.metadata), json!({ "x": [1], "stars": 5 }));
        let document = read(json!({ "text": "a", "vector": "[1, 0.5]", "model": "m" }));
        assert_eq!((document.embedding, document.model.as_deref()), (Some(vec![1.0, 0.5]), Some("m")));
        let car = read(json!({ "text": "a", "model": "Fiesta" }));
        assert_eq!((car.model, &car.metadata["model"]), (None, &json!("Fiesta")));
    }

    #[test]
    fn fields_that_are_named_are_taken_and_no_others() {
        let fields = Fields {
            id: Some("package".to_owned()),
            text: Some("says".to_owned()),
            metadata: Some(vec!["section".to_owned(), "gone".to_owned()]),
        };
        let row =
            json!({ "package": "vim", "says": "an editor", "section": "editors", "id": 3, "text": "no" });
        let document = read(&fields, row).unwrap();
        assert_eq!((document.id.as_str(), document.text.as_str()), ("vim", "an editor"));
        assert_eq!(Value::Object(document.metadata), json!({ "section": "editors" }));
        let told = read(&fields, json!({ "id": 1, "says": "x" })).unwrap_err();
        assert_eq!(told, "there is no field 'package' (it has id, says)");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (row, why) in [
            (json!({ "txt": "a" }), "(it has txt); name it with --text"),
            (json!({ "text": " \n" }), "the text is empty"),
            (json!({ "text": null }), "the text is empty"),
            (json!({ "text": ["a"] }), "the text is a list"),
            (json!({ "text": "x".repeat(10_000_000) }), "the text has 10.0 MB"),
            (json!({ "text": "a", "embedding": [] }), "the embedding is empty"),
            (json!({ "text": "a", "embedding": [1, 1e39] }), "figure 2 of the embedding is 1e+39"),
            (json!({ "text": "a", "embedding": [1, null] }), "figure 2 of the embedding is null"),
            (json!({ "text": "a", "embedding": "NaN" }), "no list of numbers"),
            (json!({ "text": "a", "metadata": 3 }), "`metadata` is no object"),
        ] {
            let told = read(&Fields::default(), row).unwrap_err();
            assert!(told.contains(why), "{why}: {told}");
        }
    }

    #[test]
    fn a_table_without_types_is_guessed_with_care() {
        for (text, value) in [
            ("5", json!(5)),
            ("-2.50", json!(-2.5)),
            ("0", json!(0)),
            ("0.1", json!(0.1)),
            ("true", json!(true)),
            ("", json!(null)),
            ("007", json!("007")),
            ("1e5", json!("1e5")),
            ("nan", json!("nan")),
            ("inf", json!("inf")),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            ("99999999999999999999", json!("99999999999999999999")),
        ] {
            assert_eq!(guessed(text), value, "{text}");
        }
    }
}
