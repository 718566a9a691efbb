//! The one integration-test binary.

// A test that cannot go on has failed; clippy's own exception covers #[test] functions only and not their helpers.
#![allow(clippy::unwrap_used)]

mod architecture;
mod cli;
mod compose;
mod contract;
mod databases;
mod faults;
mod observe;
mod postgres;
mod pty;
mod soak;
mod support;
mod worker;
