//! labtop
