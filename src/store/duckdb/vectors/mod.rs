//! Vectors of the file held in memory, so that a search need not read them again: exact, and in step with the file.
//!
//! A search is answered by DuckDB until the vectors it looks at are in memory, and by the matrix from then on. Whether a
//! matrix is still what the file holds is told by a [`State`]: how often this process wrote such vectors, and how often
//! another process was found to have written to the file. Texts and metadata stay in the file; only those of the hits are
//! read.

mod append;
mod kernel;
mod load;
mod matrices;
mod matrix;

pub use append::{append, numbers, texts, vectors};
pub use load::{Source, lookup};
pub use matrices::{Group, Key, Matrices, State};
pub use matrix::{Asked, Found, KeyOf, Keys, Matrix, Measure};
