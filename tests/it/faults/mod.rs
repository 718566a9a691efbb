//! What happens when something breaks.

mod files;
mod kills;
mod outages;
mod proxy;
mod workers;
