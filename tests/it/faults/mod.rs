//! What happens when something breaks.

mod deliveries;
mod files;
mod kills;
mod proxy;
