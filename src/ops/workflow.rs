//! Operations: workflow.
