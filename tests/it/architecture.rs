//! The rules of the code base that a compiler does not hold: layers, sizes, first lines.

use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may use of the crate beside itself. A layer that is not named here may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("embed", &["domain"]),
    ("runner", &["domain"]),
    ("store", &["domain", "config"]),
    ("analytics", &["domain", "store"]),
    ("ops", &["domain", "config", "store", "analytics", "embed", "runner"]),
    ("worker", &["domain", "store", "ops"]),
    ("telemetry", &["config", "worker::protocol"]),
    ("exporter", &["ops"]),
    ("tui", &["domain", "config", "worker::protocol"]),
];

const MOST_LINES: usize = 500;

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(), &mut files);
    assert!(files.len() > 30, "the source tree was not found");
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests" | "testing" | "testing.rs"))
    })
}

/// The text before an inline test module.
fn production(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn relative(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string()
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = relative(&path);
        let layer = name.trim_start_matches("src/").split(['/', '.']).next().unwrap();
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == layer) else { continue };
        if is_test(&path) {
            continue;
        }
        for used in production(&text).split("crate::").skip(1) {
            let within = used.starts_with(layer);
            if !within && !allowed.iter().any(|allowed| used.starts_with(allowed)) {
                let used: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
                wrong.push(format!("{name}: {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "a layer uses what lies above it:\n{}", wrong.join("\n"));
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = relative(&path);
        let lines = production(&text).lines().count();
        if lines > MOST_LINES && !is_test(&path) {
            wrong.push(format!("{name}: {lines} lines of code"));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{name}: does not open with a sentence of //!"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_unbounded_and_nothing_is_left_undone() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) {
            continue;
        }
        for word in ["unbounded_channel", "todo!(", "unimplemented!(", ".unwrap()", ".expect(", "unsafe "] {
            if production(&text).contains(word) {
                wrong.push(format!("{}: {word}", relative(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn main_decides_nothing() {
    let main = include_str!("../../src/main.rs");
    assert!(main.lines().count() <= 40);
}
