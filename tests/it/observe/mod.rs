//! What can be seen of a running labtop: health, doctor, metrics, log.

mod doctor;
mod health;
mod log;
mod metrics;
