//! What a run is, in a line or two above its curves.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::domain::experiment::{Experiment, Status};
use crate::domain::text::{fit, one_line, width};
use crate::tui::charts::ticks::{Scale, place};
use crate::tui::context::Look;
use crate::tui::theme::Theme;
use crate::tui::widgets::number::age;

const BETWEEN: &str = " · ";

/// Lines that the header takes in a pane; none where every line counts.
pub fn height(run: &Experiment, look: &Look<'_>, area: Rect) -> u16 {
    let most = match area.height {
        ..14 => 0,
        14..24 => 1,
        _ => 3,
    };
    (lines(run, look, usize::from(area.width)).len() as u16).min(most)
}

pub fn draw(run: &Experiment, look: &Look<'_>, area: Rect, buffer: &mut Buffer) {
    let lines = lines(run, look, usize::from(area.width));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        let mut x = area.x;
        for (text, style) in line {
            let room = usize::from(area.right().saturating_sub(x));
            x = buffer.set_stringn(x, y, text, room, style).0;
        }
    }
}

type Piece = (String, Style);

fn lines(run: &Experiment, look: &Look<'_>, room: usize) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    let mut used = room;
    for (text, style) in pieces(run, look.now, look.theme) {
        let text = fit(&text, room);
        let wide = width(&text);
        if lines.is_empty() || used + BETWEEN.len() - 1 + wide > room {
            lines.push(Vec::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push((BETWEEN.to_owned(), look.theme.border));
                used += width(BETWEEN);
            }
            used += wide;
            line.push((text, style));
        }
    }
    lines
}

/// The most telling first: a low pane shows but one line.
fn pieces(run: &Experiment, now: Timestamp, theme: &Theme) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut add = |text: String, style: Style| pieces.push((one_line(&text, 500), style));
    if let Some(started) = run.started_at {
        let end = run.finished_at.unwrap_or(now);
        let seconds = end.duration_since(started).as_secs_f64().max(0.0);
        let over = run.finished_at.is_some() || run.status == Status::Running;
        if over {
            let word = if run.finished_at.is_some() { "took" } else { "for" };
            add(format!("{word} {}", place(seconds, Scale::Seconds)), theme.text);
        }
        let ago = age(started, now);
        add(if ago == "now" { "started now".to_owned() } else { format!("started {ago} ago") }, theme.text);
    }
    if run.attempt > 1 {
        add(format!("attempt {}", run.attempt), theme.warn);
    }
    if let Some(batch) = run.batch_id {
        add(format!("batch {batch}"), theme.dim);
    }
    if let Some(place) = run.worker.as_ref().or(run.host.as_ref()) {
        add(format!("on {place}"), theme.dim);
    }
    if let Some(commit) = &run.git_commit {
        add(format!("commit {}", crate::domain::text::first_characters(commit, 10)), theme.dim);
    }
    for tag in &run.tags {
        add(format!("#{tag}"), theme.key);
    }
    if run.archived_at.is_some() {
        add("archived".to_owned(), theme.warn);
    }
    pieces
}
