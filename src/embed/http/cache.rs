//! Vectors that a server made, in one file a model, so that no text is asked for twice.
//!
//! The file is a head and records of one length: key, checksum, figures. Records are only added at its end, under a lock of the
//! file, so that processes share it; what a broken write left is cut off by the next one. When it would grow too large, its
//! newer half moves to a new file that takes its place. It holds nothing that cannot be made anew: deleting it is safe.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::{CachePlace, Endpoint};

/// SHA-256 of model and text.
pub type Key = [u8; 32];

const MAGIC: [u8; 8] = *b"LTEMBED1";
/// The magic, the dimension, and room.
const HEAD: u64 = 16;
const KEY: usize = 32;
const CHECK: usize = 4;

#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    most: u64,
    model: String,
    known: Mutex<Known>,
}

/// What has been read of the file: where each key is.
#[derive(Debug, Default)]
struct Known {
    /// Another file has another number.
    file: u64,
    read_to: u64,
    dimension: usize,
    places: HashMap<Key, u64>,
}

impl Cache {
    pub fn new(place: &CachePlace, endpoint: &Endpoint) -> Self {
        let Endpoint { name, url, model, .. } = endpoint;
        let readable: String = name
            .chars()
            .take(40)
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
            .collect();
        // Another server or model under this name is another file.
        let digest = Sha256::digest(format!("{name}\n{url}\n{model}"));
        let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let path = place.folder.join(format!("{readable}-{digest}.cache"));
        Cache { path, most: place.most, model: model.clone(), known: Mutex::default() }
    }

    pub fn key(&self, text: &str) -> Key {
        Sha256::new().chain_update(&self.model).chain_update([0]).chain_update(text).finalize().into()
    }

    /// The vector of each key, where there is one. Blocks.
    pub fn find(&self, keys: &[Key]) -> io::Result<Vec<Option<Vec<f32>>>> {
        let nothing = vec![None; keys.len()];
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nothing),
            Err(error) => return Err(error),
        };
        file.lock_shared()?;
        let mut known = self.known();
        if !known.refresh(&file)? {
            return Ok(nothing);
        }
        let mut record = vec![0; known.record()];
        keys.iter()
            .map(|key| {
                let Some(place) = known.places.get(key) else { return Ok(None) };
                file.read_exact_at(&mut record, *place)?;
                Ok(vector(&record, key))
            })
            .collect()
    }

    /// Adds vectors, all of one dimension. Blocks.
    pub fn put(&self, entries: &[(Key, Vec<f32>)]) -> io::Result<()> {
        let Some(dimension) = entries.first().map(|(_, vector)| vector.len()) else { return Ok(()) };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = self.locked()?;
        let mut known = self.known();
        if !known.refresh(&file)? || known.dimension != dimension {
            file.set_len(0)?;
            file.write_all(&head(dimension))?;
            *known = Known::default();
            known.refresh(&file)?;
        }
        let record = known.record() as u64;
        // A writer may have died within a record.
        let whole = HEAD + (file.metadata()?.len().saturating_sub(HEAD)) / record * record;
        file.set_len(whole)?;
        let mut bytes = Vec::new();
        for (key, vector) in entries {
            if !known.places.contains_key(key) {
                bytes.extend(packed(key, vector));
            }
        }
        if whole + bytes.len() as u64 > self.most {
            return self.renewed(&file, &known, whole, &bytes);
        }
        file.write_all(&bytes)
    }

    /// The file under its lock; made when missing. It may have been replaced while we waited.
    fn locked(&self) -> io::Result<File> {
        loop {
            let file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
            file.lock()?;
            match fs::metadata(&self.path) {
                Ok(there) if there.ino() == file.metadata()?.ino() => return Ok(file),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    /// A new file with as much of the newest as fits in half the room, in place of the old one.
    fn renewed(&self, old: &File, known: &Known, whole: u64, bytes: &[u8]) -> io::Result<()> {
        let record = known.record() as u64;
        let room = (self.most / 2).saturating_sub(bytes.len() as u64) / record * record;
        let from = whole.saturating_sub(room).max(HEAD);
        let mut kept = vec![0; usize::try_from(whole.saturating_sub(from)).unwrap_or_default()];
        old.read_exact_at(&mut kept, from)?;
        let path = self.path.with_extension(format!("{}.new", std::process::id()));
        let mut new = File::create(&path)?;
        new.write_all(&head(known.dimension))?;
        new.write_all(&kept)?;
        new.write_all(bytes)?;
        fs::rename(&path, &self.path)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change leaves it right at once.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Bytes of one record.
    fn record(&self) -> usize {
        KEY + CHECK + 4 * self.dimension
    }

    /// Reads what has been added; false when the file is none of ours, or empty.
    fn refresh(&mut self, file: &File) -> io::Result<bool> {
        let there = file.metadata()?;
        if self.file != there.ino() || there.len() < self.read_to {
            *self = Known { file: there.ino(), ..Known::default() };
        }
        if self.read_to == 0 {
            let mut head = [0; HEAD as usize];
            if there.len() < HEAD || file.read_exact_at(&mut head, 0).is_err() || head[..8] != MAGIC {
                return Ok(false);
            }
            self.dimension = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
            self.read_to = HEAD;
        }
        let record = self.record() as u64;
        let mut key: Key = [0; KEY];
        while self.read_to + record <= there.len() {
            file.read_exact_at(&mut key, self.read_to)?;
            self.places.insert(key, self.read_to);
            self.read_to += record;
        }
        Ok(true)
    }
}

fn head(dimension: usize) -> Vec<u8> {
    let dimension = u32::try_from(dimension).unwrap_or(u32::MAX).to_le_bytes();
    [&MAGIC[..], &dimension, &[0; 4]].concat()
}

fn packed(key: &Key, vector: &[f32]) -> Vec<u8> {
    let figures: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    [&key[..], &check(&figures), &figures].concat()
}

/// The vector of a record, unless it is another one or was not written whole.
fn vector(record: &[u8], key: &Key) -> Option<Vec<f32>> {
    let (own, rest) = record.split_at_checked(KEY)?;
    let (sum, figures) = rest.split_at_checked(CHECK)?;
    let whole = own == key && sum == check(figures);
    whole.then(|| figures.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

fn check(figures: &[u8]) -> [u8; CHECK] {
    let digest = Sha256::digest(figures);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::http::tests::endpoint;

    fn cache(folder: &std::path::Path, most: u64) -> Cache {
        Cache::new(&CachePlace { folder: folder.to_owned(), most }, &endpoint("http://x"))
    }

    fn entry(cache: &Cache, number: u32) -> (Key, Vec<f32>) {
        (cache.key(&number.to_string()), vec![number as f32, 0.5])
    }

    #[test]
    fn vectors_come_back_and_a_broken_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (cache(folder.path(), 1 << 20), cache(folder.path(), 1 << 20));
        assert_eq!(one.find(&[one.key("1")]).unwrap(), [None]);
        one.put(&[entry(&one, 1), entry(&one, 2)]).unwrap();
        let keys = [one.key("1"), one.key("3"), one.key("2")];
        let both = [Some(vec![1.0, 0.5]), None, Some(vec![2.0, 0.5])];
        assert_eq!((one.find(&keys).unwrap(), two.find(&keys).unwrap()), (both.to_vec(), both.to_vec()));
        // Half a record, as a dying process leaves it, and a figure that went wrong.
        let mut bytes = fs::read(&one.path).unwrap();
        bytes[HEAD as usize + KEY + CHECK] ^= 1;
        bytes.extend([7; 20]);
        fs::write(&one.path, bytes).unwrap();
        two.put(&[entry(&two, 3)]).unwrap();
        for cache in [&one, &two, &super::tests::cache(folder.path(), 1 << 20)] {
            assert_eq!(cache.find(&keys).unwrap(), [None, Some(vec![3.0, 0.5]), Some(vec![2.0, 0.5])]);
        }
    }

    #[test]
    fn it_stays_within_its_bounds_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 2000);
        for number in 0..200 {
            cache.put(&[entry(&cache, number)]).unwrap();
            assert!(fs::metadata(&cache.path).unwrap().len() <= 2000);
        }
        let found = cache.find(&[cache.key("199"), cache.key("190"), cache.key("0")]).unwrap();
        assert_eq!(found, [Some(vec![199.0, 0.5]), Some(vec![190.0, 0.5]), None]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_dimension_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1 << 20);
        cache.put(&[entry(&cache, 1)]).unwrap();
        cache.put(&[(cache.key("x"), vec![1.0; 3])]).unwrap();
        assert_eq!(cache.find(&[cache.key("1"), cache.key("x")]).unwrap(), [None, Some(vec![1.0; 3])]);
    }

    #[test]
    fn many_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..6 {
                let folder = folder.path();
                scope.spawn(move || {
                    let cache = cache(folder, 1 << 20);
                    (0..30).for_each(|round| cache.put(&[entry(&cache, writer * 100 + round)]).unwrap());
                });
            }
        });
        let cache = cache(folder.path(), 1 << 20);
        let keys: Vec<Key> = (0..6)
            .flat_map(|writer| (0..30).map(move |round| writer * 100 + round))
            .map(|n: u32| cache.key(&n.to_string()))
            .collect();
        assert!(cache.find(&keys).unwrap().iter().all(Option::is_some));
    }
}
