//! Operations: experiment.
