//! Several labelled text fields and one thing that is made of them.

use std::fmt;
use std::ops::Range;

use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::domain::text::{fit, one_line, width};
use crate::tui::context::{Context, Look};
use crate::tui::widgets::input::TextLine;
use crate::worker::protocol::Write;

use super::{Framing, Popup, Stay, draw_framed};

/// Columns of the box.
const WIDE: u16 = 72;

/// A labelled line.
#[derive(Clone, Debug, Default)]
pub struct Field {
    label: &'static str,
    line: TextLine,
    hint: String,
}

impl Field {
    pub fn new(label: &'static str) -> Self {
        Field { label, ..Field::default() }
    }

    /// What stands in it at first.
    pub fn with(self, text: impl Into<String>) -> Self {
        Field { line: TextLine::new(text), ..self }
    }

    /// What it is for, shown while it is empty.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Field { hint: hint.into(), ..self }
    }
}

/// What is wrong, and in which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub field: usize,
    pub message: String,
}

impl Problem {
    pub fn new(field: usize, message: impl Into<String>) -> Self {
        Problem { field, message: message.into() }
    }
}

/// Makes the requests of the texts, in the order of the fields.
pub type Submit = dyn Fn(&[&str]) -> Result<Vec<Write>, Problem>;

/// The popup. Enter sends it; Tab and the arrows go from field to field.
pub struct Form {
    title: String,
    fields: Vec<Field>,
    focus: usize,
    problem: Option<Problem>,
    verb: &'static str,
    submit: Box<Submit>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form")
            .field("title", &self.title)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl Form {
    /// `verb` is what Enter does, in one word.
    pub fn new(
        title: impl Into<String>,
        fields: Vec<Field>,
        verb: &'static str,
        submit: impl Fn(&[&str]) -> Result<Vec<Write>, Problem> + 'static,
    ) -> Self {
        Form { title: title.into(), fields, focus: 0, problem: None, verb, submit: Box::new(submit) }
    }

    /// Sends each write as `change` makes it.
    pub fn sending(self, change: impl Fn(Write) -> Write + 'static) -> Self {
        let submit = self.submit;
        let changed = move |texts: &[&str]| Ok(submit(texts)?.into_iter().map(&change).collect());
        Form { submit: Box::new(changed), ..self }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Stay {
        let texts: Vec<&str> = self.fields.iter().map(|field| field.line.text().trim()).collect();
        match (self.submit)(&texts) {
            Ok(writes) => {
                for write in writes {
                    cx.write(write);
                }
                Stay::Close
            }
            Err(problem) => {
                self.focus = problem.field.min(self.fields.len().saturating_sub(1));
                self.problem = Some(problem);
                Stay::Open
            }
        }
    }

    fn go(&mut self, forward: bool) {
        let count = self.fields.len().max(1);
        self.focus = if forward { (self.focus + 1) % count } else { (self.focus + count - 1) % count };
    }

    /// Fields in view: in a low screen the one with the keys stays there; the last line is for what is wrong.
    fn window(&self, height: u16) -> Range<usize> {
        let height = usize::from(height.saturating_sub(1)).max(1);
        let first = (self.focus + 1).saturating_sub(height);
        first..self.fields.len().min(first + height)
    }

    fn label_width(&self) -> u16 {
        let longest = self.fields.iter().map(|field| width(field.label)).max().unwrap_or(0);
        u16::try_from(longest + 2).unwrap_or(0)
    }

    fn draw_field(
        &self,
        index: usize,
        line: Rect,
        frame: &mut Frame<'_>,
        look: &Look<'_>,
    ) -> Option<Position> {
        let (field, theme) = (&self.fields[index], look.theme);
        let label = if index == self.focus { theme.focus } else { theme.dim };
        let label_width = self.label_width().min(line.width);
        frame.buffer_mut().set_stringn(line.x, line.y, field.label, usize::from(label_width), label);
        let room = Rect { x: line.x + label_width, width: line.width - label_width, ..line };
        if field.line.is_empty() {
            let hint = fit(&field.hint, usize::from(room.width));
            frame.buffer_mut().set_stringn(room.x, room.y, hint, usize::from(room.width), theme.dim);
        }
        let cursor = field.line.draw(room, frame.buffer_mut(), theme.text);
        (index == self.focus).then_some(cursor)
    }
}

impl Popup for Form {
    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Stay {
        match key.code {
            KeyCode::Esc => return Stay::Close,
            KeyCode::Enter => return self.send(cx),
            KeyCode::Tab | KeyCode::Down => self.go(true),
            KeyCode::BackTab | KeyCode::Up => self.go(false),
            _ => {
                if let Some(field) = self.fields.get_mut(self.focus)
                    && field.line.key(key)
                {
                    self.problem = None;
                }
            }
        }
        Stay::Open
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) -> Stay {
        let place = self.framing(cx.screen).map_or(Rect::ZERO, |framing| framing.place);
        if mouse.kind == MouseEventKind::Down(MouseButton::Left)
            && place.contains(Position::new(mouse.column, mouse.row))
            && mouse.row > place.y
        {
            let window = self.window(place.height.saturating_sub(2));
            let index = window.start + usize::from(mouse.row - place.y - 1);
            if window.contains(&index) {
                self.focus = index;
            }
        }
        Stay::Open
    }

    fn framing(&self, screen: Rect) -> Option<Framing> {
        let hints = vec![("enter", self.verb), ("tab", "next field"), ("esc", "close")];
        Some(Framing::new(screen, (WIDE, self.fields.len() + 4), hints))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        let Some(framing) = self.framing(area) else { return };
        let inside = draw_framed(frame, &framing, look.theme, &one_line(&self.title, 200));
        let mut cursor = None;
        for (y, index) in (inside.y..inside.bottom()).zip(self.window(inside.height)) {
            let line = Rect { y, height: 1, ..inside };
            cursor = cursor.or(self.draw_field(index, line, frame, look));
        }
        if let Some(problem) = &self.problem {
            let line =
                Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside }.intersection(inside);
            let text = fit(&one_line(&problem.message, 500), usize::from(line.width));
            frame.render_widget(Paragraph::new(Line::styled(text, look.theme.bad)), line);
        }
        if let Some(cursor) = cursor {
            frame.set_cursor_position(cursor);
        }
    }
}
