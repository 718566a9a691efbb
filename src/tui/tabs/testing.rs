//! A desk on which one tab is tried out: told actions and answers, and looked at.

use std::collections::HashMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::action::Action;
use crate::tui::charts::testing::text_of;
use crate::tui::context::{Context, Effect, Goal, Look, Toast};
use crate::tui::keymap::{Keymap, Keys};
use crate::tui::popups::Popup;
use crate::tui::theme::Theme;
use crate::worker::protocol::{Answer, Command, Event, Failure, Read, Request, Slot, Ticket, Write};

use super::Tab;

pub(crate) struct Desk<T> {
    pub tab: T,
    pub area: Rect,
    pub read_only: bool,
    pub effects: Vec<Effect>,
    pub toasts: Vec<Toast>,
    pub popups: Vec<Box<dyn Popup>>,
    pub goals: Vec<Goal>,
    ticket: Ticket,
    hints: HashMap<Ticket, String>,
}

impl<T: Tab> Desk<T> {
    pub fn new(tab: T, width: u16, height: u16) -> Self {
        Desk {
            tab,
            area: Rect::new(0, 0, width, height),
            read_only: false,
            effects: Vec::new(),
            toasts: Vec::new(),
            popups: Vec::new(),
            goals: Vec::new(),
            ticket: Ticket(0),
            hints: HashMap::new(),
        }
    }

    /// Lets `change` act on the tab as a message would.
    pub fn with(&mut self, change: impl FnOnce(&mut T, &mut Context<'_>)) -> &mut Self {
        let keymap = Keymap::load(None);
        let mut cx = Context {
            keys: Keys::new(&keymap, self.tab.section()),
            now: Timestamp::from_second(1_750_000_000).unwrap(),
            area: self.area,
            screen: self.area,
            read_only: self.read_only,
            next_ticket: &mut self.ticket,
            effects: &mut self.effects,
            toasts: &mut self.toasts,
            popups: &mut self.popups,
            goals: &mut self.goals,
            hints: &mut self.hints,
        };
        change(&mut self.tab, &mut cx);
        self
    }

    pub fn refresh(&mut self) -> &mut Self {
        self.with(|tab, cx| tab.refresh(cx))
    }

    pub fn act(&mut self, action: Action) -> &mut Self {
        self.with(|tab, cx| tab.act(action, cx))
    }

    pub fn hear(&mut self, event: &Event) -> &mut Self {
        self.with(|tab, cx| tab.hear(event, cx))
    }

    pub fn key(&mut self, code: KeyCode) -> &mut Self {
        assert!(self.tab.is_typing(), "a key while no line has the keys");
        self.with(|tab, cx| tab.type_key(KeyEvent::from(code), cx))
    }

    /// Types `text` into the line that has the keys, then Enter.
    pub fn submit(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            self.key(KeyCode::Char(character));
        }
        self.key(KeyCode::Enter)
    }

    pub fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Self {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        self.with(|tab, cx| tab.mouse(event, cx))
    }

    pub fn click(&mut self, column: u16, row: u16) -> &mut Self {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row)
    }

    /// Requests since the last call.
    pub fn requests(&mut self) -> Vec<Request> {
        let taken = std::mem::take(&mut self.effects);
        let (sent, kept): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|effect| matches!(effect, Effect::Send(_)));
        self.effects = kept;
        sent.into_iter()
            .filter_map(|effect| match effect {
                Effect::Send(request) => Some(*request),
                _ => None,
            })
            .collect()
    }

    /// Reads since the last call of this or [`Desk::requests`].
    pub fn reads(&mut self) -> Vec<Read> {
        let reads = self.requests().into_iter().filter_map(|request| match request.command {
            Command::Read(_, read) => Some(read),
            _ => None,
        });
        reads.collect()
    }

    pub fn writes(&mut self) -> Vec<Write> {
        let writes = self.requests().into_iter().filter_map(|request| match request.command {
            Command::Write(write) => Some(write),
            _ => None,
        });
        writes.collect()
    }

    /// Answers the newest of the open requests for `slot`, which stay recorded.
    pub fn answer(&mut self, slot: Slot, result: Result<Answer, Failure>) -> &mut Self {
        let ticket = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Send(request) => match &request.command {
                Command::Read(asked, _) if *asked == slot => Some(request.ticket),
                _ => None,
            },
            _ => None,
        });
        let ticket = ticket.expect("nothing was asked for that slot");
        self.hear(&Event::Answer { ticket, slot, result })
    }

    pub fn buffer(&self) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(self.area.width, self.area.height)).unwrap();
        let (theme, keymap) = (Theme::default(), Keymap::load(None));
        let look = Look {
            theme: &theme,
            now: Timestamp::from_second(1_750_000_000).unwrap(),
            tick: 3,
            keys: Keys::new(&keymap, self.tab.section()),
        };
        terminal.draw(|frame| self.tab.draw(frame, frame.area(), &look)).unwrap();
        terminal.backend().buffer().clone()
    }

    pub fn screen(&self) -> String {
        text_of(&self.buffer())
    }

    /// The same tab on a screen of another size.
    pub fn resize(&mut self, width: u16, height: u16) -> &mut Self {
        self.area = Rect::new(0, 0, width, height);
        self
    }
}

/// A popup over an empty screen.
pub(crate) fn popup_text(popup: &dyn Popup, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let theme = Theme::default();
    let now = Timestamp::from_second(1_750_000_000).unwrap();
    let look = Look { theme: &theme, now, tick: 3, keys: Keys::NONE };
    terminal.draw(|frame| popup.draw(frame, frame.area(), &look)).unwrap();
    text_of(terminal.backend().buffer())
}

/// A whole screen without the lines that are not the tab's.
pub(crate) fn body(screen: &str) -> String {
    let lines: Vec<&str> = screen.lines().collect();
    lines[1..lines.len() - 1].join("\n")
}

/// As when a server is down.
pub(crate) fn down() -> Failure {
    Failure {
        message: "Chroma at http://localhost:8000 does not answer: connection refused".to_owned(),
        remedy: Some("start it with `make services`, or choose --profile embedded".to_owned()),
        unavailable: true,
    }
}

/// One thing that happens to a tab, chosen by chance: what, and two numbers to choose further by.
pub(crate) type Chance = (u8, u16, u16);

/// Lets anything happen in any order, at any size, and draws after each step. `answer` replies to a read; its number
/// chooses among answers and failures.
pub(crate) fn tumble<T: Tab>(tab: T, steps: &[Chance], answer: fn(&Read, u16) -> Result<Answer, Failure>) {
    const ACTIONS: [Action; 28] = [
        Action::Up,
        Action::Down,
        Action::Left,
        Action::Right,
        Action::HalfPageUp,
        Action::HalfPageDown,
        Action::PageUp,
        Action::PageDown,
        Action::Top,
        Action::Bottom,
        Action::Open,
        Action::Back,
        Action::Filter,
        Action::NextPane,
        Action::PreviousPane,
        Action::NextDistance,
        Action::Mark,
        Action::Copy,
        Action::Delete,
        Action::LikeThis,
        Action::ToggleWords,
        Action::NextModel,
        Action::Narrow,
        Action::Versus,
        Action::MoreResults,
        Action::FewerResults,
        Action::ToggleSimulated,
        Action::Sql,
    ];
    const KEYS: [KeyCode; 8] = [
        KeyCode::Char('日'),
        KeyCode::Char('{'),
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Backspace,
        KeyCode::Left,
        KeyCode::Up,
        KeyCode::Down,
    ];
    let mut desk = Desk::new(tab, 80, 21);
    let mut open: Vec<(Ticket, Slot, Read)> = Vec::new();
    desk.refresh();
    for &(kind, one, two) in steps {
        match kind % 6 {
            0 | 1 if desk.tab.is_typing() => {
                desk.key(KEYS[usize::from(one) % KEYS.len()]);
            }
            0 | 1 => {
                desk.act(ACTIONS[usize::from(one) % ACTIONS.len()]);
            }
            2 => {
                let wheel = [MouseEventKind::ScrollDown, MouseEventKind::ScrollUp];
                let click = MouseEventKind::Down(MouseButton::Left);
                let kinds = [click, wheel[0], wheel[1]];
                let (width, height) = (desk.area.width.max(1), desk.area.height.max(1));
                desk.mouse(kinds[usize::from(one + two) % 3], one % width, two % height);
            }
            3 => {
                desk.resize(one % 301, two % 101).with(|tab, cx| tab.resized(cx));
            }
            4 => {
                desk.refresh();
            }
            _ if !open.is_empty() => {
                let (ticket, slot, read) = open.remove(usize::from(one) % open.len());
                let result = answer(&read, two);
                desk.hear(&Event::Answer { ticket, slot, result });
            }
            _ => {}
        }
        for request in desk.requests() {
            if let Command::Read(slot, read) = request.command {
                open.push((request.ticket, slot, read));
            }
        }
        desk.screen();
    }
}
