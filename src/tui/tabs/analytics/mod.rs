//! The analytics tab: the four charts of the published example, live, and an SQL console on the analytics file.

use crossterm::event::{KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::domain::experiment::Status;
use crate::domain::performance::ModelSummary;
use crate::tui::action::Action;
use crate::tui::charts::palette::Names;
use crate::tui::context::{Context, Look, Tone};
use crate::tui::remote::Remote;
use crate::worker::protocol::{Answer, Event, Failure, Read, Slot, Ticket};

use super::Tab;

mod console;
#[cfg(test)]
mod tests;
mod view;

use console::Console;

/// The charts, in the order of their pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chart {
    Accuracy,
    TrainingTime,
    InferenceTime,
    Tradeoff,
}

impl Chart {
    const ALL: [Chart; 4] = [Chart::Accuracy, Chart::TrainingTime, Chart::InferenceTime, Chart::Tradeoff];

    /// As published.
    fn title(self) -> &'static str {
        match self {
            Chart::Accuracy => "Average Accuracy by Model",
            Chart::TrainingTime => "Average Training Time by Model (s)",
            Chart::InferenceTime => "Average Inference Time by Model (ms)",
            Chart::Tradeoff => "Accuracy vs Inference Time",
        }
    }
}

/// State of the tab.
#[derive(Debug)]
pub struct Analytics {
    summaries: Remote<Vec<ModelSummary>>,
    visible: bool,
    /// Something changed while an answer was on its way: ask once more when it is here.
    again: bool,
    with_simulated: bool,
    names: Names,
    /// Which chart is shown where there is room for one.
    page: usize,
    /// One chart has all the room, however much there is.
    enlarged: bool,
    console: Console,
}

impl Default for Analytics {
    fn default() -> Self {
        Analytics {
            summaries: Remote::Idle,
            visible: false,
            again: false,
            with_simulated: true,
            names: Names::default(),
            page: 0,
            enlarged: false,
            console: Console::default(),
        }
    }
}

impl Analytics {
    /// At most one read is under way; whatever happens meanwhile leads to one more.
    fn reread(&mut self, cx: &mut Context<'_>) {
        if self.summaries.is_loading() {
            self.again = true;
        } else {
            self.read(cx);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        self.again = false;
        let read = Read::ModelSummaries { with_simulated: self.with_simulated };
        self.summaries.load(cx.read(Slot::Analytics, read));
    }

    fn fill(&mut self, ticket: Ticket, result: &Result<Answer, Failure>, cx: &mut Context<'_>) {
        let result = match result {
            Ok(Answer::ModelSummaries(summaries)) => Ok(summaries.clone()),
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        if self.summaries.fill(ticket, result) {
            if let Some(summaries) = self.summaries.data() {
                self.names.learn(summaries.iter().map(|summary| summary.model_name.as_str()));
            }
            if self.again {
                self.read(cx);
            }
        }
    }

    fn turn_page(&mut self, forward: bool) {
        let count = Chart::ALL.len();
        self.page = (self.page + if forward { 1 } else { count - 1 }) % count;
    }

    fn copy(&self, cx: &mut Context<'_>) {
        let text = match self.console.has_keys().then(|| self.console.as_text()).flatten() {
            Some(table) => table,
            None => self.summaries.data().map(|summaries| view::as_text(summaries)).unwrap_or_default(),
        };
        if text.is_empty() {
            return cx.toast(Tone::Plain, "nothing to copy yet");
        }
        cx.copy_and_tell(text, "the table");
    }

    fn is_over_console(&self, area: Rect, position: Position) -> bool {
        view::console_place(self, area).is_some_and(|place| place.contains(position))
    }
}

impl Tab for Analytics {
    fn title(&self) -> &'static str {
        "Analytics"
    }

    fn section(&self) -> &'static str {
        "analytics"
    }

    fn refresh(&mut self, cx: &mut Context<'_>) {
        self.visible = true;
        self.reread(cx);
    }

    fn hide(&mut self) {
        self.visible = false;
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::ToggleSimulated => {
                self.with_simulated = !self.with_simulated;
                self.read(cx);
            }
            Action::Sql | Action::Filter => self.console.open(),
            Action::NextPane | Action::PreviousPane => self.console.switch_focus(),
            Action::CopyLine if self.console.has_keys() => match self.console.selected_text() {
                Some(line) => cx.copy_and_tell(line, "the line"),
                None => cx.toast(Tone::Plain, "nothing is selected to copy"),
            },
            Action::Copy | Action::CopyLine => self.copy(cx),
            _ if self.console.has_keys() => {
                let height = view::sheet_height(self, cx.area);
                self.console.act(action, height);
            }
            Action::Left | Action::Up => self.turn_page(false),
            Action::Right | Action::Down => self.turn_page(true),
            Action::Top => self.page = 0,
            Action::Bottom => self.page = Chart::ALL.len() - 1,
            Action::Open => self.enlarged = !self.enlarged,
            Action::Back if self.enlarged => self.enlarged = false,
            Action::Back => self.console.close(),
            _ => {}
        }
    }

    fn is_typing(&self) -> bool {
        self.console.is_typing()
    }

    fn type_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        self.console.type_key(key, cx);
    }

    fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        let position = Position::new(mouse.column, mouse.row);
        if self.is_over_console(cx.area, position) {
            let sheet = view::sheet_place(self, cx.area);
            return self.console.mouse(mouse, sheet);
        }
        match mouse.kind {
            MouseEventKind::ScrollDown => self.turn_page(true),
            MouseEventKind::ScrollUp => self.turn_page(false),
            MouseEventKind::Down(MouseButton::Left) => {
                self.console.leave();
                if let Some(page) = view::chart_at(self, cx.area, position) {
                    self.page = page;
                }
            }
            _ => {}
        }
    }

    fn hear(&mut self, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Answer { ticket, slot: Slot::Analytics, result } => self.fill(*ticket, result, cx),
            Event::Answer { ticket, slot: Slot::Sql, result } => self.console.fill(*ticket, result),
            Event::Experiment(experiment) if self.visible && experiment.status == Status::Completed => {
                self.reread(cx);
            }
            _ => {}
        }
    }

    fn hints(&self) -> &'static [Action] {
        if self.console.has_keys() {
            &[Action::Sql, Action::Copy, Action::NextPane, Action::Back]
        } else {
            &[Action::ToggleSimulated, Action::Sql, Action::Right, Action::Open, Action::Copy]
        }
    }

    fn is_busy(&self) -> bool {
        self.summaries.is_loading() || self.console.is_loading()
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) {
        view::draw(self, frame, area, look);
    }
}
