//! What may happen to a dashboard: random keys, mouse events, pastes and sizes, the same from the same seed.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use labtop::tui::{Message, keys};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use ratatui::layout::Size;

/// Sizes go from 1x1 up to this.
const LARGEST: (u16, u16) = (300, 100);

/// Below this only the notice about the size is shown, which is soon explored.
const USABLE: (u16, u16) = (60, 15);

/// Every key of the shipped keymap but those that leave the program, and what a text line may have to take.
const CHARACTERS: &[char] = &[
    'j', 'k', 'h', 'l', 'g', 'G', ' ', 's', 'S', '/', '?', ':', '1', '2', '3', '4', '5', '[', ']', 'b', 'n',
    'c', 'r', 'R', 't', 'N', 'a', 'A', 'u', 'd', 'D', 'x', 'y', 'Y', 'H', 'M', 'm', 'i', '+', '-', '=', '<',
    '>', '0', '9', '\'', '"', '{', '}', '%', 'e', 'o', 'é', '日', '🦀', '\u{301}', 'ß', '_', '.', ',', 'v',
    'w', 'B', 'C', 'L', 'f', 'z', '|', '~', '*', '\\',
];

const CODES: &[KeyCode] = &[
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Backspace,
    KeyCode::Delete,
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Insert,
    KeyCode::F(1),
    KeyCode::F(5),
    KeyCode::F(12),
];

/// With ctrl. Not c, q or z, which leave the program.
const CONTROLLED: &[char] = &['d', 'u', 'f', 'b', 'p', 'r', 'n', 'j', 'k', 'a', 'e', 'w'];

/// Ways into the depth that single keys would seldom find.
const PATHS: &[&str] = &[
    "1b<enter>",
    "1bj<enter>",
    "1/accuracy > 0.5<enter>",
    "1/model = 'XGBoost' or status = 'failed'<enter>",
    "1<esc><esc> j j c",
    "1n<tab><tab><enter>",
    "1jjr",
    "1ga",
    "1gDy",
    "1GD1<enter>",
    "1gt baseline<enter>",
    "2/good sound<enter>",
    "2<enter>m",
    "2aid<tab>a text<enter>",
    "3n soak-1<enter>",
    "3/good where {\"rating\": {\"$gt\": 3}}<enter>",
    "3<tab>jj a",
    "3dsoak-1<enter>",
    "4llh<enter>",
    "4sSELECT * FROM experiments_performance<enter>",
    "4sSELECT 1/0, 'x' FROM range(100000)<enter>",
    "5<tab>jjx",
    ":demo<enter>",
    ":theme<enter>jj<enter>",
    "?jjG",
];

const PASTES: &[&str] = &[
    "model = 'a'\nq\u{1b}[A",
    "日本語 🦀 e\u{301}\u{200b}\u{202e}",
    "{\"a\": [1, 2, {\"b\": null}]}",
    "",
    "\r\n\r\n",
];

/// One of them.
#[derive(Clone)]
pub enum Happening {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(Size),
    Tick,
}

impl fmt::Debug for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::Key(key) => write!(f, "{:?}+{:?}", key.modifiers, key.code),
            Happening::Mouse(mouse) => write!(f, "{:?} at {},{}", mouse.kind, mouse.column, mouse.row),
            Happening::Paste(text) => write!(f, "paste of {} bytes", text.len()),
            Happening::Resize(size) => write!(f, "{}x{}", size.width, size.height),
            Happening::Tick => write!(f, "tick"),
        }
    }
}

impl From<Happening> for Message {
    fn from(happening: Happening) -> Self {
        match happening {
            Happening::Key(key) => Message::Key(key),
            Happening::Mouse(mouse) => Message::Mouse(mouse),
            Happening::Paste(text) => Message::Paste(text),
            Happening::Resize(size) => Message::Resize(size),
            Happening::Tick => Message::Tick,
        }
    }
}

/// An endless stream of them.
pub struct Happenings {
    random: ChaCha8Rng,
    size: Size,
    /// What is left of a path.
    ahead: Vec<KeyEvent>,
}

impl Happenings {
    pub fn new(random: ChaCha8Rng, size: Size) -> Self {
        Happenings { random, size, ahead: Vec::new() }
    }

    pub fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.random_range(0..all.len())]
    }

    fn key(&mut self) -> KeyEvent {
        match self.random.random_range(0..100) {
            0..50 => KeyEvent::from(KeyCode::Char(self.one_of(CHARACTERS))),
            50..80 => {
                let modifiers = match self.random.random_range(0..10) {
                    0 => KeyModifiers::SHIFT,
                    1 => KeyModifiers::ALT,
                    2 => KeyModifiers::CONTROL,
                    _ => KeyModifiers::NONE,
                };
                KeyEvent::new(self.one_of(CODES), modifiers)
            }
            80..90 => KeyEvent::from(KeyCode::Esc),
            90..98 => KeyEvent::new(KeyCode::Char(self.one_of(CONTROLLED)), KeyModifiers::CONTROL),
            _ => KeyEvent::new(KeyCode::Char(self.one_of(CHARACTERS)), KeyModifiers::ALT),
        }
    }

    fn mouse(&mut self) -> MouseEvent {
        let button =
            self.one_of(&[MouseButton::Left, MouseButton::Left, MouseButton::Right, MouseButton::Middle]);
        let kind = match self.random.random_range(0..10) {
            0..4 => MouseEventKind::Down(button),
            4 => MouseEventKind::Up(button),
            5..7 => MouseEventKind::Drag(button),
            7 => MouseEventKind::ScrollUp,
            8 => MouseEventKind::ScrollDown,
            _ => self.one_of(&[MouseEventKind::ScrollLeft, MouseEventKind::ScrollRight]),
        };
        // Also a little outside: a click may come from before a resize.
        let column = self.random.random_range(0..self.size.width.saturating_add(3));
        let row = self.random.random_range(0..self.size.height.saturating_add(3));
        let modifiers = self.one_of(&[KeyModifiers::NONE, KeyModifiers::NONE, KeyModifiers::SHIFT]);
        MouseEvent { kind, column, row, modifiers }
    }

    fn size(&mut self) -> Size {
        let least = if self.random.random_range(0..3) == 0 { (1, 1) } else { USABLE };
        Size::new(
            self.random.random_range(least.0..=LARGEST.0),
            self.random.random_range(least.1..=LARGEST.1),
        )
    }

    fn paste(&mut self) -> String {
        match self.random.random_range(0..20) {
            0 => "long ".repeat(14_000),
            1..5 => (0..200).map(|_| self.one_of(CHARACTERS)).collect(),
            _ => self.one_of(PASTES).to_owned(),
        }
    }
}

impl Iterator for Happenings {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        if let Some(key) = self.ahead.pop() {
            return Some(Happening::Key(key));
        }
        Some(match self.random.random_range(0..1000) {
            0..700 => Happening::Key(self.key()),
            700..850 => Happening::Mouse(self.mouse()),
            850..880 => {
                self.size = self.size();
                Happening::Resize(self.size)
            }
            880..890 => Happening::Paste(self.paste()),
            890..905 => {
                let path = self.one_of(PATHS);
                // From a place that is known.
                let text = format!("<esc><esc><esc>{path}");
                self.ahead = keys::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                self.ahead.reverse();
                Happening::Key(KeyEvent::from(KeyCode::Esc))
            }
            _ => Happening::Tick,
        })
    }
}

/// As a terminal sends it; none for what no terminal sends.
pub fn bytes(happening: &Happening) -> Option<Vec<u8>> {
    match happening {
        Happening::Key(key) => key_bytes(*key),
        Happening::Mouse(mouse) => mouse_bytes(*mouse),
        Happening::Paste(text) => Some(format!("\x1b[200~{text}\x1b[201~").into_bytes()),
        Happening::Resize(_) | Happening::Tick => None,
    }
}

fn key_bytes(key: KeyEvent) -> Option<Vec<u8>> {
    let text = match key.code {
        KeyCode::Char(character) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            char::from(u8::try_from(character).ok()? & 0x1f).to_string()
        }
        KeyCode::Char(character) => character.to_string(),
        KeyCode::Enter => "\r".to_owned(),
        KeyCode::Esc => "\x1b".to_owned(),
        KeyCode::Tab => "\t".to_owned(),
        KeyCode::BackTab => "\x1b[Z".to_owned(),
        KeyCode::Backspace => "\x7f".to_owned(),
        KeyCode::Delete => "\x1b[3~".to_owned(),
        KeyCode::Up => "\x1b[A".to_owned(),
        KeyCode::Down => "\x1b[B".to_owned(),
        KeyCode::Right => "\x1b[C".to_owned(),
        KeyCode::Left => "\x1b[D".to_owned(),
        KeyCode::Home => "\x1b[H".to_owned(),
        KeyCode::End => "\x1b[F".to_owned(),
        KeyCode::PageUp => "\x1b[5~".to_owned(),
        KeyCode::PageDown => "\x1b[6~".to_owned(),
        KeyCode::Insert => "\x1b[2~".to_owned(),
        KeyCode::F(1) => "\x1bOP".to_owned(),
        KeyCode::F(5) => "\x1b[15~".to_owned(),
        KeyCode::F(12) => "\x1b[24~".to_owned(),
        _ => return None,
    };
    let escape = if key.modifiers.contains(KeyModifiers::ALT) { "\x1b" } else { "" };
    Some(format!("{escape}{text}").into_bytes())
}

/// In the SGR encoding.
fn mouse_bytes(mouse: MouseEvent) -> Option<Vec<u8>> {
    let of = |button| match button {
        MouseButton::Left => 0,
        MouseButton::Middle => 1,
        MouseButton::Right => 2,
    };
    let (code, end) = match mouse.kind {
        MouseEventKind::Down(button) => (of(button), 'M'),
        MouseEventKind::Up(button) => (of(button), 'm'),
        MouseEventKind::Drag(button) => (of(button) + 32, 'M'),
        MouseEventKind::ScrollUp => (64, 'M'),
        MouseEventKind::ScrollDown => (65, 'M'),
        MouseEventKind::ScrollLeft => (66, 'M'),
        MouseEventKind::ScrollRight => (67, 'M'),
        MouseEventKind::Moved => return None,
    };
    let shift = if mouse.modifiers.contains(KeyModifiers::SHIFT) { 4 } else { 0 };
    Some(format!("\x1b[<{};{};{}{end}", code + shift, mouse.column + 1, mouse.row + 1).into_bytes())
}
