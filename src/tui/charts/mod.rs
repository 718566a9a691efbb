//! Charts: pure drawing of given data.
