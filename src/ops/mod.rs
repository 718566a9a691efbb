//! What labtop can do. The command line and the dashboard call these functions, and nothing else calls the stores.

pub mod analytics;
pub mod batch;
pub mod collection;
pub mod delivery;
pub mod demo;
pub mod document;
pub mod error;
pub mod experiment;
pub mod export;
pub mod health;
pub mod lab;
pub mod news;
pub mod schema;
pub mod workflow;

pub use error::{OpsError, Result};
pub use lab::Lab;
pub use news::{News, Watcher};
