//! Where a run happens: host, process and the commit of the folder it was started in.

use std::fs;
use std::path::{Path, PathBuf};

/// Who runs experiments. Found out once, before the first run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// None where the system does not say.
    pub host: Option<String>,
    /// `host:pid:tag`; the tag tells processes apart that had the same number after each other, as in containers.
    pub worker: String,
    /// Commit of the working folder, none outside a repository.
    pub git_commit: Option<String>,
}

impl Place {
    /// This process in its working folder. Reads at most a handful of small files.
    pub fn here() -> Self {
        let host = host();
        let (named, pid) = (host.as_deref().unwrap_or("localhost"), std::process::id());
        let worker = format!("{named}:{pid}:{:06x}", rand::random::<u32>() >> 8);
        let git_commit = std::env::current_dir().ok().and_then(|folder| commit_of(&folder));
        Place { host, worker, git_commit }
    }
}

fn host() -> Option<String> {
    let named = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok())?;
    let named = named.trim();
    (!named.is_empty()).then(|| named.to_owned())
}

/// The commit that a folder or the nearest one above it has checked out, read without starting git.
fn commit_of(folder: &Path) -> Option<String> {
    let dot_git = folder.ancestors().map(|above| above.join(".git")).find(|path| path.exists())?;
    let git_dir = git_dir(&dot_git)?;
    let head = fs::read_to_string(git_dir.join("HEAD")).ok()?;
    match head.trim().strip_prefix("ref: ") {
        None => commit(&head),
        Some(name) => {
            let shared = common_dir(&git_dir);
            [&git_dir, &shared]
                .into_iter()
                .find_map(|dir| fs::read_to_string(dir.join(name)).ok().as_deref().and_then(commit))
                .or_else(|| packed(&shared, name))
        }
    }
}

/// `.git` is a folder, or in a linked work tree a file that says where the folder is.
fn git_dir(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return Some(dot_git.to_owned());
    }
    let text = fs::read_to_string(dot_git).ok()?;
    Some(dot_git.parent()?.join(text.trim().strip_prefix("gitdir: ")?))
}

/// Where the branches of a linked work tree are.
fn common_dir(git_dir: &Path) -> PathBuf {
    match fs::read_to_string(git_dir.join("commondir")) {
        Ok(relative) => git_dir.join(relative.trim()),
        Err(_) => git_dir.to_owned(),
    }
}

fn packed(git_dir: &Path, name: &str) -> Option<String> {
    let refs = fs::read_to_string(git_dir.join("packed-refs")).ok()?;
    let (id, _) = refs.lines().filter_map(|line| line.split_once(' ')).find(|(_, packed)| *packed == name)?;
    commit(id)
}

/// 40 hex digits, or 64 in a SHA-256 repository.
fn commit(text: &str) -> Option<String> {
    let id = text.trim();
    let valid = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_commit_is_found_from_a_folder_below() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::create_dir_all(root.path().join(".git/refs/heads")).unwrap();
        fs::write(root.path().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(commit_of(&below), None, "a branch without a commit");

        fs::write(
            root.path().join(".git/packed-refs"),
            format!("# pack-refs\n{} refs/heads/main\n", ID.replace('0', "f")),
        )
        .unwrap();
        assert_eq!(commit_of(&below), Some(ID.replace('0', "f")));

        fs::write(root.path().join(".git/refs/heads/main"), format!("{ID}\n")).unwrap();
        assert_eq!(commit_of(&below).as_deref(), Some(ID), "a loose branch is newer than a packed one");
    }

    #[test]
    fn a_linked_work_tree_knows_its_commit() {
        let root = tempfile::tempdir().unwrap();
        let linked = root.path().join("main/.git/worktrees/w");
        let tree = root.path().join("w");
        fs::create_dir_all(&linked).unwrap();
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(root.path().join("main/.git/refs/heads")).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", linked.display())).unwrap();
        fs::write(linked.join("HEAD"), "ref: refs/heads/topic\n").unwrap();
        fs::write(linked.join("commondir"), "../..\n").unwrap();
        fs::write(root.path().join("main/.git/refs/heads/topic"), ID).unwrap();
        assert_eq!(commit_of(&tree).as_deref(), Some(ID));
    }

    #[test]
    fn a_worker_has_a_name() {
        let place = Place::here();
        assert!(place.worker.contains(&format!(":{}:", std::process::id())));
        assert_ne!(place.worker, Place::here().worker);
    }
}
