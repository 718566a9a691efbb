//! The questions this tab asks: a new run, tags, a note, and whether to delete.

use serde_json::Value;

use crate::domain::experiment::{Edit, Experiment, ExperimentId, Parameters};
use crate::tui::popups::confirm::Confirm;
use crate::tui::popups::form::{Field, Form, Problem};
use crate::tui::widgets::number::count;
use crate::worker::protocol::{RunForm, Write};

/// Asks for a run; model and dataset are those of the selected one at first.
pub fn new_run(like: Option<&Experiment>) -> Form {
    let (model, dataset) = like.map_or(("", ""), |run| (run.model_type.as_str(), run.dataset.as_str()));
    let fields = vec![
        Field::new("model").with(model).hint("XGBoost"),
        Field::new("dataset").with(dataset).hint("a name, or a path to CSV or Parquet"),
        Field::new("name").hint("optional"),
        Field::new("parameters").hint("learning_rate=0.001 batch_size=32"),
        Field::new("seed").hint("optional, a whole number"),
        Field::new("repeat").with("1"),
    ];
    Form::new("New run", fields, "start", |texts| read_run(texts).map(|run| vec![Write::StartRun(run)]))
}

fn read_run(texts: &[&str]) -> Result<RunForm, Problem> {
    let text = |index: usize| texts.get(index).copied().unwrap_or("");
    for (index, name) in ["a model", "a dataset"].into_iter().enumerate() {
        if text(index).is_empty() {
            return Err(Problem::new(index, format!("{name} is needed")));
        }
    }
    let seed = match text(4) {
        "" => None,
        seed => Some(seed.parse().map_err(|_| Problem::new(4, "the seed must be a whole number from 0"))?),
    };
    let repeat = match text(5) {
        "" => 1,
        repeat => repeat
            .parse()
            .ok()
            .filter(|count| (1..=1000).contains(count))
            .ok_or_else(|| Problem::new(5, "repeat must be 1 to 1000"))?,
    };
    Ok(RunForm {
        name: Some(text(2).to_owned()).filter(|name| !name.is_empty()),
        model: text(0).to_owned(),
        dataset: text(1).to_owned(),
        parameters: read_parameters(text(3)).map_err(|message| Problem::new(3, message))?,
        seed,
        repeat,
    })
}

/// `name=value` with blanks or commas between; a value is JSON where it is, else a text.
fn read_parameters(text: &str) -> Result<Parameters, String> {
    let mut parameters = Parameters::new();
    for piece in pieces(text) {
        let (name, value) =
            piece.split_once('=').ok_or_else(|| format!("'{piece}' is not of the form name=value"))?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() {
            return Err(format!("'{piece}' is not of the form name=value"));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(format!("'{name}' is given twice"));
        }
    }
    Ok(parameters)
}

/// Cuts at blanks and commas that are neither in quotes nor in brackets.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut depth, mut quoted) = (0, 0_u32, false);
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ' ' | ',' if !quoted && depth == 0 => {
                pieces.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Asks for tags. Those of one run can be edited; for several, tags are added, and taken away with `-`.
pub fn tags(runs: &[ExperimentId], known: Vec<String>) -> Form {
    let ids = runs.to_vec();
    let field = Field::new("tags").with(known.join(" ")).hint("baseline good -bad (a minus takes one away)");
    Form::new(format!("Tags of {}", name_of(runs)), vec![field], "save", move |texts| {
        let edits = read_tags(texts.first().copied().unwrap_or(""), &known);
        Ok(edits.into_iter().map(|edit| Write::Edit(ids.clone(), edit)).collect())
    })
}

fn read_tags(text: &str, known: &[String]) -> Vec<Edit> {
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let kept: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let taken = words.iter().filter_map(|word| word.strip_prefix('-'));
    let missing = known.iter().map(String::as_str).filter(|tag| !kept.contains(tag));
    let mut removed: Vec<String> = taken.chain(missing).map(str::to_owned).collect();
    removed.sort_unstable();
    removed.dedup();
    let is_new = |tag: &&&str| !known.iter().any(|known| known == **tag);
    let added: Vec<String> = kept.iter().filter(is_new).map(|tag| (*tag).to_owned()).collect();
    let mut edits = Vec::new();
    if !added.is_empty() {
        edits.push(Edit::AddTags(added));
    }
    if !removed.is_empty() {
        edits.push(Edit::RemoveTags(removed));
    }
    edits
}

/// Asks for a note.
pub fn note(runs: &[ExperimentId], known: &str) -> Form {
    let ids = runs.to_vec();
    let field = Field::new("note").with(known).hint("what is worth knowing about it");
    Form::new(format!("Note on {}", name_of(runs)), vec![field], "save", move |texts| {
        let note = texts.first().copied().unwrap_or("").to_owned();
        Ok(vec![Write::Edit(ids.clone(), Edit::Note(note))])
    })
}

/// Asks before runs are deleted; `goes` names them.
pub fn delete(runs: &[ExperimentId], goes: Vec<String>) -> Confirm {
    let (question, word) = match runs {
        [id] => (
            "This run goes for good, with its curves and results; its documents stay in their collection:"
                .to_owned(),
            id.to_string(),
        ),
        _ => {
            let all = count(runs.len() as u64);
            let question = format!(
                "These {all} runs go for good, with their curves and results; their documents stay in their \
                 collections:"
            );
            (question, runs.len().to_string())
        }
    };
    let write = Write::Remove(runs.to_vec());
    Confirm::new(format!("Delete {}?", name_of(runs)), question, goes, "delete", write).by_typing(word)
}

fn name_of(runs: &[ExperimentId]) -> String {
    match runs {
        [id] => format!("#{id}"),
        runs => format!("{} runs", runs.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_json_where_they_can_be() {
        let read = read_parameters("lr=1e-3, layers=[64, 32] name=\"a b\" act=relu on=true").unwrap();
        assert_eq!(
            Value::Object(read),
            json!({"lr": 0.001, "layers": [64, 32], "name": "a b", "act": "relu", "on": true})
        );
        assert_eq!(read_parameters("lr").unwrap_err(), "'lr' is not of the form name=value");
        assert_eq!(read_parameters("a=1 a=2").unwrap_err(), "'a' is given twice");
        assert!(read_parameters("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        let field = |texts: &[&str]| read_run(texts).unwrap_err().field;
        assert_eq!(field(&["", "d", "", "", "", ""]), 0);
        assert_eq!(field(&["m", "", "", "", "", ""]), 1);
        assert_eq!(field(&["m", "d", "", "x", "", ""]), 3);
        assert_eq!(field(&["m", "d", "", "", "-1", ""]), 4);
        assert_eq!(field(&["m", "d", "", "", "", "0"]), 5);
        assert_eq!(read_run(&["m", "d", "", "", "7", ""]).unwrap().seed, Some(7));
    }

    #[test]
    fn only_what_changed_of_the_tags_is_written() {
        let known = ["a".to_owned(), "b".to_owned()];
        assert_eq!(read_tags("a b", &known), []);
        assert_eq!(
            read_tags("a c -d", &known),
            [Edit::AddTags(vec!["c".to_owned()]), Edit::RemoveTags(vec!["b".to_owned(), "d".to_owned()])]
        );
    }
}
