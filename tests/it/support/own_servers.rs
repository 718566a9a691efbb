//! Servers of a test's own, which it may stop and start again without hurting other tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// PostgreSQL and Chroma, stopped and forgotten when dropped.
pub struct OwnServers {
    folder: TempDir,
}

/// Only where the other tests have servers as well: then their programs are there.
pub fn start() -> Option<OwnServers> {
    if std::env::var_os("DATABASE_URL").is_none() {
        let demanded = std::env::var("LABTOP_TEST_SERVERS").is_ok_and(|value| value == "1");
        assert!(!demanded, "DATABASE_URL must say where the server is");
        return None;
    }
    // The servers' own user has to get at it.
    let folder = tempfile::Builder::new().prefix("labtop-own-").tempdir_in(public()).unwrap();
    open_to_all(folder.path());
    let servers = OwnServers { folder };
    servers.tell(&["start"]);
    Some(servers)
}

fn public() -> PathBuf {
    std::env::temp_dir()
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl OwnServers {
    pub fn start(&self, name: &str) {
        self.tell(&["start", name]);
    }

    pub fn stop(&self, name: &str) {
        self.tell(&["stop", name]);
    }

    fn tell(&self, words: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scripts/services");
        let mut command = Command::new(script);
        command.args(words).env("LABTOP_SERVICES_DIR", self.folder.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "services {words:?}: {said}");
    }

    /// `DATABASE_URL` or `CHROMA_URL` as they are now.
    pub fn address(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("env")).unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What is left is told by the failure itself; the servers must go all the same.
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scripts/services");
            let mut command = Command::new(script);
            drop(command.arg("stop").env("LABTOP_SERVICES_DIR", self.folder.path()).output());
        } else {
            self.tell(&["stop"]);
        }
    }
}
