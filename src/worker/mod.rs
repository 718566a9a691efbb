//! The worker behind the dashboard: takes commands, calls `ops`, answers with events.

pub mod protocol;
