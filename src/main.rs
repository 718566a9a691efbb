//! labtop: a terminal cockpit for machine-learning experiments and the databases they live in.

use std::process::ExitCode;

fn main() -> ExitCode {
    labtop::cli::main()
}
