//! How the backends stand, and how far the work is: the right end of the first line, and the line below when a
//! backend is down.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::text::{fit, one_line};
use crate::tui::jobs::{Job, Jobs, clock};
use crate::tui::theme::Theme;
use crate::worker::protocol::{BackendState, RoleHealth};

/// Cells of the meter.
const METER: usize = 8;

/// `embedded ● 3ms`: the profile, whether all is up, and the slowest backend's answer if there is `room` for it.
pub fn health_line(profile: &str, health: &[RoleHealth], theme: &Theme, room: usize) -> Line<'static> {
    let mut slowest: Option<Duration> = None;
    let (mut unknown, mut down) = (health.is_empty(), false);
    for role in health {
        match &role.state {
            BackendState::Unknown => unknown = true,
            BackendState::Up { latency, .. } => slowest = slowest.max(Some(*latency)),
            BackendState::Down { .. } => down = true,
        }
    }
    let (sign, style) = match (down, unknown) {
        (true, _) => ("✗", theme.bad),
        (false, true) => ("○", theme.dim),
        (false, false) => ("●", theme.good),
    };
    let name = fit(&one_line(profile, 64), 16);
    let latency = slowest.filter(|_| !down).map(|slowest| format!(" {}ms", slowest.as_millis().max(1)));
    let mut line = Line::from(vec![Span::raw(name), Span::raw(" "), Span::styled(sign, style)]);
    if let Some(latency) = latency.filter(|latency| line.width() + latency.len() <= room) {
        line.spans.push(Span::styled(latency, theme.dim));
    }
    line
}

/// `servers PostgreSQL ● 3ms Chroma ✗`: as [`health_line`], backend by backend; none where all is one backend.
pub fn backends_line(profile: &str, health: &[RoleHealth], theme: &Theme) -> Option<Line<'static>> {
    let mut backends: Vec<(&str, Vec<RoleHealth>)> = Vec::new();
    for role in health {
        match backends.iter_mut().find(|(backend, _)| *backend == role.backend) {
            Some((_, roles)) => roles.push(role.clone()),
            None => backends.push((role.backend, vec![role.clone()])),
        }
    }
    if backends.len() < 2 {
        return None;
    }
    let mut line = Line::from(Span::raw(fit(&one_line(profile, 64), 16)));
    for (backend, roles) in backends {
        line.spans.push(Span::raw("  "));
        line.spans.extend(health_line(backend, &roles, theme, usize::MAX));
    }
    Some(line)
}

/// One line about what is down: `experiments ✗ PostgreSQL down 0:42: refused · next try 3s`; none when nothing is.
pub fn down_line(health: &[RoleHealth], now: Timestamp, theme: &Theme) -> Option<Line<'static>> {
    let mut outages: Vec<(Vec<&str>, &RoleHealth)> = Vec::new();
    for role in health.iter().filter(|role| matches!(role.state, BackendState::Down { .. })) {
        // One server that plays several roles is down once.
        match outages.iter_mut().find(|(_, first)| is_same_outage(first, role)) {
            Some((roles, _)) => roles.push(role.role),
            None => outages.push((vec![role.role], role)),
        }
    }
    let mut spans = Vec::new();
    for (roles, role) in outages {
        let BackendState::Down { since, why, next_try } = &role.state else {
            continue;
        };
        if !spans.is_empty() {
            spans.push(Span::styled("   ", theme.dim));
        }
        let down = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
        let wait = next_try.as_second().saturating_sub(now.as_second());
        let next = if wait > 0 { format!(" · next try {wait}s") } else { " · trying".to_owned() };
        spans.push(Span::styled(format!("{} ✗", roles.join(", ")), theme.bad));
        spans.push(Span::styled(format!(" {} down {}: ", role.backend, clock(down)), theme.warn));
        spans.push(Span::styled(one_line(&why.message, 300), theme.text));
        spans.push(Span::styled(next, theme.dim));
    }
    (!spans.is_empty()).then(|| Line::from(spans))
}

fn is_same_outage(one: &RoleHealth, other: &RoleHealth) -> bool {
    match (&one.state, &other.state) {
        (BackendState::Down { why: left, .. }, BackendState::Down { why: right, .. }) => {
            one.backend == other.backend && left.message == right.message
        }
        _ => false,
    }
}

/// `batch 7/12 ▓▓▓▓▓░░░ 0:42`; none when nothing runs.
pub fn meter_line(jobs: &Jobs, now: Timestamp, theme: &Theme, with_left: bool) -> Option<Line<'static>> {
    let running: Vec<&Job> = jobs.running().collect();
    let first = running.first()?;
    let (done, total, failed) = running.iter().fold((0, 0, 0), |(done, total, failed), job| {
        (done + job.update.done, total + job.update.total, failed + job.update.failed)
    });
    let name = match running.len() {
        1 => one_line(first.update.what.split(' ').next().unwrap_or("job"), 20),
        count => format!("{count} jobs"),
    };
    let mut spans = vec![Span::styled(format!("{name} "), theme.running)];
    if total > 1 {
        spans.push(Span::raw(format!("{done}/{total} ")));
        spans.push(Span::styled(meter(done as f64 / total as f64, METER), theme.running));
        spans.push(Span::raw(" "));
    }
    let longest = running.iter().map(|job| job.elapsed(now)).max().unwrap_or_default();
    spans.push(Span::raw(clock(longest)));
    let left = running.iter().filter_map(|job| job.left(now)).max();
    if let Some(left) = left.filter(|_| with_left) {
        spans.push(Span::styled(format!(" · {} left", clock(left)), theme.dim));
    }
    if failed > 0 {
        spans.push(Span::styled(format!(" {failed} failed"), theme.bad));
    }
    Some(Line::from(spans))
}

/// `▓▓▓░░` in `cells` cells.
pub fn meter(share: f64, cells: usize) -> String {
    let full = ((share.clamp(0.0, 1.0) * cells as f64).round() as usize).min(cells);
    format!("{}{}", "▓".repeat(full), "░".repeat(cells - full))
}

/// Draws pieces with a bar between them at the right end of the first line.
pub fn draw_right(area: Rect, buffer: &mut Buffer, theme: &Theme, pieces: &[Line<'static>]) {
    let mut line = Line::default();
    for piece in pieces {
        if !line.spans.is_empty() {
            line.spans.push(Span::styled(" │ ", theme.border));
        }
        line.spans.extend(piece.spans.iter().cloned());
    }
    let wide = u16::try_from(line.width()).unwrap_or(u16::MAX).min(area.width);
    buffer.set_line(area.right() - wide, area.y, &line, wide);
}

/// Cuts the last of a line with `…` where it is wider than `room`.
pub fn fitted(line: &Line<'static>, room: usize) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    for span in &line.spans {
        let wide = span.width();
        if used + wide > room {
            spans.push(Span::styled(fit(&span.content, room - used), span.style));
            break;
        }
        used += wide;
        spans.push(span.clone());
    }
    Line { spans, style: Style::new(), ..Line::default() }
}
