//! What the tests share.

pub mod backends;
pub mod chroma;
pub mod labtop;
pub mod own_servers;
pub mod patience;
pub mod prometheus;
pub mod proxy;
pub mod samples;
pub mod servers;
pub mod terminal;
pub mod tls;
pub mod trials;
