//! Operations: collection.
