//! The log file: lines added at its end, and put aside when it has grown large.
//!
//! By hand, since tracing-appender begins a new file by the clock only, and for one process only: a dashboard and its workers
//! share a file here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is looked at whether another process has put the file aside.
const LOOK: Duration = Duration::from_secs(1);

/// A writer of whole lines.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    limit: u64,
    keep: u64,
    file: File,
    /// As far as this process knows: others write too.
    size: u64,
    looked: Instant,
}

impl Rotating {
    /// Opens or makes the file, and its folder.
    pub fn open(path: &Path, limit: u64, keep: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Rotating { path: path.to_owned(), limit, keep, file, size, looked: Instant::now() })
    }

    /// Goes on in the file that has the name now, if another process has put ours aside.
    fn look(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        if !self.has_the_name()? {
            self.file = append(&self.path)?;
        }
        self.size = self.file.metadata()?.len();
        Ok(())
    }

    fn has_the_name(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        Ok(match fs::metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) == (ours.dev(), ours.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        })
    }

    /// Puts the file aside, one process at a time: the lock is on the file itself, so that who waited for it sees that it
    /// has another name now.
    fn put_aside(&mut self) -> io::Result<()> {
        self.file.lock()?;
        let done = self.has_the_name().and_then(|ours| if ours { self.rename_all() } else { Ok(()) });
        self.file.unlock()?;
        done?;
        self.look()
    }

    fn rename_all(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            missing_is_fine(fs::rename(self.aside(number), self.aside(number + 1)))?;
        }
        fs::rename(&self.path, self.aside(1))
    }

    fn aside(&self, number: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Write for Rotating {
    /// A whole line, so that lines of several processes do not mix.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        if self.looked.elapsed() >= LOOK || self.size + length > self.limit {
            self.look()?;
        }
        if self.size > 0 && self.size + length > self.limit {
            self.put_aside()?;
        }
        self.file.write_all(line)?;
        self.size += length;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_file_that_is_full_is_put_aside_and_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made").join("log");
        let mut log = Rotating::open(&path, 8, 2).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "fifth line\n", "six\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "six\n");
        assert_eq!(read(&path.with_extension("1")), "fifth line\n", "one line may be longer than the limit");
        assert_eq!(read(&path.with_extension("2")), "four\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
        let again = Rotating::open(&path, 8, 2).unwrap();
        assert_eq!(again.size, 4, "what is there counts");
    }

    #[test]
    fn nothing_is_kept_where_nothing_shall_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Rotating::open(&path, 4, 0).unwrap();
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!((read(&path).as_str(), fs::read_dir(folder.path()).unwrap().count()), ("two\n", 1));
    }

    #[test]
    fn two_who_share_a_file_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let writers = 4;
        let lines = 200;
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let path = &path;
                scope.spawn(move || {
                    let mut log = Rotating::open(path, 400, 1000).unwrap();
                    for line in 0..lines {
                        log.write_all(format!("{writer} {line}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        let mut found: Vec<String> = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            found.extend(read(&entry.unwrap().path()).lines().map(str::to_owned));
        }
        let expected: Vec<String> =
            (0..writers).flat_map(|writer| (0..lines).map(move |line| format!("{writer} {line}"))).collect();
        found.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
