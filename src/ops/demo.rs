//! Operations: demo.
