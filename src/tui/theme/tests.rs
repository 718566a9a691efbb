//! Every theme loads, and what is wrong with a file is told.

use super::*;

#[test]
fn every_theme_loads_and_the_default_is_the_default() {
    for (name, text) in THEMES {
        let (theme, problems) = Theme::read(text, name, Theme::plain());
        assert_eq!(problems, [""; 0]);
        assert_ne!(theme.selected, theme.text, "{name}: the selected row must stand out");
        assert!(!theme.series.is_empty(), "{name}");
    }
    assert_eq!(Theme::named("default").unwrap(), Theme::default());
}

#[test]
fn without_colour_there_is_none() {
    let (theme, _) = Theme::choose("dark", true, None);
    let mut copy = theme.clone();
    for (name, place) in ROLES {
        let style = *place(&mut copy);
        assert!([style.fg, style.bg].into_iter().flatten().all(|color| color == Color::Reset), "{name}");
    }
    assert!(theme.series.iter().all(|color| *color == Color::Reset));
}

#[test]
fn auto_follows_the_background() {
    let of = |background| Theme::choose(AUTO, false, background).0;
    assert_eq!(of(Some(Background::Light)), Theme::named("light").unwrap());
    assert_eq!(of(Some(Background::Dark)), Theme::named("dark").unwrap());
    assert_eq!(of(None), Theme::default());
}

#[test]
fn an_unknown_name_is_told_with_those_that_are_known() {
    let (theme, problems) = Theme::choose("solarised", false, None);
    assert_eq!(theme, Theme::default());
    assert!(problems[0].contains("no theme 'solarised' (known: default, light, dark,"), "{problems:?}");
    let (_, problems) = Theme::choose("./nowhere.toml", false, None);
    assert!(problems[0].starts_with("./nowhere.toml: cannot be read"), "{problems:?}");
}

#[test]
fn every_bad_line_of_a_file_is_told_and_the_good_ones_hold() {
    let text = "base = \"darkest\"\ncolour = 3\nseries = [\"red\", \"gren\"]\n[styles]\n\
                dimm = {}\ntitle = { fg = \"gren\" }\nkey = { foreground = \"red\" }\n\
                good = { fg = \"#00ff00\", bold = true }\n";
    let (theme, problems) = Theme::read(text, "mine.toml", Theme::default());
    insta::assert_snapshot!(problems.join("\n"), @r#"
    mine.toml:1: base: names no theme (known: default, light, dark, mono, colorblind, colorblind-light)
    mine.toml:2: colour: is not known here (base, series = [...], [styles])
    mine.toml:3: series: 'gren' is no colour (cyan, bright-red, #88c0d0, 0 to 255, ...)
    mine.toml:5: dimm: is no style (known: text, dim, title, border, focus, selected, marked, key, good, warn, bad, running, badge)
    mine.toml:6: title: 'gren' is no colour (cyan, bright-red, #88c0d0, 0 to 255, ...)
    mine.toml:7: key: unknown field `foreground`, expected one of `fg`, `bg`, `bold`, `dim`, `italic`, `underlined`, `reversed`
    "#);
    assert_eq!(theme.good, Style::new().fg(Color::Rgb(0, 255, 0)).add_modifier(Modifier::BOLD));
    assert_eq!(theme.key, Theme::default().key);

    let (theme, problems) = Theme::read("base = \"dark\"\n", "mine.toml", Theme::default());
    assert_eq!((theme, problems), (Theme::named("dark").unwrap(), Vec::new()));
    let (_, problems) = Theme::read("[styles]\nkey = {", "mine.toml", Theme::default());
    assert!(problems[0].starts_with("mine.toml:2: "), "{problems:?}");
}
