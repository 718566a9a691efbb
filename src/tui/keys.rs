//! Keys written as text, as tests and `labtop render --keys` give them: `jj<enter>`, `/acc<esc>`, `<ctrl+d>`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keybinds::{Key, KeyInput, Mods};

/// A piece of the text between `<` and `>` that names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'<{0}>' names no key (as in <enter>, <esc>, <tab>, <space>, <up>, <pageup>, <f1>, <ctrl+d>, <lt> for '<')"
)]
pub struct KeysError(String);

/// Each character is its key; `<name>` a named one, `<lt>` the character `<` itself.
pub fn parse(text: &str) -> Result<Vec<KeyEvent>, KeysError> {
    let mut events = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let name = rest.strip_prefix('<').and_then(|tail| tail.split_once('>'));
        match name {
            Some((name, tail)) => {
                events.push(named(name)?);
                rest = tail;
            }
            None => {
                events.push(KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE));
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    Ok(events)
}

fn named(name: &str) -> Result<KeyEvent, KeysError> {
    if name == "lt" {
        return Ok(KeyEvent::new(KeyCode::Char('<'), KeyModifiers::NONE));
    }
    let unknown = || KeysError(name.to_owned());
    let input: KeyInput = name.parse().map_err(|_| unknown())?;
    let code = match input.key() {
        Key::Char(character) => KeyCode::Char(character),
        Key::Up => KeyCode::Up,
        Key::Down => KeyCode::Down,
        Key::Left => KeyCode::Left,
        Key::Right => KeyCode::Right,
        Key::Enter => KeyCode::Enter,
        Key::Esc => KeyCode::Esc,
        Key::Tab if input.mods().contains(Mods::SHIFT) => KeyCode::BackTab,
        Key::Tab => KeyCode::Tab,
        Key::Backspace => KeyCode::Backspace,
        Key::Delete => KeyCode::Delete,
        Key::Home => KeyCode::Home,
        Key::End => KeyCode::End,
        Key::PageUp => KeyCode::PageUp,
        Key::PageDown => KeyCode::PageDown,
        Key::Insert => KeyCode::Insert,
        function => KeyCode::F(function.to_string().trim_start_matches('F').parse().map_err(|_| unknown())?),
    };
    let mut modifiers = KeyModifiers::NONE;
    for (mods, modifier) in [
        (Mods::CTRL, KeyModifiers::CONTROL),
        (Mods::ALT, KeyModifiers::ALT),
        (Mods::SHIFT, KeyModifiers::SHIFT),
    ] {
        if input.mods().contains(mods) {
            modifiers |= modifier;
        }
    }
    Ok(KeyEvent::new(code, modifiers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_keys() {
        let codes = |text| parse(text).unwrap().into_iter().map(|key| key.code).collect::<Vec<_>>();
        assert_eq!(codes("j<enter>"), [KeyCode::Char('j'), KeyCode::Enter]);
        assert_eq!(codes("<lt>é<f12>"), [KeyCode::Char('<'), KeyCode::Char('é'), KeyCode::F(12)]);
        assert_eq!(codes("a<b"), [KeyCode::Char('a'), KeyCode::Char('<'), KeyCode::Char('b')]);
        assert_eq!(parse("<ctrl+d>").unwrap()[0].modifiers, KeyModifiers::CONTROL);
        assert_eq!(codes("<shift+tab>"), [KeyCode::BackTab]);
        assert_eq!(parse("<entre>"), Err(KeysError("entre".to_owned())));
    }
}
