//! Operations: batch.
