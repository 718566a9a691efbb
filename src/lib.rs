//! labtop: a terminal cockpit for machine-learning experiments and the databases they live in.
//!
//! ```text
//!  labtop  1 Experiments  2 Search  3 Collections  4 Analytics  5 Activity        embedded ● 3ms     tui/widgets
//! ┌ Experiments ─ 1,204 ────────────────────────────┐┌ #1204 XGBoost · reviews ── running ──────┐   tui/tabs/experiments
//! │   id  model         dataset      acc ▼   status ││ accuracy       ⡠⠤⠒⠒⠉⠉⠉⠉                  │   tui/charts
//! │▌1204  XGBoost       reviews      0.912   running ││ 0.91      ⣀⠤⠒⠉                            │
//! └─────────────────────────────────────────────────┘└──────────────────────────────────────────┘
//!  b batch  n new  / filter  s sort  x cancel  ? help                                                  tui/keymap
//! ```
//!
//! # Layers
//!
//! Dependencies point one way, and `tests/it/architecture.rs` holds that:
//!
//! - [`domain`]: plain values, no I/O: experiments, batches, metrics, documents, collections, filters.
//! - [`store`]: the roles a database plays, as traits whose doc comments are the contract; one folder per backend.
//! - [`analytics`]: reports in DuckDB. [`embed`]: text to vector. [`runner`]: what produces metrics.
//! - [`ops`]: what the program can do; the only caller of the layers above.
//! - [`worker`]: takes the dashboard's requests, calls `ops`, answers with events. [`cli`]: the same `ops` as commands.
//! - [`exporter`]: figures about all that for Prometheus. [`telemetry`]: the log.
//! - [`tui`]: the dashboard; it knows `domain`, `worker::protocol` and `config` only.
//!
//! # Data flow
//!
//! ```text
//!  key ─► keymap ─► Action ─► App::update ─► Effect ─► Request ─► [bounded] ─► worker ─► ops ─► stores, runners
//!                                ▲                                                        │
//!  draw(&App) ◄─ dirty? ◄────────┴─────────────── Event { ticket, .. } ◄──── [bounded] ◄──┘
//! ```
//!
//! # Invariants
//!
//! - `App::update` does no I/O and reads no clock; `draw` changes nothing.
//! - An answer carries the ticket of its asking; a stale one is dropped in one place, `Remote::fill`.
//! - Writes are ordered and never cancelled behind the user's back; reads are, down to the database.
//! - A worker claims only what it has the runner and the labels for; the attempt fences off whoever comes late.
//! - A command out of a store runs only where this machine's settings or somebody at its keyboard allow it.
//! - The experiment store is the truth; `experiments_performance` is derived from it.
//! - Text from a database is data: it passes `domain::text` before it reaches a terminal.

pub mod analytics;
pub mod cli;
pub mod config;
pub mod domain;
pub mod embed;
pub mod exporter;
pub mod ops;
pub mod runner;
pub mod store;
pub mod telemetry;
pub mod tui;
pub mod worker;
