//! How fast each backend answered lately.

use std::time::Duration;

use crate::worker::protocol::Timings;

/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last answers of each role.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    roles: Vec<Role>,
}

#[derive(Clone, Debug)]
struct Role {
    timings: Timings,
    /// By duration.
    sorted: Vec<Duration>,
}

impl Latencies {
    pub fn of(timings: &[Timings]) -> Self {
        let role = |timings: &Timings| {
            let mut sorted = timings.took.clone();
            sorted.sort_unstable();
            Role { timings: timings.clone(), sorted }
        };
        Latencies { roles: timings.iter().map(role).collect() }
    }

    fn role(&self, role: &str) -> Option<&Role> {
        self.roles.iter().find(|known| known.timings.role == role)
    }

    /// How many answers there were since the start, and how many of them were errors.
    pub fn counts(&self, role: &str) -> Option<(u64, u64)> {
        self.role(role).map(|role| (role.timings.answered, role.timings.failed))
    }

    /// The answer that `share` of all answers did not exceed (nearest rank).
    pub fn percentile(&self, role: &str, share: f64) -> Option<Duration> {
        let sorted = &self.role(role)?.sorted;
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }

    /// The last `columns` answers as bars, the slowest as the highest.
    pub fn sparkline(&self, role: &str, columns: usize) -> String {
        let Some(role) = self.role(role) else {
            return String::new();
        };
        let answers = &role.timings.took;
        let shown = &answers[answers.len().saturating_sub(columns)..];
        let slowest = shown.iter().max().copied().unwrap_or_default().as_secs_f64().max(1e-9);
        shown
            .iter()
            .map(|answer| {
                let level = answer.as_secs_f64() / slowest * (BARS.len() - 1) as f64;
                BARS[(level.round() as usize).min(BARS.len() - 1)]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_answers_that_were_given() {
        let took = (1..=20).map(Duration::from_millis).collect();
        let latencies = Latencies::of(&[Timings { role: "experiments", answered: 21, failed: 1, took }]);
        assert_eq!(latencies.percentile("experiments", 0.5), Some(Duration::from_millis(10)));
        assert_eq!(latencies.percentile("experiments", 0.95), Some(Duration::from_millis(19)));
        assert_eq!(latencies.percentile("experiments", 0.99), Some(Duration::from_millis(20)));
        assert_eq!(latencies.percentile("documents", 0.5), None);
        assert_eq!(latencies.counts("experiments"), Some((21, 1)));
        assert_eq!(latencies.sparkline("experiments", 4), "▇▇██");
        assert_eq!(Latencies::of(&[]).sparkline("experiments", 4), "");
    }
}
