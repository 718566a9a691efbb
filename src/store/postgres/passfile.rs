//! The password file of PostgreSQL's own programs: `host:port:database:user:password`, the first line that fits.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::config;

/// What the file says of a server.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) password: Option<SecretString>,
    /// Why the file was not heard, as a sentence.
    pub(super) problem: Option<String>,
}

/// Reads the file that the settings name, or the user's own. One that is not there says nothing.
pub(super) fn look_up(settings: &config::Postgres) -> Found {
    let Some(path) = place(settings) else { return Found::default() };
    match read(&path) {
        Ok(text) => Found { password: find(&text, settings).map(SecretString::from), problem: None },
        Err(Unheard::Absent) if settings.passfile.as_os_str().is_empty() => Found::default(),
        Err(unheard) => {
            let shown = path.display();
            let why = match unheard {
                Unheard::Absent => "it is not there".to_owned(),
                Unheard::NoFile => "it is not a file".to_owned(),
                Unheard::Open => format!("others may read it (chmod 0600 {shown})"),
                Unheard::Failed(error) => error.to_string(),
            };
            Found { password: None, problem: Some(format!("{shown} was not read: {why}.")) }
        }
    }
}

fn place(settings: &config::Postgres) -> Option<PathBuf> {
    if settings.passfile.as_os_str().is_empty() {
        return Some(etcetera::home_dir().ok()?.join(".pgpass"));
    }
    Some(settings.passfile.clone())
}

enum Unheard {
    Absent,
    NoFile,
    /// Others than its owner may read or write it.
    Open,
    Failed(io::Error),
}

fn read(path: &Path) -> Result<String, Unheard> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unheard::Absent,
        _ => Unheard::Failed(error),
    };
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(Unheard::NoFile);
    }
    if about.permissions().mode() & 0o077 != 0 {
        return Err(Unheard::Open);
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn find(text: &str, settings: &config::Postgres) -> Option<String> {
    // The folder of a socket is written as `localhost` where it is the usual one; who writes the folder means it too.
    let host = &settings.host;
    let fits_host = |given: &str| {
        given == "*" || unescaped(given) == *host || (settings.is_local_socket() && given == "localhost")
    };
    let fits = |given: &str, wanted: &str| given == "*" || unescaped(given) == wanted;
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let [given_host, port, database, user, password] = fields(line)?;
        let fits = fits_host(given_host)
            && fits(port, &settings.port.to_string())
            && fits(database, &settings.database)
            && fits(user, &settings.user);
        fits.then(|| unescaped(password))
    })
}

/// Between colons that no backslash stands before. What follows the password is none of ours.
fn fields(line: &str) -> Option<[&str; 5]> {
    let mut fields = [""; 5];
    let mut rest = line;
    for (place, field) in fields.iter_mut().enumerate() {
        match colon(rest) {
            Some(at) => (*field, rest) = (&rest[..at], &rest[at + 1..]),
            None if place == 4 => *field = rest,
            None => return None,
        }
    }
    Some(fields)
}

fn colon(text: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            ':' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn settings(path: &Path) -> config::Postgres {
        let mut settings = config::Postgres::from_url("postgres://me@db.example:5433/lab").unwrap();
        settings.passfile = path.to_owned();
        settings
    }

    fn with(text: &str, mode: u32) -> (tempfile::TempDir, config::Postgres) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let settings = settings(&path);
        (folder, settings)
    }

    fn found(text: &str) -> Option<String> {
        let (_folder, settings) = with(text, 0o600);
        let found = look_up(&settings);
        assert_eq!(found.problem, None);
        found.password.map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        assert_eq!(found("db.example:5433:lab:me:one\n*:*:*:*:two").as_deref(), Some("one"));
        assert_eq!(found("# *:*:*:*:none\nother:5433:lab:me:one\n*:*:*:me:two").as_deref(), Some("two"));
        for other in ["db:5433:lab:me:x", "*:5432:*:*:x", "*:*:lab2:*:x", "*:*:*:you:x", "*:*:*:x", ""] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn colons_and_backslashes_are_escaped() {
        assert_eq!(found(r"*:*:*:*:a\:b\\c").as_deref(), Some(r"a:b\c"));
        let (_folder, mut settings) = with(r"\:\:1:*:a\:b:*:six", 0o600);
        (settings.host, settings.database) = ("::1".to_owned(), "a:b".to_owned());
        assert_eq!(look_up(&settings).password.unwrap().expose_secret(), "six");
        (settings.host, settings.database) = ("/var/run/postgresql".to_owned(), "a:b".to_owned());
        assert!(look_up(&settings).password.is_none());
    }

    #[test]
    fn a_file_that_others_may_read_is_not_heard_and_told() {
        for mode in [0o644, 0o640, 0o602] {
            let (_folder, settings) = with("*:*:*:*:x", mode);
            let found = look_up(&settings);
            assert!(found.password.is_none());
            assert!(found.problem.unwrap().contains("others may read it (chmod 0600 "));
        }
        let folder = tempfile::tempdir().unwrap();
        let problem = |path: &Path| look_up(&settings(path)).problem.unwrap();
        assert!(problem(&folder.path().join("none")).contains("it is not there"));
        assert!(problem(folder.path()).contains("it is not a file"));
    }
}
