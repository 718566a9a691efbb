//! The jobs of this session: how far each is, since when, and how long it will take.

use std::time::Duration;

use jiff::Timestamp;

use crate::worker::protocol::{JobState, JobUpdate, Ticket};

/// Jobs that are remembered after their end.
const REMEMBERED: usize = 200;

/// One job as it was heard of last.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub update: JobUpdate,
    pub since: Timestamp,
    pub ended: Option<Timestamp>,
}

impl Job {
    pub fn is_running(&self) -> bool {
        matches!(self.update.state, JobState::Waiting | JobState::Running)
    }

    /// From its first news to its end, or to `now`.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        let end = self.ended.unwrap_or(now);
        Duration::try_from(end.duration_since(self.since)).unwrap_or_default()
    }

    /// Time left if the rest goes as fast as what is done.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let JobUpdate { done, total, .. } = self.update;
        let known = self.is_running() && done > 0 && total > done;
        known.then(|| self.elapsed(now).mul_f64((total - done) as f64 / done as f64))
    }

    /// 0 to 1; none while unknown.
    pub fn share(&self) -> Option<f64> {
        let JobUpdate { done, total, .. } = self.update;
        (total > 0).then(|| (done as f64 / total as f64).min(1.0))
    }
}

/// In the order in which they began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jobs {
    list: Vec<Job>,
}

impl Jobs {
    pub fn hear(&mut self, update: &JobUpdate, now: Timestamp) {
        let over = !matches!(update.state, JobState::Waiting | JobState::Running);
        match self.list.iter_mut().find(|job| job.update.ticket == update.ticket) {
            Some(job) => {
                job.update = update.clone();
                job.ended = if over { job.ended.or(Some(now)) } else { None };
            }
            None => {
                self.list.push(Job { update: update.clone(), since: now, ended: over.then_some(now) });
                self.forget();
            }
        }
    }

    pub fn all(&self) -> &[Job] {
        &self.list
    }

    pub fn running(&self) -> impl Iterator<Item = &Job> {
        self.list.iter().filter(|job| job.is_running())
    }

    pub fn is_running(&self) -> bool {
        self.running().next().is_some()
    }

    pub fn get(&self, ticket: Ticket) -> Option<&Job> {
        self.list.iter().find(|job| job.update.ticket == ticket)
    }

    /// The oldest that are over make room.
    fn forget(&mut self) {
        if self.list.len() > REMEMBERED
            && let Some(oldest) = self.list.iter().position(|job| !job.is_running())
        {
            self.list.remove(oldest);
        }
    }
}

/// `0:42`, `12:05`, `1:02:03`.
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(state: JobState, done: u64) -> JobUpdate {
        JobUpdate { ticket: Ticket(1), what: "batch".to_owned(), state, done, total: 12, failed: 0 }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_job_tells_how_long_it_will_take() {
        let mut jobs = Jobs::default();
        jobs.hear(&update(JobState::Running, 0), at(100));
        assert_eq!(jobs.all()[0].left(at(110)), None);
        jobs.hear(&update(JobState::Running, 3), at(130));
        assert_eq!(jobs.all()[0].left(at(130)), Some(Duration::from_secs(90)));
        jobs.hear(&update(JobState::Completed, 12), at(220));
        assert!(!jobs.is_running());
        assert_eq!(jobs.all()[0].elapsed(at(999)), Duration::from_secs(120));
    }

    #[test]
    fn clocks_read_as_clocks() {
        let shown = [7, 42, 725, 3723].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0:07", "0:42", "12:05", "1:02:03"]);
    }
}
