//! The built program in a directory of its own.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::servers::Database;
use super::terminal::Terminal;

/// A clean directory with a store in it, and the program run there.
pub struct Labtop {
    pub folder: TempDir,
    /// What its environment has besides.
    pub variables: Vec<(String, String)>,
    /// Databases that go with it.
    places: Vec<Database>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Labtop {
    pub fn new() -> Self {
        Labtop { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), places: Vec::new() }
    }

    pub fn with(mut self, variables: Vec<(String, String)>) -> Self {
        self.variables.extend(variables);
        self
    }

    /// A database on a server that lives as long as this.
    pub fn keeping(mut self, place: Database) -> Self {
        self.places.push(place);
        self
    }

    /// The program without anything of the user's own around it.
    pub fn command(&self) -> Command {
        let mut command = bare(self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The dashboard on a screen.
    pub fn dashboard(&self, columns: u16, rows: u16) -> Terminal {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Terminal::start(self.folder.path(), &[], &variables, columns, rows)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command().args(arguments).output().unwrap())
    }

    /// Runs, expects exit code 0 and gives back stdout.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.stdout
    }

    /// Runs with `--format json`, expects exit code 0 and gives back the document.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.ok(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"))
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// The program in `folder` with only the environment it needs.
pub fn bare(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labtop"));
    command.current_dir(folder).env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", folder).env("TERM", "xterm-256color");
    command
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}
