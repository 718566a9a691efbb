//! The jobs of this session: how far each is, since when, and how long it will take.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::worker::protocol::{JobState, JobUpdate, Ticket};

/// Jobs that are remembered after their end.
const REMEMBERED: usize = 200;

/// Marks of progress that a job's pace is taken from: the newest quarter of a minute at least, so that a pause or a slow
/// beginning is forgotten.
const MARKS: usize = 64;

/// Least time between two marks.
const APART: Duration = Duration::from_millis(250);

/// One job as it was heard of last.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub update: JobUpdate,
    pub since: Timestamp,
    pub ended: Option<Timestamp>,
    /// When so many were done.
    marks: VecDeque<(Timestamp, u64)>,
}

impl Job {
    pub fn is_running(&self) -> bool {
        matches!(self.update.state, JobState::Waiting | JobState::Running)
    }

    /// From its first news to its end, or to `now`.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        let end = self.ended.unwrap_or(now);
        between(self.since, end)
    }

    /// How long one takes at the newest pace, with those that run beside it; none before the first is done.
    fn pace(&self) -> Option<Duration> {
        let ((begun, before), (last, done)) = (self.marks.front()?, self.marks.back()?);
        let count = u32::try_from(done - before).ok().filter(|count| *count > 0)?;
        Some(between(*begun, *last) / count)
    }

    /// Done in a second.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.pace()?.as_secs_f64();
        (self.is_running() && seconds > 0.0).then(|| 1.0 / seconds)
    }

    /// Time left at the newest pace: at least a second, and none when that pace is not kept any more, as with a last run
    /// that takes longer than all before it.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let JobUpdate { done, total, .. } = self.update;
        let rest = total.checked_sub(done).filter(|rest| *rest > 0 && self.is_running())?;
        let (pace, (last, _)) = (self.pace()?, self.marks.back()?);
        let idle = between(*last, now);
        let left = if idle <= pace {
            pace.mul_f64(rest as f64).saturating_sub(idle)
        } else if idle <= pace * LATE + APART {
            // The one that is late shows that the pace slows down.
            idle.mul_f64(rest as f64 - 0.5)
        } else {
            return None;
        };
        Some(left.max(Duration::from_secs(1)))
    }

    fn mark(&mut self, now: Timestamp) {
        let done = self.update.done;
        match self.marks.back() {
            // Begun anew, as by a retry.
            Some((_, before)) if done < *before => self.marks.clear(),
            Some((_, before)) if done == *before => return,
            _ => {}
        }
        // The one before the last is the one to keep apart from; the last only says how far it is by now.
        let crowded = self.marks.len() >= 2
            && self.marks.iter().rev().nth(1).is_some_and(|(at, _)| between(*at, now) < APART);
        if crowded {
            self.marks.pop_back();
        }
        self.marks.push_back((now, done));
        if self.marks.len() > MARKS {
            self.marks.pop_front();
        }
    }

    /// 0 to 1; none while unknown.
    pub fn share(&self) -> Option<f64> {
        let JobUpdate { done, total, .. } = self.update;
        (total > 0).then(|| (done as f64 / total as f64).min(1.0))
    }
}

/// The pace is given up when one takes so many times as long.
const LATE: u32 = 4;

/// Zero where the clock was put back.
fn between(begin: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(begin)).unwrap_or_default()
}

/// `3.2/s`, `40/min`, `5/h`: what is left of a rate for a narrow column.
pub fn per_time(rate: f64) -> String {
    let (figure, unit) = match rate {
        _ if rate >= 1.0 => (rate, "s"),
        _ if rate >= 1.0 / 60.0 => (rate * 60.0, "min"),
        _ => (rate * 3600.0, "h"),
    };
    if figure < 9.95 { format!("{figure:.1}/{unit}") } else { format!("{figure:.0}/{unit}") }
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
                // Counts that are given first, or changed, are no progress.
                let recounted = job.update.total != update.total;
                job.update = update.clone();
                if recounted {
                    job.marks.clear();
                }
                job.mark(now);
                job.ended = if over { job.ended.or(Some(now)) } else { None };
            }
            None => {
                let marks = [(now, update.done)].into();
                self.list.push(Job { update: update.clone(), since: now, ended: over.then_some(now), marks });
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

    fn told(done: &[(i64, u64)]) -> Job {
        let mut jobs = Jobs::default();
        for (second, done) in done {
            jobs.hear(&update(JobState::Running, *done), at(*second));
        }
        jobs.all()[0].clone()
    }

    fn left(job: &Job, second: i64) -> Option<u64> {
        job.left(at(second)).map(|left| left.as_secs())
    }

    #[test]
    fn a_job_tells_how_long_it_will_take() {
        assert_eq!(left(&told(&[(100, 0)]), 110), None);
        let job = told(&[(100, 0), (110, 1), (120, 2), (130, 3)]);
        assert_eq!([left(&job, 130), left(&job, 135)], [Some(90), Some(85)]);
        assert_eq!(per_time(job.rate().unwrap()), "6.0/min");
        let mut jobs = Jobs::default();
        jobs.hear(&update(JobState::Running, 0), at(100));
        jobs.hear(&update(JobState::Completed, 12), at(220));
        assert!(!jobs.is_running());
        assert_eq!(jobs.all()[0].elapsed(at(999)), Duration::from_secs(120));
        assert_eq!(left(&jobs.all()[0], 300), None);
    }

    #[test]
    fn what_was_done_before_a_retry_is_no_progress() {
        let job = told(&[(100, 8), (110, 9)]);
        assert_eq!(left(&job, 110), Some(30), "three left at ten seconds each");
    }

    #[test]
    fn a_last_run_that_takes_long_is_not_over_in_no_time() {
        let job = told(&[(100, 0), (110, 5), (120, 11)]);
        assert_eq!(left(&job, 121), Some(1));
        assert_eq!(left(&job, 122), Some(1));
        assert_eq!(left(&job, 180), None, "nobody knows");
        assert_eq!(left(&told(&[(100, 0), (90, 3)]), 80), Some(1), "nor by a clock that goes back");
    }

    #[test]
    fn runs_side_by_side_and_pauses_do_not_confuse_it() {
        // Three at a time, a minute each.
        let job = told(&[(0, 0), (60, 3), (120, 6)]);
        assert_eq!(left(&job, 120), Some(120));
        let mut jobs = Jobs::default();
        let mut hear = |second: i64, done: u64| {
            jobs.hear(&JobUpdate { total: 1000, ..update(JobState::Running, done) }, at(second));
        };
        hear(0, 0);
        (1..=100).for_each(|done| hear(1000 + done, done.unsigned_abs()));
        let after = left(&jobs.all()[0], 1100).unwrap();
        assert!((850..950).contains(&after), "a pause long ago is forgotten: {after}");
    }

    #[test]
    fn clocks_read_as_clocks() {
        let shown = [7, 42, 725, 3723].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0:07", "0:42", "12:05", "1:02:03"]);
    }
}
