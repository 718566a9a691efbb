//! How the curves are looked at: smoothing, axes, zoom, and the cursor that reads values.

use crossterm::event::MouseEvent;
use jiff::Timestamp;
use ratatui::layout::{Position, Rect};

use crate::domain::experiment::ExperimentId;
use crate::tui::action::Action;
use crate::tui::charts::thin::Point;
use crate::tui::charts::view::View;
use crate::tui::context::{Context, Tone};

use super::detail::{Detail, Shown};
use super::{Experiments, Focus};

/// Points that a far step goes.
const FAR: usize = 10;

impl Experiments {
    /// Carries out an action on the curves; false for one that is not about them.
    pub(super) fn act_on_curves(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let settings = &mut self.view.settings;
        let on_off = |on: bool| if on { "on" } else { "off" };
        match action {
            Action::NextSmoothing => {
                settings.next_smoothing();
                let text = match settings.smoothing {
                    0.0 => "smoothing is off".to_owned(),
                    weight => format!("smoothed: exponential moving average, weight {weight}"),
                };
                cx.toast(Tone::Plain, text);
            }
            Action::ToggleTime => {
                self.view.toggle_time();
                let axis = if self.view.settings.time { "time since the start" } else { "steps" };
                cx.toast(Tone::Plain, format!("curves over {axis}"));
            }
            Action::ToggleLog => {
                settings.log = !settings.log;
                cx.toast(Tone::Plain, format!("logarithmic y axis {}", on_off(settings.log)));
            }
            Action::ToggleOutliers => {
                settings.clip = !settings.clip;
                let text = if settings.clip {
                    "y axis covers percentiles 1 to 99"
                } else {
                    "y axis covers all values"
                };
                cx.toast(Tone::Plain, text);
            }
            Action::LargeMetric => settings.large = !settings.large,
            Action::NextMetric | Action::PreviousMetric => self.turn_metric(action == Action::NextMetric),
            Action::ReadValues => self.toggle_cursor(cx.area),
            Action::ZoomIn | Action::ZoomOut => {
                self.with_points(cx, |view, points| view.zoom(points, action == Action::ZoomIn));
            }
            Action::FarLeft | Action::FarRight => self.step_cursor(cx, action == Action::FarRight, FAR),
            Action::Left | Action::Right if self.reads_values() => {
                self.step_cursor(cx, action == Action::Right, 1);
            }
            Action::Top | Action::Bottom if self.reads_values() => {
                self.step_cursor(cx, action == Action::Bottom, usize::MAX);
            }
            Action::Back if self.reads_values() => self.view.cursor = None,
            _ => return false,
        }
        true
    }

    /// The cursor on the curves has the keys.
    fn reads_values(&self) -> bool {
        self.view.cursor.is_some() && (self.compare.is_some() || self.has_detail_keys())
    }

    fn toggle_cursor(&mut self, area: Rect) {
        if self.compare.is_none() && self.detail_area(area).is_none() {
            return;
        }
        // A cursor that has lost the keys gets them back before it goes.
        let had_keys = self.view.cursor.is_none() || self.reads_values();
        if had_keys {
            self.view.toggle_cursor();
        }
        if self.view.cursor.is_some() {
            self.follow = false;
            self.focus = Focus::Detail;
        }
    }

    fn step_cursor(&mut self, cx: &Context<'_>, right: bool, by: usize) {
        self.with_points(cx, |view, points| match view.cursor {
            Some(_) => view.step(points, right, by),
            None => view.pan(points, right),
        });
    }

    fn turn_metric(&mut self, right: bool) {
        match &mut self.compare {
            Some(compare) => compare.turn(right),
            None => self.detail.turn_metric(right),
        }
    }

    fn with_points(&mut self, cx: &Context<'_>, change: impl FnOnce(&mut View, &[&[Point]])) {
        let mut view = self.view;
        match &self.compare {
            Some(compare) => compare.with_points(&mut view, change),
            None => {
                let room = self.detail_area(cx.area).unwrap_or_default();
                self.with_detail(cx.now, |detail, shown| detail.with_points(&mut view, room, shown, change));
            }
        }
        self.view = view;
    }

    /// A click into the detail.
    pub(super) fn click_detail(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        let place = Position::new(mouse.column, mouse.row);
        let room = self.detail_area(cx.area).unwrap_or_default();
        let mut view = self.view;
        self.with_detail(cx.now, |detail, shown| detail.click(cx, &mut view, room, place, shown));
        if view.cursor.is_some() {
            self.follow = false;
        }
        self.view = view;
    }

    /// Lets `act` change the detail, with what it needs to know of the rest of the tab.
    pub(super) fn with_detail(&mut self, now: Timestamp, act: impl FnOnce(&mut Detail, &Shown<'_>)) {
        let mut detail = std::mem::take(&mut self.detail);
        self.with_shown(detail.id(), now, |shown| act(&mut detail, shown));
        self.detail = detail;
    }

    /// What is known of the run `id` beside what the detail has read.
    pub(super) fn with_shown(&self, id: Option<ExperimentId>, now: Timestamp, act: impl FnOnce(&Shown<'_>)) {
        let log = self.log_of(id);
        act(&Shown {
            now,
            row: self.list.selected().filter(|run| id == Some(run.id)),
            live: id.and_then(|id| self.live.get(id)),
            log: &log,
            focused: self.has_detail_keys(),
            large: self.view.settings.large,
        });
    }
}
