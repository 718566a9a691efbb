//! The frame around the tabs: first line, outages, footer, toasts; and what lies over it.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::tui::action::Action;
use crate::tui::context::Look;
use crate::tui::jobs::clock;
use crate::tui::keymap::{Keys, shown_key};
use crate::tui::widgets::footer::{self, Hint};
use crate::tui::widgets::pane::spinner;
use crate::tui::widgets::statusbar::{backends_line, down_line, draw_right, fitted, health_line, meter_line};
use crate::tui::widgets::tabbar::TabBar;
use crate::tui::widgets::toast;

use super::{App, first_key};

/// Below this nothing useful fits.
const LEAST: (u16, u16) = (60, 15);

/// Where the parts of the screen are.
pub(super) struct Areas {
    pub top: Rect,
    /// What is down; no line when all is up.
    pub down: Rect,
    pub body: Rect,
    pub footer: Rect,
}

impl App {
    /// Draws everything; changes nothing.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let screen = frame.area();
        if screen.width < LEAST.0 || screen.height < LEAST.1 {
            return draw_too_small(frame, screen);
        }
        let areas = split(screen, self.is_anything_down());
        let look = Look {
            theme: &self.theme,
            now: self.now,
            tick: self.tick,
            keys: Keys::new(&self.keymap, self.section()),
        };
        self.tabs[self.active].draw(frame, areas.body, &look);
        let meter_on_top = self.draw_top(frame, areas.top);
        if let Some(line) = down_line(&self.health, self.now, &self.theme) {
            let line = fitted(&line, usize::from(areas.down.width));
            frame.render_widget(Paragraph::new(line), areas.down);
        }
        self.draw_footer(frame, areas.footer, !meter_on_top);
        for popup in &self.popups {
            popup.draw(frame, screen, &look);
        }
        toast::draw(areas.body, frame.buffer_mut(), &self.theme, &self.toasts);
    }

    pub(super) fn areas(&self) -> Areas {
        split(self.screen, self.is_anything_down())
    }

    /// As it is drawn, for clicks.
    pub(super) fn tab_bar(&self) -> TabBar {
        let titles: Vec<&str> = self.tabs.iter().map(|tab| tab.title()).collect();
        // Without the latency, so that the names do not come and go with its digits.
        let status = health_line(&self.options.profile, &self.health, &self.theme, 0).width() + 1;
        let room = usize::from(self.screen.width).saturating_sub(status);
        TabBar::lay(&titles, self.active, u16::try_from(room).unwrap_or(0))
    }

    /// The tabs and what is on their right; whether the meter of running jobs had room.
    fn draw_top(&self, frame: &mut Frame<'_>, area: Rect) -> bool {
        let buffer = frame.buffer_mut();
        let bar = self.tab_bar();
        bar.draw(area, buffer, &self.theme);
        let room = usize::from(area.width.saturating_sub(bar.width()));
        let health = health_line(&self.options.profile, &self.health, &self.theme, room.saturating_sub(2));
        let backends = backends_line(&self.options.profile, &self.health, &self.theme);
        let meter = |with_left| meter_line(&self.jobs, self.now, &self.theme, with_left);
        let meters = [meter(true), meter(false)];
        // The fullest form that there is room for: the time left goes first, then the names of backends, then the meter.
        let mut forms: Vec<Vec<Line<'static>>> = Vec::new();
        for health in backends.iter().chain([&health]) {
            forms.extend(meters.iter().flatten().map(|meter| vec![health.clone(), meter.clone()]));
        }
        forms.extend(backends.into_iter().map(|backends| vec![backends]));
        let least = vec![health];
        let wide = |pieces: &[Line<'_>]| {
            pieces.iter().map(|piece| piece.width() + 3).sum::<usize>().saturating_sub(1)
        };
        let pieces = forms.into_iter().find(|pieces| wide(pieces) <= room).unwrap_or(least);
        let meter_fits = pieces.len() > 1;
        let right = Rect { x: area.x + bar.width().min(area.width), ..area }.intersection(area);
        draw_right(right, buffer, &self.theme, &pieces);
        meter_fits
    }

    fn draw_footer(&self, frame: &mut Frame<'_>, area: Rect, with_meter: bool) {
        let right = self.footer_right(with_meter);
        let hints: Vec<Hint> = self.hints().into_iter().map(|(hint, _)| hint).collect();
        footer::draw(area, frame.buffer_mut(), &self.theme, &hints, right.as_ref());
    }

    fn footer_right(&self, with_meter: bool) -> Option<Line<'static>> {
        let meter = meter_line(&self.jobs, self.now, &self.theme, true).filter(|_| with_meter);
        if !self.begun.is_empty() {
            let keys: Vec<String> = self.begun.iter().map(shown_key).collect();
            Some(Line::from(vec![Span::styled(format!("{} …", keys.join(" ")), self.theme.key)]))
        } else if let Some(age) = self.writing_for() {
            let text = format!("{} writing {}", spinner(self.tick), clock(age));
            Some(Line::styled(text, self.theme.running))
        } else if meter.is_none() && self.options.read_only {
            Some(Line::styled("read-only", self.theme.warn))
        } else {
            meter
        }
    }

    /// What a click on the footer asks for.
    pub(super) fn hint_at(&self, column: u16) -> Option<Action> {
        let hints = self.hints();
        let (names, actions): (Vec<Hint>, Vec<Option<Action>>) = hints.into_iter().unzip();
        let right = self.footer_right(true);
        let area = self.areas().footer;
        actions.get(footer::at(area, &names, right.as_ref(), column)?).copied().flatten()
    }

    /// What the footer says, and does when it is clicked: the tab's keys, then the way to all of them.
    fn hints(&self) -> Vec<(Hint, Option<Action>)> {
        let tab = &self.tabs[self.active];
        if tab.is_typing() {
            let hint = |key: &str, what| (Hint { key: key.to_owned(), what }, None);
            // Letters are text now.
            let help = self.keymap.keys_of(tab.section(), Action::Help);
            let help = help.iter().find(|key| key.chars().count() > 1).map(|key| hint(key, "help"));
            return [hint("enter", "take it"), hint("esc", "leave")].into_iter().chain(help).collect();
        }
        let actions = tab.hints().iter().chain([&Action::Help]);
        actions
            .filter(|action| !self.options.read_only || !action.changes_something())
            .filter_map(|action| {
                let key = first_key(&self.keymap, tab.section(), *action)?;
                Some((Hint { key, what: action.label() }, Some(*action)))
            })
            .collect()
    }
}

fn split(screen: Rect, is_anything_down: bool) -> Areas {
    let line = |y: u16, height: u16| Rect { y, height, ..screen }.intersection(screen);
    let down = u16::from(is_anything_down);
    let body = screen.height.saturating_sub(2 + down);
    Areas {
        top: line(screen.y, 1),
        down: line(screen.y + 1, down),
        body: line(screen.y + 1 + down, body),
        footer: line(screen.bottom().saturating_sub(1), 1),
    }
}

fn draw_too_small(frame: &mut Frame<'_>, screen: Rect) {
    let text = format!("too small: {}x{}\nlabtop needs {}x{}", screen.width, screen.height, LEAST.0, LEAST.1);
    let height = 2.min(screen.height);
    let place = Rect { y: screen.y + (screen.height - height) / 2, height, ..screen };
    frame.render_widget(Paragraph::new(text).alignment(Alignment::Center), place);
}
