//! How fast each backend answered lately.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::worker::protocol::{BackendState, RoleHealth};

/// Answers that are remembered for each role.
const REMEMBERED: usize = 120;

/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last answers of each role.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    roles: HashMap<&'static str, VecDeque<Duration>>,
}

impl Latencies {
    pub fn add(&mut self, health: &[RoleHealth]) {
        for role in health {
            if let BackendState::Up { latency, .. } = role.state {
                let answers = self.roles.entry(role.role).or_default();
                if answers.len() >= REMEMBERED {
                    answers.pop_front();
                }
                answers.push_back(latency);
            }
        }
    }

    /// The answer that `share` of all answers did not exceed (nearest rank).
    pub fn percentile(&self, role: &str, share: f64) -> Option<Duration> {
        let mut answers: Vec<Duration> = self.roles.get(role)?.iter().copied().collect();
        answers.sort_unstable();
        let rank = (share * answers.len() as f64).ceil() as usize;
        answers.get(rank.saturating_sub(1)).copied()
    }

    /// The last `columns` answers as bars, the slowest as the highest.
    pub fn sparkline(&self, role: &str, columns: usize) -> String {
        let Some(answers) = self.roles.get(role) else {
            return String::new();
        };
        let shown = answers.iter().skip(answers.len().saturating_sub(columns));
        let slowest = shown.clone().max().copied().unwrap_or_default().as_secs_f64().max(1e-9);
        shown
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
        let mut latencies = Latencies::default();
        for milliseconds in 1..=20 {
            let state = BackendState::Up {
                place: String::new(),
                version: String::new(),
                latency: Duration::from_millis(milliseconds),
            };
            latencies.add(&[RoleHealth { role: "experiments", backend: "DuckDB", state }]);
        }
        assert_eq!(latencies.percentile("experiments", 0.5), Some(Duration::from_millis(10)));
        assert_eq!(latencies.percentile("experiments", 0.95), Some(Duration::from_millis(19)));
        assert_eq!(latencies.percentile("documents", 0.5), None);
        assert_eq!(latencies.sparkline("experiments", 4), "▇▇██");
    }
}
