//! Any command: its parameters go in as arguments and environment, its metrics come out as lines.

mod group;
mod lines;
mod reading;
mod start;
#[cfg(test)]
mod tests;

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::group::Group;
use self::lines::{Line, Splitter};
use self::reading::{Reading, Stream};
use super::{Job, Report, RunError, Runner, Sink};
use crate::domain::process::RUNNER;

pub use start::resolve;

/// Between asking a command to end and ending it.
const GRACE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(5) };
/// How long what a command printed last is waited for once it and all its children have ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes read at once; a report each is the most that can come of them.
const CHUNK: usize = 8 << 10;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

#[async_trait]
impl Runner for Process {
    fn name(&self) -> &'static str {
        RUNNER
    }

    async fn run(
        &self,
        job: &Job,
        sink: &Sink,
        cancel: &CancellationToken,
    ) -> Result<Map<String, Value>, RunError> {
        let Some(spec) = &job.process else {
            return Err(RunError::Failed(
                "there is no command for it: the runner 'process' needs one".to_owned(),
            ));
        };
        let reading = Reading::new(spec)?;
        if group::kill_marked(job.key).await > 0 {
            log(sink, "what an earlier try of this run had left running was ended").await?;
        }
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let started = Instant::now();
        let mut child = start::start(spec, job)?;
        let mut group = Group::of(&child, job.key);
        let enough = CancellationToken::new();
        let mut listening = listen(&mut child, reading, sink, &enough);
        let end = tokio::select! {
            status = child.wait() => End::Exited(status),
            () = cancel.cancelled() => End::Cancelled,
            limit = limit(spec.timeout) => End::TimedOut(limit),
        };
        if !matches!(end, End::Exited(_)) {
            group.stop(&mut child, GRACE).await;
        }
        group.finish(&mut child).await;
        let took = started.elapsed();
        let reading = last_words(&mut listening, &enough).await?;
        conclude(end, &reading, took)
    }
}

enum End {
    Exited(std::io::Result<ExitStatus>),
    Cancelled,
    TimedOut(Duration),
}

async fn limit(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
}

async fn log(sink: &Sink, line: &str) -> Result<(), RunError> {
    // Nobody listens any more only when the run was given up.
    sink.send(Report::Log(line.to_owned())).await.map_err(|_| RunError::Cancelled)
}

/// Reads both streams while the command runs; dropped, it stops.
fn listen(child: &mut Child, reading: Reading, sink: &Sink, enough: &CancellationToken) -> JoinSet<Reading> {
    let mut listening = JoinSet::new();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (sink, enough) = (sink.clone(), enough.clone());
    listening.spawn(async move {
        let mut reading = reading;
        let (mut out, mut err) = (Source::new(out, Stream::Out), Source::new(err, Stream::Err));
        while out.is_open() || err.is_open() {
            let (lines, from) = tokio::select! {
                lines = out.next(), if out.is_open() => (lines, out.stream),
                lines = err.next(), if err.is_open() => (lines, err.stream),
                () = enough.cancelled() => break,
            };
            for report in lines.iter().flat_map(|line| reading.line(line, from)) {
                if sink.send(report).await.is_err() {
                    return reading;
                }
            }
        }
        reading
    });
    listening
}

/// One stream of a command.
struct Source<R> {
    /// None once it has ended.
    reader: Option<R>,
    stream: Stream,
    splitter: Splitter,
    buffer: Box<[u8]>,
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn new(reader: Option<R>, stream: Stream) -> Self {
        Source { reader, stream, splitter: Splitter::default(), buffer: vec![0; CHUNK].into() }
    }

    fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// The lines that have ended, perhaps none. May be dropped while it waits: nothing is lost.
    async fn next(&mut self) -> Vec<Line> {
        let Some(reader) = &mut self.reader else { return Vec::new() };
        match reader.read(&mut self.buffer).await {
            Ok(0) | Err(_) => {
                self.reader = None;
                self.splitter.end().into_iter().collect()
            }
            Ok(count) => self.splitter.push(&self.buffer[..count]),
        }
    }
}

/// Both streams end with the last process that has them; one that hides from us is not waited for.
async fn last_words(
    listening: &mut JoinSet<Reading>,
    enough: &CancellationToken,
) -> Result<Reading, RunError> {
    let read = tokio::select! {
        read = listening.join_next() => read,
        () = sleep(LAST_WORDS) => {
            enough.cancel();
            listening.join_next().await
        }
    };
    match read {
        Some(Ok(reading)) => Ok(reading),
        _ => Err(RunError::Failed("what the command printed could not be read to its end".to_owned())),
    }
}

fn conclude(end: End, reading: &Reading, took: Duration) -> Result<Map<String, Value>, RunError> {
    let failed = |what: String| {
        let why = reading.why().map_or_else(String::new, |why| format!(": {why}"));
        Err(RunError::Failed(what + &why))
    };
    match end {
        End::Cancelled => Err(RunError::Cancelled),
        End::TimedOut(limit) => failed(format!("stopped after {}, its `timeout`", span(limit))),
        End::Exited(Ok(status)) if status.success() => {
            let mut results = reading.results();
            // The one published figure that can be measured from outside.
            let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
            results.entry("training_time_seconds").or_insert_with(|| seconds.into());
            Ok(results)
        }
        End::Exited(Ok(status)) => failed(told(status)),
        End::Exited(Err(error)) => failed(format!("how the command ended cannot be told ({error})")),
    }
}

fn span(span: Duration) -> String {
    jiff::SignedDuration::try_from(span).map_or_else(|_| "a long time".to_owned(), |span| format!("{span:#}"))
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(9)) => "was killed by signal 9 (often for want of memory)".to_owned(),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "did not end as programs do".to_owned(),
    }
}
