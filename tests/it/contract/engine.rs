//! The DuckDB engine: its lease, its migrations, its change feed.
