//! labtop: a terminal cockpit for machine-learning experiments and the databases they live in.

pub mod analytics;
pub mod cli;
pub mod config;
pub mod domain;
pub mod embed;
pub mod ops;
pub mod runner;
pub mod store;
pub mod telemetry;
pub mod tui;
pub mod worker;
