//! Colours by role. The default is made of the terminal's own sixteen, so that it fits light and dark.

use std::fs;
use std::path::Path;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use toml::{Table, Value};

#[cfg(test)]
mod tests;

/// The themes there are; adding one is a file and a line here.
const THEMES: [(&str, &str); 6] = [
    ("default", include_str!("../../assets/themes/default.toml")),
    ("light", include_str!("../../assets/themes/light.toml")),
    ("dark", include_str!("../../assets/themes/dark.toml")),
    ("mono", include_str!("../../assets/themes/mono.toml")),
    ("colorblind", include_str!("../../assets/themes/colorblind.toml")),
    ("colorblind-light", include_str!("../../assets/themes/colorblind-light.toml")),
];

/// Not a theme of its own: `light` or `dark`, whichever fits the terminal.
pub const AUTO: &str = "auto";

/// What the terminal's background is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    Light,
    Dark,
}

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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    reversed: bool,
}

impl Theme {
    /// Names of all themes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        THEMES.iter().map(|(name, _)| *name)
    }

    /// The theme of the setting `ui.theme`: a name, `auto`, or a file of the user's own (which has a `/` in it or ends in
    /// `.toml`). With it, all that is wrong: what is right is in force, over the default.
    ///
    /// There is no colour at all when `no_color` (the variable `NO_COLOR`) asks for that.
    pub fn choose(setting: &str, no_color: bool, background: Option<Background>) -> (Theme, Vec<String>) {
        let name = match (setting, background) {
            _ if no_color => "mono",
            (AUTO, Some(Background::Light)) => "light",
            (AUTO, Some(Background::Dark)) => "dark",
            (AUTO, None) => "default",
            (name, _) => name,
        };
        if let Some(theme) = Theme::named(name) {
            return (theme, Vec::new());
        }
        if name.contains('/') || name.ends_with(".toml") {
            return match fs::read_to_string(Path::new(name)) {
                Ok(text) => Theme::read(&text, name, Theme::default()),
                Err(error) => (Theme::default(), vec![format!("{name}: cannot be read: {error}")]),
            };
        }
        let known = Theme::names().collect::<Vec<_>>().join(", ");
        let problem = format!(
            "`ui.theme`: there is no theme '{name}' (known: {known}, {AUTO}, or the path of a file of your own)"
        );
        (Theme::default(), vec![problem])
    }

    /// A theme that is shipped.
    pub fn named(name: &str) -> Option<Theme> {
        let (name, text) = THEMES.iter().find(|(known, _)| *known == name)?;
        Some(Theme::read(text, name, Theme::plain()).0)
    }

    /// A file over what there is.
    fn read(text: &str, place: &str, under: Theme) -> (Theme, Vec<String>) {
        let mut reading = Reading { text, place, theme: under, problems: Vec::new() };
        match text.parse::<Table>() {
            Ok(table) => reading.table(&table),
            Err(error) => {
                let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
                reading.problems.push(format!("{place}:{line}: {}", error.message()));
            }
        }
        reading.theme.selected = bar(reading.theme.selected);
        (reading.theme, reading.problems)
    }

    fn plain() -> Self {
        let style = Style::new();
        Theme {
            text: style,
            dim: style,
            title: style,
            border: style,
            focus: style,
            selected: style,
            marked: style,
            key: style,
            good: style,
            warn: style,
            bad: style,
            running: style,
            badge: style,
            series: Vec::new(),
        }
    }
}

/// A selected row is one bar, whatever its cells are coloured.
fn bar(style: Style) -> Style {
    let colors = Style::new().fg(style.fg.unwrap_or(Color::Reset)).bg(style.bg.unwrap_or(Color::Reset));
    style.patch(colors).remove_modifier(Modifier::DIM)
}

type Role = (&'static str, fn(&mut Theme) -> &mut Style);

const ROLES: [Role; 13] = [
    ("text", |theme| &mut theme.text),
    ("dim", |theme| &mut theme.dim),
    ("title", |theme| &mut theme.title),
    ("border", |theme| &mut theme.border),
    ("focus", |theme| &mut theme.focus),
    ("selected", |theme| &mut theme.selected),
    ("marked", |theme| &mut theme.marked),
    ("key", |theme| &mut theme.key),
    ("good", |theme| &mut theme.good),
    ("warn", |theme| &mut theme.warn),
    ("bad", |theme| &mut theme.bad),
    ("running", |theme| &mut theme.running),
    ("badge", |theme| &mut theme.badge),
];

/// A file while it is read.
struct Reading<'a> {
    text: &'a str,
    place: &'a str,
    theme: Theme,
    problems: Vec<String>,
}

impl Reading<'_> {
    fn table(&mut self, table: &Table) {
        // First, for everything else lies over it.
        if let Some(base) = table.get("base") {
            match base.as_str().and_then(Theme::named) {
                Some(theme) => self.theme = theme,
                None => {
                    let known = Theme::names().collect::<Vec<_>>().join(", ");
                    self.problem("base", format!("names no theme (known: {known})"));
                }
            }
        }
        for (key, value) in table {
            match (key.as_str(), value) {
                ("base", _) => {}
                ("series", Value::Array(names)) => self.series(names),
                ("styles", Value::Table(styles)) => {
                    for (role, entry) in styles {
                        self.style(role, entry);
                    }
                }
                _ => self.problem(key, "is not known here (base, series = [...], [styles])".to_owned()),
            }
        }
    }

    fn series(&mut self, names: &[Value]) {
        let colors: Result<Vec<Color>, String> =
            names.iter().map(|name| color(name.as_str().unwrap_or("?"))).collect();
        match colors {
            Ok(colors) if colors.is_empty() => self.problem("series", "needs a colour".to_owned()),
            Ok(colors) => self.theme.series = colors,
            Err(problem) => self.problem("series", problem),
        }
    }

    fn style(&mut self, role: &str, entry: &Value) {
        let Some((_, place)) = ROLES.iter().find(|(name, _)| *name == role) else {
            let known = ROLES.map(|(name, _)| name).join(", ");
            return self.problem(role, format!("is no style (known: {known})"));
        };
        let entry: Result<Entry, _> = entry.clone().try_into();
        let style = entry.map_err(|error| error.message().to_owned()).and_then(|entry| entry.style());
        match style {
            Ok(style) => *place(&mut self.theme) = style,
            Err(problem) => self.problem(role, problem),
        }
    }

    fn problem(&mut self, key: &str, problem: String) {
        let is_about = |line: &str| {
            let line = line.trim_start_matches(['[', ' ', '"']);
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with(['=', ']', '.']))
        };
        let line = self.text.lines().position(is_about).map_or(1, |index| index + 1);
        self.problems.push(format!("{}:{line}: {key}: {problem}", self.place));
    }
}

impl Entry {
    fn style(&self) -> Result<Style, String> {
        let mut style = Style::new();
        style.fg = self.fg.as_deref().map(color).transpose()?;
        style.bg = self.bg.as_deref().map(color).transpose()?;
        for (set, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underlined, Modifier::UNDERLINED),
            (self.reversed, Modifier::REVERSED),
        ] {
            if set {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}

fn color(name: &str) -> Result<Color, String> {
    name.parse().map_err(|_| format!("'{name}' is no colour (cyan, bright-red, #88c0d0, 0 to 255, ...)"))
}

impl Default for Theme {
    /// As in `assets/themes/default.toml`.
    fn default() -> Self {
        let plain = Style::new();
        Theme {
            dim: plain.add_modifier(Modifier::DIM),
            title: plain.add_modifier(Modifier::BOLD),
            border: plain.add_modifier(Modifier::DIM),
            focus: plain.fg(Color::Cyan),
            selected: bar(plain.add_modifier(Modifier::REVERSED)),
            marked: plain.fg(Color::Magenta),
            key: plain.fg(Color::Cyan),
            good: plain.fg(Color::Green),
            warn: plain.fg(Color::Yellow),
            bad: plain.fg(Color::Red),
            running: plain.fg(Color::Blue),
            badge: plain.fg(Color::Magenta),
            series: vec![Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::Red],
            ..Theme::plain()
        }
    }
}
