//! Which vectors are in memory, whether they are still what the file holds, and how much memory they take together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::matrix::Matrix;

/// Unless the settings say otherwise.
const MEMORY: u64 = 512 * 1024 * 1024;

/// What a matrix holds the vectors of: by the id of the model or the collection, which no other one ever gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Model(i64),
    Collection(i64),
}

/// What is written together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    Documents,
    /// By name: its id is known only once the file is open.
    Collection(String),
}

/// A state of the vectors of a group. Equal states are equal vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Writes by this process, counted when they begin and when they end: odd while one is under way.
    written: u64,
    /// How often another process was found to have written to the file, whatever it was.
    outside: u64,
}

impl State {
    fn is_settled(self) -> bool {
        self.written.is_multiple_of(2)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Matrices {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    most: u64,
    /// Every search loads what it needs before it answers.
    eager: bool,
    written: HashMap<Group, u64>,
    known: HashMap<Key, Known>,
    /// Counts uses, so that the least recently used goes first.
    uses: u64,
}

#[derive(Debug, Default)]
struct Known {
    held: Option<(State, Arc<Matrix>)>,
    /// Bytes that a load under way will take.
    reserved: u64,
    /// The state that the last search found.
    seen: Option<State>,
    used: u64,
}

impl Known {
    fn bytes(&self) -> u64 {
        self.reserved + self.held.as_ref().map_or(0, |(_, matrix)| matrix.bytes() as u64)
    }
}

impl Default for Matrices {
    fn default() -> Self {
        let inner =
            Inner { most: MEMORY, eager: false, written: HashMap::new(), known: HashMap::new(), uses: 0 };
        Matrices { inner: Mutex::new(inner) }
    }
}

impl Matrices {
    /// How much memory they may take together; with none DuckDB answers every search.
    pub fn limit(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.most = bytes;
        inner.make_room(0, None);
    }

    /// Has every search wait until what it looks at is in memory, the first as well.
    pub fn be_eager(&self) {
        self.lock().eager = true;
    }

    pub fn is_eager(&self) -> bool {
        self.lock().eager
    }

    /// Bytes in use.
    pub fn bytes(&self) -> u64 {
        self.lock().known.values().map(Known::bytes).sum()
    }

    /// A write of this group begins, or has ended, well or not.
    pub fn written(&self, group: &Group) {
        let mut inner = self.lock();
        match inner.written.get_mut(group) {
            Some(count) => *count += 1,
            None => drop(inner.written.insert(group.clone(), 1)),
        }
    }

    /// A collection has another name from now on. No state of the new name was ever one of the old.
    pub fn renamed(&self, from: &str, to: &str) {
        let mut inner = self.lock();
        let group = |name: &str| Group::Collection(name.to_owned());
        let count = |group: &Group| inner.written.get(group).copied().unwrap_or_default();
        let most = count(&group(from)).max(count(&group(to)));
        // Even, as when nobody writes.
        inner.written.insert(group(to), most.next_multiple_of(2) + 2);
    }

    /// `outside` as the lease counts it, while the file is open.
    pub fn state(&self, group: &Group, outside: u64) -> State {
        State { written: self.lock().written.get(group).copied().unwrap_or_default(), outside }
    }

    /// The matrix, if it holds what the file does in this state.
    pub fn find(&self, key: Key, state: State) -> Option<Arc<Matrix>> {
        let mut inner = self.lock();
        inner.uses += 1;
        let now = inner.uses;
        let known = inner.known.get_mut(&key)?;
        let (_, matrix) = known.held.as_ref().filter(|(held, _)| *held == state && state.is_settled())?;
        known.used = now;
        Some(matrix.clone())
    }

    /// Whether a search that DuckDB answered should have the matrix loaded: the first one, and later ones once nobody
    /// writes any more, which two searches of the same state tell.
    pub fn is_worth_loading(&self, key: Key, state: State) -> bool {
        let mut inner = self.lock();
        if inner.most == 0 {
            return false;
        }
        let known = inner.known.entry(key).or_default();
        let seen = known.seen.replace(state);
        known.reserved == 0 && seen.is_none_or(|seen| seen == state)
    }

    /// Room for a matrix of that many bytes, others making way; none where it is too large, or already being loaded.
    pub fn reserve(self: &Arc<Self>, key: Key, bytes: u64) -> Option<Reserved> {
        let mut inner = self.lock();
        let known = inner.known.entry(key).or_default();
        if known.reserved > 0 {
            return None;
        }
        // It is stale, or there would be nothing to load.
        known.held = None;
        if !inner.make_room(bytes, Some(key)) {
            return None;
        }
        inner.known.entry(key).or_default().reserved = bytes;
        Some(Reserved { matrices: self.clone(), key })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change leaves it right at once.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Drops the least recently used until so many more bytes fit; false when they cannot.
    fn make_room(&mut self, bytes: u64, but: Option<Key>) -> bool {
        loop {
            let taken: u64 = self.known.values().map(Known::bytes).sum();
            if taken + bytes <= self.most {
                return true;
            }
            let others =
                self.known.iter_mut().filter(|(key, known)| but != Some(**key) && known.held.is_some());
            let Some((_, oldest)) = others.min_by_key(|(_, known)| known.used) else { return false };
            oldest.held = None;
        }
    }
}

/// Room that a load will fill; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    matrices: Arc<Matrices>,
    key: Key,
}

impl Reserved {
    /// Keeps what was loaded in that state.
    pub fn keep(self, state: State, matrix: Matrix) {
        let mut inner = self.matrices.lock();
        inner.uses += 1;
        let now = inner.uses;
        let known = inner.known.entry(self.key).or_default();
        (known.held, known.used) = (Some((state, Arc::new(matrix))), now);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.matrices.lock().known.entry(self.key).or_default().reserved = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Keys;
    use super::*;

    fn matrix(rows: usize) -> Matrix {
        Matrix::new(1, vec![1.0; rows], Keys::Positions((0..rows as i64).collect()))
    }

    fn keep(matrices: &Arc<Matrices>, id: i64, state: State, rows: usize) -> bool {
        let matrix = matrix(rows);
        let reserved = matrices.reserve(Key::Model(id), matrix.bytes() as u64);
        let fits = reserved.is_some();
        reserved.into_iter().for_each(|reserved| reserved.keep(state, self::matrix(rows)));
        fits
    }

    #[test]
    fn a_matrix_is_good_for_its_state_alone() {
        let matrices = Arc::new(Matrices::default());
        let group = Group::Documents;
        let state = matrices.state(&group, 0);
        assert!(keep(&matrices, 1, state, 10));
        assert!(matrices.find(Key::Model(1), state).is_some());
        assert!(matrices.find(Key::Model(2), state).is_none());
        assert!(matrices.find(Key::Model(1), matrices.state(&group, 1)).is_none());
        matrices.written(&Group::Collection("other".to_owned()));
        assert!(matrices.find(Key::Model(1), matrices.state(&group, 0)).is_some());
        matrices.written(&group);
        let under_way = matrices.state(&group, 0);
        assert!(keep(&matrices, 3, under_way, 10));
        assert!(matrices.find(Key::Model(3), under_way).is_none(), "while something is being written");
        matrices.written(&group);
        assert!(matrices.find(Key::Model(1), matrices.state(&group, 0)).is_none());
    }

    #[test]
    fn a_new_name_is_a_state_of_its_own() {
        let matrices = Arc::new(Matrices::default());
        let [old, new] = ["old", "new"].map(|name| Group::Collection(name.to_owned()));
        // The new name once stood for a collection that was written to as often.
        [&old, &old, &new, &new].iter().for_each(|group| matrices.written(group));
        assert!(keep(&matrices, 1, matrices.state(&old, 0), 10));
        matrices.written(&old);
        matrices.renamed("old", "new");
        matrices.written(&old);
        assert!(matrices.find(Key::Model(1), matrices.state(&new, 0)).is_none());
        assert!(matrices.state(&new, 0).is_settled());
    }

    #[test]
    fn the_least_recently_used_makes_way() {
        let matrices = Arc::new(Matrices::default());
        let state = matrices.state(&Group::Documents, 0);
        let one = matrix(100).bytes() as u64;
        matrices.limit(one * 2);
        assert!(keep(&matrices, 1, state, 100) && keep(&matrices, 2, state, 100));
        assert!(matrices.find(Key::Model(1), state).is_some());
        assert!(keep(&matrices, 3, state, 100));
        let held = [1, 2, 3].map(|id| matrices.find(Key::Model(id), state).is_some());
        assert_eq!((held, matrices.bytes()), ([true, false, true], one * 2));
        assert!(!keep(&matrices, 4, state, 300), "larger than all memory");
        let room = matrices.reserve(Key::Model(5), one).unwrap();
        assert!(matrices.reserve(Key::Model(5), one).is_none(), "loaded once at a time");
        drop(room);
        matrices.limit(0);
        assert_eq!(matrices.bytes(), 0);
        assert!(!matrices.is_worth_loading(Key::Model(6), state));
    }

    #[test]
    fn loading_waits_until_nobody_writes_any_more() {
        let matrices = Matrices::default();
        let state = |outside| matrices.state(&Group::Documents, outside);
        let worth = |outside| matrices.is_worth_loading(Key::Model(1), state(outside));
        assert_eq!([0, 1, 2, 2, 2].map(worth), [true, false, false, true, true]);
    }
}
