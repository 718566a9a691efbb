//! What may run on a machine that did not ask for it: commands come out of a database, to which others write.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ProcessSpec, Template, quoted, tidy};

/// One entry of the setting `worker.commands`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a program, a list of words, or { command = [...], cwd = \"...\" } is expected"
)]
pub enum Allowed {
    /// A program with any arguments, in any folder.
    Program(String),
    /// A program with arguments like these, in any folder.
    Words(Vec<String>),
    /// The same in one folder.
    Within(Within),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Within {
    pub command: Vec<String>,
    pub cwd: PathBuf,
}

/// Finds the file that a program's name means, seen from a folder.
pub type Find<'a> = &'a dyn Fn(&str, Option<&Path>) -> Option<PathBuf>;

impl Allowed {
    /// What is wrong with it; none when nothing is.
    pub fn problem(&self) -> Option<String> {
        let (program, cwd) = match self {
            Allowed::Program(program) => (Some(program), None),
            Allowed::Words(words) => (words.first(), None),
            Allowed::Within(within) => (within.command.first(), Some(&within.cwd)),
        };
        let Some(program) = program.filter(|program| !program.trim().is_empty()) else {
            return Some("an entry must begin with a program".to_owned());
        };
        if program.contains(['*', '{']) {
            return Some(format!("'{program}': the program itself takes no * and no placeholder"));
        }
        if program.contains('/') && !program.starts_with('/') && cwd.is_none() {
            return Some(format!("'{program}': write the whole path, or its name alone"));
        }
        match cwd {
            Some(cwd) if !cwd.is_absolute() => {
                Some(format!("'{}': write the whole path of `cwd`", cwd.display()))
            }
            _ => None,
        }
    }

    /// Whether every run of a command may run here.
    pub fn permits(&self, spec: &ProcessSpec, find: Find<'_>) -> bool {
        match self {
            Allowed::Program(program) => is_program(program, None, spec, find),
            Allowed::Words(words) => fits(words, None, spec, find),
            Allowed::Within(Within { command, cwd }) => {
                let there = spec.cwd.as_ref().is_some_and(|there| tidy(there) == tidy(cwd));
                there && fits(command, Some(cwd), spec, find)
            }
        }
    }
}

fn fits(words: &[String], cwd: Option<&Path>, spec: &ProcessSpec, find: Find<'_>) -> bool {
    let Some((program, mut arguments)) = words.split_first() else { return false };
    let Some((_, mut given)) = spec.command.split_first() else { return false };
    if !is_program(program, cwd, spec, find) {
        return false;
    }
    if let Some((last, others)) = arguments.split_last()
        && last == "*"
    {
        // Any number, and none as well.
        if given.len() < others.len() {
            return false;
        }
        arguments = others;
        given = &given[..others.len()];
    }
    arguments.len() == given.len() && arguments.iter().zip(given).all(|(word, given)| fits_word(word, given))
}

/// A word with a placeholder fits where everything fits that the placeholder may become.
fn fits_word(word: &str, given: &str) -> bool {
    let Ok(template) = Template::parse(given) else { return false };
    match word.strip_suffix('*') {
        Some(beginning) => template.beginning().starts_with(beginning),
        None => !template.is_open() && template.beginning() == word,
    }
}

/// The same file. A name alone is what `PATH` finds and no other file of that name.
fn is_program(program: &str, cwd: Option<&Path>, spec: &ProcessSpec, find: Find<'_>) -> bool {
    let Some(given) = spec.command.first() else { return false };
    let Ok(template) = Template::parse(given) else { return false };
    if template.is_open() {
        return false;
    }
    let (allowed, asked) = (find(program, cwd), find(template.beginning(), spec.cwd.as_deref()));
    allowed.is_some_and(|file| file.is_absolute() && asked == Some(file))
}

impl ProcessSpec {
    /// As it is told to somebody who is to decide.
    pub fn told(&self) -> String {
        match &self.cwd {
            Some(cwd) => format!("{} in {}", quoted(&self.command), cwd.display()),
            None => quoted(&self.command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProcessKeys;
    use super::*;

    fn spec(command: &[&str], cwd: &str) -> ProcessSpec {
        let command = Some(command.iter().map(|&word| word.to_owned()).collect());
        let keys = ProcessKeys { command, cwd: Some(cwd.to_owned()), ..ProcessKeys::default() };
        keys.check(&["lr"]).unwrap()
    }

    /// A PATH that has everything in /usr/bin.
    fn find(program: &str, cwd: Option<&Path>) -> Option<PathBuf> {
        match program.contains('/') {
            true => Some(tidy(&cwd.unwrap_or(Path::new("")).join(program))),
            false => (program != "absent").then(|| Path::new("/usr/bin").join(program)),
        }
    }

    fn allowed(entry: &str) -> Allowed {
        #[derive(Deserialize)]
        struct One {
            entry: Allowed,
        }
        toml::from_str::<One>(&format!("entry = {entry}")).unwrap().entry
    }

    fn permits(entry: &str, command: &[&str], cwd: &str) -> bool {
        let entry = allowed(entry);
        assert_eq!(entry.problem(), None);
        entry.permits(&spec(command, cwd), &find)
    }

    #[test]
    fn a_program_is_a_file_and_not_a_name() {
        assert!(permits("'python3'", &["python3", "x.py", "{lr}"], "/a"));
        assert!(permits("'python3'", &["/usr/bin/python3"], "/a"));
        assert!(permits("'/usr/bin/python3'", &["python3"], "/a"));
        assert!(!permits("'python3'", &["/tmp/python3"], "/a"), "another of that name");
        assert!(!permits("'python3'", &["./python3"], "/tmp"), "another of that name");
        assert!(!permits("'python3'", &["python3.1"], "/a"));
        assert!(!permits("'absent'", &["absent"], "/a"), "two that are nowhere are not the same");
        assert!(permits("'/srv/run.sh'", &["./run.sh"], "/srv"));
        assert!(permits("'/srv/run.sh'", &["../b/../run.sh"], "/srv/a"));
        assert!(!permits("'/srv/run.sh'", &["./run.sh"], "/tmp"));
    }

    #[test]
    fn words_fit_one_by_one() {
        let words = "['python3', '/srv/train.py', '--lr=*', '*', 'end']";
        assert!(permits(words, &["python3", "/srv/train.py", "--lr={lr}", "any", "end"], "/a"));
        assert!(permits(words, &["python3", "/srv/train.py", "--lr=1", "{lr}", "end"], "/a"));
        for other in [
            &["python3", "/srv/train.py", "--lr=1", "any"][..],
            &["python3", "/srv/train.py", "--lr=1", "any", "end", "more"],
            &["python3", "/srv/other.py", "--lr=1", "any", "end"],
            &["python3", "{lr}", "--lr=1", "any", "end"],
            &["python3", "/srv/train.py", "{lr}", "any", "end"],
            &["python3", "/srv/train.py", "--lr=1", "any", "en{{d"],
            &["python3", "-c", "/srv/train.py", "--lr=1", "any", "end"],
        ] {
            assert!(!permits(words, other, "/a"), "{other:?}");
        }
        let open = "['python3', 'train.py', '*']";
        assert!(permits(open, &["python3", "train.py"], "/a"));
        assert!(permits(open, &["python3", "train.py", "a", "{lr}"], "/a"));
        assert!(!permits(open, &["python3", "-c", "train.py"], "/a"));
        assert!(!permits("['python3']", &["python3", "train.py"], "/a"), "no arguments were allowed");
    }

    #[test]
    fn a_folder_may_be_asked_for() {
        let entry = "{ command = ['./train.sh', '*'], cwd = '/srv/train/' }";
        assert!(permits(entry, &["./train.sh", "{lr}"], "/srv/train"));
        assert!(permits(entry, &["./train.sh"], "/srv/other/../train"));
        assert!(!permits(entry, &["./train.sh"], "/tmp"));
        let nowhere = ProcessSpec { cwd: None, ..spec(&["./train.sh"], "/") };
        assert!(!allowed(entry).permits(&nowhere, &find));
    }

    #[test]
    fn entries_that_cannot_be_meant_are_told() {
        for entry in
            ["''", "[]", "['']", "'./train.sh'", "['bin/*']", "['py{x}']", "{ command = ['a'], cwd = 'b' }"]
        {
            assert!(allowed(entry).problem().is_some(), "{entry}");
        }
    }
}
