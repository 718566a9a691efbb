//! The experiments tab.
