//! Random happenings, many of them: no panic, no hang, memory flat, the terminal given back.
//!
//! A short run is a test like any other. `make soak` makes it a million: `LABTOP_SOAK` says how many happenings each run
//! takes, `LABTOP_SOAK_SEED` with which seed it begins. Left out are only the keys that leave the program (quit, ctrl-c,
//! ctrl-z); where the palette leaves it, the run in a terminal starts it again, and the one in this process goes on. At
//! most a few jobs run at a time: the run waits for them, as no hand is fast enough to start thousands.

// Figures are what a soak is run for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod happening;
mod in_process;
mod in_terminal;

use std::collections::VecDeque;
use std::time::Duration;

use happening::Happening;

/// Longer than this for one answer to one happening is a hang.
const HANG: Duration = Duration::from_secs(60);

/// Happenings that are told when something went wrong.
const TOLD: usize = 60;

/// A run of so many shows whether memory stays flat.
const LONG: u64 = 50_000;

/// How many happenings, and with which seed.
fn extent(short: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.replace('_', "").parse().ok());
    (number("LABTOP_SOAK").unwrap_or(short), number("LABTOP_SOAK_SEED").unwrap_or(20_261_123))
}

/// The run so far, for whoever has to find out what went wrong.
struct Trail {
    seed: u64,
    count: u64,
    last: VecDeque<Happening>,
}

impl Trail {
    fn new(seed: u64) -> Self {
        Trail { seed, count: 0, last: VecDeque::with_capacity(TOLD) }
    }

    fn note(&mut self, happening: &Happening) {
        if self.last.len() == TOLD {
            self.last.pop_front();
        }
        self.last.push_back(happening.clone());
        self.count += 1;
    }

    fn tell(&self) -> String {
        format!("seed {}, happening {}, the last: {:?}", self.seed, self.count, self.last)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tell());
        }
    }
}

/// Resident memory over time, MiB.
struct Memory {
    process: u32,
    samples: Vec<f64>,
}

impl Memory {
    fn of(process: u32) -> Self {
        Memory { process, samples: Vec::new() }
    }

    /// Takes a sample; nothing where the system does not say.
    fn sample(&mut self) {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.process)) else { return };
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
        self.samples.extend(kilobytes.map(|kilobytes| kilobytes / 1024.0));
    }

    /// Means of the second and of the last quarter; none for a short run, which says nothing.
    fn quarters(&self) -> Option<(f64, f64)> {
        let quarter = self.samples.len() / 4;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (second, last) = (&self.samples.get(quarter..2 * quarter)?, &self.samples.get(3 * quarter..)?);
        (quarter >= 8).then(|| (mean(second), mean(last)))
    }

    fn tell(&self) -> String {
        let top = self.samples.iter().copied().fold(0.0, f64::max);
        match self.quarters() {
            Some((second, last)) => {
                format!("memory MiB: second quarter {second:.0}, last quarter {last:.0}, most {top:.0}")
            }
            None => format!("memory MiB: most {top:.0}"),
        }
    }

    /// Growth by a tenth and 32 MiB is a leak: the stores themselves grow while they are soaked. A short run only fills
    /// its caches.
    fn must_be_flat(&self, happenings: u64) {
        if happenings >= LONG
            && let Some((second, last)) = self.quarters()
        {
            assert!(last < second * 1.1 + 32.0, "memory grows: {:?}", self.samples);
        }
    }
}
