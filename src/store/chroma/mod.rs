//! The chroma backend.
