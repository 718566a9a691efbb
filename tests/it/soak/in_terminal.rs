//! The built program in a pseudo-terminal.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use ratatui::layout::Size;

use super::happening::{Happening, Happenings, bytes};
use super::{HANG, Memory, Trail, extent};
use crate::support::labtop::Labtop;
use crate::support::terminal::Terminal;

const BATCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/batches");

/// Takes away the keys that leave the program.
const KEYS: &str = "[global]\n\"q\" = \"none\"\n\"ctrl+c\" = \"none\"\n\"ctrl+z\" = \"none\"\n";

/// Happenings after which the program must show that it still listens.
const PROOF: u64 = 500;

/// Bytes of output that are kept for the report of a failure.
const KEPT: usize = 1 << 16;

struct Place<'a> {
    folder: &'a Path,
    arguments: Vec<&'a str>,
    environment: Vec<(&'a str, &'a str)>,
}

impl Place<'_> {
    fn start(&self, size: Size) -> Terminal {
        let mut terminal =
            Terminal::start(self.folder, &self.arguments, &self.environment, size.width, size.height);
        terminal.wait("a first frame", |screen| screen.contains("Experiments") || screen.contains("small"));
        terminal
    }
}

/// Waits until nothing is left to read, and holds what the program wrote to its promises.
fn take(terminal: &mut Terminal) -> bool {
    let mut alive = true;
    while alive && terminal.has_output() {
        alive = terminal.read(Duration::ZERO);
    }
    if terminal.written.len() > 2 * KEPT {
        let told = String::from_utf8_lossy(&terminal.written);
        assert!(!told.contains("panicked"), "{told}");
        terminal.written.drain(..KEPT);
    }
    alive
}

/// It was left by the palette or by the question about running jobs: that is no failure, but must be tidy.
fn must_have_left(terminal: &mut Terminal) {
    let code = terminal.wait_for_end();
    let told = String::from_utf8_lossy(&terminal.written).into_owned();
    assert!(code == 0 && !told.contains("panicked"), "code {code}: {told}");
    assert!(terminal.is_restored(), "{}", terminal.text());
}

/// Whatever is open is closed, and another tab shows; false when the program has ended. Pressed until it shows, since news
/// of what went wrong may open over the tab at any time.
fn must_listen(terminal: &mut Terminal, size: Size) -> bool {
    terminal.resize(120, 40);
    let begun = Instant::now();
    let shows = |terminal: &Terminal| terminal.text().contains("Jobs of this session");
    while !shows(terminal) {
        assert!(begun.elapsed() < HANG, "it does not listen any more:\n{}", terminal.text());
        for key in ["\x1b", "\x1b", "\x1b", "5"] {
            terminal.press(key);
            if !terminal.read(Duration::from_millis(30)) {
                return false;
            }
        }
    }
    terminal.resize(size.width, size.height);
    true
}

fn soak(place: &Place<'_>, short: u64) {
    let (count, seed) = extent(short);
    let begun = Instant::now();
    let mut size = Size::new(120, 40);
    let mut happenings = Happenings::new(ChaCha8Rng::seed_from_u64(seed), size);
    let mut trail = Trail::new(seed);
    let mut terminal = place.start(size);
    let mut memory = Memory::of(terminal.pid());
    let (mut starts, mut told) = (1, Vec::new());
    while trail.count < count {
        let happening = happenings.next().unwrap_or(Happening::Tick);
        trail.note(&happening);
        match &happening {
            Happening::Resize(new) => {
                size = *new;
                terminal.resize(size.width, size.height);
            }
            Happening::Tick if happenings.random().random_ratio(1, 8) => {
                terminal.read(Duration::from_millis(5));
            }
            other => {
                if let Some(bytes) = bytes(other) {
                    terminal.press_bytes(&bytes);
                }
            }
        }
        let mut alive = take(&mut terminal);
        if alive && trail.count.is_multiple_of(PROOF) {
            alive = must_listen(&mut terminal, size);
        }
        if !alive {
            must_have_left(&mut terminal);
            told.push(memory.tell());
            terminal = place.start(size);
            memory = Memory::of(terminal.pid());
            starts += 1;
        }
        if trail.count.is_multiple_of((count / 100).max(1)) {
            memory.sample();
        }
    }
    told.push(memory.tell());
    if must_listen(&mut terminal, size) {
        terminal.signal("TERM");
        terminal.wait_for_end();
    }
    assert!(terminal.is_restored(), "{}", terminal.text());
    assert!(!String::from_utf8_lossy(&terminal.written).contains("panicked"));
    println!(
        "in a terminal: seed {seed}, {count} happenings in {:.0?}, {starts} starts, {}",
        begun.elapsed(),
        told.last().map_or("", String::as_str)
    );
    memory.must_be_flat(count);
}

#[test]
fn embedded_in_a_terminal() {
    let lab = Labtop::new();
    lab.ok(&["demo"]);
    let keymap = lab.write("keys.toml", KEYS);
    let environment =
        vec![("LABTOP__BATCHES", BATCHES), ("LABTOP__UI__KEYMAP", keymap.as_str()), ("EDITOR", "true")];
    soak(&Place { folder: lab.folder.path(), arguments: vec![], environment }, 1500);
}

#[test]
fn servers_in_a_terminal() {
    let (Ok(database), Ok(chroma)) = (std::env::var("DATABASE_URL"), std::env::var("CHROMA_URL")) else {
        assert!(std::env::var("LABTOP_TEST_SERVERS").is_err(), "DATABASE_URL and CHROMA_URL are needed");
        return;
    };
    let lab = Labtop::new();
    let keymap = lab.write("keys.toml", KEYS);
    let environment = vec![
        ("LABTOP__BATCHES", BATCHES),
        ("LABTOP__UI__KEYMAP", keymap.as_str()),
        ("EDITOR", "true"),
        ("DATABASE_URL", database.as_str()),
        ("CHROMA_URL", chroma.as_str()),
    ];
    soak(&Place { folder: lab.folder.path(), arguments: vec!["--profile", "servers"], environment }, 600);
}
