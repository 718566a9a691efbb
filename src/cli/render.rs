//! `labtop render`: a screen of the dashboard without a terminal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Size;

use crate::ops::Lab;
use crate::tui::{keys, render};
use crate::worker;

use super::error::CliError;
use super::{Global, Outcome, Session, dashboard};

/// How long the answers to one key are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keys to press first, as in `4` or `jj<enter>`
    #[arg(long, default_value = "")]
    keys: String,
    /// Columns and rows
    #[arg(long, default_value = "120x40", value_parser = parse_size)]
    size: Size,
    /// A file whose ending says the format: .txt, .ansi or .svg; stdout, as text, without
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub async fn run(args: Args, session: &Session, global: &Global) -> Outcome {
    let keys = keys::parse(&args.keys).map_err(|error| CliError::Usage(error.to_string()))?;
    let draw = match args.out.as_ref().map(|path| path.extension().and_then(|ending| ending.to_str())) {
        None | Some(Some("txt")) => Drawing::Text,
        Some(Some("ansi")) => Drawing::Ansi,
        Some(Some("svg")) => Drawing::Svg,
        Some(_) => return Err(CliError::Usage("--out: the ending must be .txt, .ansi or .svg".to_owned())),
    };
    let (mut app, problems) = dashboard::app(&session.lab.settings, global, None);
    for problem in problems {
        session.output.note(&problem);
    }
    let lab = Arc::new(Lab::open(session.lab.settings.clone())?);
    let mut worker = worker::start(lab, None);
    let buffer =
        render::frame(&mut app, &keys, args.size, &worker.requests, &mut worker.events, PATIENCE).await;
    let text = match draw {
        Drawing::Text => render::to_text(&buffer),
        Drawing::Ansi => render::to_ansi(&buffer),
        Drawing::Svg => render::to_svg(&buffer, app.theme()),
    };
    drop(worker);
    match args.out {
        Some(path) => std::fs::write(&path, text)
            .map_err(|error| CliError::Usage(format!("{}: cannot be written: {error}", path.display())))?,
        None => session.output.write(&text)?,
    }
    Ok(0)
}

enum Drawing {
    Text,
    Ansi,
    Svg,
}

fn parse_size(text: &str) -> Result<Size, String> {
    let wrong = || format!("'{text}' is no size: write COLUMNSxROWS, as in 120x40, at most 1000x1000");
    let (width, height) = text.split_once('x').ok_or_else(wrong)?;
    let side = |side: &str| side.parse().ok().filter(|side| (1..=1000).contains(side)).ok_or_else(wrong);
    Ok(Size::new(side(width)?, side(height)?))
}
