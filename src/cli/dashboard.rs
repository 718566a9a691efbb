//! The dashboard, opened: settings, keys and colours are read before the terminal is taken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Settings, view};
use crate::ops::Lab;
use crate::telemetry;
use crate::tui::keymap::Keymap;
use crate::tui::theme::Theme;
use crate::tui::{self, App, Options, Parting};
use crate::worker;

use super::error::CliError;
use super::{Global, Outcome};

/// How long the worker may take to write what it must after the dashboard is gone: longer than a statement may take.
const FAREWELL: Duration = Duration::from_secs(40);

pub async fn run(settings: Settings, global: &Global) -> Outcome {
    let mut app = app(&settings, global)?;
    recall(&mut app, &settings);
    color_eyre::install().map_err(CliError::Dashboard)?;
    let logs = telemetry::to_channel();
    let lab = Arc::new(Lab::open(settings)?);
    let worker = worker::start(lab, Some(logs));
    let parting = tui::run(app, worker.requests, worker.events).await;
    let late = tokio::time::timeout(FAREWELL, worker.ended).await.is_err();
    let parting = parting.map_err(|error| CliError::Dashboard(error.into()))?;
    if late {
        return Err(CliError::Usage(
            "some work did not end in time; `labtop ls` shows how it stands".to_owned(),
        ));
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

/// The app as the settings want it.
pub fn app(settings: &Settings, global: &Global) -> Result<App, CliError> {
    let usage = |error: String| CliError::Usage(error);
    let keymap = Keymap::load(user_keymap(settings)).map_err(|error| usage(error.to_string()))?;
    let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let theme = Theme::choose(&settings.ui.theme, no_color).map_err(|error| usage(error.to_string()))?;
    Ok(App::new(Options::of(settings, global.read_only), keymap, theme))
}

pub fn user_keymap(settings: &Settings) -> Option<&Path> {
    let path = settings.ui.keymap.as_path();
    (!path.as_os_str().is_empty()).then_some(path)
}
