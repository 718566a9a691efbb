//! Operations: schema.
