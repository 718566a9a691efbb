//! Colours by role. The default is made of the terminal's own sixteen, so that it fits light and dark.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// The themes there are; adding one is a file and a line here.
const THEMES: [(&str, &str); 5] = [
    ("default", include_str!("../../assets/themes/default.toml")),
    ("light", include_str!("../../assets/themes/light.toml")),
    ("dark", include_str!("../../assets/themes/dark.toml")),
    ("mono", include_str!("../../assets/themes/mono.toml")),
    ("colorblind", include_str!("../../assets/themes/colorblind.toml")),
];

/// What is wrong with a theme, naming it and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ThemeError(String);

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

/// A theme's file: what it does not name stays without style.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    series: Vec<String>,
    styles: BTreeMap<String, Entry>,
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

    /// The theme called `name`.
    pub fn load(name: &str) -> Result<Theme, ThemeError> {
        match THEMES.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Theme::read(text)
                .map_err(|problem| ThemeError(format!("assets/themes/{name}.toml: {problem}"))),
            None => {
                let known = Theme::names().collect::<Vec<_>>().join(", ");
                Err(ThemeError(format!("`ui.theme`: there is no theme '{name}' (known: {known})")))
            }
        }
    }

    /// As [`Theme::load`], but without any colour when `no_color` (the variable `NO_COLOR`) asks for that.
    pub fn choose(name: &str, no_color: bool) -> Result<Theme, ThemeError> {
        Theme::load(if no_color { "mono" } else { name })
    }

    fn read(text: &str) -> Result<Theme, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut theme = Theme::plain();
        for (role, entry) in &file.styles {
            let style = entry.style().map_err(|problem| format!("{role}: {problem}"))?;
            let known = ROLES.map(|(name, _)| name).join(", ");
            let (_, place) = ROLES
                .iter()
                .find(|(name, _)| name == role)
                .ok_or_else(|| format!("'{role}' is no style (known: {known})"))?;
            *place(&mut theme) = style;
        }
        theme.series = file.series.iter().map(|name| color(name)).collect::<Result<_, _>>()?;
        Ok(theme)
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
            ..Theme::plain()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_loads_and_the_default_is_the_default() {
        for name in Theme::names() {
            let theme = Theme::load(name).unwrap();
            assert_ne!(theme.selected, theme.text, "{name}: the selected row must stand out");
        }
        assert_eq!(Theme::load("default").unwrap(), Theme::default());
    }

    #[test]
    fn without_colour_there_is_none() {
        let theme = Theme::choose("dark", true).unwrap();
        let mut copy = theme.clone();
        for (name, place) in ROLES {
            let style = *place(&mut copy);
            assert_eq!((style.fg, style.bg), (None, None), "{name}");
        }
        assert!(theme.series.iter().all(|color| *color == Color::Reset));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = Theme::load("solarised").unwrap_err().to_string();
        assert_eq!(
            error,
            "`ui.theme`: there is no theme 'solarised' (known: default, light, dark, mono, colorblind)"
        );
        assert!(Theme::read("[styles]\ndimm = {}").unwrap_err().contains("'dimm' is no style"));
        assert!(
            Theme::read("[styles]\ndim = { fg = \"gren\" }").unwrap_err().contains("'gren' is no colour")
        );
    }
}
