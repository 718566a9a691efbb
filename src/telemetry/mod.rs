//! Where log lines go: to stderr for commands, to the Activity tab for the dashboard, and to a file if one is named.

mod rotate;

use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{self, LogFormat};
use crate::worker::protocol::{LogLevel, LogLine};

use rotate::Rotating;

/// Lines that wait for the dashboard; beyond them lines are dropped, since logging must never slow the work.
const WAITING: usize = 1024;

/// Names the variable that sets what is logged, as in `labtop=debug`. It goes before the settings, and for stderr too.
pub const VARIABLE: &str = "LABTOP_LOG";

/// Names the variable that names a file to which all lines go as well. It goes before the settings.
pub const FILE_VARIABLE: &str = "LABTOP_LOG_FILE";

/// Why nothing can be logged as it is wanted.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "{place}: '{text}' does not say what to log: {problem} (as in labtop::store=debug,labtop=info,warn)"
    )]
    Level { place: &'static str, text: String, problem: String },
    #[error("{place}: {}: {problem}", path.display())]
    File { place: &'static str, path: PathBuf, problem: io::Error },
}

/// The log file that is named, and by whom; none if none is.
pub fn file(settings: &config::Log) -> Option<(PathBuf, &'static str)> {
    let named = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
    let file = match named {
        Some(path) => (PathBuf::from(path), FILE_VARIABLE),
        None => (settings.file.clone(), "`log.file`"),
    };
    (!file.0.as_os_str().is_empty()).then_some(file)
}

/// Lines for the file that is named.
fn to_file<S>(settings: &config::Log) -> Result<Option<Box<dyn Layer<S> + Send + Sync>>, LogError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    let Some((path, place)) = file(settings) else { return Ok(None) };
    let limit = settings.max_mb * 1024 * 1024;
    let file = Rotating::open(&path, limit, settings.keep).map_err(|problem| LogError::File {
        place,
        path,
        problem,
    })?;
    // A line that cannot be written must not land on a screen that is being drawn.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .log_internal_errors(false);
    let filter = filter(&settings.level)?;
    Ok(Some(match settings.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    }))
}

/// What the variable says, or what the settings say.
fn filter(settings: &str) -> Result<EnvFilter, LogError> {
    let named = std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty());
    match named {
        Some(text) => parsed(VARIABLE, &text),
        None => parsed("`log.level`", settings),
    }
}

fn parsed(place: &'static str, text: &str) -> Result<EnvFilter, LogError> {
    let wrong = |problem: String| LogError::Level { place, text: text.to_owned(), problem };
    EnvFilter::try_new(text).map_err(|error| wrong(error.to_string()))
}

/// Log lines to stderr: warnings, or errors alone when `quiet`, unless `LABTOP_LOG` says otherwise.
pub fn to_stderr(settings: &config::Log, quiet: bool) -> Result<(), LogError> {
    let default = if quiet { "error" } else { "labtop=warn,error" };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .compact()
        .with_filter(filter(default)?);
    // A subscriber that is set already (as in tests) keeps its place.
    let _ = tracing_subscriber::registry().with(lines).with(to_file(settings)?).try_init();
    Ok(())
}

/// Log lines to whoever reads the receiver; nothing is written to the terminal.
pub fn to_channel(settings: &config::Log) -> Result<mpsc::Receiver<LogLine>, LogError> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let lines = ToChannel { sender }.with_filter(filter(&settings.level)?);
    let _ = tracing_subscriber::registry().with(lines).with(to_file(settings)?).try_init();
    Ok(receiver)
}

struct ToChannel {
    sender: mpsc::Sender<LogLine>,
}

impl<S: Subscriber> Layer<S> for ToChannel {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        let source = event.metadata().target().trim_start_matches("labtop::").to_owned();
        let line = LogLine { at: Timestamp::now(), level, source, text: text.0 };
        // Full: the line is dropped, see WAITING.
        let _ = self.sender.try_send(line);
    }
}

/// The message of an event and its fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
