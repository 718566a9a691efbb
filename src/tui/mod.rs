//! The dashboard: one owner of state, drawn when it changed.
