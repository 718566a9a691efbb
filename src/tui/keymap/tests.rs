//! The shipped keys, and what is told of wrong ones.

use std::io::Write;

use super::*;

fn keys(text: &str) -> Vec<KeyInput> {
    text.parse::<KeySeq>().unwrap().as_slice().to_vec()
}

fn with(user: &str) -> Result<Keymap, KeymapError> {
    let mut keymap = Keymap::load(None).unwrap();
    keymap.lay(user, "mine.toml").map(|()| keymap)
}

#[test]
fn the_shipped_keys_are_sound_and_reach_every_action() {
    let keymap = Keymap::load(None).unwrap();
    let without_key: Vec<Action> =
        keymap.rows().into_iter().filter(|row| row.keys.is_empty()).map(|row| row.action).collect();
    assert_eq!(without_key, [Action::LoadDemo], "only these are reached by the palette alone");
}

#[test]
fn a_tab_goes_before_the_global_section() {
    let keymap = Keymap::load(None).unwrap();
    assert_eq!(keymap.find("experiments", &keys("n")), Found::Action(Action::NewRun));
    assert_eq!(keymap.find("collections", &keys("n")), Found::Action(Action::Create));
    assert_eq!(keymap.find("activity", &keys("n")), Found::Nothing);
    assert_eq!(keymap.find("activity", &keys("ctrl+d")), Found::Action(Action::HalfPageDown));
    assert_eq!(keymap.find("activity", &keys("shift+tab")), Found::Action(Action::PreviousPane));
}

#[test]
fn a_user_lays_keys_over_and_takes_them_away() {
    let keymap =
        with("[global]\n\"g g\" = \"top\"\n\"q\" = \"none\"\n[experiments]\n\"Q\" = \"quit\"").unwrap();
    assert_eq!(keymap.find("activity", &keys("g")), Found::Begun);
    assert_eq!(keymap.find("activity", &keys("g g")), Found::Action(Action::Top));
    assert_eq!(keymap.find("activity", &keys("q")), Found::Nothing);
    assert_eq!(keymap.keys_of("experiments", Action::Quit), ["Q", "ctrl+c"]);
    assert_eq!(keymap.keys_of("activity", Action::Top), ["g g", "home"]);
}

#[test]
fn all_that_is_wrong_is_told_together() {
    let wrong = "[global]\n\"hyper+x\" = \"quit\"\n\"z\" = \"page\"\n\"w\" = 3\n\"e\" = \"up\"\n\"e e\" = \"down\"\n[serach]\n\"a\" = \"add\"";
    insta::assert_snapshot!(with(wrong).unwrap_err(), @r#"
    mine.toml: [global] "hyper+x": Unknown modifier key "hyper" in key sequence (a character, or enter, esc, tab, space, plus, up, pageup, f1, ... after ctrl+, alt+ or shift+)
    mine.toml: [global] "z": there is no action 'page'; did you mean half_page_up, half_page_down, page_up, page_down? (labtop keys lists all)
    mine.toml: [global] "w": the action must be a text
    mine.toml: 'serach' is no section; there are [global], [experiments], [search], [collections], [analytics], [activity]
    mine.toml: [global] "e" and "e e" hide each other
    "#);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Keymap::load(Some(Path::new("/nowhere/keys.toml"))).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/keys.toml: "), "{error}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[global]\n\"Z\" = \"quit\"").unwrap();
    let keymap = Keymap::load(Some(file.path())).unwrap();
    assert_eq!(keymap.find("search", &keys("Z")), Found::Action(Action::Quit));
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
    let keymap = with("[activity]\n\"?\" = \"cancel\"").unwrap();
    assert_eq!(keymap.keys_of("activity", Action::Help), ["f1"]);
}
