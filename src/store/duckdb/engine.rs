//! The DuckDB file as a lease: its own threads, opened for the work at hand, let go when idle.

/// Handle to one DuckDB file, shared by every role that lives in it.
#[derive(Debug)]
pub struct Engine {}
