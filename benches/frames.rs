//! What a frame costs: whole screens beside the same cells from a ready-made text, and charts of 100,000 points beside ratatui's own
//! chart.
//!
//! Each is drawn 200 times in turn with its floor into a terminal of cells, which finds out what changed as a real one does. The
//! store is an embedded one with the sample data and 100 simulated runs.

// A benchmark says its figures.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use labtop::config::{self, Flags, Places, Variables};
use labtop::ops::experiment::{RunRequest, run};
use labtop::ops::news::Nobody;
use labtop::ops::{Lab, Stop, demo};
use labtop::tui::charts::cloud::{Cloud, Mote};
use labtop::tui::charts::curve::{Curve, CurveLine};
use labtop::tui::keymap::Keymap;
use labtop::tui::theme::Theme;
use labtop::tui::{App, Options, keys, render};
use labtop::worker;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Text;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};
use ratatui::{Frame, Terminal};

type Failure = Box<dyn std::error::Error>;

const TIMES: usize = 200;
const SIZES: [Size; 3] =
    [Size { width: 80, height: 24 }, Size { width: 160, height: 45 }, Size { width: 300, height: 100 }];

fn main() -> Result<(), Failure> {
    println!("{:<40}{:>10}{:>10}{:>14}{:>10}", "a frame, ms", "p50", "p99", "its floor p50", "ratio");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(screens())?;
    charts()
}

async fn screens() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let flags = Flags { store: Some(folder.path().join("lab.duckdb")), ..Flags::default() };
    let settings = config::load(&flags, &Places::default(), &Variables::default())?;
    let lab = Arc::new(Lab::open(settings.clone())?);
    demo::load(&lab, &Nobody).await?;
    let runs = RunRequest {
        model: "XGBoost".to_owned(),
        dataset: "bench".to_owned(),
        repeat: 100,
        delay_ms: Some(0),
        ..RunRequest::default()
    };
    run(&lab, &runs, &Nobody, &Stop::default()).await?;
    let mut worker = worker::start(lab, None);
    for (name, pressed) in [
        ("experiments", "1"),
        ("search", "2"),
        ("collections", "3"),
        ("analytics", "4"),
        ("activity", "5"),
        ("help", "1?"),
    ] {
        for size in SIZES {
            let mut app = App::new(Options::of(&settings), Keymap::load(None), Theme::default());
            let pressed = keys::parse(pressed)?;
            let patience = Duration::from_secs(10);
            let cells =
                render::frame(&mut app, &pressed, size, &worker.requests, &mut worker.events, patience).await;
            let ready = Text::raw(render::to_text(&cells));
            let own = |frame: &mut Frame<'_>| app.draw(frame);
            let floor =
                |frame: &mut Frame<'_>| frame.render_widget(Paragraph::new(ready.clone()), frame.area());
            compare(name, size, own, floor)?;
        }
    }
    Ok(())
}

fn charts() -> Result<(), Failure> {
    let theme = Theme::default();
    let points: Vec<(f64, f64)> =
        (0..100_000).map(|step| (f64::from(step), (f64::from(step) / 3_000.0).sin())).collect();
    let line = CurveLine { points: &points, ..CurveLine::default() };
    let plain = Curve { lines: vec![line], y_title: "loss", x_title: "step", ..Curve::default() };
    let smooth = Curve { smoothing: Some(0.9), cursor: Some(50_000.0), ..plain.clone() };
    let motes = points.iter().map(|&at| Mote { at, series: Some(0) }).collect();
    let cloud = Cloud { motes, ..Cloud::default() };
    for size in SIZES {
        for (name, curve) in [("a curve", &plain), ("a curve, smoothed, with a cursor", &smooth)] {
            let own = |frame: &mut Frame<'_>| curve.draw(frame.area(), frame.buffer_mut(), &theme);
            compare(name, size, own, |frame| chart(frame, &points, GraphType::Line))?;
        }
        let own = |frame: &mut Frame<'_>| cloud.draw(frame.area(), frame.buffer_mut(), &theme);
        compare("a map", size, own, |frame| chart(frame, &points, GraphType::Scatter))?;
    }
    Ok(())
}

/// ratatui's own, with as much around it.
fn chart(frame: &mut Frame<'_>, points: &[(f64, f64)], kind: GraphType) {
    let line =
        Dataset::default().marker(Marker::Braille).graph_type(kind).style(Style::default()).data(points);
    let x = Axis::default().title("step").bounds([0.0, points.len() as f64]).labels(["0", "100000"]);
    let y = Axis::default().title("loss").bounds([-1.0, 1.0]).labels(["-1", "1"]);
    frame.render_widget(Chart::new(vec![line]).x_axis(x).y_axis(y), frame.area());
}

/// Both in turns, so that what else the machine does meets both.
fn compare(
    name: &str,
    size: Size,
    own: impl Fn(&mut Frame<'_>),
    floor: impl Fn(&mut Frame<'_>),
) -> Result<(), Failure> {
    let terminal = || Terminal::new(TestBackend::new(size.width, size.height));
    let (mut here, mut there) = (terminal()?, terminal()?);
    let (mut taken, mut least) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        taken.push(time(&mut here, &own)?);
        least.push(time(&mut there, &floor)?);
    }
    taken.sort();
    least.sort();
    let at = |times: &[Duration], share: usize| times[TIMES * share / 100].as_secs_f64() * 1e3;
    let (median, floor) = (at(&taken, 50), at(&least, 50));
    println!(
        "{:<40}{median:>10.3}{:>10.3}{floor:>14.3}{:>10.2}",
        format!("{name}, {}x{}", size.width, size.height),
        at(&taken, 99),
        median / floor
    );
    Ok(())
}

fn time(terminal: &mut Terminal<TestBackend>, draw: impl Fn(&mut Frame<'_>)) -> Result<Duration, Failure> {
    let begun = Instant::now();
    terminal.draw(|frame| draw(frame))?;
    Ok(begun.elapsed())
}
