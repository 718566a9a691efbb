//! The view file: how the dashboard was arranged when it was left, one section (table) for each part of it.
//!
//! A section is written whole by its owner and means nothing to anybody else, so that parts can be added without this
//! file knowing them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io, process};

use toml::{Table, Value};

/// Of the file's form; another one is set aside.
const VERSION: i64 = 1;

const KEY: &str = "version";

/// What could not be saved, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: the view cannot be remembered: {source}", place.display())]
pub struct ViewError {
    place: PathBuf,
    source: io::Error,
}

/// `~/.local/state/labtop/view.toml`, or its equivalent; none without a home.
pub fn usual_place() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folder = etcetera::choose_base_strategy().ok()?.state_dir()?;
    Some(folder.join("labtop").join("view.toml"))
}

/// The sections, and what was wrong with the file. A file that cannot be understood is put aside, and all is as at first.
pub fn load(place: &Path) -> (Table, Option<String>) {
    let text = match fs::read_to_string(place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Table::new(), None),
        Err(error) => return (Table::new(), Some(format!("{}: cannot be read: {error}", place.display()))),
    };
    match parse(&text) {
        Ok(sections) => (sections, None),
        Err(problem) => (Table::new(), Some(set_aside(place, &problem))),
    }
}

/// What is wrong with the file, if it is there; nothing is done about it.
pub fn problem(place: &Path) -> Option<String> {
    match fs::read_to_string(place) {
        Ok(text) => parse(&text).err(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// Lays sections over those in the file. The file is replaced as a whole, so that a reader sees the old one or the new
/// one; of two dashboards that save one section at once, the later one holds.
pub fn save(place: &Path, sections: &Table) -> Result<(), ViewError> {
    let failed = |source| ViewError { place: place.to_owned(), source };
    // What cannot be understood was told when it was loaded.
    let mut all = fs::read_to_string(place).ok().and_then(|text| parse(&text).ok()).unwrap_or_default();
    all.extend(sections.clone());
    all.insert(KEY.to_owned(), Value::Integer(VERSION));
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    static SAVED: AtomicU64 = AtomicU64::new(0);
    let number = SAVED.fetch_add(1, Ordering::Relaxed);
    let new = place.with_extension(format!("{}-{number}.new", process::id()));
    let written = fs::write(&new, all.to_string()).and_then(|()| fs::rename(&new, place));
    if written.is_err() {
        // The half-written file is of no use; that it stays is the lesser trouble.
        let _ = fs::remove_file(&new);
    }
    written.map_err(failed)
}

fn parse(text: &str) -> Result<Table, String> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    match table.remove(KEY).as_ref().and_then(Value::as_integer) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("it is of version {other}, and this labtop knows {VERSION}")),
        None => return Err("it names no version".to_owned()),
    }
    match table.iter().find(|(_, section)| !section.is_table()) {
        Some((name, _)) => Err(format!("`{name}` is no section")),
        None => Ok(table),
    }
}

fn set_aside(place: &Path, problem: &str) -> String {
    let aside = place.with_extension("toml.old");
    let shown = place.display();
    match fs::rename(place, &aside) {
        Ok(()) => format!("{shown}: {problem}. It was put aside as {}.", aside.display()),
        Err(error) => format!("{shown}: {problem}. It could not be put aside: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn sections_come_back_and_leave_each_other_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state").join("view.toml");
        assert_eq!(load(&place), (Table::new(), None));
        save(&place, &table("[experiments]\nsort = 'id'\n[search]\nk = 3")).unwrap();
        save(&place, &table("[experiments]\nfilter = 'a'")).unwrap();
        let (sections, problem) = load(&place);
        assert_eq!((sections, problem), (table("[experiments]\nfilter = 'a'\n[search]\nk = 3"), None));
        assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn what_cannot_be_understood_is_told_and_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("view.toml");
        for (text, words) in [
            ("[experiments", "put aside"),
            ("version = 0", "version 0"),
            ("version = 9\n[x]", "version 9"),
            ("[experiments]", "no version"),
            ("version = 1\nx = 3", "`x` is no section"),
        ] {
            fs::write(&place, text).unwrap();
            assert!(super::problem(&place).is_some() && place.exists(), "{text}");
            let (sections, problem) = load(&place);
            assert!(sections.is_empty() && !place.exists(), "{text}");
            assert!(problem.unwrap().contains(words), "{text}");
            assert_eq!(fs::read_to_string(place.with_extension("toml.old")).unwrap(), text);
            assert_eq!(super::problem(&place), None, "there is none any more");
        }
    }

    #[test]
    fn many_who_save_at_once_leave_a_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("view.toml");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let place = &place;
                scope.spawn(move || {
                    for round in 0..20 {
                        save(place, &table(&format!("[experiments]\nfilter = '{writer} {round}'"))).unwrap();
                        assert_eq!(load(place).1, None);
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = save(&folder.path().join("file").join("view.toml"), &Table::new()).unwrap_err();
        assert!(error.to_string().contains("view.toml: the view cannot be remembered"), "{error}");
    }
}
