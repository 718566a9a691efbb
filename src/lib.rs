//! labtop

pub mod embed;
