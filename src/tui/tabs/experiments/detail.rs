//! One run in full: its curves while they grow, parameters, results, metrics, documents, log, note.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use crate::domain::collection::StoredRecord;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::metric::MetricPoint;
use crate::tui::charts::thin::Point;
use crate::tui::charts::view::View;
use crate::tui::context::{Context, Look, Tone};
use crate::tui::remote::Remote;
use crate::tui::widgets::cursor::Cursor;
use crate::tui::widgets::notice::{below_failure, draw_empty, draw_failure};
use crate::tui::widgets::number::count;
use crate::tui::widgets::pane::{Pane, spinner};
use crate::worker::protocol::{Answer, Failure, LogLine, Read, Slot, Ticket};

use super::columns;
use super::curves::{Curves, Live};
use facts::Facts;
use plots::Plots;
use sections::Section;

mod facts;
mod header;
mod plots;
mod sections;

pub use sections::value_text;

#[derive(Clone, Debug, PartialEq)]
struct Loaded {
    experiment: Experiment,
    curves: Curves,
    /// Points in the store; more than came where a curve is long.
    recorded: u64,
}

/// The run that is shown.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    id: Option<ExperimentId>,
    loaded: Remote<Loaded>,
    documents: Remote<Vec<StoredRecord>>,
    section: Section,
    /// Over the lines below the curves.
    cursor: Cursor,
    /// The first metric that is shown.
    metric: usize,
    /// Something changed while a reading was under way.
    again: bool,
}

impl Detail {
    pub fn id(&self) -> Option<ExperimentId> {
        self.id
    }

    /// Shows a run; reads it unless it is there already.
    pub fn show(&mut self, cx: &mut Context<'_>, id: Option<ExperimentId>) {
        if self.id != id {
            self.id = id;
            self.loaded.clear();
            self.documents.clear();
            self.cursor = Cursor::default();
            self.reread(cx);
        }
    }

    /// Reads the run again; one reading at a time, so that many changes in a row do not cancel each other's.
    pub fn refresh(&mut self, cx: &mut Context<'_>) {
        if self.loaded.is_loading() {
            self.again = true;
        } else {
            self.reread(cx);
        }
    }

    fn reread(&mut self, cx: &mut Context<'_>) {
        self.again = false;
        if let Some(id) = self.id {
            self.loaded.load(cx.read(Slot::Detail, Read::Detail(id)));
            self.read_documents(cx);
        }
    }

    /// Nothing is shown any more.
    pub fn close(&mut self) {
        *self = Detail { section: self.section, metric: self.metric, ..Detail::default() };
    }

    /// Only when they are looked at: they come from another store.
    fn read_documents(&mut self, cx: &mut Context<'_>) {
        if let (Some(id), Section::Documents) = (self.id, self.section) {
            self.documents.load(cx.read(Slot::Documents, Read::DocumentsOf(id)));
        }
    }

    pub fn turn(&mut self, cx: &mut Context<'_>, right: bool) {
        self.turn_to(cx, self.section.beside(right));
    }

    fn turn_to(&mut self, cx: &mut Context<'_>, section: Section) {
        self.section = section;
        self.cursor = Cursor::default();
        if self.documents.data().is_none() && !self.documents.is_loading() {
            self.read_documents(cx);
        }
    }

    /// Shows the next metric first, or the one before it.
    pub fn turn_metric(&mut self, right: bool) {
        let count = self.curves().map_or(0, |curves| curves.names().len()).max(1);
        let here = self.metric.min(count - 1);
        self.metric = if right { (here + 1) % count } else { (here + count - 1) % count };
        if self.section == Section::Metrics {
            self.cursor.selected = self.metric;
        }
    }

    /// The run as it was read last.
    pub fn loaded(&self) -> Option<&Experiment> {
        self.loaded.data().map(|loaded| &loaded.experiment)
    }

    fn curves(&self) -> Option<&Curves> {
        self.loaded.data().map(|loaded| &loaded.curves)
    }

    /// Moves over the lines below the curves, in a pane of `area`.
    pub fn scroll(&mut self, down: bool, by: usize, area: Rect, shown: &Shown<'_>) {
        let Some(run) = self.run(shown) else { return };
        let look = Look::plain(shown.now);
        let text = self.parts(Pane::inside(area), run, &look, shown).text;
        let facts = self.facts(&look, run, shown);
        let total = facts.height(text.width);
        if down {
            self.cursor.down(by, total)
        } else {
            self.cursor.up(by)
        }
        self.cursor.keep_visible(usize::from(text.height), total);
        if self.section == Section::Metrics {
            self.metric = facts.at(self.cursor.selected, text.width).unwrap_or(0);
        }
    }

    /// The value under the cursor, to the clipboard.
    pub fn copy(&self, cx: &mut Context<'_>, area: Rect, shown: &Shown<'_>) {
        let Some(run) = self.run(shown) else { return };
        let look = Look::plain(shown.now);
        let text = self.parts(Pane::inside(area), run, &look, shown).text;
        let facts = self.facts(&look, run, shown);
        match facts.value(self.cursor.selected, text.width) {
            Some((name, value)) => {
                let what = if name.is_empty() { "the text" } else { name };
                cx.toast(Tone::Good, format!("copied {what}"));
                cx.copy(value.to_owned());
            }
            None => cx.toast(Tone::Plain, "nothing to copy here"),
        }
    }

    /// A click into the pane: on a curve it puts the cursor there, on a name it turns to that section.
    pub fn click(
        &mut self,
        cx: &mut Context<'_>,
        view: &mut View,
        area: Rect,
        place: Position,
        shown: &Shown<'_>,
    ) {
        let Some(run) = self.run(shown) else { return };
        let look = Look::plain(shown.now);
        let parts = self.parts(Pane::inside(area), run, &look, shown);
        if parts.sections.contains(place) {
            if let Some(section) = self.section.at(parts.sections.width, place.x - parts.sections.x) {
                self.turn_to(cx, section);
            }
        } else if parts.text.contains(place) {
            let total = self.facts(&look, run, shown).height(parts.text.width);
            let height = usize::from(parts.text.height);
            self.cursor.click(usize::from(place.y - parts.text.y), height, total);
        } else if let Some(plots) = self.plots(run, view, shown)
            && let Some(x) = plots.x_at(parts.curves, place)
        {
            view.cursor = Some(if view.settings.time { x } else { x.round() });
        }
    }

    /// Lets `change` act on the view with the points of all charts on the screen.
    pub fn with_points(
        &self,
        view: &mut View,
        area: Rect,
        shown: &Shown<'_>,
        change: impl FnOnce(&mut View, &[&[Point]]),
    ) {
        let Some(run) = self.run(shown) else { return };
        let parts = self.parts(Pane::inside(area), run, &Look::plain(shown.now), shown);
        let before = *view;
        let points =
            self.plots(run, &before, shown).map(|plots| plots.shown(parts.curves)).unwrap_or_default();
        let points: Vec<&[Point]> = points.iter().map(AsRef::as_ref).collect();
        change(view, &points);
    }

    pub fn take(
        &mut self,
        ticket: Ticket,
        result: &Result<Answer, Failure>,
        live: &Live,
        cx: &mut Context<'_>,
    ) {
        match result {
            Ok(Answer::Detail { experiment, points, recorded }) => {
                let mut curves = Curves::of(points);
                if let Some(newer) = live.get(experiment.id) {
                    curves.merge(newer);
                }
                let loaded = Loaded { experiment: experiment.as_ref().clone(), curves, recorded: *recorded };
                if self.loaded.fill(ticket, Ok(loaded)) && self.again {
                    self.reread(cx);
                }
            }
            Ok(Answer::Documents(records)) => {
                self.documents.fill(ticket, Ok(records.clone()));
            }
            Ok(_) => {}
            Err(failure) => {
                self.loaded.fill(ticket, Err(failure.clone()));
                self.documents.fill(ticket, Err(failure.clone()));
                self.again = false;
            }
        }
    }

    /// The run changed in this process.
    pub fn put(&mut self, experiment: &Experiment) {
        if self.id == Some(experiment.id)
            && let Some(loaded) = self.loaded.data_mut()
        {
            loaded.experiment.clone_from(experiment);
        }
    }

    pub fn put_points(&mut self, id: ExperimentId, points: &[MetricPoint]) {
        if self.id == Some(id)
            && let Some(loaded) = self.loaded.data_mut()
        {
            loaded.curves.add(points);
        }
    }

    /// Something is on its way that the user waits for; reading again what is shown makes no stir.
    pub fn is_waiting(&self) -> bool {
        self.is_awaited() || self.documents.is_loading()
    }

    /// Nothing of the run was read yet.
    fn is_awaited(&self) -> bool {
        self.loaded.is_loading() && self.loaded.data().is_none()
    }

    /// The run as it was read, or as the table knows it until the rest has come.
    pub fn run<'a>(&'a self, shown: &Shown<'a>) -> Option<&'a Experiment> {
        self.loaded.data().map(|loaded| &loaded.experiment).or(shown.row)
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer, look: &Look<'_>, view: &View, shown: &Shown<'_>) {
        let theme = look.theme;
        let Some(run) = self.run(shown) else {
            let inside = Pane::new("Detail").focused(shown.focused).draw(area, buffer, look);
            return draw_empty(inside, buffer, look, &["No run is selected."]);
        };
        let (status, style) = columns::status(run.status, theme);
        let title = format!("#{} {} · {}", run.id, run.model_type, or_dash(&run.dataset));
        let pane = Pane::new(title).focused(shown.focused).note(status, style);
        let (runner, style) =
            if run.is_simulated() { ("sim", theme.badge) } else { (run.runner.as_str(), theme.dim) };
        let pane = pane.note(runner, style).loading(self.is_awaited());
        let inside = pane.draw(area, buffer, look);
        let parts = self.parts(inside, run, look, shown);
        if let Some(failure) = self.told(run) {
            draw_failure(parts.failure, buffer, theme, &failure);
        }
        header::draw(run, look, parts.header, buffer);
        let mut words = view.settings.words();
        match self.plots(run, view, shown) {
            Some(plots) => {
                plots.draw(parts.curves, buffer, theme);
                let metrics = plots.curves.names().len();
                let seen = plots.count(parts.curves);
                if seen < metrics {
                    words = joined(&format!("{seen} of {metrics} metrics"), &words);
                }
            }
            None => self.draw_no_curves(parts.curves, buffer, look, run),
        }
        words = joined(&self.thinned(), &words);
        self.section.draw(parts.sections, buffer, theme, &words);
        self.draw_section(parts.text, buffer, look, run, shown);
    }

    /// A curve too long to come whole came as its outline.
    fn thinned(&self) -> String {
        let Some(loaded) = self.loaded.data() else { return String::new() };
        let curves = loaded.curves.names().into_iter().filter_map(|name| loaded.curves.get(name));
        let here: usize = curves.map(|series| series.points().len()).sum();
        if loaded.recorded > here as u64 {
            format!("outline of {} points", count(loaded.recorded))
        } else {
            String::new()
        }
    }

    /// Why reading failed, or else why the run did.
    fn told(&self, run: &Experiment) -> Option<Failure> {
        let of_run = || {
            run.error.as_ref().map(|error| Failure {
                message: error.clone(),
                remedy: None,
                unavailable: false,
            })
        };
        self.loaded.failure().cloned().or_else(of_run)
    }

    fn plots<'a>(&'a self, run: &Experiment, view: &'a View, shown: &Shown<'a>) -> Option<Plots<'a>> {
        let curves = self.curves().or(shown.live).filter(|curves| !curves.is_empty())?;
        Some(Plots { curves, view, first: self.metric, origin: curves.origin(run) })
    }

    fn draw_no_curves(&self, area: Rect, buffer: &mut Buffer, look: &Look<'_>, run: &Experiment) {
        let text = if self.loaded.is_loading() {
            format!("{} reading", spinner(look.tick))
        } else if run.status.is_final() {
            "No curve was recorded.".to_owned()
        } else {
            "The curve begins with the first point.".to_owned()
        };
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), look.theme.dim);
    }

    fn draw_section(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        look: &Look<'_>,
        run: &Experiment,
        shown: &Shown<'_>,
    ) {
        if let (Section::Documents, Some(failure)) = (self.section, self.documents.failure()) {
            draw_failure(area, buffer, look.theme, failure);
            return;
        }
        self.facts(look, run, shown).draw(area, buffer, look.theme, self.cursor, shown.focused);
    }

    fn facts(&self, look: &Look<'_>, run: &Experiment, shown: &Shown<'_>) -> Facts {
        let theme = look.theme;
        match self.section {
            Section::Parameters => sections::parameters(run, theme),
            Section::Results => sections::results(run, theme),
            Section::Metrics => sections::metrics(self.curves().or(shown.live), theme),
            Section::Documents => match self.documents.data() {
                Some(records) => sections::documents(records, theme),
                None => {
                    let mut facts = Facts::default();
                    facts.say(&format!("{} reading", spinner(look.tick)), theme.dim);
                    facts
                }
            },
            Section::Log => sections::log(run, shown.log, theme),
            Section::Note => sections::note(run, theme),
        }
    }

    /// Where everything is. The curves take what their number needs, but never more than three fifths, unless one of
    /// them is to be large.
    fn parts(&self, inside: Rect, run: &Experiment, look: &Look<'_>, shown: &Shown<'_>) -> Parts {
        let failure = match (self.told(run), self.loaded.failure()) {
            (None, _) => Rect { height: 0, ..inside },
            (Some(_), Some(_)) => inside,
            (Some(_), None) => Rect { height: (inside.height / 4).max(1).min(inside.height), ..inside },
        };
        let room = match self.told(run) {
            Some(told) => {
                let below = below_failure(failure, Some(&told));
                Rect { y: below.y, height: inside.bottom() - below.y, ..inside }
            }
            None => inside,
        };
        let header = Rect { height: header::height(run, look, room), ..room };
        let room = Rect { y: header.bottom(), height: room.height - header.height, ..room };
        let metrics = self.curves().or(shown.live).map_or(0, |curves| curves.names().len());
        let share = if shown.large { 4 } else { 3 };
        let most = (room.height.saturating_mul(share) / 5).max(room.height.min(plots::CHART.1));
        let wanted = Plots::height(room.width, most, metrics, shown.large);
        let [curves, sections, text] =
            Layout::vertical([Constraint::Length(wanted), Constraint::Length(1), Constraint::Fill(1)])
                .areas(room);
        Parts { failure, header, curves, sections, text }
    }
}

/// What is needed beside the detail itself.
pub struct Shown<'a> {
    pub now: Timestamp,
    pub row: Option<&'a Experiment>,
    pub live: Option<&'a Curves>,
    /// Lines about this run.
    pub log: &'a [LogLine],
    pub focused: bool,
    /// One metric takes the room of all.
    pub large: bool,
}

struct Parts {
    failure: Rect,
    header: Rect,
    curves: Rect,
    sections: Rect,
    text: Rect,
}

fn joined(one: &str, two: &str) -> String {
    let parts: Vec<&str> = [one, two].into_iter().filter(|text| !text.is_empty()).collect();
    parts.join(" · ")
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}
