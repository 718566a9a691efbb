//! Which key is which action, section by section: the shipped `config/keymap.toml` with the user's own laid over it.

use std::fs;
use std::path::Path;

use keybinds::{KeyInput, KeySeq, Match};
use serde::Serialize;
use toml::{Table, Value};

use super::action::Action;

#[cfg(test)]
mod tests;

/// The section that holds in every tab.
pub const GLOBAL: &str = "global";

/// Sections of the file, in the order of help.
pub const SECTIONS: [&str; 6] = [GLOBAL, "experiments", "search", "collections", "analytics", "activity"];

const SHIPPED: &str = include_str!("../../config/keymap.toml");

/// In a user's file, takes a key away.
const NONE: &str = "none";

/// Every bad line of a file, one per line of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeymapError(String);

/// The keys in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

#[derive(Clone, Debug, PartialEq)]
struct Binding {
    section: &'static str,
    keys: KeySeq,
    action: Action,
}

/// What a sequence of keys means so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Action(Action),
    /// The beginning of at least one longer sequence.
    Begun,
    Nothing,
}

/// One action with all its keys, as help and `labtop keys` list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    pub section: &'static str,
    /// `j, down`; empty for an action of the palette alone.
    pub keys: String,
    pub action: Action,
    pub description: &'static str,
}

impl Keymap {
    /// The shipped keys with those of `user` laid over them.
    pub fn load(user: Option<&Path>) -> Result<Keymap, KeymapError> {
        let mut keymap = Keymap { bindings: Vec::new() };
        keymap.lay(SHIPPED, "config/keymap.toml")?;
        if let Some(path) = user {
            let place = path.display().to_string();
            let text = fs::read_to_string(path).map_err(|error| KeymapError(format!("{place}: {error}")))?;
            keymap.lay(&text, &place)?;
        }
        Ok(keymap)
    }

    /// What `keys` mean in `section`, whose own bindings go before the global ones.
    pub fn find(&self, section: &str, keys: &[KeyInput]) -> Found {
        let mut begun = false;
        for scope in [section, GLOBAL] {
            for binding in self.bindings.iter().filter(|binding| binding.section == scope) {
                match binding.keys.match_to(keys) {
                    Match::Matched => return Found::Action(binding.action),
                    Match::Prefix => begun = true,
                    Match::Unmatch => {}
                }
            }
            if begun {
                return Found::Begun;
            }
        }
        Found::Nothing
    }

    /// Keys that do `action` in `section`, those of the section before the global ones.
    pub fn keys_of(&self, section: &str, action: Action) -> Vec<String> {
        let own = self.bindings.iter().filter(|binding| binding.section == section && section != GLOBAL);
        let global = self.bindings.iter().filter(|binding| binding.section == GLOBAL);
        own.chain(global)
            .filter(|binding| binding.action == action && !self.is_hidden(section, binding))
            .map(|binding| shown(&binding.keys))
            .collect()
    }

    /// Every action with its keys: first by section, then those that only the palette knows.
    pub fn rows(&self) -> Vec<KeyRow> {
        let mut rows = Vec::new();
        for section in SECTIONS {
            rows.extend(self.rows_of(section));
        }
        for action in Action::ALL {
            if !rows.iter().any(|row| row.action == *action) {
                rows.push(row(GLOBAL, String::new(), *action));
            }
        }
        rows
    }

    /// The actions of one section, in the order of [`Action::ALL`].
    pub fn rows_of(&self, section: &'static str) -> Vec<KeyRow> {
        let mut rows: Vec<KeyRow> = Vec::new();
        for binding in self.bindings.iter().filter(|binding| binding.section == section) {
            let keys = shown(&binding.keys);
            match rows.iter_mut().find(|row| row.action == binding.action) {
                Some(row) => row.keys = format!("{}, {keys}", row.keys),
                None => rows.push(row(section, keys, binding.action)),
            }
        }
        rows
    }

    /// A global key that means something else in `section`.
    fn is_hidden(&self, section: &str, binding: &Binding) -> bool {
        binding.section != section
            && self.bindings.iter().any(|other| other.section == section && clash(&other.keys, &binding.keys))
    }

    /// Reads a file over what there is; all that is wrong with it is told together.
    fn lay(&mut self, text: &str, place: &str) -> Result<(), KeymapError> {
        let table: Table = text.parse().map_err(|error| KeymapError(format!("{place}: {error}")))?;
        let mut problems = Vec::new();
        let mut laid: Vec<(&'static str, KeySeq, Option<Action>)> = Vec::new();
        for (name, lines) in &table {
            match (SECTIONS.iter().find(|section| *section == name), lines) {
                (Some(section), Value::Table(lines)) => {
                    for (keys, action) in lines {
                        match read_line(keys, action) {
                            Ok((keys, action)) => laid.push((section, keys, action)),
                            Err(problem) => {
                                problems.push(format!("{place}: [{name}] \"{keys}\": {problem}"));
                            }
                        }
                    }
                }
                _ => {
                    let known = SECTIONS.join("], [");
                    problems.push(format!("{place}: '{name}' is no section; there are [{known}]"));
                }
            }
        }
        problems.extend(clashes(&laid).into_iter().map(|problem| format!("{place}: {problem}")));
        if !problems.is_empty() {
            return Err(KeymapError(problems.join("\n")));
        }
        for (section, keys, action) in laid {
            self.bindings.retain(|old| old.section != section || !clash(&old.keys, &keys));
            if let Some(action) = action {
                self.bindings.push(Binding { section, keys, action });
            }
        }
        // As help lists them: in the order of the actions, the shortest key first, small letters before capitals.
        self.bindings.sort_by_cached_key(|binding| {
            let keys = shown(&binding.keys);
            let capital = keys.chars().next().is_some_and(char::is_uppercase);
            (binding.action, keys.chars().count(), capital, keys)
        });
        Ok(())
    }
}

fn row(section: &'static str, keys: String, action: Action) -> KeyRow {
    KeyRow { section, keys, action, description: action.description() }
}

fn read_line(keys: &str, action: &Value) -> Result<(KeySeq, Option<Action>), String> {
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

/// The names that come nearest, or all of them.
fn similar(name: &str) -> String {
    let names: Vec<String> = Action::ALL.iter().map(Action::to_string).collect();
    let words: Vec<&str> = name.split(['_', ' ', '-']).filter(|word| word.len() > 2).collect();
    let near: Vec<&str> = names
        .iter()
        .filter(|known| words.iter().any(|word| known.contains(word)))
        .map(String::as_str)
        .collect();
    if near.is_empty() {
        format!("; there are {}, none", names.join(", "))
    } else {
        format!("; did you mean {}? (labtop keys lists all)", near.join(", "))
    }
}

/// One sequence is the other, or its beginning, so that only one of them can ever be reached.
fn clash(one: &KeySeq, other: &KeySeq) -> bool {
    let (one, other) = (one.as_slice(), other.as_slice());
    one.starts_with(other) || other.starts_with(one)
}

fn clashes(laid: &[(&'static str, KeySeq, Option<Action>)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, (section, keys, _)) in laid.iter().enumerate() {
        for (_, earlier, _) in laid[..index].iter().filter(|(other, ..)| other == section) {
            if clash(keys, earlier) {
                let (one, other) = (shown(earlier), shown(keys));
                problems.push(format!("[{section}] \"{one}\" and \"{other}\" hide each other"));
            }
        }
    }
    problems
}

/// As a person writes it: `ctrl+d`, `G`, `g g`, `space`.
pub fn shown(keys: &KeySeq) -> String {
    keys.as_slice().iter().map(shown_key).collect::<Vec<_>>().join(" ")
}

/// See [`shown`].
pub fn shown_key(key: &KeyInput) -> String {
    let text = key.to_string();
    match text.rsplit_once('+') {
        Some((mods, name)) if name.chars().count() == 1 => format!("{}+{name}", mods.to_lowercase()),
        None if text.chars().count() == 1 => text,
        _ if text == "Plus" => "+".to_owned(),
        _ => text.to_lowercase(),
    }
}
