//! The published example spells one thing in several ways; this table maps them onto each other.

/// `(in experiments, in experiments_performance, in prose and older scripts)`.
pub const SPELLINGS: [(&str, &str, &str); 3] = [
    ("model_type", "model_name", "model"),
    ("training_time_seconds", "training_time_sec", "training_time"),
    ("inference_time_ms", "inference_time_ms", "inference_time"),
];

/// The name `experiments` uses for any of the spellings; other names pass through.
pub fn in_experiments(name: &str) -> &str {
    SPELLINGS
        .iter()
        .find(|(experiments, performance, prose)| [*experiments, *performance, *prose].contains(&name))
        .map_or(name, |(experiments, _, _)| experiments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_the_column() {
        assert_eq!(in_experiments("model_name"), "model_type");
        assert_eq!(in_experiments("training_time"), "training_time_seconds");
        assert_eq!(in_experiments("accuracy"), "accuracy");
    }
}
