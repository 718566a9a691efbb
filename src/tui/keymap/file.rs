//! A file of keys, read line by line, so that a bad line is named by its number and costs nothing but itself.

use keybinds::KeySeq;
use toml::{Table, Value};

use crate::tui::action::Action;

use super::{SECTIONS, clash, shown};

/// In a user's file, takes a key away.
const NONE: &str = "none";

/// One good line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    number: usize,
    pub section: &'static str,
    pub keys: KeySeq,
    /// None takes the key away.
    pub action: Option<Action>,
}

/// The good lines of a file, and what is wrong with the others: `keys.toml:3: ...`.
pub(super) fn read(text: &str, place: &str) -> (Vec<Line>, Vec<String>) {
    let mut lines: Vec<Line> = Vec::new();
    let mut problems = Vec::new();
    let mut section = None;
    let mut told_of_section = false;
    for (number, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let mut found = if text.starts_with('[') {
            let header = header(text);
            section = header.as_ref().ok().copied();
            told_of_section = section.is_none();
            header.map(|_| None)
        } else if let Some(section) = section {
            binding(text, number, section).map(Some)
        } else if told_of_section {
            // What stands below an unknown section goes with it, told once.
            Ok(None)
        } else {
            Err("a line before the first [section] binds nothing".to_owned())
        };
        if let Ok(Some(line)) = &found
            && let Some(earlier) = lines.iter().find(|earlier| excludes(earlier, line))
        {
            found = Err(conflict(earlier, line));
        }
        match found {
            Ok(line) => lines.extend(line),
            Err(problem) => problems.push(format!("{place}:{number}: {problem}")),
        }
    }
    (lines, problems)
}

fn header(text: &str) -> Result<&'static str, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| told(&error))?;
    let name = table.keys().next().cloned().unwrap_or_default();
    match SECTIONS.iter().find(|section| **section == name) {
        Some(section) => Ok(section),
        None => Err(format!("'{name}' is no section; there are [{}]", SECTIONS.join("], ["))),
    }
}

fn binding(text: &str, number: usize, section: &'static str) -> Result<Line, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| told(&error))?;
    let mut entries = table.iter();
    let (Some((keys, action)), None) = (entries.next(), entries.next()) else {
        return Err("a line is \"keys\" = \"action\"".to_owned());
    };
    let named = |problem: String| format!("\"{keys}\": {problem}");
    let (keys, action) = entry(keys, action).map_err(named)?;
    Ok(Line { number, section, keys, action })
}

fn told(error: &toml::de::Error) -> String {
    format!("{} (a line is \"keys\" = \"action\")", error.message().lines().collect::<Vec<_>>().join(" "))
}

fn entry(keys: &str, action: &Value) -> Result<(KeySeq, Option<Action>), String> {
    let keys: KeySeq = keys.parse().map_err(|error| {
        format!("{error} (a character, or enter, esc, tab, space, plus, up, pageup, f1, ... after ctrl+, alt+ or shift+)")
    })?;
    let Value::String(name) = action else {
        return Err("the action must be a text".to_owned());
    };
    if name == NONE {
        return Ok((keys, None));
    }
    match Action::from_name(name) {
        Some(action) => Ok((keys, Some(action))),
        None => Err(format!("there is no action '{name}'{}", similar(name))),
    }
}

/// Both cannot hold. Taking `g` away leaves room for `g g`.
fn excludes(earlier: &Line, line: &Line) -> bool {
    let both_bind = earlier.action.is_some() && line.action.is_some();
    earlier.section == line.section
        && (earlier.keys == line.keys || (both_bind && clash(&earlier.keys, &line.keys)))
}

fn conflict(earlier: &Line, line: &Line) -> String {
    let (first, keys) = (shown(&earlier.keys), shown(&line.keys));
    let is = earlier.action.map_or(NONE.to_owned(), |action| action.to_string());
    let number = earlier.number;
    if earlier.keys == line.keys {
        format!("\"{keys}\" is {is} already, in line {number}")
    } else {
        format!("\"{keys}\" and \"{first}\" ({is}, line {number}) hide each other")
    }
}

/// One letter too many, too few, wrong, or two that changed places.
fn is_slip(typed: &str, known: &str) -> bool {
    let (typed, known): (Vec<char>, Vec<char>) = (typed.chars().collect(), known.chars().collect());
    let same = typed.iter().zip(&known).take_while(|(one, other)| one == other).count();
    let (typed, known) = (&typed[same..], &known[same..]);
    match (typed, known) {
        ([_, one @ ..], [_, other @ ..]) if one == other => true,
        ([_, one @ ..], other) if one == other => true,
        (one, [_, other @ ..]) if one == other => true,
        ([a, b, one @ ..], [c, d, other @ ..]) => (a, b) == (d, c) && one == other,
        _ => false,
    }
}

/// The names that come nearest, if any does.
fn similar(name: &str) -> String {
    let names: Vec<String> = Action::ALL.iter().map(Action::to_string).collect();
    let words: Vec<&str> = name.split(['_', ' ', '-']).filter(|word| word.len() > 2).collect();
    let near: Vec<&str> = names
        .iter()
        .filter(|known| words.iter().any(|word| known.contains(word)) || is_slip(name, known))
        .map(String::as_str)
        .collect();
    if near.is_empty() {
        " (`labtop keys` lists them)".to_owned()
    } else {
        format!("; did you mean {}? (labtop keys lists all)", near.join(", "))
    }
}
