//! Every role on one embedded DuckDB file.

pub mod engine;
