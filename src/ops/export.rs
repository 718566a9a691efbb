//! Operations: export.
