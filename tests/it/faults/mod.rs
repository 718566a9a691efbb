//! What happens when something breaks.

mod files;
mod kills;
mod proxy;
