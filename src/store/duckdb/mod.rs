//! Every role on one embedded DuckDB file.

mod budget;
pub mod changes;
pub mod collections;
pub mod documents;
pub mod engine;
mod entries;
pub mod error;
pub mod experiments;
mod inspect;
mod lane;
mod lease;
mod list;
pub mod outbox;
mod outline;
pub mod performance;
pub mod queue;
pub mod row;
pub mod schema;
mod survey;
mod text_search;
pub mod transfer;
mod turn;
mod upsert;
mod usher;
mod where_sql;
mod workers;
