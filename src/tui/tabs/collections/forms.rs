//! What the collections tab asks before it changes something.

use serde_json::Value;

use crate::domain::collection::{Collection, NewCollection, Space};
use crate::domain::document::Metadata;
use crate::tui::popups::confirm::Confirm;
use crate::tui::popups::form::{Field, Form, Problem};
use crate::tui::widgets::number::counted;
use crate::worker::protocol::Write;

/// A new collection.
pub(super) fn create() -> Form {
    let fields = vec![
        Field::new("name").hint("3 to 512 of letters, digits, . _ -"),
        Field::new("description").hint("optional"),
        Field::new("metadata").hint(r#"optional JSON: {"source": "shop"}"#),
        Field::new("space").with(Space::default().as_str()).hint("cosine, l2 or ip"),
    ];
    Form::new("Create a collection", fields, "create", |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        if let Some(problem) = wrong_name(text(0)) {
            return Err(Problem::new(0, problem));
        }
        let mut metadata = metadata(text(2)).map_err(|problem| Problem::new(2, problem))?;
        if !text(1).is_empty() {
            metadata.insert("description".to_owned(), Value::String(text(1).to_owned()));
        }
        let space = match text(3) {
            "" | "cosine" => Space::Cosine,
            "l2" => Space::L2,
            "ip" => Space::Ip,
            other => return Err(Problem::new(3, format!("unknown space '{other}' (known: cosine, l2, ip)"))),
        };
        Ok(vec![Write::CreateCollection(NewCollection::new(text(0), &metadata, space))])
    })
}

/// A new record of `collection`.
pub(super) fn add_record(collection: &str) -> Form {
    let fields = vec![
        Field::new("id").hint("a name of its own; an existing one is replaced"),
        Field::new("text").hint("what is embedded and found again"),
        Field::new("metadata").hint(r#"optional JSON: {"rating": 5}"#),
    ];
    let collection = collection.to_owned();
    Form::new(format!("Add a record to {collection}"), fields, "add", move |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        if text(0).is_empty() {
            return Err(Problem::new(0, "a record needs an id"));
        }
        if text(1).is_empty() {
            return Err(Problem::new(1, "a record needs a text"));
        }
        let metadata = metadata(text(2)).map_err(|problem| Problem::new(2, problem))?;
        Ok(vec![Write::AddRecord {
            collection: collection.clone(),
            id: text(0).to_owned(),
            text: text(1).to_owned(),
            metadata,
        }])
    })
}

pub(super) fn remove_collection(collection: &Collection) -> Confirm {
    let records = counted(collection.records, "record");
    let question = format!("Delete the collection with its {records}? This cannot be undone.");
    let write = Write::RemoveCollection(collection.name.clone());
    Confirm::new("Delete a collection", question, vec![collection.name.clone()], "delete", write)
        .by_typing(collection.name.as_str())
}

pub(super) fn remove_records(collection: &str, ids: Vec<String>) -> Confirm {
    let records = counted(ids.len() as u64, "record");
    let question = format!("Delete {records} of {collection}? This cannot be undone.");
    let write = Write::RemoveRecords { collection: collection.to_owned(), ids: ids.clone() };
    let word = ids.len().to_string();
    Confirm::new("Delete records", question, ids, "delete", write).by_typing(word)
}

/// What Chroma would refuse.
fn wrong_name(name: &str) -> Option<String> {
    let edge = |edge: Option<char>| edge.is_some_and(|edge| edge.is_ascii_alphanumeric());
    let valid = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if name.is_empty() {
        Some("a collection needs a name".to_owned())
    } else if !(3..=512).contains(&name.len()) {
        Some("a name has 3 to 512 characters".to_owned())
    } else if let Some(character) = name.chars().find(|character| !valid(*character)) {
        Some(format!("'{character}' is not allowed: a name is made of letters, digits, . _ -"))
    } else if !edge(name.chars().next()) || !edge(name.chars().last()) {
        Some("a name begins and ends with a letter or a digit".to_owned())
    } else if name.contains("..") {
        Some("two dots after each other are not allowed".to_owned())
    } else {
        None
    }
}

/// A flat JSON object; empty for no text.
fn metadata(text: &str) -> Result<Metadata, String> {
    if text.is_empty() {
        return Ok(Metadata::new());
    }
    let metadata: Metadata =
        serde_json::from_str(text).map_err(|error| format!("metadata: {error} (as in {{\"rating\": 5}})"))?;
    let nested = metadata.iter().find(|(_, value)| value.is_object() || value.is_array() || value.is_null());
    match nested {
        Some((name, _)) => Err(format!("metadata: '{name}' must be a text, a number, true or false")),
        None => Ok(metadata),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_chroma() {
        assert_eq!(wrong_name("product_reviews"), None);
        for name in ["", "ab", "a b", "_ab", "ab-", "a..b", "größe"] {
            assert!(wrong_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn metadata_is_flat() {
        assert_eq!(metadata("").unwrap(), Metadata::new());
        assert_eq!(metadata(r#"{"rating": 5}"#).unwrap().len(), 1);
        assert!(metadata(r#"{"a": {"b": 1}}"#).unwrap_err().contains("'a' must be"));
        assert!(metadata("{rating: 5}").unwrap_err().starts_with("metadata: key must be a string"));
    }
}
