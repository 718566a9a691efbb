//! What happens when something breaks.

mod broken_copies;
mod commands;
mod deliveries;
mod files;
mod kills;
mod outages;
mod proxy;
mod workers;
