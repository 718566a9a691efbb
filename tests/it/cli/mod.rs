//! The command line, run as a user would, on the embedded profile in a clean directory.

mod batch;
mod collections;
pub mod copy;
mod demo;
mod errors;
mod ingest;
mod process;
mod read_only;
mod run;
mod search;
