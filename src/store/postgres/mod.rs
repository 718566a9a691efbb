//! The postgres backend.
