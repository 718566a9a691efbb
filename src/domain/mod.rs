//! Plain values of the field: experiments, batches, metrics, documents, collections. No I/O here.

pub mod batch;
pub mod batch_spec;
pub mod collection;
pub mod csv;
pub mod database;
pub mod document;
pub mod embedding_map;
pub mod experiment;
pub mod filter;
pub mod index;
pub mod metadata_filter;
pub mod metric;
pub mod outbox;
pub mod performance;
pub mod process;
pub mod record_filter;
pub mod spelling;
pub mod survey;
pub mod table;
pub mod text;
pub mod window;
pub mod worker;
