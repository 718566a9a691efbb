//! The dashboard, opened: settings, keys and colours are read before the terminal is taken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Settings, view};
use crate::ops::Lab;
use crate::telemetry;
use crate::tui::keymap::Keymap;
use crate::tui::theme::{AUTO, Background, Theme};
use crate::tui::{self, App, Options, Parting, terminal};
use crate::worker;

use super::error::CliError;
use super::output::Output;
use super::{Global, Outcome, serve_metrics};

/// How long the worker may take to write what it must after the dashboard is gone: longer than a statement may take.
const FAREWELL: Duration = Duration::from_secs(40);

pub async fn run(settings: Settings, global: &Global, metrics_addr: Option<&str>) -> Outcome {
    let background = if settings.ui.theme == AUTO { terminal::background() } else { None };
    let (mut app, problems) = app(&settings, global, background);
    recall(&mut app, &settings);
    app.greet(&problems);
    color_eyre::install().map_err(CliError::Dashboard)?;
    let logs = telemetry::to_channel(&settings.log)?;
    let lab = Arc::new(Lab::open(settings)?);
    let _exporter = serve_metrics(&lab, metrics_addr).await?;
    let worker = worker::start(lab.clone(), Some(logs));
    let parting = tui::run(app, worker.requests, worker.events).await;
    let ended = async {
        let ended = worker.ended.await;
        lab.close().await;
        ended
    };
    let late = tokio::time::timeout(FAREWELL, ended).await.is_err();
    let parting = parting.map_err(|error| CliError::Dashboard(error.into()))?;
    if late {
        return Err(CliError::Usage(
            "some work did not end in time; `labtop ls` shows how it stands".to_owned(),
        ));
    }
    if parting == Parting::Queue {
        let output = Output::new(global.format, global.quiet);
        output.note(
            "What was not done waits in its queue: labtop worker --once, or labtop batch resume ID, goes on",
        );
    }
    Ok(if parting == Parting::Signal { 130 } else { 0 })
}

/// Arranges the app as it was left, unless the settings say otherwise.
fn recall(app: &mut App, settings: &Settings) {
    let Some(place) = view::usual_place().filter(|_| settings.ui.remember) else {
        return;
    };
    let (sections, problem) = view::load(&place);
    let problems = app.recall(&sections);
    app.tell_problems(problem.into_iter().chain(problems));
}

/// The app as the settings want it, and what is wrong with the files of keys and colours.
pub fn app(settings: &Settings, global: &Global, background: Option<Background>) -> (App, Vec<String>) {
    let keymap = Keymap::load(user_keymap(settings));
    let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let (theme, wrong_colours) = Theme::choose(&settings.ui.theme, no_color, background);
    let problems = [keymap.problems(), &wrong_colours].concat();
    (App::new(Options::of(settings), keymap, theme), problems)
}

pub fn user_keymap(settings: &Settings) -> Option<&Path> {
    let path = settings.ui.keymap.as_path();
    (!path.as_os_str().is_empty()).then_some(path)
}
