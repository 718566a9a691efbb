//! What only a PostgreSQL server has to show: how it is reached, what it refuses, and how its changes are heard of.

mod live;
mod pooler;
mod refusals;
mod secrets;
mod starts;
mod tls;
