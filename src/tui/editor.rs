//! A text in the user's own editor: written to a file, edited there, read back. It waits for the editor, so it is called
//! by the loop and by commands, never while the state is updated.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

/// Longest text that is taken back, bytes.
pub const LONGEST: u64 = 1 << 20;

/// What came back from the editor. The file stays until somebody removes it, so that no text is lost while it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Without blank lines at its end.
    pub text: String,
    pub path: PathBuf,
}

/// Why there is no edited text.
#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    #[error("neither VISUAL nor EDITOR names an editor")]
    None,
    #[error("the text could not be given to an editor: {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the editor '{command}' could not be started: {error}")]
    Start { command: String, error: io::Error },
    #[error("the editor '{command}' ended with {status}; nothing was saved{kept}")]
    Failed { command: String, status: String, kept: String },
    #[error("{what}; nothing was saved, and the text is kept in {}", path.display())]
    Unusable { what: String, path: PathBuf },
}

/// What the user calls the editor: `VISUAL`, or else `EDITOR`.
pub fn command() -> Option<String> {
    let named = |name: &str| std::env::var(name).ok().filter(|command| !command.trim().is_empty());
    named("VISUAL").or_else(|| named("EDITOR"))
}

/// Lets the user edit `text` in a file whose name begins with `name`. The terminal must be free.
pub fn edit(command: Option<&str>, folder: &Path, name: &str, text: &str) -> Result<Draft, EditorError> {
    let command = command.ok_or(EditorError::None)?;
    let path = folder.join(format!("{name}-{}.md", Uuid::new_v4().simple()));
    let failed = |error| EditorError::File { path: path.clone(), error };
    let given = if text.is_empty() { String::new() } else { format!("{text}\n") };
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(given.as_bytes()))
        .map_err(failed)?;
    // Through a shell, as the variables may hold options: `code --wait`.
    let status = Command::new("sh").args(["-c", &format!("{command} \"$@\""), command]).arg(&path).status();
    let status = status.map_err(|error| {
        discard(&path);
        EditorError::Start { command: command.to_owned(), error }
    })?;
    if !status.success() {
        let changed = fs::read(&path).is_ok_and(|now| now != given.as_bytes());
        let kept =
            if changed { format!(", and the text is kept in {}", path.display()) } else { String::new() };
        if !changed {
            discard(&path);
        }
        return Err(EditorError::Failed { command: command.to_owned(), status: status.to_string(), kept });
    }
    let unusable = |what: String| EditorError::Unusable { what, path: path.clone() };
    let size = fs::metadata(&path).map_err(|error| unusable(error.to_string()))?.len();
    if size > LONGEST {
        return Err(unusable(format!("the text has {size} bytes, and {LONGEST} are the most")));
    }
    let text = fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
    Ok(Draft { text: text.trim_end().to_owned(), path })
}

/// Removes the file of a draft that is saved. What cannot be removed does no harm.
pub fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, path = %path.display(), "removing a draft");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(command: Option<&str>, text: &str) -> (tempfile::TempDir, Result<Draft, EditorError>) {
        let folder = tempfile::tempdir().unwrap();
        let result = edit(command, folder.path(), "note", text);
        (folder, result)
    }

    fn files(folder: &tempfile::TempDir) -> usize {
        fs::read_dir(folder.path()).unwrap().count()
    }

    #[test]
    fn what_the_editor_leaves_is_read_back() {
        let (folder, draft) = edited(Some("printf 'second\\n\\n' | tee -a >/dev/null"), "first");
        let draft = draft.unwrap();
        assert_eq!(draft.text, "first\nsecond");
        assert_eq!(files(&folder), 1, "kept until it is saved");
        discard(&draft.path);
        assert_eq!(files(&folder), 0);
    }

    #[test]
    fn an_editor_that_is_missing_or_fails_loses_nothing() {
        assert!(matches!(edited(None, "x").1, Err(EditorError::None)));
        let (folder, missing) = edited(Some("/no/such/editor"), "x");
        assert!(missing.unwrap_err().to_string().contains("'/no/such/editor' ended with exit status: 127"));
        assert_eq!(files(&folder), 0, "an untouched text is no draft");
        let (folder, failed) = edited(Some("sh -c 'echo more >> \"$1\"; exit 3' --"), "x");
        assert!(failed.unwrap_err().to_string().contains("the text is kept in"));
        assert_eq!(files(&folder), 1);
    }

    #[test]
    fn what_is_no_text_or_too_long_is_kept_and_refused() {
        let (folder, draft) = edited(Some("sh -c 'printf \"\\377\" > \"$1\"' --"), "x");
        assert!(draft.unwrap_err().to_string().contains("UTF-8"));
        assert_eq!(files(&folder), 1);
        let (_, draft) = edited(Some("sh -c 'head -c 1048577 /dev/zero > \"$1\"' --"), "x");
        assert!(draft.unwrap_err().to_string().contains("1048576 are the most"));
    }
}
