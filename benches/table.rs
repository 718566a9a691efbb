//! The experiments table over a million runs: from a key to its frame and to its data, in the real program on a terminal;
//! and what each order costs the store.
//!
//! The seeded file stays in the target folder for the next time. `LABTOP_BENCH_RUNS` sets how many runs (1,000,000),
//! `LABTOP_BENCH_IDLE` how many seconds the idle dashboard is watched (10).

// A benchmark says its figures, and one that cannot go on has failed.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use labtop::config::{self, Flags, Places, Variables};
use labtop::domain::filter::{Aggregate, Field, Figure, Filter};
use labtop::domain::window::Window;
use labtop::ops::{Lab, schema};
use labtop::store::experiments::{ExperimentQuery, Sort};

#[path = "../tests/it/support/terminal.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod terminal;

use terminal::Terminal;

type Failure = Box<dyn Error>;

const WITH_PARAMETERS: &str = r#"
[ui]
columns = ["id", "model", "accuracy", "params.learning_rate", "params.optimizer", "metrics.loss", "status"]
"#;

/// After a key nothing may come for this long before the next one is pressed.
const QUIET: Duration = Duration::from_millis(150);
/// Data that has not come by then is told as this.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    let number = |name: &str, usual: u64| -> Result<u64, Failure> {
        std::env::var(name).map_or(Ok(usual), |text| Ok(text.parse()?))
    };
    let (runs, idle) = (number("LABTOP_BENCH_RUNS", 1_000_000)?, number("LABTOP_BENCH_IDLE", 10)?);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("table-{runs}.duckdb"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if !file.exists() {
        let begun = Instant::now();
        runtime.block_on(seed(&file, runs))?;
        println!("seeded {} with {runs} runs in {:.1} s\n", file.display(), begun.elapsed().as_secs_f64());
    }
    dashboard(&file, runs, Duration::from_secs(idle))?;
    parameters(&file)?;
    runtime.block_on(store(&file))
}

fn open(file: &Path) -> Result<Lab, Failure> {
    let flags = Flags { store: Some(file.to_owned()), ..Flags::default() };
    Ok(Lab::open(config::load(&flags, &Places::default(), &Variables::default())?)?)
}

/// labtop makes the tables, plain SQL fills them; the file gets its name when it is whole.
async fn seed(file: &Path, runs: u64) -> Result<(), Failure> {
    let draft = file.with_extension("draft");
    if draft.exists() {
        std::fs::remove_file(&draft)?;
    }
    schema::migrate(&open(&draft)?).await?;
    let connection = loop {
        // labtop lets go of the file a moment after its work.
        match duckdb::Connection::open(&draft) {
            Ok(connection) => break connection,
            Err(error) if error.to_string().contains("lock") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    for sql in [include_str!("table/seed.sql"), include_str!("table/curves.sql")] {
        connection.execute(sql, [runs.cast_signed()])?;
    }
    connection.execute_batch("CHECKPOINT")?;
    drop(connection);
    Ok(std::fs::rename(&draft, file)?)
}

/// What a kind of key took, each time.
#[derive(Default)]
struct Times {
    frames: Vec<Duration>,
    data: Vec<Duration>,
    /// The longest wait for data and the order it was for.
    slowest: Option<(Duration, String)>,
}

fn dashboard(file: &Path, runs: u64, idle: Duration) -> Result<(), Failure> {
    let home = tempfile::tempdir()?;
    let store = file.to_str().ok_or("the path of the file is no text")?;
    let begun = Instant::now();
    let mut terminal = Terminal::start(home.path(), &["--store", store], &[], 160, 45);
    terminal.wait("the first frame", |screen| screen.contains("Experiments"));
    let first_frame = begun.elapsed();
    terminal.wait("the first rows", has_rows);
    let first_rows = begun.elapsed();
    println!("start: first frame {} ms, first rows {} ms", first_frame.as_millis(), first_rows.as_millis());
    quiet(&mut terminal);
    println!("resident after the start: {}", resident(terminal.pid())?);

    head("");
    let (down, up) = ("\x1b[6~", "\x1b[5~");
    for (what, keys, times) in [
        ("one line", &["j"][..], 200),
        ("a page", &[down], 60),
        ("half a page", &["\x15"], 60),
        ("to the end and back", &["G", "g"], 20),
        ("the end and pages up", &["G", up, up, up, up], 20),
        ("sort by the next column", &["s"], 18),
        ("turn the order around", &["S"], 10),
        ("sorted: a page", &[down], 60),
        ("sorted: to the end and back", &["G", "g"], 20),
    ] {
        if what.starts_with("sorted: a") {
            // By accuracy, a figure that differs from run to run.
            press_until(&mut terminal, "s", |screen| screen.contains("acc ▼"));
        }
        keep_pressing(&mut terminal, what, keys, times);
    }
    println!("\n{runs} runs: resident {}", resident(terminal.pid())?);
    quiet(&mut terminal);
    let (ticks, written) = (ticks(terminal.pid())?, terminal.written.len());
    let begun = Instant::now();
    while begun.elapsed() < idle {
        terminal.read(idle.saturating_sub(begun.elapsed()));
    }
    let used = self::ticks(terminal.pid())? - ticks;
    let drawn = terminal.written.len() - written;
    println!("idle for {} s: {} ms of CPU, {drawn} bytes drawn", idle.as_secs(), used * 10);
    println!("resident when idle: {}", resident(terminal.pid())?);
    Ok(())
}

/// Another dashboard, whose table has columns of values in JSON.
fn parameters(file: &Path) -> Result<(), Failure> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("labtop.toml"), WITH_PARAMETERS)?;
    let store = file.to_str().ok_or("the path of the file is no text")?;
    let mut terminal = Terminal::start(home.path(), &["--store", store], &[], 160, 45);
    terminal.wait("the first rows", has_rows);
    // What is read ahead is given the time that somebody looks at the first rows.
    quiet(&mut terminal);
    head("with parameters as columns");
    for (what, keys, times) in [
        ("sort by the next column", &["s"][..], 18),
        ("turn the order around", &["S"], 6),
        ("a page", &["\x1b[6~"], 20),
        ("to the end and back", &["G", "g"], 10),
    ] {
        if what.starts_with("turn") {
            press_until(&mut terminal, "s", |screen| screen.contains("learning_r… ▲"));
            quiet(&mut terminal);
        }
        keep_pressing(&mut terminal, what, keys, times);
    }
    println!("resident: {}", resident(terminal.pid())?);
    Ok(())
}

fn head(what: &str) {
    println!("\n{what:<32}{:>28}{:>30}", "key to frame, ms", "key to data, ms");
    println!("{:<32}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "p50", "p95", "p99", "p50", "p95", "max");
}

fn keep_pressing(terminal: &mut Terminal, what: &str, keys: &[&str], times: usize) {
    let mut taken = Times::default();
    for turn in 0..times {
        press(terminal, keys[turn % keys.len()], &mut taken);
    }
    let slowest = taken
        .slowest
        .take()
        .map(|(time, what)| format!("  longest {:.0} ms: {what}", time.as_secs_f64() * 1e3));
    println!(
        "{what:<32}{}{}{}",
        row(&mut taken.frames, &[50, 95, 99]),
        row(&mut taken.data, &[50, 95, 100]),
        slowest.unwrap_or_default()
    );
}

/// Rows are there, and none is a placeholder.
fn has_rows(screen: &str) -> bool {
    let spins = |line: &str| {
        line.split_once("Experiments ─ ")
            .is_some_and(|(_, rest)| rest.starts_with(|c| "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏".contains(c)))
    };
    screen.contains(" of ") && !screen.contains("···") && !screen.lines().any(spins)
}

fn press(terminal: &mut Terminal, keys: &str, times: &mut Times) {
    let begun = Instant::now();
    let written = terminal.written.len();
    terminal.press(keys);
    while terminal.written.len() == written && begun.elapsed() < PATIENCE {
        terminal.read(Duration::from_millis(5));
    }
    times.frames.push(begun.elapsed());
    // A frame may come in pieces: the answer is looked for when the rest of it is here.
    let mut came = Instant::now();
    let mut data = None;
    while begun.elapsed() < PATIENCE && (data.is_none() || came.elapsed() < QUIET) {
        let before = terminal.written.len();
        terminal.read(Duration::from_millis(2));
        if terminal.written.len() != before {
            came = Instant::now();
        }
        match has_rows(&terminal.text()) {
            true => data = data.or(Some(begun.elapsed())),
            false => data = None,
        }
    }
    let data = data.unwrap_or(PATIENCE);
    times.data.push(data);
    if times.slowest.as_ref().is_none_or(|(longest, _)| data > *longest) {
        times.slowest = sorted_by(&terminal.text()).map(|column| (data, column));
    }
}

/// The column that the table is sorted by, as its head names it, with its arrow.
fn sorted_by(screen: &str) -> Option<String> {
    let words: Vec<&str> = screen.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "▼" || *word == "▲")?;
    Some(words[place.saturating_sub(1)..=place].join(" "))
}

fn press_until(terminal: &mut Terminal, key: &str, holds: impl Fn(&str) -> bool) {
    while !holds(&terminal.text()) {
        press(terminal, key, &mut Times::default());
    }
}

fn quiet(terminal: &mut Terminal) {
    let mut written = usize::MAX;
    while written != terminal.written.len() {
        written = terminal.written.len();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            terminal.read(Duration::from_millis(100));
        }
    }
}

fn row(times: &mut [Duration], shares: &[usize]) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    shares.iter().map(|&share| format!("{:>10.1}", at(share))).collect()
}

/// Now and at the most.
fn resident(pid: u32) -> Result<String, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = |name: &str| -> Result<u64, Failure> {
        let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such line")?;
        Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse::<u64>()? / 1024)
    };
    Ok(format!("{} MiB, {} MiB at the most", value("VmRSS")?, value("VmHWM")?))
}

/// Hundredths of a second of CPU, of the program and of the system for it.
fn ticks(pid: u32) -> Result<u64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// The first window of an order, the next one and the last.
async fn store(file: &Path) -> Result<(), Failure> {
    let lab = open(file)?;
    let curve = |aggregate| Field::Curve(aggregate, "loss".to_owned());
    println!("\n{:<32}{:>10}{:>10}{:>10}{:>10}", "a window of 120, ms", "first", "next", "last", "middle");
    let slow = Filter::parse("params.learning_rate > 0.01", jiff::Timestamp::UNIX_EPOCH)?;
    for (filter, field) in [
        (None, Field::Id),
        (Some(slow), Field::Id),
        (None, Field::Figure(Figure::Accuracy)),
        (None, Field::Model),
        (None, Field::Name),
        (None, Field::Status),
        (None, Field::Created),
        (None, Field::Param("learning_rate".to_owned())),
        (None, Field::Param("optimizer".to_owned())),
        (None, Field::Metric("loss".to_owned())),
        (None, curve(Aggregate::Best)),
        (None, curve(Aggregate::Last)),
    ] {
        let name = if filter.is_some() { format!("{field}, by a parameter") } else { field.to_string() };
        let sort = Sort { field, descending: true };
        let mut query = ExperimentQuery { filter, sort, limit: 120, ..ExperimentQuery::default() };
        let mut taken = Vec::new();
        for turn in 0..4 {
            let begun = Instant::now();
            let page = lab.experiments.list(&query).await?;
            taken.push(format!("{:>10.1}", begun.elapsed().as_secs_f64() * 1e3));
            query.window = match turn {
                0 => page.next().ok_or("no rows")?,
                1 => Window::Last,
                _ => Window::At(page.total / 2),
            };
        }
        println!("{name:<32}{}", taken.concat());
    }
    Ok(())
}
