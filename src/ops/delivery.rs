//! Operations: delivery.
