//! What the search tab asks before it stores something.

use std::path::PathBuf;

use crate::tui::popups::form::{Field, Form, Problem};
use crate::worker::protocol::{IngestForm, IngestPlace, IngestSplit, Write};

/// A document to keep.
pub(super) fn add() -> Form {
    let fields = vec![
        Field::new("id").hint("a name of its own; an existing one is replaced"),
        Field::new("text").hint("what is embedded and found again"),
    ];
    Form::new("Add a document", fields, "add", |texts| match texts {
        ["", ..] => Err(Problem::new(0, "a document needs an id")),
        [_, ""] => Err(Problem::new(1, "a document needs a text")),
        [id, text] => Ok(vec![Write::AddDocument { id: (*id).to_owned(), text: (*text).to_owned() }]),
        _ => Err(Problem::new(0, "id and text are needed")),
    })
}

/// The texts of a file. `model` is the one that is searched.
pub(super) fn add_file(model: Option<&str>) -> Form {
    let fields = vec![
        Field::new("file").hint(".jsonl, .csv, .tsv, .parquet, or a text file"),
        Field::new("to").with("documents").hint("documents, collection, or both"),
        Field::new("collection").hint("named after the file if empty"),
        Field::new("text field").hint("found by its name and its values if empty"),
        Field::new("id field").hint("found if empty; made of the text where there is none"),
        Field::new("metadata").hint("fields with commas between; all the others if empty"),
        Field::new("each").with("line").hint("of a text file: line, paragraph, or file"),
        Field::new("bad rows").with("stop").hint("stop at the first, or skip"),
        Field::new("model").with(model.unwrap_or_default()).hint("as the settings say if empty"),
    ];
    Form::new("Add the texts of a file", fields, "add", |texts| {
        let text = |index: usize| texts.get(index).copied().unwrap_or_default();
        let some = |index: usize| Some(text(index).to_owned()).filter(|text| !text.is_empty());
        if text(0).is_empty() {
            return Err(Problem::new(0, "which file?"));
        }
        let metadata = some(5).map(|list| list.split(',').map(|field| field.trim().to_owned()).collect());
        let form = IngestForm {
            path: PathBuf::from(text(0)),
            place: one_of(
                1,
                text(1),
                &[
                    ("documents", IngestPlace::Documents),
                    ("collection", IngestPlace::Collection),
                    ("both", IngestPlace::Both),
                ],
            )?,
            collection: some(2),
            text: some(3),
            id: some(4),
            metadata,
            split: one_of(
                6,
                text(6),
                &[
                    ("line", IngestSplit::Line),
                    ("paragraph", IngestSplit::Paragraph),
                    ("file", IngestSplit::File),
                ],
            )?,
            skip_bad: one_of(7, text(7), &[("stop", false), ("skip", true)])?,
            model: some(8),
        };
        if form.collection.is_some() && form.place == IngestPlace::Documents {
            return Err(Problem::new(1, "a collection is named: say collection or both here"));
        }
        Ok(vec![Write::Ingest(form)])
    })
}

/// The choice that a word names; the first for none.
fn one_of<T: Copy>(field: usize, text: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
    let known = choices.iter().find(|(name, _)| text.is_empty() || *name == text);
    known.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Problem::new(field, format!("'{text}' is none of {}", names.join(", ")))
    })
}
