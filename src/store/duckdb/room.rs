//! Memory for lists as long as a store has experiments.

/// From this size on glibc maps a piece by itself and gives it back whole. Smaller ones lie in its heaps, where what is freed
/// stays with the program as soon as anything lives behind it.
const MAPPED: usize = (32 << 20) + 1;

/// An empty list with room for so many rows. What is not filled takes no memory; what is left in the end is for
/// `shrink_to_fit`.
pub fn roomy<T>(rows: usize) -> Vec<T> {
    Vec::with_capacity(rows.max(MAPPED / size_of::<T>().max(1) + 1))
}
