//! Which key is which action, section by section: the shipped `config/keymap.toml` with the user's own laid over it.

use std::fs;
use std::path::Path;

use keybinds::{KeyInput, KeySeq, Match};
use serde::Serialize;

use super::action::Action;

mod file;
#[cfg(test)]
mod tests;

/// The section that holds in every tab.
pub const GLOBAL: &str = "global";

/// Sections of the file, in the order of help.
pub const SECTIONS: [&str; 6] = [GLOBAL, "experiments", "search", "collections", "analytics", "activity"];

const SHIPPED: &str = include_str!("../../config/keymap.toml");

static EMPTY: Keymap = Keymap { bindings: Vec::new(), problems: Vec::new() };

/// The keys in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap {
    bindings: Vec<Binding>,
    problems: Vec<String>,
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
    /// The shipped keys with those of `user` laid over them. Lines that are wrong are left out; see
    /// [`Keymap::problems`].
    pub fn load(user: Option<&Path>) -> Keymap {
        let mut keymap = EMPTY.clone();
        keymap.lay(SHIPPED, "config/keymap.toml");
        if let Some(path) = user {
            let place = path.display().to_string();
            match fs::read_to_string(path) {
                Ok(text) => keymap.lay(&text, &place),
                Err(error) => keymap.problems.push(format!("{place}: cannot be read: {error}")),
            }
        }
        keymap
    }

    /// Every line that is not in force, by its file and number, and why.
    pub fn problems(&self) -> &[String] {
        &self.problems
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

    /// Lays the good lines of a file over what there is, and remembers what is wrong with the others.
    fn lay(&mut self, text: &str, place: &str) {
        let (lines, problems) = file::read(text, place);
        self.problems.extend(problems);
        for line in &lines {
            self.bindings.retain(|old| old.section != line.section || !clash(&old.keys, &line.keys));
        }
        for file::Line { section, keys, action, .. } in lines {
            self.bindings.extend(action.map(|action| Binding { section, keys, action }));
        }
        // As help lists them: in the order of the actions, the shortest key first, small letters before capitals.
        self.bindings.sort_by_cached_key(|binding| {
            let keys = shown(&binding.keys);
            let capital = keys.chars().next().is_some_and(char::is_uppercase);
            (binding.action, keys.chars().count(), capital, keys)
        });
    }
}

/// The keys in force where one stands, for whatever names a key to the user.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    keymap: &'a Keymap,
    section: &'static str,
}

impl<'a> Keys<'a> {
    pub fn new(keymap: &'a Keymap, section: &'static str) -> Self {
        Keys { keymap, section }
    }

    /// Where nothing is shown, as when a text is only measured.
    pub const NONE: Keys<'static> = Keys { keymap: &EMPTY, section: GLOBAL };

    /// The first key that does it; without one, what to type into the palette.
    pub fn of(&self, action: Action) -> String {
        let key = |action| self.keymap.keys_of(self.section, action).into_iter().next();
        match (key(action), key(Action::Palette)) {
            (Some(key), _) => key,
            (None, Some(palette)) => format!("{palette} {}", action.label()),
            (None, None) => format!("(no key) {}", action.label()),
        }
    }

    /// A text with the keys put in for the names of actions: `{launch_batch} launches a batch`.
    pub fn say(&self, text: &str) -> String {
        let mut said = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once('{') {
            said.push_str(before);
            match tail.split_once('}') {
                Some((name, after)) if Action::from_name(name).is_some() => {
                    said.extend(Action::from_name(name).map(|action| self.of(action)));
                    rest = after;
                }
                _ => {
                    said.push('{');
                    rest = tail;
                }
            }
        }
        said + rest
    }
}

fn row(section: &'static str, keys: String, action: Action) -> KeyRow {
    KeyRow { section, keys, action, description: action.description() }
}

/// One sequence is the other, or its beginning, so that only one of them can ever be reached.
fn clash(one: &KeySeq, other: &KeySeq) -> bool {
    let (one, other) = (one.as_slice(), other.as_slice());
    one.starts_with(other) || other.starts_with(one)
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
