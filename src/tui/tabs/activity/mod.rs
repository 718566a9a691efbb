//! The activity tab.
