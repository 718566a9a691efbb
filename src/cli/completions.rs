//! `labtop completions`: completion scripts.

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::Output;
use super::{Cli, Outcome};

#[derive(Debug, clap::Args)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args, output: &Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "labtop", &mut script);
    output.write(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
