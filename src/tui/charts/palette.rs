//! Which colour, marker and line pattern a series has; told apart without colour as well.

use std::collections::HashMap;

use ratatui::style::Color;

use crate::tui::theme::Theme;

/// How a line is dotted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Solid,
    Dashed,
    Dotted,
    DashDot,
}

impl Pattern {
    /// Whether the `phase`-th dot of a line is set.
    pub fn shows(self, phase: u32) -> bool {
        match self {
            Pattern::Solid => true,
            Pattern::Dashed => phase % 7 < 4,
            Pattern::Dotted => phase.is_multiple_of(3),
            Pattern::DashDot => matches!(phase % 10, 0..5 | 7),
        }
    }
}

/// How one series looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLook {
    pub color: Color,
    pub marker: &'static str,
    pub pattern: Pattern,
}

const MARKERS: [&str; 8] = ["●", "◆", "■", "▲", "○", "◇", "□", "△"];
const PATTERNS: [Pattern; 4] = [Pattern::Solid, Pattern::Dashed, Pattern::Dotted, Pattern::DashDot];

/// Whether series can be told by their colours.
pub fn is_coloured(theme: &Theme) -> bool {
    theme.series.first().is_some_and(|first| theme.series.iter().any(|color| color != first))
}

/// The look of the series number `index`: other markers and patterns the second time the colours come around, and from
/// the first where the theme has one colour or none.
pub fn look(theme: &Theme, index: usize) -> SeriesLook {
    let first = theme.series.first().copied().unwrap_or(Color::Reset);
    let (color, round) = if is_coloured(theme) {
        (theme.series[index % theme.series.len()], index / theme.series.len())
    } else {
        (first, index)
    };
    SeriesLook { color, marker: MARKERS[round % MARKERS.len()], pattern: PATTERNS[round % PATTERNS.len()] }
}

/// Gives each name a number of its own, the same for as long as the screen lives, so that a model keeps its colour in
/// every chart and after every reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Numbers those that are new, in the given order.
    pub fn learn<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if !self.numbers.contains_key(name) {
                self.numbers.insert(name.to_owned(), self.numbers.len());
            }
        }
    }

    /// 0 for a name that was never learnt.
    pub fn number(&self, name: &str) -> usize {
        self.numbers.get(name).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_round_has_other_markers() {
        let theme = Theme::default();
        let count = theme.series.len();
        let (first, second) = (look(&theme, 0), look(&theme, count));
        assert_eq!(first.color, second.color);
        assert_ne!(first.marker, second.marker);
        assert_ne!(first.pattern, second.pattern);
    }

    #[test]
    fn without_colours_each_series_has_its_own_marker() {
        for series in [vec![], vec![Color::Reset], vec![Color::White; 6]] {
            let theme = Theme { series, ..Theme::default() };
            assert_ne!(look(&theme, 0).marker, look(&theme, 1).marker);
        }
    }

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        names.learn(["XGBoost", "BERT"]);
        names.learn(["RandomForest", "BERT"]);
        assert_eq!(["XGBoost", "BERT", "RandomForest"].map(|name| names.number(name)), [0, 1, 2]);
    }
}
