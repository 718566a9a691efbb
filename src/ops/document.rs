//! Operations: document.
