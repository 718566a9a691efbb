//! The search tab.
