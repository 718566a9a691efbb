//! What the tests share.

pub mod backends;
pub mod chroma;
pub mod labtop;
pub mod prometheus;
pub mod samples;
pub mod servers;
pub mod terminal;
