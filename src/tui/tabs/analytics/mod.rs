//! The analytics tab.
