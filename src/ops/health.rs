//! Operations: health.
