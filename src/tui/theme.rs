//! Colours by role. The default is made of the terminal's own sixteen, so that it fits light and dark.

use ratatui::style::{Color, Modifier, Style};

/// Styles by what they mean, never by where they are used.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    pub text: Style,
    /// Less important: units, hints, ids.
    pub dim: Style,
    pub title: Style,
    pub border: Style,
    /// Border of the pane that has the keys.
    pub focus: Style,
    pub selected: Style,
    pub marked: Style,
    /// Keys in the footer and in help.
    pub key: Style,
    pub good: Style,
    pub warn: Style,
    pub bad: Style,
    pub running: Style,
    /// Badge of simulated runs.
    pub badge: Style,
    /// Series of charts, in order; used cyclically, with other markers the second time around.
    pub series: Vec<Color>,
}

impl Default for Theme {
    fn default() -> Self {
        let plain = Style::new();
        Theme {
            text: plain,
            dim: plain.fg(Color::DarkGray),
            title: plain.add_modifier(Modifier::BOLD),
            border: plain.fg(Color::DarkGray),
            focus: plain.fg(Color::Cyan),
            selected: plain.add_modifier(Modifier::REVERSED),
            marked: plain.fg(Color::Magenta),
            key: plain.fg(Color::Cyan),
            good: plain.fg(Color::Green),
            warn: plain.fg(Color::Yellow),
            bad: plain.fg(Color::Red),
            running: plain.fg(Color::Blue),
            badge: plain.fg(Color::Magenta),
            series: vec![Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::Red],
        }
    }
}
