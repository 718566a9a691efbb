//! The shipped keys, and what is told of wrong ones.

use std::io::Write;

use super::*;

fn keys(text: &str) -> Vec<KeyInput> {
    text.parse::<KeySeq>().unwrap().as_slice().to_vec()
}

fn with(user: &str) -> Keymap {
    let mut keymap = Keymap::load(None);
    keymap.lay(user, "mine.toml");
    keymap
}

#[test]
fn the_shipped_keys_are_sound_and_reach_every_action() {
    let keymap = Keymap::load(None);
    let without_key: Vec<Action> =
        keymap.rows().into_iter().filter(|row| row.keys.is_empty()).map(|row| row.action).collect();
    assert_eq!(
        without_key,
        [Action::NextTheme, Action::LoadDemo],
        "only these are reached by the palette alone"
    );
}

#[test]
fn a_tab_goes_before_the_global_section() {
    let keymap = Keymap::load(None);
    assert_eq!(keymap.find("experiments", &keys("n")), Found::Action(Action::NewRun));
    assert_eq!(keymap.find("collections", &keys("n")), Found::Action(Action::Create));
    assert_eq!(keymap.find("activity", &keys("n")), Found::Nothing);
    assert_eq!(keymap.find("activity", &keys("ctrl+d")), Found::Action(Action::HalfPageDown));
    assert_eq!(keymap.find("activity", &keys("shift+tab")), Found::Action(Action::PreviousPane));
}

#[test]
fn a_user_lays_keys_over_and_takes_them_away() {
    let keymap = with(
        "[global]\n\"g\" = \"none\"\n\"g g\" = \"top\"\n\"q\" = \"none\"\n[experiments]\n\"Q\" = \"quit\"",
    );
    assert_eq!(keymap.problems(), [""; 0]);
    assert_eq!(keymap.find("activity", &keys("g")), Found::Begun);
    assert_eq!(keymap.find("activity", &keys("g g")), Found::Action(Action::Top));
    assert_eq!(keymap.find("activity", &keys("q")), Found::Nothing);
    assert_eq!(keymap.keys_of("experiments", Action::Quit), ["Q", "ctrl+c"]);
    assert_eq!(keymap.keys_of("activity", Action::Top), ["g g", "home"]);
}

#[test]
fn every_bad_line_is_told_and_the_good_ones_hold() {
    let wrong = r#""y" = "copy"
[global]
"hyper+x" = "quit"
"z" = "page"
"w" = 3
"e" = "up"
"e e" = "down"
"e" = "left"
this is no line

[serach]
"a" = "add"
[experiments]
"Z" = "archive"
"#;
    let keymap = with(wrong);
    insta::assert_snapshot!(keymap.problems().join("\n"), @r#"
    mine.toml:1: a line before the first [section] binds nothing
    mine.toml:3: "hyper+x": Unknown modifier key "hyper" in key sequence (a character, or enter, esc, tab, space, plus, up, pageup, f1, ... after ctrl+, alt+ or shift+)
    mine.toml:4: "z": there is no action 'page'; did you mean half_page_up, half_page_down, page_up, page_down? (labtop keys lists all)
    mine.toml:5: "w": the action must be a text
    mine.toml:7: "e e" and "e" (up, line 6) hide each other
    mine.toml:8: "e" is up already, in line 6
    mine.toml:9: key with no value, expected `=` (a line is "keys" = "action")
    mine.toml:11: 'serach' is no section; there are [global], [experiments], [search], [collections], [analytics], [activity]
    "#);
    assert_eq!(keymap.find("experiments", &keys("Z")), Found::Action(Action::Archive));
    assert_eq!(keymap.find("experiments", &keys("e")), Found::Action(Action::Up));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_shipped_keys_hold() {
    let keymap = Keymap::load(Some(Path::new("/nowhere/keys.toml")));
    assert!(keymap.problems()[0].starts_with("/nowhere/keys.toml: cannot be read"), "{keymap:?}");
    assert_eq!(keymap.find("search", &keys("q")), Found::Action(Action::Quit));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[global]\n\"Z\" = \"quit\"").unwrap();
    let keymap = Keymap::load(Some(file.path()));
    assert_eq!(keymap.find("search", &keys("Z")), Found::Action(Action::Quit));
}

#[test]
fn texts_name_the_keys_in_force() {
    let keymap = with("[experiments]\n\"b\" = \"none\"\n\"B\" = \"launch_batch\"\n\"u\" = \"none\"");
    let keys = Keys::new(&keymap, "experiments");
    let said = keys.say("{launch_batch} launches, {new_run} starts, {load_demo} loads {\"a\": 5} {}");
    assert_eq!(said, "B launches, n starts, : demo loads {\"a\": 5} {}");
    assert_eq!(keys.of(Action::Undo), ": undo");
    assert_eq!(Keys::NONE.of(Action::Undo), "(no key) undo");
}

#[test]
fn keys_read_as_they_are_typed() {
    let shown = |text: &str| super::shown(&text.parse().unwrap());
    assert_eq!(shown("Ctrl+d"), "ctrl+d");
    assert_eq!(shown("G"), "G");
    assert_eq!(shown("plus"), "+");
    assert_eq!(shown("shift+tab"), "shift+tab");
    assert_eq!(shown("Space"), "space");
    assert_eq!(shown("F1"), "f1");
    assert_eq!(shown("g g"), "g g");
}

#[test]
fn a_hidden_global_key_is_not_offered() {
    let keymap = with("[activity]\n\"?\" = \"cancel\"");
    assert_eq!(keymap.keys_of("activity", Action::Help), ["f1"]);
}
