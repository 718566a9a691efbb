//! What the tests share.

pub mod backends;
pub mod samples;
