//! How far a long piece of work is: a line that overwrites itself, with rate and time left.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ops::{News, Watcher};

use super::output::Output;

/// Pause between two lines: a person reads no faster.
const PAUSE: Duration = Duration::from_millis(100);

/// Watches a piece of work and tells on stderr.
pub struct Meter<'a> {
    output: &'a Output,
    stretch: Mutex<Stretch>,
}

/// What is being worked on, and since when.
#[derive(Default)]
struct Stretch {
    what: String,
    begun: Option<Instant>,
    told: Option<Instant>,
}

impl<'a> Meter<'a> {
    pub fn new(output: &'a Output) -> Self {
        Meter { output, stretch: Mutex::default() }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if self.stretch().begun.is_some() {
            self.output.progress("");
        }
    }

    fn stretch(&self) -> MutexGuard<'_, Stretch> {
        // Each change leaves it right at once.
        self.stretch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Meter<'_> {
    fn saw(&self, news: News) {
        match news {
            News::Progress { what, done, total } => {
                let mut stretch = self.stretch();
                if stretch.what != what {
                    *stretch = Stretch { what, begun: Some(Instant::now()), told: None };
                }
                if stretch.told.is_some_and(|told| told.elapsed() < PAUSE) {
                    return;
                }
                stretch.told = Some(Instant::now());
                let spent = stretch.begun.map(|begun| begun.elapsed()).unwrap_or_default();
                self.output.progress(&line(&stretch.what, done, total, spent));
            }
            News::Warning { text, .. } => {
                self.finish();
                self.output.note(&text);
            }
            _ => {}
        }
    }
}

/// As in "experiments 1200 of 5000, 600 a second, 0:06 left".
fn line(what: &str, done: u64, total: u64, spent: Duration) -> String {
    // Nobody knows how much comes from a pipe.
    let mut line = match total {
        0 => format!("{what} {done}"),
        _ => format!("{what} {done} of {}", total.max(done)),
    };
    let seconds = spent.as_secs_f64();
    // The first lot alone says little.
    if seconds >= 0.5 && done > 0 {
        let rate = done as f64 / seconds;
        let left = (total.saturating_sub(done) as f64 / rate) as u64;
        line.push_str(&format!(", {rate:.0} a second"));
        if total > 0 {
            line.push_str(&format!(", {}:{:02} left", left / 60, left % 60));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_are_told() {
        assert_eq!(line("runs", 0, 10, Duration::ZERO), "runs 0 of 10");
        assert_eq!(line("runs", 200, 0, Duration::from_secs(2)), "runs 200, 100 a second");
        assert_eq!(
            line("runs", 200, 13_000, Duration::from_secs(2)),
            "runs 200 of 13000, 100 a second, 2:08 left"
        );
        assert_eq!(line("runs", 20, 10, Duration::from_secs(2)), "runs 20 of 20, 10 a second, 0:00 left");
    }
}
