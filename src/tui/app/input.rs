//! Keys, mouse and pasted text on their way to a popup, a text line, or the keymap.

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use keybinds::KeyInput;
use ratatui::layout::Position;

use crate::tui::action::Action;
use crate::tui::context::Tone;
use crate::tui::keymap::Found;
use crate::tui::popups::Stay;

use super::App;

/// Longest text that is taken from a paste, bytes.
const LONGEST_PASTE: usize = 64 * 1024;

impl App {
    pub(super) fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if self.is_hasty_escape(key) {
            self.key(KeyEvent::from(KeyCode::Esc));
            return self.key(KeyEvent { modifiers: key.modifiers - KeyModifiers::ALT, ..key });
        }
        if !self.popups.is_empty() {
            self.popup_key(key);
        } else if self.tabs[self.active].is_typing() {
            match self.action_while_typing(key) {
                Some(action) => self.act(action),
                None => self.with_tab(|tab, cx| tab.type_key(key, cx)),
            }
        } else {
            self.command_key(key);
        }
    }

    /// Looks a key up, together with those before it.
    fn command_key(&mut self, key: KeyEvent) {
        self.begun.push(KeyInput::from(key));
        self.begun_at = self.now;
        match self.keymap.find(self.section(), &self.begun) {
            Found::Begun => {}
            Found::Action(action) => {
                self.begun.clear();
                self.act(action);
            }
            Found::Nothing => {
                // The last key may begin or be something itself.
                let broken_off = self.begun.len() > 1;
                self.begun.clear();
                if broken_off {
                    self.command_key(key);
                }
            }
        }
    }

    /// Esc and the next key typed fast arrive as one alt key; it is taken apart unless it is bound.
    fn is_hasty_escape(&self, key: KeyEvent) -> bool {
        key.modifiers.contains(KeyModifiers::ALT)
            && key.code != KeyCode::Backspace
            && self.keymap.find(self.section(), &[KeyInput::from(key)]) == Found::Nothing
    }

    /// Keys that are no text keep their meaning while text is typed.
    fn action_while_typing(&self, key: KeyEvent) -> Option<Action> {
        let is_text = matches!(key.code, KeyCode::Char(_)) && !key.modifiers.contains(KeyModifiers::CONTROL);
        match self.keymap.find(self.section(), &[KeyInput::from(key)]) {
            Found::Action(action @ (Action::Quit | Action::Help | Action::Palette | Action::Suspend))
                if !is_text =>
            {
                Some(action)
            }
            _ => None,
        }
    }

    fn popup_key(&mut self, key: KeyEvent) {
        let interrupts = key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL;
        let key = if interrupts { KeyEvent::from(KeyCode::Esc) } else { key };
        let Some(mut popup) = self.popups.pop() else {
            return;
        };
        let index = self.popups.len();
        let stay = popup.key(key, &mut self.context());
        self.settle(popup, index, stay);
    }

    pub(super) fn mouse(&mut self, mouse: MouseEvent) {
        let mouse = self.held(mouse);
        let place = Position::new(mouse.column, mouse.row);
        let click = mouse.kind == MouseEventKind::Down(MouseButton::Left);
        if click
            && let Some(popup) = self.popups.last()
            && let Some(key) = popup.framing(self.screen).and_then(|framing| framing.key_at(place))
        {
            return self.popup_key(key);
        }
        if let Some(mut popup) = self.popups.pop() {
            let index = self.popups.len();
            let stay: Stay = popup.mouse(mouse, &mut self.context());
            return self.settle(popup, index, stay);
        }
        let areas = self.areas();
        if areas.body.contains(place) {
            self.with_tab(|tab, cx| tab.mouse(mouse, cx));
        } else if click && areas.top.contains(place) {
            let bar = self.tab_bar();
            match bar.at(mouse.column) {
                Some(tab) => self.show(tab),
                // Health and jobs stand right of the names.
                None if mouse.column >= bar.width() => self.act(Action::GoActivity),
                None => {}
            }
        } else if click && areas.down.contains(place) {
            self.act(Action::GoActivity);
        } else if click
            && areas.footer.contains(place)
            && let Some(action) = self.hint_at(mouse.column)
        {
            self.act(action);
        }
    }

    /// A drag stays in the column where it began and in the tab, so that a scroll bar is not lost by an unsteady hand.
    fn held(&mut self, mouse: MouseEvent) -> MouseEvent {
        match mouse.kind {
            MouseEventKind::Down(_) => self.held = Some(mouse.column),
            MouseEventKind::Drag(_) => {
                let body = self.areas().body;
                let row = mouse.row.clamp(body.y, body.bottom().saturating_sub(1).max(body.y));
                return MouseEvent { column: self.held.unwrap_or(mouse.column), row, ..mouse };
            }
            MouseEventKind::Up(_) => self.held = None,
            _ => {}
        }
        mouse
    }

    /// Text is typed where text is expected, and is no command anywhere else.
    pub(super) fn paste(&mut self, text: &str) {
        let takes_text = !self.popups.is_empty() || self.tabs[self.active].is_typing();
        if !takes_text {
            return self.toast(Tone::Plain, "nothing here takes pasted text");
        }
        if text.len() > LONGEST_PASTE {
            return self.toast(Tone::Bad, "that is too much to paste (64 KiB at most)");
        }
        for character in text.trim_end_matches(['\r', '\n']).chars() {
            let character = if character.is_control() { ' ' } else { character };
            let key = KeyEvent::from(KeyCode::Char(character));
            if self.popups.is_empty() {
                self.with_tab(|tab, cx| tab.type_key(key, cx));
            } else {
                self.popup_key(key);
            }
        }
    }
}
