//! Starting a command: its program, its folder, its environment.

use std::env;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::domain::process::{ProcessSpec, Values, tidy};
use crate::runner::{Job, RunError};

/// The file that a program's name means: a name alone is looked for in `PATH`, a relative path begins in `cwd`. None
/// when a name alone is not found.
pub fn resolve(program: &str, cwd: Option<&Path>) -> Option<PathBuf> {
    if program.contains('/') {
        let here = env::current_dir().ok()?;
        return Some(tidy(&here.join(cwd.unwrap_or(Path::new(""))).join(program)));
    }
    let path = env::var_os("PATH")?;
    // A relative folder in PATH would mean another place in every folder.
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Starts the command of a job in a process group of its own.
pub(super) fn start(spec: &ProcessSpec, job: &Job) -> Result<Child, RunError> {
    let failed = |why: String| RunError::Failed(format!("the command was not started: {why}"));
    let values = Values {
        model: &job.model,
        dataset: &job.dataset,
        seed: job.seed,
        key: job.key,
        parameters: &job.parameters,
    };
    let words = spec.expand(&values).map_err(failed)?;
    let variables = ProcessSpec::variables(&values).map_err(failed)?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("it names no program".to_owned()));
    };
    // As it was judged: by its name, and not by where links and `..` lead.
    let cwd = spec.cwd.as_deref().map(tidy);
    if let Some(cwd) = cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
        let cwd = cwd.display();
        return Err(failed(format!(
            "its folder {cwd} does not exist on this machine (the key `cwd` names it)"
        )));
    }
    let Some(file) = resolve(program, cwd.as_deref()) else {
        return Err(failed(format!(
            "the program '{program}' is not in PATH on this machine: install it, or write its whole path"
        )));
    };
    let mut command = Command::new(&file);
    let inherited = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| spec.inherits(name)));
    command.args(arguments).env_clear().envs(inherited).envs(variables);
    command.env("LABTOP_RUN_ID", job.experiment_id.to_string());
    if let Some(cwd) = cwd {
        command.current_dir(cwd);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command.spawn().map_err(|error| {
        let file = file.display();
        failed(match error.kind() {
            ErrorKind::NotFound => format!("there is no program {file}, or what its first line names"),
            ErrorKind::PermissionDenied => format!("{file} may not be run (chmod +x {file} allows it)"),
            ErrorKind::ArgumentListTooLong => "its arguments and parameters are too long".to_owned(),
            _ => format!("{file}: {error}"),
        })
    })
}
