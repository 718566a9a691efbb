//! Where log lines go: to stderr for commands, to the Activity tab for the dashboard, and to a file if one is named.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::worker::protocol::{LogLevel, LogLine};

/// Lines that wait for the dashboard; beyond them lines are dropped, since logging must never slow the work.
const WAITING: usize = 1024;

/// Names the variable that sets what is logged, as in `labtop=debug`.
pub const VARIABLE: &str = "LABTOP_LOG";

/// Names the variable that names a file to which all lines go as well.
pub const FILE_VARIABLE: &str = "LABTOP_LOG_FILE";

/// The file that is named, with lines added at its end; each with its time.
fn to_file<S>() -> io::Result<Option<impl Layer<S>>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(path) = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
    let file: File = OpenOptions::new().create(true).append(true).open(&path).map_err(|error| {
        let text = format!("{FILE_VARIABLE}: {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    })?;
    Ok(Some(tracing_subscriber::fmt::layer().with_writer(std::sync::Arc::new(file)).with_ansi(false)))
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default))
}

/// Log lines to stderr: warnings, or errors alone when `quiet`, unless `LABTOP_LOG` says otherwise.
pub fn to_stderr(quiet: bool) -> io::Result<()> {
    let default = if quiet { "error" } else { "labtop=warn,error" };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .compact();
    // A subscriber that is set already (as in tests) keeps its place.
    let _ = tracing_subscriber::registry().with(filter(default)).with(lines).with(to_file()?).try_init();
    Ok(())
}

/// Log lines to whoever reads the receiver; nothing is written to the terminal.
pub fn to_channel() -> io::Result<mpsc::Receiver<LogLine>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let _ = tracing_subscriber::registry()
        .with(filter("labtop=info,warn"))
        .with(ToChannel { sender })
        .with(to_file()?)
        .try_init();
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
