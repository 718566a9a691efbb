//! The collections tab.
