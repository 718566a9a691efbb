//! What labtop can do. The command line and the dashboard call these functions, and nothing else calls the stores.

pub mod analytics;
pub mod batch;
pub mod collection;
pub mod commands;
mod crew;
pub mod database;
pub mod delivery;
pub mod demo;
mod diff;
pub mod doctor;
pub mod document;
pub mod embedders;
pub mod embedding_map;
pub mod engines;
pub mod error;
pub mod experiment;
pub mod export;
mod gather;
mod hands;
pub mod health;
pub mod index;
pub mod ingest;
pub mod lab;
mod lines;
pub mod metrics;
pub mod news;
mod place;
mod presence;
mod read_only;
pub mod reaper;
pub mod schema;
mod search;
pub mod stop;
pub mod survey;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod transfer;
pub mod view;
pub mod worker;
pub mod workflow;

pub use error::{OpsError, Result};
pub use lab::Lab;
pub use news::{News, Watcher};
pub use stop::Stop;
