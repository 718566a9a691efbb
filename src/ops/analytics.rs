//! Operations: analytics.
