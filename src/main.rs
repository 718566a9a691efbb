//! labtop: a terminal cockpit for machine-learning experiments and the databases they live in.

fn main() {}
